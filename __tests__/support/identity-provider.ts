import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWTPayload } from 'jose';
import { type SigningKey, seconds, signingKey } from './keys.js';

/** A real server on loopback that publishes discovery and keys, counts what it is asked, and can be made to misbehave. */
export interface IdentityProvider {
  readonly issuer: string;
  readonly jwksUri: string;
  /** The keys that the JWKS publishes; replace the array to rotate. */
  keys: SigningKey[];
  /** Requests so far, by path. */
  readonly hits: Map<string, number>;
  /** Replaces the answer of a path; return false to fall through to the ordinary one. */
  intercept?: ((req: IncomingMessage, res: ServerResponse, path: string) => boolean) | undefined;
  /** Signs a token of this issuer with the first key; `exp` is an hour ahead unless given. */
  mint(claims?: JWTPayload, header?: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

export async function identityProvider(options: { path?: string; alg?: string } = {}): Promise<IdentityProvider> {
  const hits = new Map<string, number>();
  const path = options.path ?? '';
  let idp: IdentityProvider;
  const server = createServer((req, res) => {
    const pathname = (req.url ?? '/').split('?')[0] as string;
    hits.set(pathname, (hits.get(pathname) ?? 0) + 1);
    if (idp.intercept?.(req, res, pathname)) return;
    const json = (body: unknown) => res.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    if (pathname === `${path}/jwks`) json({ keys: idp.keys.map(key => key.publicJwk) });
    else if (pathname === `/.well-known/oauth-authorization-server${path}`)
      json({ issuer: idp.issuer, jwks_uri: idp.jwksUri });
    else {
      res.statusCode = 404;
      json({ error: 'not_found' });
    }
  });
  const origin = await listen(server);
  const issuer = `${origin}${path}`;
  idp = {
    issuer,
    jwksUri: `${issuer}/jwks`,
    keys: [await signingKey(options.alg)],
    hits,
    mint: (claims = {}, header) =>
      (idp.keys[0] as SigningKey).sign({ iss: issuer, exp: seconds(3600), ...claims }, header),
    close: () => close(server),
  };
  return idp;
}

/** Listens on a free loopback port and answers the origin, for example `http://127.0.0.1:40123`. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>(resolve => server.close(() => resolve()));
}
