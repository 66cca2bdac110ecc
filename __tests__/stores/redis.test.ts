import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { ConfigError, UnavailableError } from 'express-mcp-auth';
import { redisStore } from 'express-mcp-auth/stores/redis';
import { storeContract } from 'express-mcp-auth/testing';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { gateTo } from './gate.js';
import { endsAfterEach, failures, outages } from './outages.js';
import { describeWith, REDIS_URL, redisAnswers } from './services.js';

jest.setTimeout(20_000);

const HOUR = 3_600;
const describeRedis = await describeWith('Redis', redisAnswers);

const ends = endsAfterEach();

// A client has the listener for errors that the store gives it, so that every outage below shows what it is good for.
const kinds = [
  {
    kind: 'node-redis',
    make(url = REDIS_URL) {
      const client = createClient({ url, socket: { reconnectStrategy: 20 } });
      ends.push(() => (client.isOpen ? client.destroy() : undefined));
      return client;
    },
  },
  {
    kind: 'ioredis',
    make(url = REDIS_URL) {
      const client = new Redis(url, { retryStrategy: () => 20, lazyConnect: true, disconnectTimeout: 50 });
      ends.push(() => client.disconnect());
      return client;
    },
  },
];
const [nodeRedis, ioRedis] = kinds as [(typeof kinds)[0], (typeof kinds)[1]];

let stores = 0;
const run = `mcp-test:${process.pid}:${Date.now()}:`;
const freshPrefix = () => `${run}${stores++}:`;

async function opened({ make } = ioRedis, url = REDIS_URL, prefix = freshPrefix()) {
  const client = make(url);
  const store = redisStore(client, { prefix, timeoutMs: 3_000 });
  await client.connect();
  return { client, store, prefix };
}

async function gated(kind: (typeof kinds)[number]) {
  const { hostname, port } = new URL(REDIS_URL);
  const gate = await gateTo(hostname, Number(port || 6_379));
  ends.push(() => gate.shut());
  const url = new URL(REDIS_URL);
  url.host = `127.0.0.1:${gate.port}`;
  return { gate, url: url.href, ...(await opened(kind, url.href)) };
}

describeRedis('Redis', () => {
  let raw: Redis;
  beforeAll(() => {
    raw = new Redis(REDIS_URL);
  });
  afterAll(async () => {
    const keys = await raw.keys(`${run}*`);
    if (keys.length > 0) await raw.del(...keys);
    raw.disconnect();
  });

  describeRedis.each(kinds)('redisStore on $kind', kind => {
    storeContract(async () => (await opened(kind)).store);

    test('keeps records under its prefix, with their lifetimes', async () => {
      const { store, prefix } = await opened(kind);
      await store.set('set', 'one', 60);
      await store.add('added', 'two', 0.9);
      await store.set('replaced', 'old', 60);
      await store.replace('replaced', 'old', 'three', 600);
      expect(await raw.mget(`${prefix}set`, `${prefix}added`, `${prefix}replaced`)).toEqual(['one', 'two', 'three']);
      const left = async (key: string) => Math.ceil((await raw.pttl(prefix + key)) / 1_000);
      expect(await left('added')).toBe(1);
      expect(await left('set')).toBeGreaterThan(50);
      expect(await left('set')).toBeLessThanOrEqual(60);
      expect(await left('replaced')).toBeGreaterThan(590);
    });

    test('the prefix is mcp: unless another one is given', async () => {
      const { client } = await opened(kind);
      const key = `test-${run}`;
      await redisStore(client).set(key, 'value', 60);
      expect(await raw.getdel(`mcp:${key}`)).toBe('value');
    });

    test('is used as soon as the client connects, without waiting for it', async () => {
      const client = kind.make();
      const store = redisStore(client, { prefix: freshPrefix() });
      const connecting = client.connect();
      await store.set('key', 'value', HOUR);
      expect(await store.get('key')).toBe('value');
      await connecting;
    });

    test('takes from a Redis that is older than GETDEL, once as ever', async () => {
      const { gate, store } = await gated(kind);
      // Of the same length, so that the lengths in the protocol stay true: the real Redis answers that it knows none.
      gate.rewrite(sent => sent.replace(/getdel/gi, 'GETDEX'));
      for (const value of ['one', 'two']) {
        await store.set('key', value, HOUR);
        const taken = await Promise.all(Array.from({ length: 50 }, () => store.take('key')));
        expect(taken.filter(one => one !== null)).toEqual([value]);
      }
      expect(await store.take('key')).toBeNull();
    });

    test('what Redis refuses is an outage, with the reason as its cause', async () => {
      const { store, prefix } = await opened(kind);
      await raw.rpush(`${prefix}key`, 'a list');
      const { errors } = await failures(store);
      expect(errors.slice(0, 1)).toEqual([expect.any(UnavailableError)]);
      expect((errors[0] as Error).cause).toMatchObject({ message: expect.stringContaining('WRONGTYPE') });
      // SET and DEL do not care what was there.
      expect(await store.get('key')).toBeNull();
    });

    test('a Redis that is gone is an outage, soon and then at once; nothing is kept for later', async () => {
      const { gate, store, client } = await gated(kind);
      await store.set('key', 'value', HOUR);
      await gate.shut();
      // The first may still be sent before the client notices, the next wait for a connection that does not come.
      for (const most of [2_500, 2_500, 200, 200]) {
        const { errors, took } = await failures(store);
        expect(errors).toEqual(outages);
        expect(took).toBeLessThan(most);
      }
      const ready = new Promise(resolve => client.once('ready', resolve));
      await gate.reopen();
      await ready;
      expect(await store.get('key')).toBe('value');
      // And the next time that it is gone for a moment only, it was never gone.
      const lost = new Promise(resolve => client.once('reconnecting', resolve));
      await gate.shut();
      await lost;
      await gate.reopen();
      expect(await store.take('key')).toBe('value');
    });

    test('a Redis that was never there is an outage', async () => {
      const gate = await gateTo('127.0.0.1', 1);
      await gate.shut();
      const client = kind.make(`redis://127.0.0.1:${gate.port}`);
      const store = redisStore(client);
      void client.connect().catch(() => {});
      expect((await failures(store)).errors).toEqual(outages);
      expect((await failures(store)).took).toBeLessThan(200);
    });

    test('a Redis that takes commands and never answers is an outage after timeoutMs', async () => {
      const { gate, client } = await gated(kind);
      const store = redisStore(client, { timeoutMs: 150 });
      gate.hold();
      const { errors, took } = await failures(store);
      expect(errors).toEqual(outages);
      expect(errors[0]).toMatchObject({ message: 'Redis gave no answer within 150 ms' });
      expect(took).toBeGreaterThanOrEqual(149);
      expect(took).toBeLessThan(1_500);
    });

    test('a client that was closed is an outage at once', async () => {
      const { client, store } = await opened(kind);
      await client.quit();
      const { errors, took } = await failures(store);
      expect(errors).toEqual(outages);
      expect(took).toBeLessThan(200);
    });

    test('only a client that nobody listens to gets a listener for errors, and only one', () => {
      const client = kind.make();
      for (let store = 0; store < 20; store++) redisStore(client);
      expect(client.listenerCount('error')).toBe(1);
      const heard = kind.make();
      const listener = () => {};
      heard.on('error', listener);
      redisStore(heard);
      expect(heard.listeners('error')).toEqual([listener]);
    });
  });

  test('a client of node-redis that was not connected is an outage at once', async () => {
    const { errors, took } = await failures(redisStore(nodeRedis.make()));
    expect(errors).toEqual(outages);
    expect(errors[0]).toMatchObject({ message: 'the Redis client is not connected' });
    expect(took).toBeLessThan(200);
  });

  test('a client of ioredis that waits for its first command is connected by it', async () => {
    const store = redisStore(ioRedis.make(), { prefix: freshPrefix() });
    await store.set('key', 'value', HOUR);
    expect(await store.get('key')).toBe('value');
  });

  test('clients that answer with buffers will do', async () => {
    const client = createClient({ url: REDIS_URL }).withTypeMapping({ 36: Buffer } as never);
    ends.push(() => client.destroy());
    await client.connect();
    const store = redisStore(client, { prefix: freshPrefix() });
    await store.set('key', '\u4e2d', HOUR);
    expect(await store.get('key')).toBe('\u4e2d');
    expect(await store.replace('key', '\u4e2d', 'value', HOUR)).toBe(true);
    expect(await store.take('key')).toBe('value');
  });

  test('G9: of fifty takes through both clients one gets the value', async () => {
    const prefix = freshPrefix();
    const [one, other] = await Promise.all([opened(nodeRedis, REDIS_URL, prefix), opened(ioRedis, REDIS_URL, prefix)]);
    for (let round = 0; round < 10; round++) {
      await one.store.set('key', 'value', HOUR);
      const takes = Array.from({ length: 50 }, (_, index) => (index % 2 ? one : other).store.take('key'));
      expect((await Promise.all(takes)).filter(value => value !== null)).toEqual(['value']);
    }
  });

  test('stores with different prefixes do not see each other', async () => {
    const { client, store, prefix } = await opened();
    const other = redisStore(client, { prefix: `${prefix}other:` });
    await store.set('key', 'value', HOUR);
    expect(await other.take('key')).toBeNull();
    expect(await store.get('key')).toBe('value');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, undefined as never])(
    'a lifetime of %p is refused, not kept for ever',
    async ttlSeconds => {
      const { store, prefix } = await opened();
      await expect(store.set('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
      await expect(store.add('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
      await expect(store.replace('key', 'value', 'new', ttlSeconds)).rejects.toThrow(RangeError);
      expect(await raw.exists(`${prefix}key`)).toBe(0);
    },
  );
});

test.each([
  [undefined, undefined, 'client'],
  [null, undefined, 'client'],
  [{}, undefined, 'client'],
  ['redis://127.0.0.1', undefined, 'client'],
  [{ get: () => {}, set: () => {}, connected: true, eval: () => {} }, undefined, 'client'],
  [{ status: 'ready' }, undefined, 'client'],
  [undefined, { prefix: '' }, 'prefix'],
  [undefined, { prefix: 5 }, 'prefix'],
  [undefined, { timeoutMs: 0 }, 'timeoutMs'],
  [undefined, { ttl: 5 }, 'ttl'],
])('redisStore(%p, %p) is refused, naming the %s', (client, options, option) => {
  const create = () => redisStore(client as never, options as never);
  expect(create).toThrow(ConfigError);
  expect(create).toThrow(expect.objectContaining({ factory: 'redisStore', option }));
});
