import {
  type Auth,
  customVerifier,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
} from 'express-mcp-auth';
import { passportVerifier } from 'express-mcp-auth/passport';
import passport from 'passport';
import type { IntrospectionServer } from './introspection-server.js';
import type { AuthorizationServer } from './mcp-authorization-server.js';

/** The static keys of {@link everySource}: one that may read, one that may write too. */
export const KEY = 'static-key-0123456789';
export const WRITER = 'writer-key-0123456789';

/** A passport strategy that knows one token, `pp_alice`. */
class DirectoryStrategy extends passport.Strategy {
  override name = 'directory';
  override authenticate(this: passport.StrategyCreated<this>, req: { headers: { authorization?: string } }) {
    if (req.headers.authorization === 'Bearer pp_alice') this.success({ id: 'alice' }, { scope: 'read' } as object);
    else this.fail('unknown', 401);
  }
}

/** People by discovery, services by JWT, introspection, a directory and a vendor, CI by a key: all on one endpoint. */
export function everySource(origin: string, { idp }: AuthorizationServer, { url }: IntrospectionServer): Auth {
  return multiAuth(
    remoteAuth({
      name: 'people',
      verifier: jwtVerifier({ name: 'person', issuer: idp.issuer }),
      authorizationServers: [idp.issuer],
      baseUrl: origin,
    }),
    [
      staticTokenVerifier(
        {
          [KEY]: { clientId: 'ci', scopes: ['read'] },
          [WRITER]: { clientId: 'writer', scopes: ['read', 'notes:write'] },
        },
        { name: 'keys' },
      ),
      introspectionVerifier({
        name: 'opaque',
        introspectionUrl: url,
        clientId: 'rs',
        clientSecret: 'secret',
        accepts: token => token.startsWith('at_'),
      }),
      customVerifier({
        name: 'vendor',
        accepts: token => token.startsWith('v_'),
        verify: token => (token === 'v_1' ? { clientId: 'vendor-app', scopes: ['read'] } : null),
      }),
      passportVerifier(new DirectoryStrategy(), { name: 'directory', accepts: token => token.startsWith('pp_') }),
    ],
  );
}
