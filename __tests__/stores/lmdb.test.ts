import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ConfigError, type Store, UnavailableError } from 'express-mcp-auth';
import { type LmdbStoreOptions, lmdbStore } from 'express-mcp-auth/stores/lmdb';
import { storeContract } from 'express-mcp-auth/testing';
import { childProgram } from '../support/child-program.js';

jest.setTimeout(30_000);

const HOUR = 3_600;
const child = childProgram(new URL('lmdb-child.ts', import.meta.url));
const env = { ...process.env, NODE_OPTIONS: '' };

let folder: string;
let path: string;
let stores: Required<Store>[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mcp-lmdb-'));
  path = join(folder, 'auth.lmdb');
  stores = [];
});
afterEach(async () => {
  await Promise.all(stores.map(store => store.close()));
  rmSync(folder, { recursive: true });
});

function opened(options: Partial<LmdbStoreOptions> = {}): Required<Store> {
  const store = lmdbStore({ path, ...options });
  stores.push(store);
  return store;
}

/** Another process, which does what it is told with the file of the test. */
function start() {
  const process = fork(child, { execArgv: [], env });
  return {
    process,
    ready: once(process, 'message'),
    tell: (task: string, argument?: string) => process.send([task, path, argument]),
    ask: async (task: string, argument?: string) => {
      const answer = once(process, 'message');
      process.send([task, path, argument]);
      return (await answer)[0];
    },
  };
}

describe('lmdbStore', () => {
  storeContract(() => {
    let ms = Date.now();
    return {
      store: opened({ now: () => ms }),
      advance: seconds => {
        ms += seconds * 1_000;
      },
      cleanup: () => {},
    };
  });
});

describe('the options of lmdbStore', () => {
  const refusal = (options: unknown) => {
    try {
      lmdbStore(options as LmdbStoreOptions);
      return 'accepted';
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).message;
    }
  };

  test('a path is required, and a file that lmdb can open', () => {
    expect(refusal({})).toMatch(/^lmdbStore: path is missing/);
    expect(refusal({ path: undefined })).toMatch(/^lmdbStore: path is missing/);
    expect(refusal({ path: '' })).toMatch(/^lmdbStore: path must be a string/);
    expect(refusal({ path: folder })).toMatch(/^lmdbStore: path cannot be opened: EISDIR/);
    expect(refusal({ path, readOnly: true })).toMatch(/^lmdbStore: readOnly is not an option/);
    expect(refusal({ path, now: 5 })).toMatch(/^lmdbStore: now must be a function/);
    writeFileSync(path, '');
    expect(refusal({ path: join(path, 'auth.lmdb') })).toMatch(/^lmdbStore: path cannot be opened/);
  });

  test.each([5, 28, 4_096, 100_000])('a file of %i other bytes is refused and left as it is', size => {
    const file = join(folder, 'diary.txt');
    writeFileSync(file, 'x'.repeat(size));
    expect(refusal({ path: file })).toMatch(/^lmdbStore: path cannot be opened: it is a file of another kind/);
    expect(readFileSync(file, 'utf8')).toBe('x'.repeat(size));
  });

  test('folders are made, and nobody else may read the file', async () => {
    const deep = join(folder, 'a', 'b.c', 'auth');
    await opened({ path: deep }).set('key', 'value', HOUR);
    expect((statSync(deep).mode & 0o777).toString(8)).toBe('600');
    expect((statSync(`${deep}-lock`).mode & 0o777).toString(8)).toBe('600');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('a lifetime of %p is refused', async ttlSeconds => {
    const store = opened();
    await expect(store.set('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
    await expect(store.add('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
    expect(await store.get('key')).toBeNull();
  });
});

describe('the file of lmdbStore', () => {
  test('keeps records and their lifetimes over a restart', async () => {
    let ms = Date.now();
    const now = () => ms;
    const before = opened({ now });
    await before.set('short', 'value', 60);
    await before.set('long', '\u4e2d\u{1f511}', HOUR);
    await before.close();
    const after = opened({ now });
    expect(await after.get('short')).toBe('value');
    ms += 60_000;
    expect(await after.get('short')).toBeNull();
    expect(await after.get('long')).toBe('\u4e2d\u{1f511}');
  });

  test('G11: what is over makes room: the file does not grow for ever', async () => {
    let ms = Date.now();
    const store = opened({ now: () => ms });
    const sizes: number[] = [];
    for (let round = 0; round < 6; round++) {
      const keys = Array.from({ length: 300 }, (_, index) => `round ${round} key ${index}`);
      await Promise.all(keys.map(key => store.set(key, 'x'.repeat(3_000), 600)));
      sizes.push(statSync(path).size);
      ms += 601_000;
    }
    expect(sizes[5]).toBeLessThan(1.5 * (sizes[1] as number));
  });

  test('G11: a record that is renewed again and again takes no more room', async () => {
    let ms = Date.now();
    const store = opened({ now: () => ms });
    for (let renewal = 0; renewal < 100; renewal++) {
      const writes = Array.from({ length: 50 }, async (_, write) => {
        ms += 1_000;
        await store.set('session', `${renewal} ${write}`, 30 * 86_400);
      });
      await Promise.all(writes);
    }
    expect(await store.get('session')).toBe('99 49');
    expect(statSync(path).size).toBeLessThan(200_000);
  });

  test('is shared by two stores of one process; closing one leaves the other open', async () => {
    const [one, other] = [opened(), opened()];
    await one.set('key', 'one', HOUR);
    expect(await other.replace('key', 'one', 'two', HOUR)).toBe(true);
    await other.close();
    expect(await one.take('key')).toBe('two');
    await one.set('key', 'three', HOUR);
    expect(await one.get('key')).toBe('three');
  });

  test('close waits for what is under way; later calls are an outage', async () => {
    const store = opened();
    const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`);
    const writing = Promise.all(keys.map(key => store.add(key, 'value', HOUR)));
    await Promise.all([store.close(), store.close()]);
    expect(new Set(await writing)).toEqual(new Set([true]));
    await expect(store.get('key 0')).rejects.toThrow(UnavailableError);
    await expect(store.set('key', 'value', HOUR)).rejects.toThrow(UnavailableError);
    await expect(store.add('key', 'value', HOUR)).rejects.toThrow(UnavailableError);
    await expect(store.take('key')).rejects.toThrow(UnavailableError);
    await expect(store.replace('key', 'value', 'value', HOUR)).rejects.toThrow(UnavailableError);
    await expect(store.delete('key')).rejects.toThrow(UnavailableError);
    await store.close();
    expect(await opened().get('key 99')).toBe('value');
  });

  test('a key that is too long for it is an outage, and leaves the rest as it was', async () => {
    const store = opened();
    await store.set('key', 'value', HOUR);
    const writing = [store.set('k'.repeat(1_970), 'v', HOUR), store.set('k'.repeat(9_000), 'v', HOUR)];
    await store.set('other', 'value', HOUR);
    for (const one of await Promise.allSettled(writing))
      expect(one).toMatchObject({ status: 'rejected', reason: { name: 'UnavailableError' } });
    expect(await store.get('key')).toBe('value');
    expect(await store.get('other')).toBe('value');
  });
});

describe('lmdbStore in several processes', () => {
  let neighbours: ReturnType<typeof start>[];
  beforeAll(async () => {
    neighbours = Array.from({ length: 4 }, start);
    await Promise.all(neighbours.map(({ ready }) => ready));
  });
  afterAll(() => {
    for (const { process } of neighbours) process.kill('SIGKILL');
  });

  test('kill -9 loses nothing that was kept, brings nothing back, and leaves no lock behind', async () => {
    const bystander = opened();
    for (const doomed of neighbours.splice(2)) {
      const { process: writer } = doomed;
      const seen: number[] = [];
      writer.on('message', index => seen.push(index as number));
      doomed.tell('write until you are killed');
      while (seen.length < 30) await once(writer, 'message');
      writer.kill('SIGKILL');
      await once(writer, 'close');
      // The survivor can write at once, and so can whoever opens the file next.
      expect(await bystander.add(`bystander of ${writer.pid}`, 'value', HOUR)).toBe(true);
      const next = opened();
      for (const index of seen) {
        expect(await next.get(`key ${index}`)).toBe(`value ${index}`);
        expect(await next.get(`spent ${index}`)).toBeNull();
      }
      await next.close();
    }
  });

  test('G9: of the takes of three processes one gets each value', async () => {
    const count = 300;
    const store = opened();
    const keys = Array.from({ length: count }, (_, index) => `key ${index}`);
    await Promise.all(keys.map(key => store.set(key, key, HOUR)));
    const own = () => Promise.all(keys.map(key => store.take(key)));
    const taken = await Promise.all([own(), ...neighbours.map(other => other.ask('take', `${count}`))]);
    for (const [index, key] of keys.entries())
      expect(taken.map(values => values[index]).filter(value => value !== null)).toEqual([key]);
  });

  test('no replace is lost between processes', async () => {
    const store = opened();
    await store.set('counter', '0', HOUR);
    await Promise.all(neighbours.map(other => other.ask('count', '50')));
    expect(await store.get('counter')).toBe('100');
  });

  test('what another process has written is read at once', async () => {
    const store = opened();
    const [other] = neighbours as [ReturnType<typeof start>];
    await other.ask('set and flag', 'first');
    for (let round = 0; round < 60; round++) {
      const key = `key-${round}`;
      const done = other.ask('set and flag', key);
      await new Promise(resolve => setImmediate(resolve));
      // This process has looked at the file just before, and is too busy to let go of what it saw.
      const before = store.get(key);
      while (!existsSync(`${path}-flag-${key}`));
      const after = store.get(key);
      await Promise.all([before, done]);
      expect(await after).toBe('value');
    }
  });

  test('a file that another process made much larger is read and written on', async () => {
    const store = opened();
    await store.set('own', 'value', HOUR);
    const [other] = neighbours as [ReturnType<typeof start>];
    await other.ask('fill', '1500');
    expect((await store.get('key 1499'))?.length).toBe(10_000);
    await store.set('own', 'another', HOUR);
    expect(await store.get('own')).toBe('another');
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => store.set(`more ${index}`, 'x'.repeat(5_000), HOUR)));
    await other.ask('fill', '1501');
    expect((await store.get('key 1500'))?.length).toBe(10_000);
  });

  const output = async (command: string, ...args: string[]) => {
    const running = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    const [printed, [code]] = await Promise.all([text(running.stdout), once(running, 'close')]);
    return `${code}: ${printed}`;
  };

  test('G11: an open store keeps no process alive', async () => {
    expect(await output(process.execPath, child, 'set and end', path)).toBe('0: value\n');
    expect(await opened().get('key')).toBe('value');
  });

  test('a full disk is an outage: the process goes on and still reads', async () => {
    const limited = `ulimit -f 2048; exec '${process.execPath}' '${child}' 'fill the disk' '${path}'`;
    expect(await output('/bin/sh', '-c', limited)).toBe('0: kept, UnavailableError 5000\n');
    const store = opened();
    expect((await store.get('key 0'))?.length).toBe(5_000);
    await store.set('key 0', 'value', HOUR);
    expect(await store.get('key 0')).toBe('value');
  });
});
