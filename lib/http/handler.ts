import type { IncomingMessage, ServerResponse } from 'node:http';
import parseUrl from 'parseurl';

export type Next = (error?: unknown) => void;

/** A request handler for Express 4 and 5, Connect and bare `node:http`. */
export type RequestHandler = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

/** What frameworks add to a request, as far as it is read here. */
export interface FrameworkRequest extends IncomingMessage {
  readonly originalUrl?: string;
  readonly baseUrl?: string;
  readonly route?: { readonly stack?: readonly { readonly handle?: unknown }[] };
  auth?: unknown;
}

/** The path as Express routes it, absolute-form request targets included; `null` for a target that cannot be parsed. */
export function pathOfRequest(req: IncomingMessage): string | null {
  return orNull(() => parseUrl(req)?.pathname);
}

/** The path that the client asked for, before any mount took its part off. */
export function originalPathOf(req: IncomingMessage): string | null {
  return orNull(() => parseUrl.original(req)?.pathname);
}

function orNull(parse: () => string | null | undefined): string | null {
  try {
    return parse() ?? null;
  } catch {
    return null;
  }
}

/**
 * The path below which the app has mounted this handler; empty at the root. Express says so itself; under Connect, and
 * for an Express app that Connect has mounted, it is what the original URL has in front of the present one.
 */
export function mountOf(req: FrameworkRequest): string {
  const { baseUrl, originalUrl, url } = req;
  if (typeof baseUrl === 'string' && baseUrl !== '') return baseUrl;
  if (originalUrl === undefined || originalUrl === url) return '';
  const [original, present] = [originalPathOf(req), pathOfRequest(req)];
  if (original === null || present === null || original === present) return '';
  if (original.endsWith(present)) return original.slice(0, -present.length);
  // At its root "/" is all that Connect leaves of the path.
  return present === '/' || baseUrl === undefined ? original : '';
}
