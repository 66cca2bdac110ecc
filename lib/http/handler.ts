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

/**
 * The path as Express routes it, absolute-form request targets included. The root for a target that cannot be parsed:
 * no router finds a route for one.
 */
export function pathOfRequest(req: IncomingMessage): string {
  return orRoot(() => parseUrl(req)?.pathname);
}

/** The path that the client asked for, before any mount took its part off. */
export function originalPathOf(req: IncomingMessage): string {
  return orRoot(() => parseUrl.original(req)?.pathname);
}

function orRoot(parse: () => string | null | undefined): string {
  try {
    return parse() ?? '/';
  } catch {
    return '/';
  }
}

/**
 * The path below which the app has mounted this handler; empty at the root. Express says so itself; under Connect it
 * is what the original URL has in front of the present one.
 */
export function mountOf(req: FrameworkRequest): string {
  if (typeof req.baseUrl === 'string') return req.baseUrl;
  const { originalUrl, url = '/' } = req;
  if (originalUrl === undefined || originalUrl === url) return '';
  const [original, present] = [originalPathOf(req), pathOfRequest(req)];
  if (original === present) return '';
  return original.endsWith(present) ? original.slice(0, -present.length) : original;
}
