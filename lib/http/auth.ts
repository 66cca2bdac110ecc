import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo, Verdict } from '../core/auth-info.js';
import type { Next, RequestHandler } from './handler.js';

/**
 * What every factory returns: a request handler to mount at the root of the app, with the parts of it for apps that
 * are laid out in another way. Works under Express 4 and 5, Connect and `node:http`.
 */
export interface Auth {
  /**
   * Serves documents and OAuth endpoints, guards the MCP endpoint. Hands `next` a ConfigError where no audience is
   * known.
   */
  (req: IncomingMessage, res: ServerResponse, next: Next): void;
  /** The `name` option, else the name of the factory. */
  readonly name: string;
  /** The public URL of the app, byte for byte as configured; absent where nobody gave one. */
  readonly baseUrl?: string;
  /** The public URL of the MCP endpoint, `resourceBaseUrl` or `baseUrl` with `mcpPath`; absent without either. */
  readonly resource?: string;
  /** The scopes required before a source is known; a source may have its own. */
  readonly requiredScopes: readonly string[];
  /** What the metadata says there is. Default: `requiredScopes`. */
  readonly scopesSupported: readonly string[];
  /** Discovery documents and OAuth endpoints; everything else goes to `next()`. */
  readonly router: RequestHandler;
  /** Discovery documents only, for an app that mounts the rest below a prefix. */
  readonly wellKnown: RequestHandler;
  /**
   * The bearer guard alone; `requiredScopes` adds to what the composition requires.
   *
   * @throws ConfigError for wrong or unknown options, and where a verifier has no audience and no URL gives it one
   */
  protect(options?: { readonly requiredScopes?: readonly string[] }): RequestHandler;
  /**
   * The caller, or `null` for every no, a missing scope included.
   *
   * @throws UnavailableError where nobody could tell; ConfigError as `protect()` does
   */
  verifyToken(token: string): Promise<AuthInfo | null>;
  /**
   * The verdict, scopes left to the guard: an acceptance says in `requiredScopes` which ones it will ask for.
   *
   * @throws UnavailableError where nobody could tell; ConfigError as `protect()` does
   */
  check(token: string): Promise<Verdict>;
  /** The scopes that a client must ask for to be granted the required ones. Default of `required`: `requiredScopes`. */
  challengeScopes(required?: readonly string[]): readonly string[];
  /**
   * Prefetches discovery and keys; never required.
   *
   * @throws UnavailableError when it cannot, and later use tries again by itself; ConfigError as `protect()` does
   */
  ready(): Promise<void>;
  /** Releases what it holds; a source in several compositions is closed with the last of them. */
  close(): Promise<void>;
}
