import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import { ConfigError, memoryStore, type Store } from 'express-mcp-auth';
import { type OpenStore, storeContract } from 'express-mcp-auth/testing';
import { childProgram } from '../support/child-program.js';

/** Collects what the contract says and runs it; the names of what fails. */
async function failing(open: OpenStore): Promise<string[]> {
  const tests: [name: string, body: () => Promise<void>][] = [];
  storeContract(open, { describe: (_, body) => body(), test: (name, body) => tests.push([name, body]) });
  expect(tests.length).toBeGreaterThan(35);
  const failed: string[] = [];
  for (const [name, body] of tests) await body().catch(() => failed.push(name));
  return failed;
}

function clocked() {
  let ms = Date.now();
  const store = memoryStore({ now: () => ms });
  const advance = (seconds: number) => {
    ms += seconds * 1_000;
  };
  return { store, advance };
}

const pause = () => new Promise<void>(resolve => setImmediate(resolve));

/** Each is a mistake that an adapter makes easily, and a part of the name of a test that must notice it. */
const mistakes: Record<string, [notice: RegExp, broken: (store: Store) => Partial<Store>]> = {
  'take reads and then deletes': [
    /fifty parallel takes/,
    store => ({
      async take(key) {
        const value = await store.get(key);
        await pause();
        await store.delete(key);
        return value;
      },
    }),
  ],
  'take does not delete': [/take gives a value once/, store => ({ take: key => store.get(key) })],
  'add looks and then sets': [
    /fifty parallel adds one/,
    store => ({
      async add(key, value, ttlSeconds) {
        if ((await store.get(key)) !== null) return false;
        await pause();
        await store.set(key, value, ttlSeconds);
        return true;
      },
    }),
  ],
  'add does not see what is over': [
    /gives way to another/,
    store => {
      const seen = new Set<string>();
      const note = (key: string) => seen.has(key) || !seen.add(key);
      return {
        set: (key, ...rest) => store.set(key, ...rest).then(() => void note(key)),
        add: async (key, ...rest) => !note(key) && (await store.add(key, ...rest)),
        take: key => store.take(key).finally(() => seen.delete(key)),
        delete: key => store.delete(key).finally(() => seen.delete(key)),
      };
    },
  ],
  'replace compares and then sets': [
    /fifty parallel replaces/,
    store => ({
      async replace(key, expected, value, ttlSeconds) {
        if ((await store.get(key)) !== expected) return false;
        await pause();
        await store.set(key, value, ttlSeconds);
        return true;
      },
    }),
  ],
  'replace brings back what was deleted meanwhile': [
    /deleted while it is replaced/,
    store => ({
      async replace(key, expected, value, ttlSeconds) {
        const found = await store.get(key);
        await pause();
        if (found === null || found !== expected) return false;
        if ((await store.get(key)) !== null) return store.replace(key, expected, value, ttlSeconds);
        return store.add(key, value, ttlSeconds);
      },
    }),
  ],
  'replace makes what is absent': [
    /absent/,
    store => ({
      replace: async (key, expected, value, ttlSeconds) =>
        (await store.replace(key, expected, value, ttlSeconds)) || (await store.add(key, value, ttlSeconds)),
    }),
  ],
  'replace keeps the old lifetime': [
    /replace gives a record a new lifetime, also a shorter one/,
    store => ({ replace: (key, expected, value) => store.replace(key, expected, value, 3_600) }),
  ],
  'add keeps for ever': [/an added record ends too/, store => ({ add: (key, value) => store.add(key, value, 1e9) })],
  'set keeps for ever': [/over is absent/, store => ({ set: (key, value) => store.set(key, value, 1e9) })],
  'lifetimes are milliseconds': [
    /a lifetime is in seconds/,
    store => ({ set: (key, value, ttlSeconds) => store.set(key, value, ttlSeconds / 1_000) }),
  ],
  'a fraction of a second is for ever': [
    /half a second/,
    store => ({ set: (key, value, ttl) => store.set(key, value, Math.floor(ttl) === 0 && ttl > 0 ? 1e9 : ttl) }),
  ],
  'nothing is for ever': [
    /a lifetime of nothing/,
    store => ({ set: (key, value, ttlSeconds) => store.set(key, value, ttlSeconds || 1e9) }),
  ],
  'set returns something': [
    /set keeps/,
    store => ({ set: (...given) => store.set(...given).then(() => 'OK' as never) }),
  ],
  'keys are case-insensitive': [
    /byte for byte/,
    store => ({
      get: key => store.get(key.toLowerCase()),
      set: (key, ...rest) => store.set(key.toLowerCase(), ...rest),
      take: key => store.take(key.toLowerCase()),
    }),
  ],
  'keys are normalised': [
    /byte for byte/,
    store => ({ get: key => store.get(key.normalize()), set: (key, ...rest) => store.set(key.normalize(), ...rest) }),
  ],
  'keys are members of an object': [
    /byte for byte/,
    store => {
      const table: Record<string, string> = {};
      return {
        ...store,
        get: async key => table[key] ?? null,
        set: async (key, value) => {
          table[key] = value;
        },
      };
    },
  ],
  'values are trimmed': [
    /white space/,
    store => ({ set: (key, value, ttlSeconds) => store.set(key, value.trim(), ttlSeconds) }),
  ],
  'an empty value is absent': [/an empty one/, store => ({ get: async key => (await store.get(key)) || null })],
  'values are cut': [
    /a hundred kilobytes$/,
    store => ({ set: (key, value, ttlSeconds) => store.set(key, value.slice(0, 65_535), ttlSeconds) }),
  ],
  'values are latin1': [
    /every script/,
    store => ({
      set: (key, value, ttlSeconds) => store.set(key, Buffer.from(value, 'latin1').toString('latin1'), ttlSeconds),
    }),
  ],
};

describe('storeContract', () => {
  test('finds nothing wrong with a good store, with or without a clock of its own', async () => {
    // At once: without a clock the contract waits for lifetimes to be over.
    const all = [clocked, () => memoryStore(), async () => ({ store: memoryStore() })].map(failing);
    expect(await Promise.all(all)).toEqual([[], [], []]);
  });

  test.each(Object.entries(mistakes))('notices that %s', async (_, [notice, broken]) => {
    const failed = await failing(() => {
      const { store, advance } = clocked();
      return { store: { ...store, ...broken(store) }, advance };
    });
    expect(failed.join('\n')).toMatch(notice);
  });

  test('opens a store for each test, cleans up after each, and closes where nothing else is said', async () => {
    const log: string[] = [];
    const opened = (kind: string): Store => ({
      ...clocked().store,
      close: async () => {
        log.push(`closed ${kind}`);
      },
    });
    const count = (word: string) => log.filter(entry => entry === word).length;
    await failing(() => {
      log.push('opened plain');
      return opened('plain');
    });
    expect(count('closed plain')).toBe(count('opened plain'));
    await failing(() => {
      log.push('opened');
      return { store: opened('clean'), advance: () => {}, cleanup: () => log.push('cleaned') };
    });
    expect(count('cleaned')).toBe(count('opened'));
    expect(count('closed clean')).toBe(0);
    expect(count('opened')).toBeGreaterThan(10);
  });

  test('a store that does not open fails every test, and nothing else', async () => {
    const tests = await failing(() => Promise.reject(new Error('no store')));
    expect(new Set(tests).size).toBe(tests.length);
    expect(tests.length).toBeGreaterThan(35);
  });

  test('runs in node:test, and says so where there is no runner', async () => {
    const child = childProgram(new URL('contract-child.ts', import.meta.url));
    const run = async (...args: string[]) => {
      const running = spawn(process.execPath, args, {
        env: { ...process.env, NODE_OPTIONS: '' },
      });
      const [output, [code]] = await Promise.all([text(running.stdout), once(running, 'close')]);
      return { code, output };
    };
    const [passed, refused] = await Promise.all([run('--test', child), run(child, 'without a runner')]);
    expect(passed.code).toBe(0);
    expect(passed.output).toMatch(/# pass (?!0)\d+\n# fail 0/);
    expect(refused.output).toMatch(/^storeContract: runner must be \{ describe, test \}/);
    expect(ConfigError.name).toBe('ConfigError');
  }, 30_000);
});
