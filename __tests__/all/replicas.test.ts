import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { type OAuthProxyOptions, oauthProxy, type Store } from 'express-mcp-auth';
import { postgresStore } from 'express-mcp-auth/stores/postgres';
import { redisStore } from 'express-mcp-auth/stores/redis';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { createClient } from 'redis';
import { POSTGRES, postgresAnswers, REDIS_URL, redisAnswers } from '../stores/services.js';
import { close, listen } from '../support/identity-provider.js';
import { OAuthClient } from '../support/oauth-client.js';
import { Clock, protectedApp, SECRET } from '../support/proxy-app.js';
import { UPSTREAM_ID, UPSTREAM_SECRET, upstreamProvider } from '../support/upstream-provider.js';

interface Connection {
  readonly store: Store;
  end(): Promise<unknown>;
}

/** Opens the shared database once more, as another process does. */
type Connect = () => Promise<Connection>;

const run = `replicas_${process.pid}_${randomUUID().slice(0, 8)}`;

const nodeRedis: Connect = async () => {
  const client = createClient({ url: REDIS_URL });
  await client.connect();
  return { store: redisStore(client, { prefix: `${run}:` }), end: () => client.close() };
};
const ioRedis: Connect = async () => {
  const client = new Redis(REDIS_URL);
  return { store: redisStore(client, { prefix: `${run}:` }), end: () => client.quit() };
};
const postgres: Connect = async () => {
  const pool = new Pool({ ...POSTGRES, max: 4 });
  return { store: postgresStore(pool, { table: run }), end: () => pool.end() };
};

const services = [
  { name: 'Redis', there: await redisAnswers(), connects: [nodeRedis, ioRedis, ioRedis] },
  { name: 'PostgreSQL', there: await postgresAnswers(), connects: [postgres, postgres, postgres] },
];

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each();
});
afterAll(async () => {
  if (services[0]?.there) {
    const client = new Redis(REDIS_URL);
    for (const key of await client.keys(`${run}:*`)) await client.del(key);
    await client.quit();
  }
  if (services[1]?.there) {
    const pool = new Pool(POSTGRES);
    await pool.query(`DROP TABLE IF EXISTS ${run}`);
    await pool.end();
  }
});

/** One address behind which a request reaches another replica than the one before; they share a store and secrets only. */
async function fleet(
  connects: readonly Connect[],
  lives: 'for ever' | 'for one request',
  changes: Partial<OAuthProxyOptions> = {},
) {
  const provider = await upstreamProvider();
  closing.push(() => provider.close());
  provider.behaviour.idToken = {};
  const clock = new Clock();
  const served: number[] = connects.map(() => 0);
  let starts = 0;
  let requests = 0;
  const server = createServer((req, res) => {
    const index = requests++ % connects.length;
    served[index] = (served[index] as number) + 1;
    void balance(index)
      .then(app => app(req, res))
      .catch(error => res.writeHead(502).end(String(error)));
  });
  const origin = await listen(server);
  closing.push(() => close(server));

  async function start(index: number) {
    starts++;
    const { store, end } = await (connects[index] as Connect)();
    const proxy = oauthProxy({
      baseUrl: origin,
      upstream: { issuer: provider.origin, clientId: UPSTREAM_ID, clientSecret: UPSTREAM_SECRET },
      scopesSupported: ['read', 'write'],
      requiredScopes: ['read'],
      tokens: { accessTtlSeconds: 86_400 },
      secrets: SECRET,
      store,
      now: clock.now,
      ...changes,
    });
    const stop = async () => {
      await proxy.close();
      await end();
    };
    return { app: protectedApp(proxy) as unknown as RequestListener, stop };
  }
  const replicas = lives === 'for ever' ? await Promise.all(connects.map((_, index) => start(index))) : [];
  for (const { stop } of replicas) closing.push(stop);
  const balance = async (index: number): Promise<RequestListener> => {
    if (replicas[index]) return replicas[index].app;
    const { app, stop } = await start(index);
    return (req, res) => {
      res.once('close', () => void stop());
      app(req, res);
    };
  };

  const call = async (token: string) => {
    const response = await fetch(`${origin}/mcp`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const endpoints = { base: origin };
  return { provider, clock, served, starts: () => starts, call, client: () => OAuthClient.register(endpoints) };
}
type Fleet = Awaited<ReturnType<typeof fleet>>;

/** From registration to revocation; every replica is asked about every token. */
async function wholeLife({ call, client }: Fleet): Promise<void> {
  const mine = await client();
  const tokens = await mine.tokens();
  expect(tokens).toMatchObject({ token_type: 'Bearer', scope: 'read' });
  for (const _ of [1, 2, 3])
    expect(await call(tokens.access_token)).toMatchObject({ status: 200, body: { clientId: mine.id } });

  const refreshed = await mine.refresh(tokens.refresh_token);
  expect(refreshed.status).toBe(200);
  // An answer that was lost on the way is asked for again, and another replica gives it.
  expect((await mine.refresh(tokens.refresh_token)).body).toEqual(refreshed.body);
  const fresh = String(refreshed.body.access_token);
  for (const _ of [1, 2, 3]) expect((await call(fresh)).status).toBe(200);

  expect((await mine.revoke(refreshed.body.refresh_token)).status).toBe(200);
  for (const _ of [1, 2, 3])
    expect([(await call(fresh)).status, (await call(tokens.access_token)).status]).toEqual([401, 401]);
  expect((await mine.refresh(refreshed.body.refresh_token)).status).toBe(401);
}

describe.each(services)('replicas over one $name', ({ name, there, connects }) => {
  if (!there) {
    // In CI every service must be there; elsewhere it may be missing, and that is said.
    const missing = process.env.CI ? test : test.skip;
    missing(`${name} answers`, () => {
      throw new Error(`${name} does not answer: nothing was tested over it.`);
    });
    if (!process.env.CI) console.warn(`SKIPPED: ${name} does not answer, so nothing is tested over it.`);
    return;
  }

  test.each(['stateless', 'stored'] as const)(
    'three in turn complete a flow; registration is %s',
    async registration => {
      const three = await fleet(connects, 'for ever', { clients: { registration } });
      await wholeLife(three);
      expect(three.served.every(count => count >= 5)).toBe(true);
      expect(three.starts()).toBe(3);
    },
  );

  test.each(['stateless', 'stored'] as const)(
    'a flow outlives the process, which is another one for every request; registration is %s',
    async registration => {
      const ever = await fleet(connects, 'for one request', { clients: { registration } });
      await wholeLife(ever);
      expect(ever.starts()).toBe(ever.served.reduce((sum, count) => sum + count));
      expect(ever.starts()).toBeGreaterThan(15);
    },
  );

  test('many flows at once do not disturb each other', async () => {
    const three = await fleet(connects, 'for ever');
    await Promise.all(Array.from({ length: 10 }, () => wholeLife(three)));
  });

  test('attack 17: one code that is presented everywhere at once is taken once', async () => {
    const { client } = await fleet(connects, 'for ever');
    const mine = await client();
    const code = await mine.code();
    const answers = await Promise.all(Array.from({ length: 50 }, () => mine.redeem(code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 401]));
  });

  test('attack 57: one refresh token that is presented everywhere at once gives one and the same answer', async () => {
    const { client, call } = await fleet(connects, 'for ever');
    const mine = await client();
    const { refresh_token } = await mine.tokens();
    const answers = await Promise.all(Array.from({ length: 10 }, () => mine.refresh(refresh_token)));
    expect(
      new Set(answers.map(({ status, body }) => `${status} ${body.access_token} ${body.refresh_token}`)).size,
    ).toBe(1);
    expect((await call(String(answers[0]?.body.access_token))).status).toBe(200);
  });

  test('an upstream token that is over is refreshed once, however many replicas notice', async () => {
    const { provider, clock, call, client } = await fleet(connects, 'for ever');
    const { access_token } = await (await client()).tokens();
    const before = await call(access_token);
    clock.pass(3_700);
    const calls = await Promise.all(Array.from({ length: 12 }, () => call(access_token)));
    expect(calls.map(({ status }) => status)).toEqual(calls.map(() => 200));
    expect(provider.of('/token', 'refresh_token')).toHaveLength(1);
    expect(provider.thefts()).toBe(0);
    const upstream = new Set(calls.map(({ body }) => body.upstream));
    expect(upstream.size).toBe(1);
    expect(upstream).not.toContain(before.body.upstream);
  });
});
