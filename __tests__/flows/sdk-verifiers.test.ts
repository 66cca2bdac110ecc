import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { requireBearerAuth as requireBearerAuthV2 } from '@modelcontextprotocol/express';
import {
  InsufficientScopeError,
  InvalidTokenError,
  ServerError,
  TemporarilyUnavailableError,
} from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth as requireBearerAuthV1 } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import type { OAuthTokenVerifier as VerifierV1 } from '@modelcontextprotocol/sdk/server/auth/provider.js';
import { OAuthError, OAuthErrorCode, type OAuthTokenVerifier as VerifierV2 } from '@modelcontextprotocol/server';
import express, { type RequestHandler } from 'express';
import {
  type Auth,
  customVerifier,
  getAuth,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  sdkTokenVerifier,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import supertest from 'supertest';
import { type IdentityProvider, identityProvider } from '../support/identity-provider.js';
import { type IntrospectionServer, introspectionServer } from '../support/introspection-server.js';
import { seconds } from '../support/keys.js';
import { connectV1, connectV2 } from '../support/mcp-clients.js';
import { mcpSessionApp, whoami } from '../support/mcp-session-app.js';

const BASE = 'https://mcp.example.com';
const RESOURCE = `${BASE}/mcp`;
const KEY = 'static-key-0123456789';

/** A verifier as users of SDK v1 have it: a class with state of its own. */
class DirectoryV1 implements VerifierV1 {
  readonly #known = new Map([['good', 'alice']]);
  async verifyAccessToken(token: string) {
    if (token === 'down') throw new TemporarilyUnavailableError('try later');
    if (token === 'broken') throw new ServerError('upstream');
    if (token === 'bug') throw new Error('undefined is not a function');
    const clientId = this.#known.get(token);
    if (clientId === undefined) throw new InvalidTokenError('unknown token');
    return { token, clientId, scopes: ['read'], expiresAt: seconds(600), extra: { tenant: 't1' } };
  }
}

/** The same with the errors of SDK v2. */
const directoryV2: VerifierV2 = {
  async verifyAccessToken(token) {
    if (token === 'down') throw new OAuthError(OAuthErrorCode.TemporarilyUnavailable, 'try later');
    if (token === 'broken') throw new OAuthError(OAuthErrorCode.ServerError, 'upstream');
    if (token === 'bug') throw new Error('undefined is not a function');
    if (token !== 'good') throw new OAuthError(OAuthErrorCode.InvalidToken, 'unknown token');
    return { token, clientId: 'alice', scopes: ['read'], expiresAt: seconds(600), extra: { tenant: 't1' } };
  },
};

describe.each<[string, () => VerifierV1 | VerifierV2]>([
  ['SDK v1', () => new DirectoryV1()],
  ['SDK v2', () => directoryV2],
])('a verifier of %s is a source', (_sdk, make) => {
  const forms: [string, () => Auth][] = [
    ['given as it is', () => customVerifier(make())],
    ['given as verify', () => customVerifier({ verify: make() })],
  ];

  test.each(forms)('C12: %s, its acceptance and its errors mean what the SDK means by them', async (_form, source) => {
    const auth = source();
    const verdict = await auth.check('good');
    expect(verdict).toMatchObject({
      outcome: 'accept',
      auth: { clientId: 'alice', scopes: ['read'], extra: { source: 'customVerifier', tenant: 't1' } },
    });
    expect((await auth.check('unknown')).outcome).toBe('reject');
    expect((await auth.check('bug')).outcome).toBe('reject');
    await expect(auth.check('down')).rejects.toBeInstanceOf(UnavailableError);
    await expect(auth.check('broken')).rejects.toBeInstanceOf(UnavailableError);
  });

  test('C12: behind the guard these are 200, 401, 401, 503 and 503', async () => {
    const application = express()
      .use(multiAuth(customVerifier({ name: 'directory', verify: make() }), { baseUrl: BASE }))
      .all('/mcp', (req, res) => {
        res.json(getAuth(req).extra.source);
      });
    for (const [token, status] of [
      ['good', 200],
      ['unknown', 401],
      ['bug', 401],
      ['down', 503],
      ['broken', 503],
    ] as const)
      await supertest(application).post('/mcp').set('Authorization', `Bearer ${token}`).expect(status);
  });

  test('M5: goes through the real transport of its SDK', async () => {
    const v1 = _sdk === 'SDK v1';
    const mcp = await mcpSessionApp(v1 ? 'v1' : 'v2', origin =>
      multiAuth(customVerifier({ name: 'directory', verify: make() }), { baseUrl: origin }),
    );
    const { client, close } = await (v1 ? connectV1 : connectV2)(mcp.url, 'good');
    expect(whoami(await client.callTool({ name: 'whoami' }))).toMatchObject({
      clientId: 'alice',
      extra: { source: 'directory', tenant: 't1' },
    });
    await close();
    await mcp.close();
  });
});

describe('what an SDK verifier returns is judged', () => {
  const returning = (members: Record<string, unknown>) =>
    multiAuth(
      customVerifier({
        verify: {
          verifyAccessToken: async (token: string) => ({ token, clientId: 'c', scopes: [], ...members }),
        } as VerifierV1,
      }),
      { baseUrl: BASE },
    );

  test('C11: no expiresAt is a key that does not expire', async () => {
    expect(await returning({}).check('t')).toMatchObject({ outcome: 'accept' });
  });

  test.each([
    ['in the past', seconds(-60)],
    ['NaN', Number.NaN],
    ['milliseconds', Date.now() + 600_000],
    ['a string', String(seconds(600))],
  ])('C8: expiresAt %s is a reject', async (_name, expiresAt) => {
    expect((await returning({ expiresAt }).check('t')).outcome).toBe('reject');
  });

  test('C1: a resource other than ours is a reject, ours is fine', async () => {
    expect((await returning({ resource: new URL('https://other.example.com/mcp') }).check('t')).outcome).toBe('reject');
    expect((await returning({ resource: new URL(RESOURCE) }).check('t')).outcome).toBe('accept');
  });

  test('its extra never replaces ours', async () => {
    const verdict = await returning({ extra: { source: 'forged', tenant: 't1' } }).check('t');
    expect(verdict).toMatchObject({ outcome: 'accept', auth: { extra: { source: 'customVerifier', tenant: 't1' } } });
  });
});

describe('our sources inside the SDKs’ own requireBearerAuth', () => {
  let idp: IdentityProvider;
  let endpoint: IntrospectionServer;
  let auth: Auth;
  beforeAll(async () => {
    [idp, endpoint] = await Promise.all([identityProvider(), introspectionServer()]);
    endpoint.intercept = (_question, res) => {
      res.writeHead(500).end();
      return true;
    };
    auth = multiAuth(
      [
        jwtVerifier({ name: 'backend', issuer: idp.issuer }),
        staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes: ['read'] } }, { name: 'keys' }),
        introspectionVerifier({
          introspectionUrl: endpoint.url,
          clientId: 'rs',
          clientSecret: 'secret',
          accepts: token => token.startsWith('down'),
        }),
      ],
      { baseUrl: BASE },
    );
  });
  afterAll(() => Promise.all([idp.close(), endpoint.close()]));

  const gates: [string, (options?: { requiredScopes?: string[] }) => RequestHandler][] = [
    [
      'SDK v1',
      options =>
        requireBearerAuthV1({
          verifier: sdkTokenVerifier(auth, { InvalidTokenError, ServerError }),
          resourceMetadataUrl: `${BASE}/.well-known/oauth-protected-resource/mcp`,
          expectedResource: new URL(RESOURCE),
          ...options,
        }),
    ],
    [
      'SDK v2',
      options =>
        requireBearerAuthV2({
          verifier: sdkTokenVerifier(auth),
          resourceMetadataUrl: `${BASE}/.well-known/oauth-protected-resource/mcp`,
          expectedResource: new URL(RESOURCE),
          ...options,
        }),
    ],
  ];

  describe.each(gates)('%s', (_sdk, gate) => {
    const ask = (token: string, options?: { requiredScopes?: string[] }) =>
      supertest(
        express().all('/mcp', gate(options), (req, res) => {
          res.json((req as { auth?: unknown }).auth);
        }),
      )
        .post('/mcp')
        .set('Authorization', `Bearer ${token}`);

    test('a good JWT passes, and the handler sees its source', async () => {
      const exp = seconds(600);
      const response = await ask(await idp.mint({ aud: RESOURCE, client_id: 'svc', exp })).expect(200);
      expect(response.body).toMatchObject({ clientId: 'svc', expiresAt: exp, extra: { source: 'backend' } });
    });

    test('C11: a key without expiry passes', async () => {
      const response = await ask(KEY).expect(200);
      expect(response.body).toMatchObject({ clientId: 'ci', scopes: ['read'], extra: { source: 'keys' } });
    });

    test('C12 RS-13: a bad token is 401 with a challenge, never 500', async () => {
      const bad = [
        'unknown',
        await idp.mint({ aud: RESOURCE, exp: seconds(-600) }),
        await idp.mint({ aud: 'https://other.example.com/mcp' }),
        `${await idp.mint({ aud: RESOURCE })}x`,
      ];
      for (const token of bad) {
        const response = await ask(token).expect(401);
        expect(response.headers['www-authenticate']).toContain('error="invalid_token"');
        expect(response.headers['www-authenticate']).toContain('resource_metadata="');
      }
    });

    test('MA-4: an outage is not 401 and carries no challenge', async () => {
      const response = await ask('down-1');
      expect(response.status).toBeGreaterThanOrEqual(500);
      expect(response.headers['www-authenticate']).toBeUndefined();
      expect(response.body.error).toMatch(/^(server_error|temporarily_unavailable)$/);
    });

    test('RS-14: the scopes the SDK asks for are checked against ours', async () => {
      await ask(KEY, { requiredScopes: ['read'] }).expect(200);
      await ask(KEY, { requiredScopes: ['write'] }).expect(403);
    });
  });

  test('an error of ours is one of SDK v2 by its brand, without importing the SDK', async () => {
    const error = await sdkTokenVerifier(auth)
      .verifyAccessToken('unknown')
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OAuthError);
    expect((error as OAuthError).code).toBe(OAuthErrorCode.InvalidToken);
    expect((error as OAuthError).toResponseObject()).toMatchObject({ error: 'invalid_token' });
  });

  test('with the classes of SDK v1 it throws those', async () => {
    const verifier = sdkTokenVerifier(auth, { InvalidTokenError, ServerError });
    await expect(verifier.verifyAccessToken('unknown')).rejects.toBeInstanceOf(InvalidTokenError);
    await expect(verifier.verifyAccessToken('down-2')).rejects.toBeInstanceOf(ServerError);
  });

  test('RS-14: a token that lacks a scope of ours is 403 or 401 with both SDKs, never 500', async () => {
    const strict = multiAuth(staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes: ['read'] } }), {
      baseUrl: BASE,
      requiredScopes: ['write'],
    });
    const classes = { InvalidTokenError, InsufficientScopeError, ServerError };
    const told = requireBearerAuthV1({ verifier: sdkTokenVerifier(strict, classes) });
    await supertest(express().all('/mcp', told)).post('/mcp').set('Authorization', `Bearer ${KEY}`).expect(403);
    for (const gate of [
      requireBearerAuthV1({ verifier: sdkTokenVerifier(strict, { InvalidTokenError, ServerError }) }),
      requireBearerAuthV2({ verifier: sdkTokenVerifier(strict) }),
    ]) {
      const response = await supertest(express().all('/mcp', gate)).post('/mcp').set('Authorization', `Bearer ${KEY}`);
      expect([401, 403]).toContain(response.status);
      expect(response.headers['www-authenticate']).toContain('error="');
    }
  });

  test('attack 62: a refused token is asked about once', async () => {
    let asked = 0;
    const vendor = customVerifier({
      verify: () => {
        asked++;
        return null;
      },
    });
    await expect(sdkTokenVerifier(vendor).verifyAccessToken('unknown')).rejects.toBeInstanceOf(OAuthError);
    expect(asked).toBe(1);
  });

  test('a source alone, bound to nothing, works for a key', async () => {
    const keys = staticTokenVerifier({ [KEY]: { clientId: 'ci' } });
    expect(await sdkTokenVerifier(keys).verifyAccessToken(KEY)).toMatchObject({ clientId: 'ci', scopes: [] });
    expect((await sdkTokenVerifier(keys).verifyAccessToken(KEY)).expiresAt).toBeGreaterThan(seconds());
  });
});
