import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse, serialize } from 'cookie';
import type { AuthorizationServer } from '../../authorization/authorization-server.js';
import { randomToken } from '../../crypto/key-ring.js';

const MAX_BINDINGS = 10;

/**
 * The cookies of one server: `__Host-` on https, so that no sub-domain can plant one; without the prefix, and only
 * then, on http. All are `HttpOnly` and `SameSite=Lax`: browsers come back from other sites.
 */
export interface ServerCookies {
  /** The browser's CSRF value, or `undefined` where it has none that is well-formed. */
  browser(req: IncomingMessage): string | undefined;
  /** The same, made where it has none; set in either case, for as long as a consent form is good. */
  setBrowser(req: IncomingMessage, res: ServerResponse): string;
  binding(req: IncomingMessage, requestId: string): string | undefined;
  setBinding(req: IncomingMessage, res: ServerResponse, requestId: string, value: string): void;
  clearBinding(res: ServerResponse, requestId: string): void;
  remembered(req: IncomingMessage): string | undefined;
  setRemembered(res: ServerResponse, value: string): void;
}

export function serverCookies(server: AuthorizationServer): ServerCookies {
  const isSecure = server.endpoints.baseUrl.toLowerCase().startsWith('https:');
  const tag = hash('sha256', server.issuer, 'base64url').slice(0, 8);
  const nameOf = (use: string) => `${isSecure ? '__Host-' : ''}mcp-${use}-${tag}`;
  const bindingName = (requestId: string) => `${nameOf('txn')}-${hash('sha256', requestId, 'base64url').slice(0, 16)}`;
  const read = (req: IncomingMessage) => parse(req.headers.cookie ?? '');
  const set = (res: ServerResponse, name: string, value: string, maxAge: number) =>
    res.appendHeader(
      'Set-Cookie',
      serialize(name, value, { httpOnly: true, secure: isSecure, sameSite: 'lax', path: '/', maxAge }),
    );
  const browser = (req: IncomingMessage) => {
    const value = read(req)[nameOf('csrf')];
    return value !== undefined && /^[A-Za-z0-9_-]{22,64}$/.test(value) ? value : undefined;
  };

  return {
    browser,
    setBrowser(req, res) {
      const value = browser(req) ?? randomToken();
      set(res, nameOf('csrf'), value, server.lifetimes.transactionTtlSeconds);
      return value;
    },
    binding: (req, requestId) => read(req)[bindingName(requestId)]?.split('.')[1],
    setBinding(req, res, requestId, value) {
      const name = bindingName(requestId);
      set(
        res,
        name,
        `${Math.floor(server.now() / 1_000).toString(36)}.${value}`,
        server.lifetimes.transactionTtlSeconds,
      );
      for (const old of oldestBindings(read(req), `${nameOf('txn')}-`, name)) set(res, old, '', 0);
    },
    clearBinding: (res, requestId) => void set(res, bindingName(requestId), '', 0),
    remembered: req => read(req)[nameOf('consents')],
    setRemembered: (res, value) => void set(res, nameOf('consents'), value, server.remembered.lifetimeSeconds),
  };
}

// One cookie per sign-in under way; a browser that starts many must not end with headers that no server takes.
function oldestBindings(
  cookies: Readonly<Record<string, string | undefined>>,
  prefix: string,
  own: string,
): readonly string[] {
  const madeAt = (name: string) => Number.parseInt(cookies[name]?.split('.')[0] ?? '', 36) || 0;
  const others = Object.keys(cookies).filter(name => name.startsWith(prefix) && name !== own);
  return others.sort((a, b) => madeAt(b) - madeAt(a)).slice(MAX_BINDINGS - 1);
}
