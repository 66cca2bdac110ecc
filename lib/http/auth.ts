import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo, Verdict } from '../core/auth-info.js';
import type { Next, RequestHandler } from './handler.js';

/**
 * What every factory returns: a request handler to mount at the root of the app, with the parts of it for apps that
 * are laid out in another way. Works under Express 4 and 5, Connect and `node:http`.
 */
export interface Auth {
  (req: IncomingMessage, res: ServerResponse, next: Next): void;
  readonly name: string;
  readonly baseUrl?: string;
  /** The public URL of the MCP endpoint. */
  readonly resource?: string;
  /** The scopes required before a source is known; a source may have its own. */
  readonly requiredScopes: readonly string[];
  readonly scopesSupported: readonly string[];
  /** Discovery documents and OAuth endpoints; everything else goes to `next()`. */
  readonly router: RequestHandler;
  /** Discovery documents only, for an app that mounts the rest below a prefix. */
  readonly wellKnown: RequestHandler;
  /** The bearer guard alone; `requiredScopes` adds to what the composition requires. */
  protect(options?: { readonly requiredScopes?: readonly string[] }): RequestHandler;
  /** The caller, or `null` for every no. @throws UnavailableError where nobody could tell */
  verifyToken(token: string): Promise<AuthInfo | null>;
  /** The verdict, scopes left to the guard. @throws UnavailableError where nobody could tell */
  check(token: string): Promise<Verdict>;
  /** The scopes that a client must ask for to be granted the required ones. */
  challengeScopes(required?: readonly string[]): readonly string[];
  /** Prefetches discovery and keys. @throws UnavailableError when it cannot; later use tries again by itself */
  ready(): Promise<void>;
  /** Releases what it holds; a source in several compositions is closed with the last of them. */
  close(): Promise<void>;
}
