import { type IdentityProvider, identityProvider } from './identity-provider.js';
import { seconds } from './keys.js';

/** An identity provider that also grants client_credentials, so that a real MCP client can fetch a token by discovery alone. */
export interface AuthorizationServer {
  readonly idp: IdentityProvider;
  /** The parameters of each token request. */
  readonly grants: URLSearchParams[];
  /** Scopes that are granted whatever is asked; what is asked otherwise. */
  grant?: string | undefined;
  close(): Promise<void>;
}

export async function authorizationServer(): Promise<AuthorizationServer> {
  const idp = await identityProvider();
  const grants: URLSearchParams[] = [];
  const server: AuthorizationServer = { idp, grants, close: () => idp.close() };
  idp.intercept = (req, res, path) => {
    const json = (body: unknown) => res.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    if (path === '/.well-known/oauth-authorization-server') {
      json({
        issuer: idp.issuer,
        jwks_uri: idp.jwksUri,
        authorization_endpoint: `${idp.issuer}/authorize`,
        token_endpoint: `${idp.issuer}/token`,
        response_types_supported: ['code'],
        grant_types_supported: ['authorization_code', 'client_credentials'],
        token_endpoint_auth_methods_supported: ['client_secret_basic'],
        code_challenge_methods_supported: ['S256'],
      });
      return true;
    }
    if (path !== '/token' || req.method !== 'POST') return false;
    let body = '';
    req.on('data', chunk => {
      body += chunk;
    });
    req.on('end', async () => {
      const params = new URLSearchParams(body);
      grants.push(params);
      const [id = 'unknown'] = Buffer.from(String(req.headers.authorization).slice(6), 'base64').toString().split(':');
      const scope = server.grant ?? params.get('scope') ?? '';
      const aud = params.get('resource') ?? 'nobody';
      const access_token = await idp.mint({ aud, client_id: id, sub: id, scope, exp: seconds(600) });
      json({ access_token, token_type: 'Bearer', expires_in: 600, scope });
    });
    return true;
  };
  return server;
}
