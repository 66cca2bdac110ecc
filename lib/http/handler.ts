import type { IncomingMessage, ServerResponse } from 'node:http';
import parseUrl from 'parseurl';

/** Hands a request on to what stands behind, or an error to the error handlers of the app. */
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
 * The path below which the app has mounted this handler; empty at the root. Express says so itself. Connect does not,
 * neither for its own handlers nor for an Express app that it has mounted; but what a mount leaves of the URL is its
 * end, with a slash in front where that has none.
 */
export function mountOf(req: FrameworkRequest): string {
  const { baseUrl, originalUrl, url = '' } = req;
  if (typeof baseUrl === 'string' && baseUrl !== '') return baseUrl;
  if (originalUrl === undefined || originalUrl === url) return '';
  const end = [url, url.replace(ADDED_SLASH, '')].find(rest => originalUrl.endsWith(rest));
  if (end !== undefined) return withoutQuery(originalUrl.slice(0, originalUrl.length - end.length));
  // Somebody has rewritten the URL. In absolute form nobody can tell; without Express it was a mount, for all we know.
  const isInDoubt = baseUrl === undefined || !originalUrl.startsWith('/') || !url.startsWith('/');
  return isInDoubt ? withoutQuery(originalUrl) : '';
}

// A path ends at a slash; before what else it may end (a dot under Connect, a query), a slash was added.
const ADDED_SLASH = /^\/(?![\w%~-])/;

// Never empty, which would say that there is no mount.
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '') || '/';
}
