import type { IncomingMessage, ServerResponse } from 'node:http';

// What a browser client must be able to read: where to authorize, its session, when to come back.
const EXPOSED = ['WWW-Authenticate', 'Mcp-Session-Id', 'Retry-After'];
const EXPOSED_VALUE = EXPOSED.join(', ');
const ALLOWED_HEADERS = ['Authorization', 'Content-Type', 'Mcp-Session-Id', 'MCP-Protocol-Version', 'Last-Event-ID'];
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/** Any origin, no credentials. What the app has set before stays, and only gains the exposed names. */
export function allowAnyOrigin(res: ServerResponse): void {
  // Names to look for are written small: Node would have to make them so, for each answer.
  if (!res.hasHeader('access-control-allow-origin')) res.setHeader('Access-Control-Allow-Origin', '*');
  const before = res.getHeader('access-control-expose-headers');
  res.setHeader('Access-Control-Expose-Headers', before === undefined ? EXPOSED_VALUE : merge(before, EXPOSED));
}

/** Answers an OPTIONS request: the named methods, `Authorization`, and whatever was asked for. */
export function answerPreflight(req: IncomingMessage, res: ServerResponse, methods: readonly string[]): void {
  allowAnyOrigin(res);
  const method = req.headers['access-control-request-method'];
  res.setHeader('Access-Control-Allow-Methods', merge(methods.join(', '), headerNames(method)));
  const allowed = merge(ALLOWED_HEADERS.join(', '), headerNames(req.headers['access-control-request-headers']));
  res.setHeader('Access-Control-Allow-Headers', allowed);
  res.setHeader('Access-Control-Max-Age', '600');
  res.setHeader(
    'Vary',
    merge(res.getHeader('Vary') ?? '', ['Access-Control-Request-Headers', 'Access-Control-Request-Method']),
  );
  res.statusCode = 204;
  res.setHeader('Content-Length', '0');
  res.end();
}

// Only names that the grammar of header fields allows are echoed, and not without end.
function headerNames(value: string | undefined): string[] {
  return (value ?? '')
    .split(',', 64)
    .map(name => name.trim())
    .filter(name => HEADER_NAME.test(name));
}

function merge(before: number | string | readonly string[], names: readonly string[]): string {
  const present = String(before)
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
  const known = new Set(present.map(name => name.toLowerCase()));
  for (const name of names) if (!known.has(name.toLowerCase()) && known.add(name.toLowerCase())) present.push(name);
  return present.join(', ');
}
