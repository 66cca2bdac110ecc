import { createHash } from 'node:crypto';
import express, { Router } from 'express';
import { importJWK, type JWK, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { signInPage } from './sign-in-page.js';

/** The app that was registered here by hand: a provider like this one knows nothing of MCP clients. */
export interface RegisteredApp {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
}

export interface IdentityProvider {
  readonly router: Router;
  /** Signs a JWT of this provider, as services get them; eight hours long unless the claims say otherwise. */
  mint(claims: JWTPayload): Promise<string>;
}

/**
 * Stands for the identity provider of your company: sign-in page, codes, ID tokens, refresh tokens. Codes and refresh
 * tokens are JWTs to itself, so that it needs to remember only its key (a real one takes a code once).
 */
export async function identityProvider(issuer: string, app: RegisteredApp, key: JWK): Promise<IdentityProvider> {
  const { d: _, ...publicKey } = key;
  const signingKey = await importJWK(key, 'ES256');
  const sign = (typ: string, claims: JWTPayload, seconds: number) =>
    new SignJWT({ iss: issuer, exp: Math.floor(Date.now() / 1000) + seconds, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'quickstart', typ })
      .sign(signingKey);
  const open = async (typ: string, token: string): Promise<JWTPayload | undefined> => {
    const read = jwtVerify(token, await importJWK(publicKey, 'ES256'), { issuer, typ });
    return read.then(({ payload }) => payload).catch(() => undefined);
  };

  const router = Router();
  router.get('/.well-known/openid-configuration', (_req, res) => {
    res.json({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
    });
  });
  router.get('/jwks', (_req, res) => {
    res.json({ keys: [{ ...publicKey, kid: 'quickstart', alg: 'ES256' }] });
  });

  router.use(express.urlencoded({ extended: false }));
  router.all('/authorize', async (req, res) => {
    const { user, password, ...asked }: Record<string, string> = { ...req.query, ...req.body };
    if (asked.client_id !== app.clientId || asked.redirect_uri !== app.redirectUri) {
      res.status(400).send('This app is not registered here.');
      return;
    }
    if (!user || password !== 'password') {
      res.status(user === undefined ? 200 : 401).send(signInPage(`${issuer}/authorize`, asked, user));
      return;
    }
    const { nonce, code_challenge, state = '' } = asked;
    const code = await sign('code', { sub: user, nonce, code_challenge }, 60);
    res.redirect(303, `${app.redirectUri}?${new URLSearchParams({ code, state })}`);
  });

  router.post('/token', async (req, res) => {
    const credentials = Buffer.from(req.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
    const { code = '', code_verifier = '', refresh_token = '' }: Record<string, string> = req.body;
    const grant = (await open('code', code)) ?? (await open('refresh', refresh_token));
    const challenge = createHash('sha256').update(code_verifier).digest('base64url');
    if (decodeURIComponent(credentials) !== `${app.clientId}:${app.clientSecret}`)
      res.status(401).json({ error: 'invalid_client' });
    else if (grant === undefined || (grant.code_challenge ?? challenge) !== challenge)
      res.status(400).json({ error: 'invalid_grant' });
    else {
      const { sub, nonce } = grant;
      res.json({
        token_type: 'Bearer',
        expires_in: 3600,
        access_token: await sign('at+jwt', { sub, aud: issuer }, 3600),
        refresh_token: await sign('refresh', { sub }, 30 * 24 * 3600),
        id_token: await sign('JWT', { sub, nonce, aud: app.clientId }, 3600),
      });
    }
  });
  return { router, mint: claims => sign('at+jwt', claims, 8 * 3600) };
}
