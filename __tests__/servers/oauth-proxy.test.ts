import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  getAuth,
  getUpstreamToken,
  memoryStore,
  multiAuth,
  oauthProxy,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import { OAuthClient } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, protectedApp, proxyApp, SECRET, upstreamVerifier } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';
import { upstreamProvider } from '../support/upstream-provider.js';

afterEach(closeAll);

const HOSTED = 'https://client.example.com/cb';
const DISCOVERY = '/.well-known/openid-configuration';
const byIssuer = async (options: Record<string, unknown> = {}) => {
  const first = await proxyApp();
  const upstream = {
    issuer: first.provider.origin,
    authorizationEndpoint: undefined,
    tokenEndpoint: undefined,
    revocationEndpoint: undefined,
  };
  return proxyApp({ options, upstream }, first);
};
const fail = (world: ProxyApp, path: string, status = 502) =>
  world.provider.intercept.set(path, (_, res) => {
    res.writeHead(status).end('<html>');
    return true;
  });

describe('composed with verifiers', () => {
  const KEY = 'a-static-key-of-some-length';

  test('people and machines share one endpoint, and getUpstreamToken is null for machines (D1)', async () => {
    const world = await proxyApp({
      app: proxy =>
        protectedApp(
          multiAuth(proxy, [staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes: ['read'] } }, { name: 'keys' })]),
        ) as never,
    });
    const client = await world.client();
    const tokens = await client.tokens();
    expect((await world.call(tokens.access_token)).body).toMatchObject({
      clientId: client.id,
      extra: { source: 'oauthProxy' },
      upstream: expect.stringMatching(/^up-access-/),
    });
    expect((await world.call(KEY)).body).toMatchObject({ clientId: 'ci', extra: { source: 'keys' }, upstream: null });
    expect((await world.call('neither')).status).toBe(401);
  });

  test('a store that is down is 503 for people and nothing to machines', async () => {
    const world = await proxyApp({
      app: proxy =>
        protectedApp(multiAuth(proxy, staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes: ['read'] } }))) as never,
    });
    const tokens = await (await world.client()).tokens();
    world.store.down = true;
    expect((await world.call(tokens.access_token)).status).toBe(503);
    expect((await world.call(KEY)).status).toBe(200);
  });

  test('getUpstreamToken throws without a guard', async () => {
    await expect(getUpstreamToken({ headers: {} })).rejects.toThrow(/guard/);
    expect(() => getAuth({ headers: {} })).toThrow();
  });

  test('verifyToken and check judge its tokens without a request', async () => {
    const world = await proxyApp();
    const client = await world.client();
    const tokens = await client.tokens();
    expect(await world.proxy.verifyToken(tokens.access_token)).toMatchObject({ clientId: client.id });
    expect(await world.proxy.verifyToken(tokens.refresh_token)).toBeNull();
    expect(await world.proxy.check(tokens.refresh_token)).toMatchObject({ outcome: 'reject', reason: 'type' });
    expect(await world.proxy.check('ey.ey.ey')).toEqual({ outcome: 'foreign' });
    await client.revoke(tokens.access_token);
    expect(await world.proxy.check(tokens.access_token)).toMatchObject({ outcome: 'reject', reason: 'revoked' });
    world.store.down = true;
    await expect(world.proxy.verifyToken(tokens.access_token)).rejects.toThrow(UnavailableError);
  });

  test('works with a memory store of its own, and lets go of it on close', async () => {
    const provider = await upstreamProvider();
    const proxy = oauthProxy({
      baseUrl: 'https://mcp.example.com',
      upstream: { clientId: 'app', ...provider.endpoints },
      verifier: upstreamVerifier(provider).auth,
      secrets: SECRET,
    });
    await proxy.ready();
    expect(await proxy.verifyToken('mcp_at_nothing')).toBeNull();
    await proxy.close();
    await provider.close();
  });
});

describe('the identity provider out of reach when the browser is to be sent there', () => {
  test('after approval the client is told, and the same page works once it is back', async () => {
    const world = await byIssuer();
    const client = await world.client({ redirect_uris: [HOSTED] });
    fail(world, DISCOVERY);
    const page = await client.authorize();
    const told = await client.decide(page);
    expect(told.location?.href.startsWith(`${HOSTED}?`)).toBe(true);
    expect(told.location?.searchParams.get('error')).toBe('temporarily_unavailable');
    world.provider.intercept.clear();
    world.clock.pass(5);
    const again = await client.decide(page);
    expect(again.location?.origin).toBe(world.provider.origin);
    expect((await client.browser.get(await client.signIn(again))).location?.searchParams.get('code')).toMatch(
      /^mcp_ac_/,
    );
  });

  test('without a page nobody has decided: a client that a stranger registered gets no redirect (attack 7)', async () => {
    const world = await byIssuer({ consent: 'dangerouslySkip' });
    const client = await world.client({ redirect_uris: [HOSTED] });
    fail(world, DISCOVERY);
    const page = await client.authorize();
    expect(page.location).toBeUndefined();
    expect(page.status).toBeGreaterThanOrEqual(400);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
  });
});

describe('many at once', () => {
  test('ten refreshes on two replicas with an upstream token that is due: one question, one answer (H2)', async () => {
    const world = await proxyApp();
    const replica = await world.replica();
    const client = await world.client();
    const other = new OAuthClient({ base: replica.origin }, { id: client.id });
    const tokens = await client.tokens();
    world.clock.pass(3_600);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? client : other).refresh(tokens.refresh_token)),
    );
    expect(answers.map(answer => answer.status)).toEqual(Array(10).fill(200));
    expect(new Set(answers.map(answer => JSON.stringify(answer.body))).size).toBe(1);
    expect(world.provider.of('/token', 'refresh_token')).toHaveLength(1);
    expect(world.provider.thefts()).toBe(0);
  });

  test('calls and a refresh while the upstream token is due ask upstream once', async () => {
    const world = await proxyApp({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const client = await world.client();
    const tokens = await client.tokens();
    world.clock.pass(3_601);
    const [refreshed, ...called] = await Promise.all([
      client.refresh(tokens.refresh_token),
      ...Array.from({ length: 10 }, () => world.call(tokens.access_token)),
    ]);
    expect(refreshed.status).toBe(200);
    expect(called.map(each => each.status)).toEqual(Array(10).fill(200));
    expect(world.provider.of('/token', 'refresh_token')).toHaveLength(1);
  });

  test('a provider that answers with the same access token is asked once by two replicas too', async () => {
    const world = await proxyApp({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const replica = await world.replica();
    const tokens = await (await world.client()).tokens();
    const same = String((await world.call(tokens.access_token)).body.upstream);
    world.clock.pass(3_601);
    const waiting: ServerResponse[] = [];
    const asked = new Promise<void>(resolve => {
      world.provider.intercept.set('/token', (_req, res) => {
        waiting.push(res);
        resolve();
        return true;
      });
    });
    const calls = [world.call(tokens.access_token), replica.call(tokens.access_token)];
    await asked;
    const answer = { access_token: same, token_type: 'Bearer', expires_in: 3_600 };
    world.provider.intercept.set('/token', (_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      return true;
    });
    waiting[0]?.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    expect((await Promise.all(calls)).map(each => each.status)).toEqual([200, 200]);
    expect(world.provider.of('/token', 'refresh_token')).toHaveLength(1);
  });

  test('twenty people sign in at the same time and get their own tokens', async () => {
    const world = await proxyApp();
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, index) => world.client({ client_name: `C${index}` })),
    );
    const all = await Promise.all(clients.map(client => client.tokens()));
    const called = await Promise.all(all.map(tokens => world.call(tokens.access_token)));
    expect(called.map(each => each.body.clientId)).toEqual(clients.map(client => client.id));
    expect(new Set(called.map(each => each.body.upstream)).size).toBe(20);
  });
});

describe('a store that forgets nothing', () => {
  test('keeps no code, transaction, token or page alive beyond its time (attack 87)', async () => {
    const frozen = memoryStore({ now: () => 0 });
    const world = await proxyApp({
      options: { store: frozen, tokens: { accessTtlSeconds: 300, refreshTtlSeconds: 900 } },
    });
    const client = await world.client();
    const tokens = await client.tokens();
    const code = await client.code();
    const { verifier } = client;
    const page = await client.authorize();
    const callback = await client.signIn(await client.decide(await client.authorize()));
    world.clock.pass(61);
    expect((await client.redeem(code, { code_verifier: verifier })).body.error).toBe('invalid_grant');
    world.clock.pass(240);
    expect((await world.call(tokens.access_token)).status).toBe(401);
    world.clock.pass(300);
    expect((await client.browser.get(callback)).status).toBe(400);
    expect((await client.decide(page)).status).toBe(400);
    world.clock.pass(300);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
  });
});

describe('loopback clients with several addresses', () => {
  test.each([
    ['http://localhost', 'http://localhost:5000'],
    ['http://localhost:33418', 'http://localhost'],
    ['http://127.0.0.1/', 'http://127.0.0.1:5000/'],
    ['http://127.0.0.1:33418/', 'http://127.0.0.1:5000/'],
    ['http://[::1]:33418/cb?x=1', 'http://[::1]:5000/cb?x=1'],
  ])('registered %s, asked for %s: the code goes there and is good for it alone', async (registered, asked) => {
    const world = await proxyApp();
    const client = await world.client({ redirect_uris: ['http://localhost:1/other', registered] });
    const page = await client.connect({ redirect_uri: asked });
    const separator = asked.includes('?') ? '&' : '?';
    const href = String(page.location?.href);
    expect(href.startsWith(`${new URL(asked).href}${separator}`) || href.startsWith(asked + separator)).toBe(true);
    const code = String(page.location?.searchParams.get('code'));
    if (registered !== asked)
      expect((await client.redeem(code, { redirect_uri: registered })).body.error).toBe('invalid_grant');
    expect((await client.redeem(code, { redirect_uri: asked })).status).toBe(200);
  });
});

describe('operators\u2019 own clients and addresses', () => {
  test('a pre-registered client may use any scheme, and needs no list (B5)', async () => {
    const world = await proxyApp({
      options: {
        clients: {
          registration: false,
          preRegistered: [{ client_id: 'desk', client_secret: 's', redirect_uris: ['com.example.desk:/cb'] }],
        },
      },
    });
    const client = new OAuthClient(
      { base: world.base },
      { id: 'desk', secret: 's', redirectUri: 'com.example.desk:/cb' },
    );
    const page = await client.connect();
    expect(page.location?.href.startsWith('com.example.desk:/cb?')).toBe(true);
    expect((await client.redeem(String(page.location?.searchParams.get('code')))).status).toBe(200);
  });

  test('redirectUris.allow adds patterns, and only replaces everything (E22, E23)', async () => {
    const adding = await proxyApp({ options: { clients: { redirectUris: { allow: ['our-app://auth/x'] } } } });
    expect((await adding.client({ redirect_uris: ['our-app://auth/x'] })).id).toMatch(/./);
    await expect(adding.client({ redirect_uris: ['their-app://auth/x'] })).rejects.toThrow(/invalid_redirect_uri/);
    const only = await proxyApp({ options: { clients: { redirectUris: { only: ['https://*.example.com/cb'] } } } });
    expect((await only.client({ redirect_uris: [HOSTED] })).id).toMatch(/./);
    for (const uri of ['https://a.b.example.com/cb', 'https://example.com/cb', 'http://127.0.0.1/cb'])
      await expect(only.client({ redirect_uris: [uri] })).rejects.toThrow(/invalid_redirect_uri/);
  });

  test('the client id of the upstream app is no client of ours (B5)', async () => {
    const world = await proxyApp();
    const client = new OAuthClient({ base: world.base }, { id: 'app-at-the-provider' });
    const page = await client.authorize();
    expect([page.status, page.location]).toEqual([400, undefined]);
  });
});

describe('cors: false', () => {
  test('leaves every header of other origins to the app', async () => {
    const world = await proxyApp({ options: { cors: false } });
    for (const path of ['/token', '/register', '/revoke', '/jwks', '/.well-known/oauth-authorization-server']) {
      const response = await fetch(world.origin + path, {
        method: path === '/jwks' || path.startsWith('/.well') ? 'GET' : 'POST',
        headers: { origin: 'https://inspector.example.com' },
      });
      expect([...response.headers.keys()].filter(name => name.startsWith('access-control'))).toEqual([]);
    }
  });
});

describe('requests that break off', () => {
  test('half a body, then nothing: the process goes on and nothing is stored (attack 98)', async () => {
    const world = await proxyApp();
    const { port, hostname } = new URL(world.origin);
    for (const path of ['/token', '/register', '/consent', '/revoke', '/authorize'])
      await new Promise<void>(resolve => {
        const socket = connect(Number(port), hostname, () => {
          socket.write(
            `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=`,
            () => socket.destroy(),
          );
        });
        socket.on('close', () => resolve());
      });
    expect(await (await world.client()).tokens()).toMatchObject({ token_type: 'Bearer' });
  });

  test('the client leaves while the provider is slow: the sign-in ends, the process goes on (attack 98)', async () => {
    const world = await proxyApp();
    const client = await world.client();
    const callback = await client.signIn(await client.decide(await client.authorize()));
    const asked = new Promise<ServerResponse>(resolve => {
      world.provider.intercept.set('/token', (_req, res) => {
        resolve(res);
        return true;
      });
    });
    const leaving = new AbortController();
    const cookie = [...client.browser.cookies(world.base)].map(([name, value]) => `${name}=${value}`).join('; ');
    const gone = fetch(callback, { headers: { cookie }, redirect: 'manual', signal: leaving.signal }).catch(
      error => error,
    );
    const answering = await asked;
    leaving.abort();
    expect(await gone).toMatchObject({ name: 'AbortError' });
    world.provider.intercept.clear();
    answering.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    expect(await client.tokens()).toMatchObject({ token_type: 'Bearer' });
  });
});

describe('sign_in_refused', () => {
  test('is published once for each sign-in that ended', async () => {
    const events = recordServerEvents();
    const world = await proxyApp();
    const client = await world.client();
    world.provider.behaviour.scope = 'nothing';
    await client.connect();
    world.provider.behaviour.scope = 'asked';
    world.provider.behaviour.signInError = 'access_denied';
    await client.connect();
    fail(world, '/token');
    world.provider.behaviour.signInError = undefined;
    await client.connect();
    events.stop();
    const own = events.of('sign_in_refused').filter(each => each.clientId === client.id);
    expect(own.map(each => [each.clientId, typeof each.reason, typeof each.remedy])).toEqual([
      [client.id, 'string', 'string'],
      [client.id, 'string', 'undefined'],
      [client.id, 'string', 'undefined'],
    ]);
  });
});

describe('functions of the operator that fail', () => {
  const broken = () => {
    throw new Error('the directory is down: ldap://internal');
  };
  const isClosed = async (world: ProxyApp, page: { status: number; location: URL | undefined; text: string }) => {
    expect(page.status).toBeGreaterThanOrEqual(400);
    expect(page.text).not.toContain('ldap');
    expect(page.location).toBeUndefined();
    expect(world.store.writes).toEqual([]);
  };

  test('clients.allow at authorize lets nobody in', async () => {
    const world = await proxyApp({ options: { clients: { allow: broken } } });
    await isClosed(world, await (await world.client()).authorize());
  });

  test.each([['yes'], [1], [{}], [undefined], [null]])('clients.allow that answers %j lets nobody in', async answer => {
    const world = await proxyApp({ options: { clients: { allow: () => answer } } });
    const page = await (await world.client()).authorize();
    expect(page.location?.searchParams.get('error')).toBe('unauthorized_client');
  });

  test('clients.allow at token is an error as JSON, and the token stays good', async () => {
    let fails = false;
    const world = await proxyApp({ options: { clients: { allow: () => (fails ? broken() : true) } } });
    const client = await world.client();
    const tokens = await client.tokens();
    fails = true;
    const answer = await client.refresh(tokens.refresh_token);
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(answer.body)).not.toContain('ldap');
    fails = false;
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
  });

  test('upstream.scopes sends the browser nowhere, or back with an error', async () => {
    const world = await proxyApp({ upstream: { scopes: broken } });
    const client = await world.client();
    const page = await client.decide(await client.authorize());
    expect(page.text + String(page.location?.href)).not.toContain('ldap');
    expect(page.location?.origin).not.toBe(world.provider.origin);
    expect((await fetch(`${world.origin}/jwks`)).status).toBe(200);
  });

  test('scopeSatisfies grants nothing', async () => {
    const world = await proxyApp({ options: { scopeSatisfies: broken } });
    const page = await (await world.client()).connect();
    expect(page.location?.searchParams.get('error')).toBe('access_denied');
  });
});

describe('ids that mean something elsewhere (attack 85)', () => {
  test.each(['__proto__', 'constructor', 'toString', '../x', 'a:b', '*', '\u0000', 'x'.repeat(10_000), '\u{1f511}'])(
    '%j is no client, no state, no token and no code',
    async id => {
      const world = await proxyApp({ options: { clients: { registration: 'stored' } } });
      const client = new OAuthClient({ base: world.base }, { id });
      const page = await client.authorize();
      expect([page.status, page.location]).toEqual([400, undefined]);
      expect((await client.refresh(id)).body.error).toMatch(/invalid_client|invalid_request/);
      const known = await world.client();
      expect((await known.refresh(id)).body.error).toBe('invalid_grant');
      expect((await known.redeem(id, { code_verifier: 'x'.repeat(43) })).body.error).toBe('invalid_grant');
      expect((await known.revoke(id)).status).toBe(200);
      const back = await known.browser.get(`${world.base}/auth/callback?code=x&state=${encodeURIComponent(id)}`);
      expect([back.status, back.location]).toEqual([400, undefined]);
    },
  );
});

describe('a grant that ends while upstream is being asked', () => {
  test('stays ended: the call is refused and nothing is put back', async () => {
    const world = await proxyApp({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const client = await world.client();
    const tokens = await client.tokens();
    world.clock.pass(3_601);
    let answering: (() => void) | undefined;
    const asked = new Promise<void>(resolve => {
      world.provider.intercept.set('/token', (_req, res) => {
        answering = () =>
          void res
            .writeHead(200, { 'content-type': 'application/json' })
            .end(JSON.stringify({ access_token: 'up-late', token_type: 'Bearer', expires_in: 3_600 }));
        resolve();
        return true;
      });
    });
    const call = world.call(tokens.access_token);
    await asked;
    expect((await client.revoke(tokens.refresh_token)).status).toBe(200);
    answering?.();
    expect((await call).status).toBe(401);
    expect((await world.call(tokens.access_token)).status).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
  });
});
