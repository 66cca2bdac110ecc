import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import request from 'supertest';
import { express4 } from '../support/app.js';
import { OAuthClient, post } from '../support/oauth-client.js';
import { closeAll, handle, type ProxyApp, proxyApp, spyStore } from '../support/proxy-app.js';

let world: ProxyApp;
let client: OAuthClient;
beforeAll(async () => {
  world = await proxyApp();
  client = await world.client();
});
afterAll(closeAll);
afterEach(() => {
  world.store.down = false;
});

const other = 'x'.repeat(43);
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
const newClient = (changes: Partial<OAuthClient> = {}) =>
  new OAuthClient(client.endpoints, { id: client.id, secret: client.secret, ...changes });

describe('an authorization code', () => {
  test('gives tokens that open the MCP endpoint, with all that RFC 6749 section 5.1 asks (O-11, C-3)', async () => {
    const { status, headers, body } = await client.redeem(await client.code());
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('pragma')).toBe('no-cache');
    expect(body).toEqual({
      access_token: expect.stringMatching(/^mcp_at_[A-Za-z0-9_-]{60,}$/),
      token_type: 'Bearer',
      expires_in: 3_600,
      refresh_token: expect.stringMatching(/^mcp_rt_[A-Za-z0-9_-]{60,}$/),
      scope: 'read',
    });
    const called = await world.call(String(body.access_token));
    expect(called.status).toBe(200);
    expect(called.body).toMatchObject({
      clientId: client.id,
      scopes: ['read'],
      resource: `${world.base}/mcp`,
      expiresAt: world.clock.seconds + 3_600,
      extra: { source: 'oauthProxy', subject: 'alice' },
    });
  });

  test('is good once: 50 parallel redemptions give one answer and 49 invalid_grant (attack 17, AS-20)', async () => {
    const code = await client.code();
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.redeem(code)));
    const good = answers.filter(answer => answer.status === 200);
    expect(good).toHaveLength(1);
    expect(answers.filter(answer => answer.body.error === 'invalid_grant')).toHaveLength(49);
    expect((await world.call(String(good[0]?.body.access_token))).status).toBe(200);
  });

  test('replayed at once is refused and ends nothing: the client asked twice (attack 16)', async () => {
    const code = await client.code();
    const { body } = await client.redeem(code);
    world.clock.pass(29);
    expect((await client.redeem(code)).body.error).toBe('invalid_grant');
    expect((await world.call(String(body.access_token))).status).toBe(200);
    expect((await client.refresh(body.refresh_token)).status).toBe(200);
  });

  test('replayed later than refreshReuseSeconds is refused and ends the grant that it gave (attack 16, O-17)', async () => {
    const code = await client.code();
    const { body } = await client.redeem(code);
    world.clock.pass(31);
    const replay = await client.redeem(code);
    expect([replay.status, replay.body.error]).toEqual([401, 'invalid_grant']);
    expect((await world.call(String(body.access_token))).status).toBe(401);
    expect((await client.refresh(body.refresh_token)).body.error).toBe('invalid_grant');
  });

  test('replayed late with a wrong verifier or by another client ends nothing (O-17)', async () => {
    const code = await client.code();
    const { body } = await client.redeem(code);
    world.clock.pass(31);
    const stranger = await world.client({ client_name: 'Stranger' });
    expect((await client.redeem(code, { code_verifier: other })).body.error).toBe('invalid_grant');
    stranger.verifier = client.verifier;
    expect((await stranger.redeem(code)).body.error).toBe('invalid_grant');
    expect((await world.call(String(body.access_token))).status).toBe(200);
  });

  test('lives codeTtlSeconds, then it is invalid_grant', async () => {
    const [early, late] = [await client.code(), client.verifier];
    world.clock.pass(59);
    expect((await client.redeem(early, { code_verifier: late })).status).toBe(200);
    const code = await client.code();
    world.clock.pass(61);
    expect((await client.redeem(code)).body.error).toBe('invalid_grant');
  });

  test.each<[string, Record<string, string | undefined>, string, number]>([
    ['a verifier of another session (attack 15, K-3)', { code_verifier: other }, 'invalid_grant', 401],
    ['no verifier (attack 20, O-18)', { code_verifier: undefined }, 'invalid_request', 400],
    ['an empty verifier', { code_verifier: '' }, 'invalid_request', 400],
    ['a verifier of 42 characters (K-1)', { code_verifier: 'x'.repeat(42) }, 'invalid_request', 400],
    ['a verifier of 129 characters (K-1)', { code_verifier: 'x'.repeat(129) }, 'invalid_request', 400],
    ['a verifier with a space (K-1)', { code_verifier: `${'x'.repeat(43)} ` }, 'invalid_request', 400],
    ['another redirect_uri (O-19)', { redirect_uri: 'http://127.0.0.1:1/callback' }, 'invalid_grant', 401],
    ['another resource (AS-14, X-3)', { resource: 'https://other.example.com/mcp' }, 'invalid_target', 400],
    ['no code', { code: undefined }, 'invalid_request', 400],
    ['no grant_type', { grant_type: undefined }, 'invalid_request', 400],
    ['an unknown grant_type (C-2)', { grant_type: 'urn:example:grant' }, 'unsupported_grant_type', 400],
    ['the password grant (B-3)', { grant_type: 'password' }, 'unsupported_grant_type', 400],
    ['client_credentials (attack 80)', { grant_type: 'client_credentials' }, 'unsupported_grant_type', 400],
    ['no client_id', { client_id: undefined }, 'invalid_request', 400],
    ['an unknown client_id', { client_id: 'nobody' }, 'invalid_client', 401],
    ['a secret of a client that has none (attack 78)', { client_secret: 'x' }, 'invalid_client', 401],
  ])('with %s changes nothing stored, and is good after that (E14)', async (_, changes, error, status) => {
    const code = await client.code();
    const before = new Map(world.store.live);
    const refused = await client.redeem(code, changes);
    expect([refused.status, refused.body.error]).toEqual([status, error]);
    expect(refused.body.error_description).toEqual(expect.stringMatching(/./));
    expect(refused.headers.get('cache-control')).toBe('no-store');
    expect(refused.headers.get('www-authenticate')).toBeNull();
    expect(world.store.live).toEqual(before);
    expect((await client.redeem(code)).status).toBe(200);
  });

  test('of another client is invalid_grant and stays good for its owner (attack 18)', async () => {
    const code = await client.code();
    const stranger = await world.client({ client_name: 'Stranger' });
    stranger.verifier = client.verifier;
    expect((await stranger.redeem(code)).body.error).toBe('invalid_grant');
    expect((await client.redeem(code)).status).toBe(200);
  });

  test('is redeemed without redirect_uri, which PKCE makes needless (O-19)', async () => {
    expect((await client.redeem(await client.code(), { redirect_uri: undefined })).status).toBe(200);
  });

  test('is redeemed with its resource repeated, with or without a trailing slash (AS-14)', async () => {
    const resource = `${world.base}/mcp`;
    expect((await client.redeem(await client.code({ resource }), { resource })).status).toBe(200);
    expect((await client.redeem(await client.code(), { resource: `${resource}/` })).status).toBe(200);
  });

  test('is no access token, no refresh token, and neither of these is a code (attacks 46, 86)', async () => {
    const code = await client.code();
    const { body } = await client.redeem(code);
    for (const token of [code, body.refresh_token, 'mcp_at_', 'mcp_', client.id])
      expect((await world.call(String(token))).status).toBe(401);
    for (const token of [code, body.access_token]) {
      expect((await client.refresh(token)).body.error).toBe('invalid_grant');
    }
    for (const token of [body.refresh_token, body.access_token]) {
      expect((await client.redeem(String(token))).body.error).toBe('invalid_grant');
    }
    expect((await world.call(String(body.access_token))).status).toBe(200);
  });

  test('made up, cut short or with other spare bits is invalid_grant', async () => {
    const code = await client.code();
    const padded = code.slice(0, -1) + String.fromCharCode(code.charCodeAt(code.length - 1) + 1);
    for (const wrong of [code.slice(0, -1), `${code}A`, `mcp_ac_${randomBytes(48).toString('base64url')}`, padded])
      expect((await client.redeem(wrong)).body.error).toBe('invalid_grant');
    expect((await client.redeem(code)).status).toBe(200);
  });
});

describe('client authentication at the token endpoint', () => {
  test.each(['client_secret_basic', 'client_secret_post'])(
    'a client of %s may send its secret either way, and must send it (AS-1, B25, H11)',
    async method => {
      const confidential = await world.client({ token_endpoint_auth_method: method });
      const { id, secret = '' } = confidential;
      const form = async () => ({
        grant_type: 'authorization_code',
        code: await confidential.code(),
        code_verifier: confidential.verifier,
      });
      const bare = new OAuthClient(confidential.endpoints, { id });
      const nobody = { client_id: undefined };
      const viaBasic = await bare.token({ ...(await form()), ...nobody }, basic(id, secret));
      expect(viaBasic.status).toBe(200);
      const viaPost = await confidential.token(await form());
      expect(viaPost.status).toBe(200);
      for (const [params, headers, status, error] of [
        [{}, {}, 401, 'invalid_client'],
        [{ client_secret: `${secret}x` }, {}, 401, 'invalid_client'],
        [nobody, basic(id, 'wrong'), 401, 'invalid_client'],
        [nobody, basic(id, ''), 401, 'invalid_client'],
        [nobody, { authorization: 'Basic %%%' }, 401, 'invalid_client'],
        [{ client_secret: secret }, basic(id, secret), 400, 'invalid_request'],
        [{ client_id: 'another' }, basic(id, secret), 400, 'invalid_request'],
      ] as [Record<string, string>, Record<string, string>, number, string][]) {
        const refresh = { grant_type: 'refresh_token', refresh_token: String(viaPost.body.refresh_token) };
        for (const grant of [await form(), refresh]) {
          const refused = await bare.token({ ...grant, ...params }, headers);
          expect([refused.status, refused.body.error]).toEqual([status, error]);
          expect(/^Basic /.test(refused.headers.get('www-authenticate') ?? '')).toBe(
            status === 401 && 'authorization' in headers,
          );
        }
      }
      expect((await confidential.refresh(viaPost.body.refresh_token)).status).toBe(200);
    },
  );

  test('an unknown client and a wrong secret get the same answer (attack 63, B18)', async () => {
    const confidential = await world.client({ token_endpoint_auth_method: 'client_secret_post' });
    const wrong = new OAuthClient(client.endpoints, { id: confidential.id, secret: 'wrong' });
    const unknown = new OAuthClient(client.endpoints, { id: 'unknown', secret: 'wrong' });
    const answers = await Promise.all([wrong, unknown].map(each => each.refresh('mcp_rt_x')));
    expect(answers[0]?.body).toEqual(answers[1]?.body);
    expect(answers.map(answer => answer.status)).toEqual([401, 401]);
  });

  test('credentials in the query count for nothing (O-8, C-10)', async () => {
    const answer = await post(client.endpoints, `/token?client_id=${client.id}`, 'grant_type=refresh_token', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
  });
});

describe('the form of a token request', () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };

  test.each([
    [
      'a repeated parameter (attack 9, O-10)',
      () => `client_id=${client.id}&grant_type=refresh_token&grant_type=x`,
      form,
    ],
    ['a repeated client_id', () => `client_id=${client.id}&client_id=${client.id}&grant_type=refresh_token`, form],
    ['an empty body', () => '', form],
    ['JSON (attack 77)', () => '{"grant_type":"refresh_token"}', { 'content-type': 'application/json' }],
    ['text', () => 'grant_type=refresh_token', { 'content-type': 'text/plain' }],
    ['a form in parts', () => 'grant_type=refresh_token', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['another parameter type', () => 'grant_type[a]=refresh_token', form],
    ['a polluting name (attack 76)', () => '__proto__[x]=1&constructor=2', form],
    ['a form that is no text', () => '%ff%fe=%00&%=%', form],
  ])('%s is invalid_request as JSON (E15)', async (_, body, headers) => {
    const answer = await post(client.endpoints, '/token', body(), headers);
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('more than 32 kB is refused, as JSON and without a store access (attack 54)', async () => {
    const before = world.store.calls.length;
    const answer = await post(client.endpoints, '/token', `grant_type=${'x'.repeat(40_000)}`, form);
    expect([answer.status, answer.body.error]).toEqual([413, 'invalid_request']);
    expect(world.store.calls.length).toBe(before);
  });

  test('an unknown parameter is ignored, an empty one is absent (O-10)', async () => {
    const code = await client.code();
    expect(
      (await client.redeem(code, { audience: 'x', resource: '', client_secret: '', __proto__x: 'y' })).status,
    ).toBe(200);
  });

  test.each(['GET', 'PUT', 'DELETE'])('%s is not answered by the token endpoint (attack 77)', async method => {
    const response = await fetch(`${world.base}/token?client_id=${client.id}&grant_type=refresh_token`, { method });
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain('access_token');
  });

  test('token, register and revoke are open to any origin without credentials (AS-22, B20)', async () => {
    for (const path of ['/token', '/register', '/revoke']) {
      const preflight = await fetch(world.base + path, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://inspector.example.com',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type,mcp-protocol-version',
        },
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
      expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
      expect(preflight.headers.get('access-control-allow-headers')).toMatch(/authorization.*content-type/i);
      const answer = await fetch(world.base + path, {
        method: 'POST',
        headers: { origin: 'https://inspector.example.com' },
      });
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });
});

describe('a body that the app parsed before', () => {
  const apps = { 'Express 5': express, 'Express 4': express4 };
  const parsers = {
    'express.json': [express.json()],
    'express.urlencoded': [express.urlencoded({ extended: false })],
    'extended express.urlencoded': [express.urlencoded({ extended: true })],
    'express.json and urlencoded': [express.json(), express.urlencoded({ extended: true })],
    'express.text': [express.text({ type: '*/*' })],
    'express.raw': [express.raw({ type: '*/*' })],
  };

  for (const [platform, make] of Object.entries(apps))
    for (const [name, middleware] of Object.entries(parsers))
      test(`by ${name} on ${platform} is understood on every endpoint (attack 77)`, async () => {
        const parsed = await proxyApp({
          app: proxy => {
            const app = make();
            app.use(...middleware, proxy);
            handle(app, '/mcp');
            return app as never;
          },
        });
        const visitor = await parsed.client();
        const tokens = await visitor.tokens();
        expect((await parsed.call(tokens.access_token)).status).toBe(200);
        expect((await visitor.refresh(tokens.refresh_token)).status).toBe(200);
        expect((await visitor.revoke(tokens.refresh_token)).status).toBe(200);
        expect((await parsed.call(tokens.access_token)).status).toBe(401);
      });

  test.each([
    ['a list', 'grant_type=refresh_token&grant_type=refresh_token'],
    ['an object', 'grant_type[a]=refresh_token'],
    ['a list of a parameter that is not ours', 'grant_type=refresh_token&x=1&x=2'],
  ])('%s among its values is invalid_request', async (_, body) => {
    const app = express();
    app.use(express.urlencoded({ extended: true }), world.proxy);
    const answer = await request(app).post('/token').type('form').send(`client_id=${client.id}&${body}`);
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
  });

  test.each([
    ['a number', { client_id: 1 }],
    ['null', { client_id: null }],
    ['a truth value', { client_id: true }],
  ])('%s in JSON that the app takes for a form is invalid_request', async (_, body) => {
    const app = express();
    app.use(express.json(), world.proxy);
    const answer = await request(app)
      .post('/token')
      .send({ grant_type: 'refresh_token', ...body });
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
  });
});

describe('options of the token endpoint', () => {
  test('invalidGrantStatus 400 is what RFC 6749 says; other errors keep their status', async () => {
    const strict = await proxyApp({ options: { invalidGrantStatus: 400 } });
    const visitor = await strict.client();
    const refused = await visitor.refresh('mcp_rt_nothing');
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_grant']);
    const unknown = new OAuthClient(visitor.endpoints, { id: 'nobody' });
    expect((await unknown.refresh('x')).status).toBe(401);
  });

  test('clients.allow turns a client away at authorize and at token, with RFC 7591 names to judge by', async () => {
    const seen: Record<string, unknown>[] = [];
    let allowed = true;
    const picky = await proxyApp({
      options: {
        clients: {
          allow: async (candidate: Record<string, unknown>) => {
            seen.push(candidate);
            return allowed;
          },
        },
      },
    });
    const visitor = await picky.client({ client_uri: 'https://client.example.com' });
    const tokens = await visitor.tokens();
    expect(seen[0]).toMatchObject({
      client_id: visitor.id,
      client_name: 'Test Client',
      client_uri: 'https://client.example.com',
      redirect_uris: [visitor.redirectUri],
      token_endpoint_auth_method: 'none',
    });
    const page = await visitor.authorize();
    allowed = false;
    const refused = await visitor.refresh(tokens.refresh_token);
    expect([refused.status, refused.body.error]).toEqual([400, 'unauthorized_client']);
    expect((await visitor.authorize()).location?.searchParams.get('error')).toBe('unauthorized_client');
    const before = picky.store.writes.length;
    expect((await visitor.decide(page)).location?.searchParams.get('error')).toBe('unauthorized_client');
    expect(picky.store.writes.length).toBe(before);
    allowed = true;
    expect((await visitor.refresh(tokens.refresh_token)).status).toBe(200);
  });

  test('a token lives accessTtlSeconds when that is given, and as the upstream token otherwise (AS-15, B28)', async () => {
    const short = await proxyApp({ options: { tokens: { accessTtlSeconds: 120 } } });
    expect((await (await short.client()).tokens()).expires_in).toBe(120);
    short.provider.behaviour.expiresIn = 60;
    expect((await (await short.client()).tokens()).expires_in).toBe(120);
    short.provider.behaviour.refreshTokens = 'none';
    const capped = await (await short.client()).tokens();
    expect([capped.expires_in, capped.refresh_token]).toEqual([60, undefined]);
    world.provider.behaviour.expiresIn = 900;
    expect((await client.tokens()).expires_in).toBe(900);
    world.provider.behaviour.expiresIn = 3_600;
  });

  test('an expired access token is 401 invalid_token with the metadata, never anything else (B4)', async () => {
    const tokens = await client.tokens();
    world.clock.pass(3_599);
    expect((await world.call(tokens.access_token)).status).toBe(200);
    world.clock.pass(2);
    const { status, headers } = await world.call(tokens.access_token);
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toMatch(
      /error="invalid_token".*resource_metadata=|resource_metadata=.*error="invalid_token"/,
    );
  });
});

describe('the store out of reach', () => {
  test('is 503 temporarily_unavailable with Retry-After at token and revoke, and every token is good after it', async () => {
    const tokens = await client.tokens();
    world.store.down = true;
    for (const answer of [await client.refresh(tokens.refresh_token), await client.revoke(tokens.access_token)]) {
      expect([answer.status, answer.body.error]).toEqual([503, 'temporarily_unavailable']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(JSON.stringify(answer.body)).not.toContain('refused');
    }
    expect((await world.call(tokens.access_token)).status).toBe(503);
    world.store.down = false;
    expect((await world.call(tokens.access_token)).status).toBe(200);
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
  });

  test('a check of a token is one read of the store', async () => {
    const tokens = await client.tokens();
    world.store.calls.length = 0;
    await world.proxy.verifyToken(tokens.access_token);
    expect(world.store.calls).toEqual(['get']);
    world.store.calls.length = 0;
    await world.proxy.verifyToken('not-one-of-ours');
    expect(world.store.calls).toEqual([]);
  });
});

describe('stored registration', () => {
  test('keeps a client in the store for a day, and longer after a sign-in', async () => {
    const stored = await proxyApp({ options: { clients: { registration: 'stored' } } });
    const unused = await stored.client();
    const used = await stored.client({ token_endpoint_auth_method: 'client_secret_post' });
    expect(unused.id).toMatch(/^[A-Za-z0-9_-]+$/);
    const tokens = await used.tokens();
    stored.clock.pass(86_401);
    expect((await unused.authorize()).status).toBe(400);
    expect((await unused.refresh('x')).body.error).toBe('invalid_client');
    expect((await used.refresh(tokens.refresh_token)).status).toBe(200);
    stored.clock.pass(29 * 86_400);
    expect((await used.authorize()).status).toBe(200);
  });
});

test('the challenge of a code cannot be learned from it, and a verifier is compared as S256 only (O-16, K-4)', async () => {
  const code = await client.code();
  const challenge = createHash('sha256').update(client.verifier).digest('base64url');
  expect(Buffer.from(code.slice(7), 'base64url').toString('latin1')).not.toContain(
    Buffer.from(challenge, 'base64url').toString('latin1'),
  );
  expect((await client.redeem(code, { code_verifier: challenge })).body.error).toBe('invalid_grant');
  expect((await newClient().redeem(code, { code_verifier: client.verifier })).status).toBe(200);
});

test('two proxies on one store with other secrets do not know each other\u2019s tokens', async () => {
  const store = spyStore(world.clock.now);
  const one = await proxyApp({ options: { store } });
  const tokens = await (await one.client()).tokens();
  const stranger = await one.replica({ secrets: 'quite-another-secret-of-32-characters' });
  expect((await stranger.call(tokens.access_token)).status).toBe(401);
  expect((await one.call(tokens.access_token)).status).toBe(200);
});
