import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { multiAuth, staticTokenVerifier } from 'express-mcp-auth';
import { OAuthClient } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, protectedApp, proxyApp } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';
import { strangersKey, UPSTREAM_ID, UPSTREAM_SECRET } from '../support/upstream-provider.js';

let world: ProxyApp;
let client: OAuthClient;
let events: ReturnType<typeof recordServerEvents>;
const start = async (...setup: Parameters<typeof proxyApp>) => {
  world = await proxyApp(...setup);
  client = await world.client();
};
beforeEach(() => {
  events = recordServerEvents();
});
afterEach(async () => {
  events.stop();
  await closeAll();
});

const answerJson = (res: ServerResponse, body: unknown, status = 200) => {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  return true;
};
/** The error that a sign-in ends with at the client. */
async function ending(): Promise<string | null | undefined> {
  const { location, status } = await client.connect();
  expect(status).toBe(303);
  expect(location?.searchParams.get('state')).toBe('the-state');
  expect(location?.searchParams.get('iss')).toBe(world.base);
  return location?.searchParams.get('error');
}
const refreshes = () => world.provider.of('/token', 'refresh_token').length;
const upstreamOf = async (token: string) => (await world.call(token)).body.upstream;

describe('the way to the provider', () => {
  test('carries one fixed callback, own PKCE, an opaque state, and nothing of the client (E2, E6, E18, PX-10, PX-11)', async () => {
    await start();
    const secretState = 'state-of-the-client';
    await client.connect({ state: secretState, scope: 'read write', resource: `${world.base}/mcp` });
    const [asked] = world.provider.of('/authorize');
    expect(asked?.params).toEqual({
      response_type: 'code',
      client_id: UPSTREAM_ID,
      redirect_uri: `${world.base}/auth/callback`,
      state: expect.stringMatching(/^[A-Za-z0-9_-]{22,128}$/),
      scope: 'read write',
      code_challenge: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      code_challenge_method: 'S256',
    });
    const [exchange] = world.provider.of('/token');
    expect(exchange?.params.code_verifier).not.toBe(client.verifier);
    expect(exchange?.params).not.toHaveProperty('client_secret');
    expect(JSON.stringify(world.provider.requests)).not.toContain(client.id);
    expect(JSON.stringify(world.provider.requests)).not.toContain(secretState);
  });

  test.each([
    ['client_secret_basic', UPSTREAM_SECRET],
    ['client_secret_post', UPSTREAM_SECRET],
    ['none', undefined],
  ])('clientAuthMethod %s is used for code, refresh and revocation', async (clientAuthMethod, clientSecret) => {
    await start({ upstream: { clientAuthMethod, clientSecret } });
    const tokens = await client.tokens();
    world.clock.pass(3_600);
    const fresh = await client.refresh(tokens.refresh_token);
    await client.revoke(fresh.body.refresh_token);
    const asked = world.provider.requests.filter(each => each.path === '/token' || each.path === '/revoke');
    expect(asked).toHaveLength(3);
    for (const { authorization, params } of asked) {
      const basic = `Basic ${Buffer.from(`${UPSTREAM_ID}:${UPSTREAM_SECRET}`).toString('base64')}`;
      expect(authorization).toBe(clientAuthMethod === 'client_secret_basic' ? basic : undefined);
      expect(params.client_secret).toBe(clientAuthMethod === 'client_secret_post' ? UPSTREAM_SECRET : undefined);
    }
  });

  test('client_secret_basic escapes what RFC 6749 §2.3.1 demands, and nothing that providers could take literally', async () => {
    await start({ upstream: { clientId: '0b-1f.id_~', clientSecret: 'a-b_c.d~e*f+g:h%i é' } });
    await client.connect();
    const authorization = world.provider.of('/token')[0]?.authorization ?? '';
    const raw = Buffer.from(authorization.slice('Basic '.length), 'base64').toString();
    expect(raw).toBe('0b-1f.id_~:a-b_c.d~e*f%2Bg%3Ah%25i+%C3%A9');
  });

  test('extra parameters go on every leg: code, refresh and revoke (E3, E4)', async () => {
    await start({
      upstream: {
        authorizationParams: { access_type: 'offline', audience: 'https://api.example.com' },
        tokenParams: { tenant: 'blue' },
      },
    });
    const tokens = await client.tokens();
    world.clock.pass(3_600);
    const fresh = await client.refresh(tokens.refresh_token);
    await client.revoke(fresh.body.refresh_token);
    expect(world.provider.of('/authorize')[0]?.params).toMatchObject({
      access_type: 'offline',
      audience: 'https://api.example.com',
    });
    for (const path of ['/token', '/revoke'])
      for (const { params } of world.provider.of(path)) expect(params.tenant).toBe('blue');
    expect(world.provider.of('/token')).toHaveLength(2);
    expect(world.provider.of('/revoke')).toHaveLength(1);
  });

  test.each([
    ['resource', { resource: 'RESOURCE' }],
    ['audience', { audience: 'RESOURCE' }],
    [false, {}],
  ])('resourceParam %s (E1)', async (resourceParam, expected) => {
    await start({ upstream: { resourceParam } });
    await client.connect();
    const { resource, audience } = world.provider.of('/authorize')[0]?.params ?? {};
    const named = { ...(resource !== undefined && { resource }), ...(audience !== undefined && { audience }) };
    expect(JSON.stringify(named)).toBe(JSON.stringify(expected).replace('RESOURCE', `${world.base}/mcp`));
  });

  test('pkce: false leaves the pair out', async () => {
    await start({ upstream: { pkce: false } });
    expect(await client.tokens()).toMatchObject({ token_type: 'Bearer' });
    expect(world.provider.of('/authorize')[0]?.params).not.toHaveProperty('code_challenge');
    expect(world.provider.of('/token')[0]?.params).not.toHaveProperty('code_verifier');
  });

  test('an authorization endpoint with a query keeps it', async () => {
    await start();
    const query = await proxyApp({
      upstream: { authorizationEndpoint: `${world.provider.origin}/authorize?tenant=blue` },
    });
    const visitor = await query.client();
    const redirected = await visitor.decide(await visitor.authorize());
    expect(redirected.location?.searchParams.get('tenant')).toBe('blue');
    expect(redirected.location?.searchParams.get('client_id')).toBe(UPSTREAM_ID);
  });
});

describe('a provider that answers in its own way (E5, E8)', () => {
  test('forms, comma-separated scopes, no expiry and no refresh token, as GitHub', async () => {
    await start();
    Object.assign(world.provider.behaviour, {
      format: 'form',
      scope: 'read,write',
      expiresIn: null,
      refreshTokens: 'none',
    });
    const tokens = await client.tokens({ scope: 'read write' });
    expect(tokens.scope).toBe('read write');
    expect((await world.call(tokens.access_token)).status).toBe(200);
  });

  test.each(['json', 'form'] as const)('an error with the status 200, as %s', async format => {
    await start();
    Object.assign(world.provider.behaviour, { format, errorStatus: 200 });
    world.provider.intercept.set('/token', (_, res) => {
      if (format === 'json') return answerJson(res, { error: 'bad_verification_code', error_description: 'no' });
      res.writeHead(200, { 'content-type': 'application/x-www-form-urlencoded' }).end('error=bad_verification_code');
      return true;
    });
    expect(await ending()).toBe('server_error');
  });

  test('numbers as text', async () => {
    await start();
    world.provider.behaviour.expiresIn = '1800';
    expect((await client.tokens()).expires_in).toBe(1_800);
  });

  test.each([
    ['a token type of its own', { token_type: 'bearer' }, true],
    ['no token type', { token_type: undefined }, true],
    ['a null refresh token', { refresh_token: null }, true],
    ['an expiry that is no number', { expires_in: 'soon' }, true],
    ['no access token', { access_token: undefined }, false],
    ['an access token that is no text', { access_token: 7 }, false],
    ['an unknown token type (attack 100)', { token_type: 'mac' }, false],
  ])('%s', async (_, changes, isGood) => {
    await start();
    world.provider.intercept.set('/token', (_req, res) =>
      answerJson(res, { access_token: 'up-odd', token_type: 'Bearer', scope: 'read', ...changes }),
    );
    const error = await ending();
    // The provider object does not know the token, so a good answer ends with the verifier's no.
    expect(error).toBe(isGood ? 'access_denied' : 'temporarily_unavailable');
  });

  test.each<[string, (res: ServerResponse) => unknown, string]>([
    [
      'an HTML 502',
      res => res.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>'),
      'temporarily_unavailable',
    ],
    [
      'an HTML 200',
      res => res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hi</h1>'),
      'temporarily_unavailable',
    ],
    ['an empty 200', res => res.writeHead(200).end(), 'temporarily_unavailable'],
    ['JSON that is a list', res => answerJson(res, []), 'temporarily_unavailable'],
    ['JSON that is null', res => answerJson(res, null), 'temporarily_unavailable'],
    ['a redirect', res => res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'temporarily_unavailable'],
    ['429', res => answerJson(res, { error: 'slow_down' }, 429), 'temporarily_unavailable'],
    ['503 as JSON', res => answerJson(res, { error: 'temporarily_unavailable' }, 503), 'temporarily_unavailable'],
    ['a cut connection', res => res.socket?.destroy(), 'temporarily_unavailable'],
    ['invalid_grant', res => answerJson(res, { error: 'invalid_grant' }, 400), 'access_denied'],
    ['invalid_client', res => answerJson(res, { error: 'invalid_client' }, 401), 'server_error'],
    [
      'an answer of megabytes',
      res => res.writeHead(200).end(`{"access_token":"${'x'.repeat(2_000_000)}"}`),
      'temporarily_unavailable',
    ],
  ])('%s for a code goes back to the client, and leaves no grant behind (E7, PX-15)', async (_, answer, error) => {
    await start();
    world.provider.intercept.set('/token', (_req, res) => {
      answer(res);
      return true;
    });
    const calls = world.provider.of('/token').length;
    expect(await ending()).toBe(error);
    expect(world.provider.of('/token').length - calls).toBe(1);
    expect(world.store.live.size).toBe(1);
    expect(events.of('upstream_failed')).toEqual([{ leg: 'code', message: expect.stringMatching(/./) }]);
    expect(events.of('sign_in_refused')).toHaveLength(1);
    expect(JSON.stringify(events.messages)).not.toContain('up-code-');
  });

  test('silence is an outage after timeoutMs', async () => {
    await start({ upstream: { timeoutMs: 100 } });
    world.provider.intercept.set('/token', () => true);
    expect(await ending()).toBe('temporarily_unavailable');
  });

  test('an injected fetch is used for every leg', async () => {
    const seen: string[] = [];
    const counting: typeof fetch = (input, init) => {
      seen.push(new URL(String(input)).pathname);
      return fetch(input, init);
    };
    await start({ options: { fetch: counting } });
    const tokens = await client.tokens();
    world.clock.pass(3_600);
    const fresh = await client.refresh(tokens.refresh_token);
    await client.revoke(fresh.body.refresh_token);
    expect(seen).toEqual(['/token', '/token', '/revoke']);
  });
});

describe('errors of the sign-in itself (E7)', () => {
  test.each([
    ['access_denied', 'access_denied'],
    ['temporarily_unavailable', 'temporarily_unavailable'],
    ['server_error', 'server_error'],
    ['invalid_scope', 'server_error'],
    ['<script>', 'server_error'],
    ['consent_required', 'server_error'],
  ])('%s reaches the client as %s, without the words of the provider (PX-15, attack 28)', async (given, told) => {
    await start();
    world.provider.behaviour.signInError = given;
    const page = await client.connect();
    expect(page.location?.searchParams.get('error')).toBe(told);
    expect(page.location?.href).not.toMatch(/<script|%3Cscript|alert|provider%22/i);
    expect(world.provider.of('/token')).toEqual([]);
    expect(events.of('upstream_failed').map(each => each.leg)).toEqual(['authorize']);
  });

  test('an answer without code and without error is server_error', async () => {
    await start();
    const page = await client.decide(await client.authorize());
    const callback = new URL(await client.signIn(page));
    callback.searchParams.delete('code');
    expect((await client.browser.get(callback.href)).location?.searchParams.get('error')).toBe('server_error');
  });

  test('a verifier that does not know the token, or names nobody, ends with access_denied', async () => {
    await start();
    world.provider.behaviour.subject = '';
    expect(await ending()).toBe('access_denied');
    expect(world.store.live.size).toBe(1);
  });

  test('claims.sub is the subject where the verifier names none, and claims reach req.auth (E10)', async () => {
    await start();
    world.provider.behaviour.subject = '';
    world.verifier.claims = { sub: 'u-7', team: 'blue' };
    const { body } = await world.call((await client.tokens()).access_token);
    expect(body.extra).toMatchObject({ subject: 'u-7', claims: { sub: 'u-7', team: 'blue' } });
  });

  test('a verifier that is out of reach is temporarily_unavailable', async () => {
    await start();
    world.verifier.down = true;
    expect(await ending()).toBe('temporarily_unavailable');
  });
});

describe('discovery of upstream.issuer', () => {
  const discovered = (upstream: Record<string, unknown> = {}) => ({
    upstream: {
      authorizationEndpoint: undefined,
      tokenEndpoint: undefined,
      revocationEndpoint: undefined,
      ...upstream,
    },
  });
  const startAt = async (options: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}) => {
    const first = await proxyApp();
    Object.assign(first.provider.metadata, metadata);
    await start({ ...discovered({ issuer: first.provider.origin }), options }, first);
  };

  test('asks nothing before the first sign-in, and once for many', async () => {
    await startAt();
    expect(world.provider.requests).toEqual([]);
    await Promise.all(Array.from({ length: 3 }, async () => (await world.client()).tokens()));
    expect(world.provider.of('/.well-known/openid-configuration')).toHaveLength(1);
    const tokens = await client.tokens();
    await client.revoke(tokens.refresh_token);
    expect(world.provider.of('/revoke')).toHaveLength(1);
  });

  test('ready() prefetches it', async () => {
    await startAt();
    await world.proxy.ready();
    expect(world.provider.of('/.well-known/openid-configuration')).toHaveLength(1);
    await client.tokens();
    expect(world.provider.of('/.well-known/openid-configuration')).toHaveLength(1);
  });

  test('that fails goes to the client as temporarily_unavailable, and works later', async () => {
    await startAt();
    world.provider.intercept.set('/.well-known/openid-configuration', (_, res) => {
      res.writeHead(502).end('<html>');
      return true;
    });
    const page = await client.decide(await client.authorize());
    expect(page.location?.searchParams.get('error')).toBe('temporarily_unavailable');
    expect(page.location?.searchParams.get('state')).toBe('the-state');
    world.provider.intercept.clear();
    world.clock.pass(30);
    expect(await client.tokens()).toMatchObject({ token_type: 'Bearer' });
    expect(events.of('upstream_failed').map(each => each.leg)).toContain('discovery');
  });

  test('of another issuer is refused (attack 100)', async () => {
    await startAt({}, { issuer: 'https://other.example.com' });
    const page = await client.decide(await client.authorize());
    expect(page.location?.searchParams.get('error')).toBe('temporarily_unavailable');
  });

  test.each([
    ['a wrong iss', 'https://other.example.com', {}],
    [
      'a wrong iss where it is promised',
      'https://other.example.com',
      { authorization_response_iss_parameter_supported: true },
    ],
    ['no iss where it is promised', undefined, { authorization_response_iss_parameter_supported: true }],
  ])('%s in the answer is refused, and the code is not redeemed (attack 22, B-10)', async (_, iss, metadata) => {
    await startAt({}, metadata);
    world.provider.behaviour.iss = iss;
    expect(await ending()).toBe('server_error');
    expect(world.provider.of('/token')).toEqual([]);
  });

  test('the right iss is fine, promised or not', async () => {
    for (const promised of [true, false]) {
      await startAt({}, { authorization_response_iss_parameter_supported: promised });
      world.provider.behaviour.iss = world.provider.origin;
      expect(await client.tokens()).toMatchObject({ token_type: 'Bearer' });
    }
  });

  describe('with the ID token as proof of who signed in', () => {
    const startWithIdToken = async (options: Record<string, unknown> = {}) => {
      await startAt({ verifier: undefined, ...options });
      world.provider.behaviour.idToken = { name: 'Alice' };
    };

    test('openid is asked for, and its claims say who it is', async () => {
      await startWithIdToken();
      const tokens = await client.tokens();
      expect(world.provider.of('/authorize')[0]?.params).toMatchObject({
        scope: 'openid read',
        nonce: expect.stringMatching(/^[A-Za-z0-9_-]{22,}$/),
      });
      const { body } = await world.call(tokens.access_token);
      expect(body.extra).toMatchObject({ subject: 'alice', issuer: world.provider.origin, claims: { name: 'Alice' } });
      expect(tokens.scope).toBe('read');
      expect(body.upstream).toMatch(/^up-access-/);
    });

    test.each<[string, Record<string, unknown>]>([
      ['a nonce of another sign-in', { nonce: 'another' }],
      ['no nonce', { nonce: undefined }],
      ['another audience', { aud: 'another-app' }],
      ['several audiences and another azp', { aud: [UPSTREAM_ID, 'another'], azp: 'another' }],
      ['another issuer', { iss: 'https://other.example.com' }],
      ['an expiry in the past', { exp: 1 }],
      ['no subject', { sub: undefined }],
    ])('%s is access_denied, and nothing is issued (attack 100)', async (_, claims) => {
      await startWithIdToken();
      world.provider.behaviour.idToken = claims;
      expect(await ending()).toBe('access_denied');
      expect(world.store.live.size).toBe(1);
    });

    test('no ID token, or one signed by somebody else, is access_denied', async () => {
      await startWithIdToken();
      world.provider.behaviour.idToken = undefined;
      expect(await ending()).toBe('access_denied');
      world.provider.behaviour.idToken = {};
      world.provider.behaviour.idTokenKey = await strangersKey();
      expect(await ending()).toBe('access_denied');
    });

    test('its expiry ends no session', async () => {
      await startWithIdToken();
      const tokens = await client.tokens();
      world.clock.pass(1_800);
      expect((await world.call(tokens.access_token)).status).toBe(200);
    });

    test('one that comes with a refresh is verified: a forged one gives no tokens', async () => {
      await startWithIdToken();
      world.provider.behaviour.idTokenOnRefresh = {};
      const tokens = await client.tokens();
      world.provider.behaviour.idTokenKey = await strangersKey();
      world.clock.pass(3_600);
      const refreshed = await client.refresh(tokens.refresh_token);
      expect(refreshed.status).toBe(503);
      expect(refreshed.body).toMatchObject({ error: 'temporarily_unavailable' });
    });

    test('one that comes with a refresh costs no tokens by its expiry: they are given once', async () => {
      await startWithIdToken();
      const tokens = await client.tokens();
      world.provider.behaviour.idTokenOnRefresh = { exp: world.clock.seconds + 60, nbf: world.clock.seconds + 9_000 };
      world.clock.pass(3_600);
      const second = await client.refresh(tokens.refresh_token);
      expect(second.status).toBe(200);
      world.clock.pass(3_600);
      expect((await client.refresh(second.body.refresh_token)).status).toBe(200);
      expect(world.provider.thefts()).toBe(0);
    });

    test.each<[string, (res: ServerResponse) => unknown]>([
      ['answer 503', res => res.writeHead(503).end()],
      ['never answer', () => undefined],
    ])('one that comes with a refresh costs no tokens when the keys %s', async (_, fail) => {
      await startWithIdToken();
      const tokens = await client.tokens();
      // Another process, which knows no keys yet.
      const replica = await world.replica();
      const there = new OAuthClient({ base: replica.origin }, { id: client.id });
      world.provider.behaviour.idTokenOnRefresh = { exp: world.clock.seconds + 86_400 };
      world.provider.intercept.set('/jwks', (_req, res) => {
        fail(res);
        return true;
      });
      world.clock.pass(3_600);
      const second = await there.refresh(tokens.refresh_token);
      expect(second.status).toBe(200);
      world.provider.intercept.clear();
      world.clock.pass(3_600);
      expect((await there.refresh(second.body.refresh_token)).status).toBe(200);
      expect(world.provider.thefts()).toBe(0);
    });

    test('one of the same person with a refresh is fine, and so is none', async () => {
      await startWithIdToken();
      const tokens = await client.tokens();
      world.clock.pass(3_600);
      const second = await client.refresh(tokens.refresh_token);
      expect(second.status).toBe(200);
      world.provider.behaviour.idTokenOnRefresh = {
        exp: world.clock.seconds + 7_200,
        iat: world.clock.seconds,
      };
      world.clock.pass(3_600);
      expect((await client.refresh(second.body.refresh_token)).status).toBe(200);
    });
  });
});

describe('the upstream token of a caller', () => {
  test('is what getUpstreamToken answers, and never reaches req.auth or the client (PX-8, E9, attack 60)', async () => {
    await start();
    const answers = [await client.redeem(await client.code())];
    const token = String(answers[0]?.body.access_token);
    const { body } = await world.call(token);
    expect(body.upstream).toMatch(/^up-access-/);
    const { upstream: _, ...auth } = body;
    answers.push(await client.refresh(answers[0]?.body.refresh_token));
    for (const secret of [...world.provider.secrets, UPSTREAM_SECRET])
      expect(JSON.stringify([auth, answers])).not.toContain(secret);
    const outbound = JSON.stringify(world.provider.requests);
    for (const own of [token, ...answers.flatMap(answer => [answer.body.access_token, answer.body.refresh_token])])
      expect(outbound).not.toContain(String(own));
  });

  test('is no token of ours: the guard refuses it', async () => {
    await start();
    const tokens = await client.tokens();
    expect((await world.call(String(await upstreamOf(tokens.access_token)))).status).toBe(401);
  });

  test('is refreshed in the guard when it has expired: the session goes on (E12)', async () => {
    await start({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const tokens = await client.tokens();
    const before = await upstreamOf(tokens.access_token);
    world.clock.pass(3_599);
    expect(await upstreamOf(tokens.access_token)).toBe(before);
    expect(refreshes()).toBe(0);
    world.clock.pass(2);
    const after = await upstreamOf(tokens.access_token);
    expect(after).toMatch(/^up-access-/);
    expect(after).not.toBe(before);
    expect(refreshes()).toBe(1);
  });

  test('is refreshed once for 20 requests on two replicas (H2, E12, attack 59)', async () => {
    await start({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const replica = await world.replica();
    const tokens = await client.tokens();
    world.clock.pass(3_601);
    const called = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? world : replica).call(tokens.access_token)),
    );
    expect(called.map(each => each.status)).toEqual(Array(20).fill(200));
    expect(new Set(called.map(each => each.body.upstream)).size).toBe(1);
    expect(refreshes()).toBe(1);
    expect(world.provider.thefts()).toBe(0);
  });

  test.each([
    ['200 s', 200, 139, 141],
    ['60 s: half of it', 60, 29, 31],
  ])('is refreshed with our own refresh near its end, of a life of %s', async (_, life, early, late) => {
    await start();
    world.provider.behaviour.expiresIn = life;
    let tokens = await client.tokens();
    world.clock.pass(early);
    tokens = (await client.refresh(tokens.refresh_token)).body as unknown as typeof tokens;
    expect(refreshes()).toBe(0);
    world.clock.pass(late - early);
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
    expect(refreshes()).toBe(1);
  });

  test('a refresh token that upstream leaves out stays (H8, Google)', async () => {
    await start();
    world.provider.behaviour.refreshTokens = 'keep';
    let tokens = await client.tokens();
    for (let count = 0; count < 3; count++) {
      world.clock.pass(3_600);
      const { status, body } = await client.refresh(tokens.refresh_token);
      expect(status).toBe(200);
      tokens = body as unknown as typeof tokens;
    }
    const asked = world.provider.of('/token', 'refresh_token').map(each => each.params.refresh_token);
    expect([asked.length, new Set(asked).size]).toEqual([3, 1]);
  });

  test('an expiry that a refresh leaves out is taken as before', async () => {
    await start();
    const tokens = await client.tokens();
    world.provider.behaviour.expiresIn = null;
    world.clock.pass(3_600);
    const second = await client.refresh(tokens.refresh_token);
    expect(second.body.expires_in).toBe(3_600);
    await upstreamOf(String(second.body.access_token));
    expect(refreshes()).toBe(1);
  });

  test('invalid_grant ends the grant: invalid_grant for the client, 401 for callers, one question (H5)', async () => {
    await start({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const tokens = await client.tokens();
    world.provider.forget();
    world.clock.pass(3_601);
    const refused = await client.refresh(tokens.refresh_token);
    expect([refused.status, refused.body.error]).toEqual([401, 'invalid_grant']);
    expect((await world.call(tokens.access_token)).status).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect(refreshes()).toBe(1);
    expect(events.of('grant_revoked')).toEqual([{ clientId: client.id, subject: 'alice', by: 'upstream' }]);
  });

  test.each(['bad_refresh_token', 'interaction_required', 'login_required', 'consent_required'])(
    '%s means the same, with whatever status',
    async error => {
      for (const status of [200, 400, 401]) {
        await start();
        const tokens = await client.tokens();
        world.clock.pass(3_601);
        world.provider.intercept.set('/token', (_req, res) => answerJson(res, { error }, status));
        expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
        expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
        expect(refreshes()).toBe(1);
      }
    },
  );

  test('invalid_grant in the guard ends the grant too, and says so', async () => {
    await start({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const tokens = await client.tokens();
    world.provider.forget();
    world.clock.pass(3_601);
    expect((await world.call(tokens.access_token)).status).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect(refreshes()).toBe(1);
    expect(events.of('grant_revoked')).toEqual([{ clientId: client.id, subject: 'alice', by: 'upstream' }]);
  });

  test.each<[string, (res: ServerResponse) => unknown]>([
    ['500', res => res.writeHead(500).end('<html>')],
    ['429', res => answerJson(res, { error: 'slow_down' }, 429)],
    ['invalid_client, of a botched rotation of our secret', res => answerJson(res, { error: 'invalid_client' }, 401)],
    ['temporarily_unavailable with 400', res => answerJson(res, { error: 'temporarily_unavailable' }, 400)],
    ['unauthorized_client', res => answerJson(res, { error: 'unauthorized_client' }, 400)],
    ['invalid_request', res => answerJson(res, { error: 'invalid_request' }, 400)],
    ['an error that nobody knows', res => answerJson(res, { error: 'not_today' }, 400)],
    ['nothing', res => res.socket?.destroy()],
    ['HTML with 200', res => res.writeHead(200).end('<html>')],
  ])('%s is an outage: 503, the grant is kept, the next attempt works (H5, H6)', async (_, fail) => {
    await start({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const tokens = await client.tokens();
    world.clock.pass(3_601);
    world.provider.intercept.set('/token', (_req, res) => {
      fail(res);
      return true;
    });
    const called = await world.call(tokens.access_token);
    expect(called.status).toBe(503);
    expect(Number(called.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    const refused = await client.refresh(tokens.refresh_token);
    expect([refused.status, refused.body.error]).toEqual([503, 'temporarily_unavailable']);
    expect(events.of('upstream_failed')).toEqual(Array(2).fill({ leg: 'refresh', message: expect.any(String) }));
    world.provider.intercept.clear();
    expect((await world.call(tokens.access_token)).status).toBe(200);
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
    expect(world.provider.thefts()).toBe(0);
  });

  test('a replica that died while asking leaves a lease, which another takes over when it has expired', async () => {
    await start({ options: { tokens: { accessTtlSeconds: 86_400 } }, upstream: { timeoutMs: 60_000 } });
    const replica = await world.replica();
    const tokens = await client.tokens();
    world.clock.pass(3_601);
    let hanging: ServerResponse | undefined;
    const asked = new Promise<void>(resolve => {
      world.provider.intercept.set('/token', (_req, res) => {
        hanging = res;
        world.provider.intercept.clear();
        resolve();
        return true;
      });
    });
    const dead = world.call(tokens.access_token);
    await asked;
    const waiting = replica.call(tokens.access_token);
    world.clock.pass(66);
    expect((await waiting).status).toBe(200);
    expect(refreshes()).toBe(2);
    hanging?.socket?.destroy();
    // The late one finds the newer tokens, or says that it could not tell; it never takes the session down.
    expect([200, 503]).toContain((await dead).status);
    expect((await world.call(tokens.access_token)).status).toBe(200);
    expect(refreshes()).toBe(2);
  });

  test('a record that changed meanwhile gets the answer all the same: upstream is asked once', async () => {
    await start({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const first = await client.tokens();
    const second = (await client.refresh(first.refresh_token)).body as unknown as typeof first;
    world.clock.pass(3_601);
    let answering: (() => void) | undefined;
    const asked = new Promise<void>(resolve => {
      world.provider.intercept.set('/token', (_req, res) => {
        answering = () =>
          void answerJson(res, {
            access_token: 'up-late',
            token_type: 'Bearer',
            expires_in: 3_600,
            refresh_token: 'r2',
          });
        resolve();
        return true;
      });
    });
    // The verifier is asked about the new token, which is no answer to its question by itself.
    Object.assign(world.provider, { whoIs: () => ({ subject: 'alice', scopes: ['read'] }) });
    const call = world.call(second.access_token);
    await asked;
    expect((await client.revoke(first.access_token)).status).toBe(200);
    answering?.();
    expect((await call).body.upstream).toBe('up-late');
    world.provider.intercept.clear();
    expect(await upstreamOf(second.access_token)).toBe('up-late');
    expect(refreshes()).toBe(1);
    expect((await world.call(first.access_token)).status).toBe(401);
  });

  test('null where the accepting source has none', async () => {
    const KEY = 'a-static-key-of-some-length';
    await start({
      app: proxy =>
        protectedApp(multiAuth(proxy, staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes: ['read'] } }))) as never,
    });
    expect((await world.call(KEY)).body).toMatchObject({ clientId: 'ci', upstream: null });
  });
});

describe('revalidation', () => {
  const startWith = (options: Record<string, unknown> = {}) => start({ options });

  test('asks the verifier again after revalidateSeconds, and not before', async () => {
    await startWith();
    const { access_token: token } = await client.tokens();
    const asked = world.verifier.asked.length;
    world.clock.pass(59);
    for (let count = 0; count < 3; count++) expect((await world.call(token)).status).toBe(200);
    expect(world.verifier.asked.length).toBe(asked);
    world.clock.pass(2);
    for (let count = 0; count < 3; count++) expect((await world.call(token)).status).toBe(200);
    expect(world.verifier.asked.length).toBe(asked + 1);
  });

  test('0 asks for every request', async () => {
    await startWith({ revalidateSeconds: 0 });
    const { access_token: token } = await client.tokens();
    const asked = world.verifier.asked.length;
    for (let count = 0; count < 3; count++) expect((await world.call(token)).status).toBe(200);
    expect(world.verifier.asked.length).toBe(asked + 3);
  });

  test('a no is followed by one upstream refresh, and the new token counts', async () => {
    await startWith();
    const { access_token: token } = await client.tokens();
    const before = String(await upstreamOf(token));
    world.clock.pass(61);
    let denied = 0;
    const { whoIs } = world.provider;
    Object.assign(world.provider, {
      whoIs: (asked: string) => {
        if (asked !== before) return whoIs(asked);
        denied++;
        return null;
      },
    });
    expect((await world.call(token)).status).toBe(200);
    expect([denied, refreshes()]).toEqual([1, 1]);
    expect(await upstreamOf(token)).not.toBe(before);
  });

  test('a no that stays a no is 401, after one refresh', async () => {
    await startWith();
    const { access_token: token } = await client.tokens();
    world.clock.pass(61);
    Object.assign(world.provider, { whoIs: () => null });
    expect((await world.call(token)).status).toBe(401);
    expect(refreshes()).toBe(1);
  });

  test('a no with an ended upstream session is 401, and the grant is gone', async () => {
    await startWith();
    const tokens = await client.tokens();
    world.clock.pass(61);
    world.provider.forget();
    expect((await world.call(tokens.access_token)).status).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
  });

  test('out of reach, the last answer holds for revalidateGraceSeconds more, then 503', async () => {
    await startWith();
    const { access_token: token } = await client.tokens();
    world.verifier.down = true;
    world.clock.pass(60 + 599);
    expect((await world.call(token)).status).toBe(200);
    world.clock.pass(2);
    const called = await world.call(token);
    expect(called.status).toBe(503);
    expect(Number(called.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    world.verifier.down = false;
    expect((await world.call(token)).status).toBe(200);
  });

  test('the grace never goes past the expiry of the upstream token', async () => {
    await startWith({ tokens: { accessTtlSeconds: 86_400 } });
    world.provider.behaviour.expiresIn = 100;
    const { access_token: token } = await client.tokens();
    world.verifier.down = true;
    world.provider.intercept.set('/token', (_req, res) => {
      res.writeHead(500).end();
      return true;
    });
    world.clock.pass(99);
    expect((await world.call(token)).status).toBe(200);
    world.clock.pass(2);
    expect((await world.call(token)).status).toBe(503);
  });

  test('starts on another replica from the time in the grant', async () => {
    await startWith();
    const { access_token: token } = await client.tokens();
    const replica = await world.replica();
    world.clock.pass(30);
    expect((await replica.call(token)).status).toBe(200);
    expect(replica.verifier.asked).toEqual([]);
    world.clock.pass(31);
    expect((await replica.call(token)).status).toBe(200);
    expect(replica.verifier.asked).toHaveLength(1);
  });
});
