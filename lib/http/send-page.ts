import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { STYLE } from './pages/style.js';

export interface SendPageOptions {
  /**
   * The Content-Security-Policy of this page: a whole policy, or `false` to leave that header to the app. By default
   * it lets in the style of our own pages and nothing else.
   */
  readonly csp?: string | false | undefined;
}

// There is no form-action anywhere: Chrome holds every redirect after the post against it, so that the way to the
// provider and to the client's address would be blocked.
const REST = "base-uri 'none'; frame-ancestors 'none'";

/** For a page of the app's making: its own styles and pictures, but no script, no frame and no other host. */
export const CUSTOM_PAGE_CSP = `default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; ${REST}`;

const CORS_HEADERS = [
  'Access-Control-Allow-Origin',
  'Access-Control-Allow-Credentials',
  'Access-Control-Expose-Headers',
];

/**
 * Sends a page with the headers of a page that people decide on, for this response alone: what the app has set before,
 * for example by its own helmet, is replaced here and stays as it is elsewhere.
 */
export async function sendPage(
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
  html: string,
  { csp }: SendPageOptions = {},
): Promise<void> {
  const setHeaders = await pageHeaders();
  // The client left, or something in front (a time-out) has answered already.
  if (res.headersSent || res.writableEnded || res.destroyed) return;
  setHeaders(req, res);
  keepOpener(res);
  if (csp !== false) {
    res.setHeader('Content-Security-Policy', csp ?? ownPolicy());
    res.removeHeader('Content-Security-Policy-Report-Only');
  }
  // Whatever the app lets other sites read, it is not the token in a consent form.
  for (const name of CORS_HEADERS) res.removeHeader(name);
  res.setHeader('Cache-Control', 'no-store');
  res.statusCode = status;
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.setHeader('Content-Length', Buffer.byteLength(html));
  res.end(req.method === 'HEAD' ? undefined : html);
}

/**
 * Lets a hosted client that opened a popup go on seeing it. Any other value, the `same-origin` of the app's helmet
 * included, cuts the two apart for good, so that the client takes the sign-in for closed. Browsers heed it on redirects
 * too: the answers of authorize, consent and callback need it as much as the pages.
 */
export function keepOpener(res: ServerResponse): void {
  res.setHeader('Cross-Origin-Opener-Policy', 'unsafe-none');
}

let policy: string | undefined;

function ownPolicy(): string {
  if (policy === undefined) {
    const style = hash('sha256', String(STYLE), 'base64');
    policy = `default-src 'none'; style-src 'sha256-${style}'; img-src data:; ${REST}`;
  }
  return policy;
}

let headers: Promise<(req: IncomingMessage, res: ServerResponse) => void> | undefined;

// Loaded with the first page: most processes that import the package never send one.
function pageHeaders() {
  headers ??= import('helmet').then(({ default: helmet }) => {
    const setHeaders = helmet({
      contentSecurityPolicy: false,
      crossOriginOpenerPolicy: false,
      // Both speak for the whole origin, which is the app's.
      originAgentCluster: false,
      strictTransportSecurity: false,
      referrerPolicy: { policy: 'no-referrer' },
      xFrameOptions: { action: 'deny' },
    });
    return (req, res) => setHeaders(req, res, ignoreNext);
  });
  return headers;
}

function ignoreNext(): void {}
