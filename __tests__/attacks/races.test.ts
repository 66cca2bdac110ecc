import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Store } from 'express-mcp-auth';
import { memoryStore } from 'express-mcp-auth';
import { lmdbStore } from 'express-mcp-auth/stores/lmdb';
import { postgresStore } from 'express-mcp-auth/stores/postgres';
import { redisStore } from 'express-mcp-auth/stores/redis';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { createClient } from 'redis';
import { OAuthClient } from '../support/oauth-client.js';
import type { ProxyApp } from '../support/proxy-app.js';
import { openService, POSTGRES, REDIS_URL } from './support/services.js';
import { expectTokens } from './support/verdicts.js';
import { world } from './support/worlds.js';

const PARALLEL = 50;
const unique = () => `attack_${process.pid}_${Math.random().toString(36).slice(2)}`;

interface Opened {
  readonly store: Store;
  close(): Promise<unknown>;
}

const stores: [name: string, service: string | undefined, open: () => Promise<Opened>][] = [
  ['memory', undefined, async () => ({ store: memoryStore(), close: async () => {} })],
  [
    'lmdb',
    undefined,
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'races-'));
      const store = lmdbStore({ path: join(folder, 'store') });
      return {
        store,
        close: async () => {
          await store.close();
          await rm(folder, { recursive: true, force: true });
        },
      };
    },
  ],
  [
    'Redis, by node-redis',
    'Redis',
    async () => {
      const client = createClient({ url: REDIS_URL, socket: { reconnectStrategy: false, connectTimeout: 2_000 } });
      client.on('error', () => {});
      await client.connect();
      return { store: redisStore(client, { prefix: `${unique()}:` }), close: () => client.close() };
    },
  ],
  [
    'Redis, by ioredis',
    'Redis',
    async () => {
      const client = new Redis(REDIS_URL, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 2_000 });
      client.on('error', () => {});
      await client.connect();
      return { store: redisStore(client, { prefix: `${unique()}:` }), close: () => client.quit() };
    },
  ],
  [
    'PostgreSQL',
    'PostgreSQL',
    async () => {
      const pool = new Pool({ ...POSTGRES, connectionTimeoutMillis: 2_000, max: 10 });
      pool.on('error', () => {});
      const table = unique();
      await pool.query('SELECT 1').catch(async error => {
        await pool.end();
        throw error;
      });
      return {
        store: postgresStore(pool, { table }),
        close: async () => {
          await pool.query(`DROP TABLE IF EXISTS ${table}`);
          await pool.end();
        },
      };
    },
  ],
];

/**
 * A store in which the next reads all wait for each other once they have their answer: whoever reads then holds the
 * same state as everybody else, however fast the machine is.
 */
function withStartingLine(store: Store): { store: Store; arm(count: number): void } {
  let missing = 0;
  let start: () => void = () => {};
  let started: Promise<void> = Promise.resolve();
  return {
    arm(count) {
      missing = count;
      started = new Promise(resolve => {
        start = resolve;
      });
    },
    store: {
      get: async key => {
        const value = await store.get(key);
        if (missing > 0) {
          missing--;
          if (missing === 0) start();
          await started;
        }
        return value;
      },
      set: (...given) => store.set(...given),
      add: (...given) => store.add(...given),
      take: key => store.take(key),
      replace: (...given) => store.replace(...given),
      delete: key => store.delete(key),
    },
  };
}

interface Replicas {
  readonly app: ProxyApp;
  /** The same client, at one replica and at the other in turn. */
  readonly turn: (client: OAuthClient) => () => OAuthClient;
  /** The next so many reads wait for each other. */
  readonly arm: (count: number) => void;
}

describe.each(stores)('on %s', (name, service, open) => {
  let opened: Opened | undefined;
  beforeAll(async () => {
    opened = service === undefined ? await open() : await openService(name, open);
  });
  afterAll(() => opened?.close());

  /** Two replicas that share the store; requests go to one and the other in turn. */
  const replicas = async (): Promise<Replicas | undefined> => {
    if (opened === undefined) return undefined;
    const { store, arm } = withStartingLine(opened.store);
    const app = await world({ options: { store, now: undefined } });
    const other = await app.replica();
    const turn = (client: OAuthClient) => {
      let count = 0;
      const there = new OAuthClient({ base: other.origin }, client);
      there.verifier = client.verifier;
      return () => (count++ % 2 === 0 ? client : there);
    };
    return { app, turn, arm };
  };

  test(`${PARALLEL} redemptions of one code at once, on two replicas: one wins, and its tokens are good (attack 17, K26)`, async () => {
    const two = await replicas();
    if (two === undefined) return;
    const client = await two.app.client();
    const code = await client.code();
    const next = two.turn(client);
    two.arm(PARALLEL);
    const answers = await Promise.all(Array.from({ length: PARALLEL }, () => next().redeem(code)));
    const won = answers.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    for (const answer of answers)
      if (!won.includes(answer)) expect([answer.status, answer.body.error]).toEqual([401, 'invalid_grant']);
    expect((await two.app.call(String(won[0]?.body.access_token))).status).toBe(200);
    expectTokens(await client.refresh(won[0]?.body.refresh_token));
  });

  test(`${PARALLEL} refreshes with one token at once, on two replicas: one rotation, one answer (attack 57, K25)`, async () => {
    const two = await replicas();
    if (two === undefined) return;
    const client = await two.app.client();
    const { refresh_token: token } = await client.tokens();
    const next = two.turn(client);
    two.arm(PARALLEL);
    const answers = await Promise.all(Array.from({ length: PARALLEL }, () => next().refresh(token)));
    answers.forEach(expectTokens);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    const [first] = answers;
    expect((await two.app.call(String(first?.body.access_token))).status).toBe(200);
    expectTokens(await client.refresh(first?.body.refresh_token));
  });

  test(`${PARALLEL} callbacks of one sign-in at once: one code, and the provider is asked once (attack 26)`, async () => {
    const two = await replicas();
    if (two === undefined) return;
    const { app } = two;
    const client = await app.client();
    const back = await client.signIn(await client.decide(await client.authorize()));
    const jar = [...client.browser.cookies(app.base)];
    two.arm(PARALLEL);
    const pages = await Promise.all(
      Array.from({ length: PARALLEL }, () => {
        const tab = app.browser();
        for (const cookie of jar) tab.cookies(app.base).set(...cookie);
        return tab.get(back);
      }),
    );
    expect(pages.filter(({ location }) => location?.searchParams.has('code'))).toHaveLength(1);
    expect(new Set(pages.map(({ status }) => status))).toEqual(new Set([303, 400]));
    expect(app.provider.of('/token', 'authorization_code')).toHaveLength(1);
  });

  test('a refresh and a revocation at once leave no token alive (attack 83)', async () => {
    const two = await replicas();
    if (two === undefined) return;
    const { app } = two;
    const client = await app.client();
    for (let round = 0; round < 5; round++) {
      const { refresh_token: token } = await client.tokens();
      const next = two.turn(client);
      two.arm(2);
      const [refreshed] = await Promise.all([next().refresh(token), next().revoke(token)]);
      if (refreshed.status === 200) expect((await app.call(String(refreshed.body.access_token))).status).toBe(401);
      expect((await client.refresh(refreshed.body.refresh_token ?? token)).status).toBe(401);
    }
  });
});
