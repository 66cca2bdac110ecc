import { describe, expect, test } from '@jest/globals';
import { ConfigError, memoryStore, type Store, UnavailableError } from 'express-mcp-auth';
import { storeContract } from 'express-mcp-auth/testing';
import fc from 'fast-check';

const MINUTE = 60;
const DAY = 86_400;
const SESSION = 30 * DAY;

/** A store with a clock that stands still until it is told to go on. */
function clocked(maxBytes?: number): { store: Store; advance: (seconds: number) => void } {
  let ms = Date.parse('2030-01-01T00:00:00Z');
  return {
    store: memoryStore({ maxBytes, now: () => ms }),
    advance: seconds => {
      ms += seconds * 1_000;
    },
  };
}

const sized = (bytes: number) => 'x'.repeat(bytes);
const kept = async (store: Store, keys: readonly string[]) => {
  const values = await Promise.all(keys.map(key => store.get(key)));
  return keys.filter((_, index) => values[index] !== null);
};
const named = (kind: string, count: number) => Array.from({ length: count }, (_, index) => `${kind} ${index}`);
const refused = (writing: Promise<unknown>) =>
  writing.then(
    () => false,
    error => {
      expect(error).toBeInstanceOf(UnavailableError);
      return true;
    },
  );

describe('memoryStore', () => {
  storeContract(() => clocked());

  test.each([
    [{ maxBytes: 0 }, 'maxBytes'],
    [{ maxBytes: -1 }, 'maxBytes'],
    [{ maxBytes: Number.NaN }, 'maxBytes'],
    [{ maxBytes: Number.POSITIVE_INFINITY }, 'maxBytes'],
    [{ maxBytes: '64' as never }, 'maxBytes'],
    [{ now: 5 as never }, 'now'],
    [{ maxSize: 5 } as never, 'maxSize'],
  ])('%j is refused, naming the option', (options, option) => {
    expect(() => memoryStore(options)).toThrow(expect.objectContaining({ factory: 'memoryStore', option }));
    expect(() => memoryStore(options)).toThrow(ConfigError);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, undefined as never])(
    'a record without an end is refused: %p',
    async ttlSeconds => {
      const { store } = clocked();
      await expect(store.set('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
      await expect(store.add('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
      expect(await store.get('key')).toBeNull();
    },
  );
});

describe('a full memoryStore', () => {
  test('keeps what expires latest, in whatever order it came', async () => {
    const { store } = clocked(100_000);
    const lifetimes = named('record', 500).map((key, index) => ({ key, ttl: 60 + ((index * 7_919) % 500) }));
    for (const { key, ttl } of lifetimes) await store.set(key, sized(1_000), ttl);
    const latest = [...lifetimes].sort((a, b) => b.ttl - a.ttl).map(({ key }) => key);
    const there = await kept(store, latest);
    expect(there.length).toBeGreaterThan(60);
    expect(there.length * 1_000).toBeLessThan(100_000);
    // The last one came when all places were taken, and had to have one.
    const last = lifetimes.at(-1)?.key as string;
    expect(there.filter(key => key !== last)).toEqual(latest.filter(key => key !== last).slice(0, there.length - 1));
  });

  test('keeps what expires latest, also when others have left from the middle', async () => {
    const lifetimes = fc.array(fc.record({ ttl: fc.integer({ min: 1, max: 80_000 }), leaves: fc.boolean() }), {
      minLength: 100,
      maxLength: 150,
    });
    const runs = fc.asyncProperty(lifetimes, async records => {
      const { store } = clocked(100_000);
      for (const [index, { ttl }] of records.entries()) await store.set(`${index}`, sized(100), ttl);
      for (const [index, { leaves }] of records.entries()) if (leaves) await store.delete(`${index}`);
      const left = records.flatMap(({ ttl, leaves }, index) => (leaves ? [] : [{ key: `${index}`, ttl }]));
      const latest = left.sort((a, b) => b.ttl - a.ttl || Number(b.key) - Number(a.key)).map(({ key }) => key);
      // Grows by one record at a time.
      for (let size = 60_000; size < 99_000; size += 350) {
        await store.set('large', sized(size), DAY);
        const there = await kept(store, latest);
        expect(there).toEqual(latest.slice(0, there.length));
      }
    });
    await fc.assert(runs, { numRuns: 8 });
  });

  test('of records that expire together the oldest goes first', async () => {
    const { store } = clocked(50_000);
    const keys = named('record', 200);
    for (const key of keys) await store.set(key, sized(1_000), MINUTE);
    const there = await kept(store, keys);
    expect(there).toEqual(keys.slice(-there.length));
    expect(there.length).toBeGreaterThan(30);
  });

  test('is full by bytes of keys and values, not by characters or records', async () => {
    const { store } = clocked(100_000);
    const count = async (key: string, value: string) => {
      const keys = named(key, 400);
      for (const one of keys) await store.set(one, value, MINUTE);
      return (await kept(store, keys)).length;
    };
    const byValue = await count('v', sized(3_000));
    const wide = await count('w', '\u4e2d'.repeat(1_000));
    const byKey = await count(sized(3_000), 'v');
    expect(byValue).toBeGreaterThan(25);
    expect(Math.abs(byValue - wide)).toBeLessThanOrEqual(1);
    expect(Math.abs(byValue - byKey)).toBeLessThanOrEqual(1);
  });

  test('G7: a flood of records that live for a day or less displaces no session', async () => {
    const { store } = clocked(1_000_000);
    await store.set('session', sized(2_000), SESSION);
    await store.set('client', sized(500), 2 * SESSION);
    for (const [index, ttl] of [MINUTE, 10 * MINUTE, DAY].entries())
      for (const key of named(`flood ${index}`, 1_000)) await store.set(key, sized(2_000), ttl);
    expect(await store.replace('session', sized(2_000), sized(2_500), SESSION)).toBe(true);
    expect(await kept(store, ['session', 'client'])).toEqual(['session', 'client']);
  });

  test('G7: a store full of sessions keeps them all, and refuses the flood', async () => {
    const { store } = clocked(100_000);
    const sessions = named('session', 44);
    for (const key of sessions) await store.set(key, sized(2_000), SESSION);
    for (const key of named('flood', 100)) expect(await refused(store.set(key, sized(2_000), DAY))).toBe(true);
    expect(await kept(store, sessions)).toEqual(sessions);
    // The sessions go on: one is renewed, and where one ends somebody else may sign in.
    expect(await store.replace('session 0', sized(2_000), sized(2_010), SESSION)).toBe(true);
    await store.delete('session 1');
    expect(await store.add('sign-in', sized(1_500), 10 * MINUTE)).toBe(true);
    for (const key of named('flood', 100)) await refused(store.set(key, sized(1_500), 10 * MINUTE));
    expect(await kept(store, sessions)).toHaveLength(43);
  });

  test('after a flood of day-long records a sign-in finds a place at once', async () => {
    const { store } = clocked(100_000);
    for (const key of named('registration', 1_000)) await store.set(key, sized(500), DAY);
    await store.set('transaction', sized(2_000), 10 * MINUTE);
    expect(await store.take('transaction')).toBe(sized(2_000));
    expect(await store.add('code', sized(2_000), MINUTE)).toBe(true);
    expect(await store.replace('code', sized(2_000), sized(3_000), SESSION)).toBe(true);
    for (const key of named('more', 1_000)) await store.set(key, sized(500), DAY);
    expect(await store.get('code')).toBe(sized(3_000));
  });

  test('the newest session displaces the one that was idle for longest', async () => {
    const { store, advance } = clocked(100_000);
    const sessions = named('session', 60);
    for (const key of sessions) {
      await store.set(key, sized(2_000), SESSION);
      advance(MINUTE);
    }
    const there = await kept(store, sessions);
    expect(there.length).toBeGreaterThan(35);
    expect(there).toEqual(sessions.slice(-there.length));
  });

  test('a write that is refused changes nothing', async () => {
    const { store } = clocked(10_000);
    await store.set('old', sized(1_000), MINUTE);
    await store.set('session', sized(7_000), SESSION);
    expect(await refused(store.set('old', sized(4_000), 2 * MINUTE))).toBe(true);
    expect(await refused(store.replace('old', sized(1_000), sized(4_000), 2 * MINUTE))).toBe(true);
    expect(await refused(store.add('new', sized(4_000), 2 * MINUTE))).toBe(true);
    expect(await store.get('old')).toBe(sized(1_000));
    expect(await store.get('session')).toBe(sized(7_000));
    expect(await store.get('new')).toBeNull();
  });

  test('a record that no store of this size could hold is refused and displaces nothing', async () => {
    const { store } = clocked(10_000);
    await store.set('old', sized(1_000), MINUTE);
    await expect(store.set('huge', sized(10_000), SESSION)).rejects.toThrow('larger than the whole memory store');
    expect(await refused(store.set('old', sized(10_000), SESSION))).toBe(true);
    expect(await store.get('old')).toBe(sized(1_000));
    expect(await refused(memoryStore({ maxBytes: 1 }).set('k', 'v', MINUTE))).toBe(true);
  });

  test('has room again when lifetimes are over, without a timer', async () => {
    const { store, advance } = clocked(100_000);
    for (const key of named('session', 40)) await store.set(key, sized(2_000), SESSION);
    expect(await refused(store.set('large', sized(90_000), MINUTE))).toBe(true);
    advance(SESSION);
    await store.set('large', sized(90_000), MINUTE);
    expect(await store.get('large')).toBe(sized(90_000));
  });

  const keys = [...'abcdefghijklmnopqrstuvwxyz'];
  const lifetimes = fc.constantFrom(1, 5, 60, 600, DAY, DAY + 1, SESSION, SESSION + 1);
  const values = fc.integer({ min: 0, max: 400 }).map(sized);
  const step = fc.oneof(
    fc.record({
      do: fc.constantFrom('set', 'add', 'replace'),
      key: fc.constantFrom(...keys),
      ttl: lifetimes,
      value: values,
    }),
    fc.record({
      do: fc.constantFrom('take', 'delete', 'get', 'advance'),
      key: fc.constantFrom(...keys),
      ttl: lifetimes,
      value: values,
    }),
  );

  test('does whatever a table that is searched from end to end would do', async () => {
    const runs = fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 200 }), async steps => {
      const { store, advance } = clocked(8_000);
      const model = new SearchedTable(8_000);
      for (const { do: action, key, ttl, value } of steps) {
        if (action === 'advance') advance(model.pass(ttl));
        else if (action === 'get') expect(await store.get(key)).toBe(model.get(key));
        else if (action === 'take') expect(await store.take(key)).toBe(model.take(key));
        else if (action === 'delete') await store.delete(key).then(() => model.take(key));
        else if (action === 'add')
          expect(await outcome(store.add(key, value, ttl))).toBe(model.get(key) === null && model.put(key, value, ttl));
        else if (action === 'set') expect(await outcome(store.set(key, value, ttl))).toBe(model.put(key, value, ttl));
        else {
          const expected = model.get(key);
          const replaced = await outcome(store.replace(key, expected ?? '', value, ttl));
          expect(replaced).toBe(expected !== null && model.put(key, value, ttl));
        }
        const everything = await Promise.all(keys.map(one => store.get(one)));
        // Ten thousand times: expect() itself would take most of the time.
        const differing = keys.filter((one, index) => everything[index] !== model.get(one));
        if (differing.length > 0) expect([steps, differing]).toEqual([steps, []]);
      }
    });
    await fc.assert(runs, { numRuns: 60 });
  });
});

/** `true` for done, `false` for not done, `'full'` for refused. */
async function outcome(writing: Promise<unknown>): Promise<boolean | 'full'> {
  try {
    return (await writing) !== false;
  } catch (error) {
    expect(error).toBeInstanceOf(UnavailableError);
    return 'full';
  }
}

/** The rule of the store, without anything that makes it fast. */
class SearchedTable {
  readonly #limit: number;
  #records: { key: string; value: string; end: number }[] = [];
  #at = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  pass(seconds: number): number {
    this.#at += seconds;
    return seconds;
  }

  get(key: string): string | null {
    return this.#records.find(record => record.key === key && record.end > this.#at)?.value ?? null;
  }

  take(key: string): string | null {
    const value = this.get(key);
    this.#records = this.#records.filter(record => record.key !== key);
    return value;
  }

  put(key: string, value: string, ttl: number): true | 'full' {
    const end = this.#at + ttl;
    const others = this.#records.filter(record => record.key !== key && record.end > this.#at);
    const size = (records: readonly { key: string; value: string }[]) =>
      records.reduce((sum, record) => sum + record.key.length + record.value.length + 256, 0);
    const added = { key, value, end };
    others.sort((a, b) => a.end - b.end);
    while (size([...others, added]) > this.#limit) {
      const soonest = others.shift();
      if (soonest === undefined || soonest.end > Math.max(end, this.#at + DAY)) return 'full';
    }
    this.#records = [...others, added];
    return true;
  }
}
