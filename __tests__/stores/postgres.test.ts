import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ConfigError, UnavailableError } from 'express-mcp-auth';
import { postgresStore } from 'express-mcp-auth/stores/postgres';
import { storeContract } from 'express-mcp-auth/testing';
import { Pool, type PoolConfig } from 'pg';
import { gateTo } from './gate.js';
import { endsAfterEach, failures, outages } from './outages.js';
import { describeWith, POSTGRES, postgresAnswers } from './services.js';

jest.setTimeout(20_000);

const HOUR = 3_600;
const describePostgres = await describeWith('PostgreSQL', postgresAnswers);

const ends = endsAfterEach();

function pooled(config: PoolConfig = {}): Pool {
  const pool = new Pool({ ...POSTGRES, ...config });
  ends.push(() => (pool.ended ? undefined : pool.end()));
  return pool;
}

const schema = `mcp_test_${process.pid}_${Date.now()}`;
let tables = 0;
const freshTable = () => `${schema}.records_${tables++}`;

/** Through a gate that can be shut. */
async function gated(config: PoolConfig = {}) {
  const { host, port } = new Pool(POSTGRES).options;
  const gate = await gateTo(host ?? '127.0.0.1', port ?? 5_432);
  ends.push(() => gate.shut());
  return { gate, pool: pooled({ ...config, host: '127.0.0.1', port: gate.port }) };
}

const rivals = Array.from({ length: 50 }, (_, index) => `rival ${index}`);

describePostgres('postgresStore', () => {
  let raw: Pool;
  beforeAll(async () => {
    raw = new Pool(POSTGRES);
    await raw.query(`CREATE SCHEMA ${schema}`);
  });
  afterAll(async () => {
    await raw.query(`DROP SCHEMA ${schema} CASCADE`);
    await raw.end();
  });
  const count = async (table: string) => Number((await raw.query(`SELECT count(*) FROM ${table}`)).rows[0].count);

  storeContract(() => postgresStore(raw, { table: freshTable() }));

  describe('the table', () => {
    test('is made on first use, with an index for what is over', async () => {
      const table = freshTable();
      const store = postgresStore(raw, { table });
      expect(await store.get('key')).toBeNull();
      const { rows } = await raw.query('SELECT indexdef FROM pg_indexes WHERE schemaname || $2 || tablename = $1', [
        table,
        '.',
      ]);
      expect(rows.map(row => row.indexdef).join()).toMatch(/\(key\).*\(expires_at\)/);
    });

    test('is mcp_auth_records unless another one is named', async () => {
      const pool = pooled({ options: `-c search_path=${schema}` });
      await postgresStore(pool).set('key', 'value', HOUR);
      expect(await count(`${schema}.mcp_auth_records`)).toBe(1);
    });

    test.each(['Records', 'user', 'select', `r${'e'.repeat(62)}`, '_0'])('may be named %s', async name => {
      const store = postgresStore(raw, { table: `${schema}.${name}` });
      await store.set('key', 'value', HOUR);
      expect(await store.get('key')).toBe('value');
      expect(await count(`${schema}."${name}"`)).toBe(1);
    });

    test('is made once when the replicas of an app start together', async () => {
      const pools = Array.from({ length: 4 }, () => pooled());
      for (let round = 0; round < 8; round++) {
        const table = freshTable();
        // A busy machine is no outage here.
        const options = { table, timeoutMs: 30_000 };
        const stores = pools.flatMap(pool => [postgresStore(pool, options), postgresStore(pool, options)]);
        const added = await Promise.all(stores.flatMap(store => [store.add('key', 'value', HOUR), store.get('other')]));
        expect(added.filter(one => one === true)).toHaveLength(1);
        expect(await count(table)).toBe(1);
      }
    });

    test('is asked for once, however many operations find it missing', async () => {
      const pool = pooled();
      const asked = jest.spyOn(pool, 'query');
      const store = postgresStore(pool, { table: freshTable() });
      await Promise.all(rivals.map(rival => store.get(rival)));
      expect(asked.mock.calls.filter(([statement]) => `${statement}`.startsWith('CREATE'))).toHaveLength(1);
    });

    test('may have been made beforehand, for a role that may not', async () => {
      const table = freshTable();
      await postgresStore(raw, { table }).get('key');
      const role = `${schema}_role`;
      await raw.query(`CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA ${schema} TO ${role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${role}`);
      ends.unshift(() => raw.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));
      const pool = pooled({ options: `-c role=${role}` });
      const store = postgresStore(pool, { table });
      await store.set('key', 'value', HOUR);
      expect(await store.take('key')).toBe('value');
      const { errors } = await failures(postgresStore(pool, { table: freshTable() }));
      expect(errors).toEqual(outages);
      expect(errors[0]).toMatchObject({ cause: { code: '42501' } });
    });

    test('is made again when somebody dropped it', async () => {
      const table = freshTable();
      const store = postgresStore(raw, { table });
      await store.set('key', 'value', HOUR);
      await raw.query(`DROP TABLE ${table}`);
      expect(await store.get('key')).toBeNull();
      expect(await store.add('key', 'value', HOUR)).toBe(true);
    });

    test('of another shape is an outage, and left as it is', async () => {
      const table = freshTable();
      await raw.query(`CREATE TABLE ${table} (id int)`);
      expect((await failures(postgresStore(raw, { table }))).errors).toEqual(outages);
      expect(await count(table)).toBe(0);
    });

    test('G8: is rid of what is over, in batches, while records are written', async () => {
      const table = freshTable();
      await postgresStore(raw, { table }).set('live', 'value', HOUR);
      await raw.query(
        `INSERT INTO ${table} SELECT 'old ' || n, 'value', now() - interval '1 second' FROM generate_series(1, 2500) n`,
      );
      // The first write of a process purges, and one in so many after it.
      for (let process = 0; process < 3; process++) {
        const before = await count(table);
        await postgresStore(raw, { table }).set('live', 'value', HOUR);
        for (let tries = 0; tries < 200 && (await count(table)) === before; tries++)
          await new Promise(resolve => setTimeout(resolve, 10));
        expect(before - (await count(table))).toBe(Math.min(1_000, before - 1));
      }
      const store = postgresStore(raw, { table });
      await store.set('live', 'value', HOUR);
      await raw.query(`INSERT INTO ${table} VALUES ('old', 'value', now() - interval '1 second')`);
      for (let write = 0; write < 300; write++) await store.set('live', 'value', HOUR);
      expect(await count(table)).toBe(1);
      expect(await store.get('live')).toBe('value');
    });
  });

  test('lifetimes go by the clock of the database, whatever the app believes', async () => {
    const store = postgresStore(raw, { table: freshTable() });
    const clock = jest.spyOn(Date, 'now').mockReturnValue(0);
    await store.set('key', 'value', 60);
    clock.mockReturnValue(4_102_444_800_000);
    expect(await store.get('key')).toBe('value');
    clock.mockRestore();
  });

  test.each(['serializable', 'repeatable read'])('G9: races have one winner in a database set to %s', async level => {
    const pool = pooled({ options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`, max: 8 });
    const store = postgresStore(pool, { table: freshTable() });
    for (let round = 0; round < 3; round++) {
      const added = await Promise.all(rivals.map(rival => store.add('key', rival, HOUR)));
      expect(added.filter(Boolean)).toHaveLength(1);
      const value = rivals[added.indexOf(true)] as string;
      const replaced = await Promise.all(rivals.map(rival => store.replace('key', value, `new ${rival}`, HOUR)));
      expect(replaced.filter(Boolean)).toHaveLength(1);
      const taken = await Promise.all(rivals.map(() => store.take('key')));
      expect(taken.filter(one => one !== null)).toEqual([`new ${rivals[replaced.indexOf(true)]}`]);
    }
  });

  test('G9: of fifty takes through two pools one gets the value', async () => {
    const table = freshTable();
    const stores = [postgresStore(pooled(), { table }), postgresStore(pooled(), { table })] as const;
    for (let round = 0; round < 5; round++) {
      await stores[0].set('key', 'value', HOUR);
      const taken = await Promise.all(rivals.map((_, index) => stores[index % 2 ? 1 : 0].take('key')));
      expect(taken.filter(one => one !== null)).toEqual(['value']);
    }
  });

  test('what PostgreSQL refuses is an outage, with the reason as its cause', async () => {
    const store = postgresStore(raw, { table: freshTable() });
    const error = await store.set('key', 'a\u0000b', HOUR).catch(reason => reason);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ cause: { code: '22021' } });
    expect(await store.get('key')).toBeNull();
  });

  test('a database that is gone is an outage until it is back, and ends no process', async () => {
    const { gate, pool } = await gated();
    const store = postgresStore(pool, { table: freshTable() });
    await store.set('key', 'value', HOUR);
    const dropped = new Promise(resolve => pool.once('remove', resolve));
    await gate.shut();
    // The pool says `error` about its idle connection: without the listener of the store the process would end here.
    await dropped;
    const { errors, took } = await failures(store);
    expect(errors).toEqual(outages);
    expect(took).toBeLessThan(2_000);
    await gate.reopen();
    expect(await store.take('key')).toBe('value');
  });

  test('a connection that breaks in the middle of an answer is an outage', async () => {
    const { gate, pool } = await gated();
    const store = postgresStore(pool, { table: freshTable() });
    await store.set('key', 'value', HOUR);
    gate.hold();
    const asked = failures(store);
    await new Promise(resolve => setImmediate(resolve));
    await gate.shut();
    expect((await asked).errors).toEqual(outages);
  });

  test('a database that never answers is an outage after timeoutMs', async () => {
    const { gate, pool } = await gated({ max: 1 });
    const table = freshTable();
    await postgresStore(pool, { table, timeoutMs: 30_000 }).set('key', 'value', HOUR);
    const store = postgresStore(pool, { table, timeoutMs: 150 });
    gate.hold();
    const { errors, took } = await failures(store);
    expect(errors).toEqual(outages);
    expect(errors[0]).toMatchObject({ message: 'PostgreSQL gave no answer within 150 ms' });
    expect(took).toBeGreaterThanOrEqual(149);
    expect(took).toBeLessThan(1_500);
    await gate.shut();
  });

  test('a pool that was ended is an outage at once', async () => {
    const pool = pooled();
    const store = postgresStore(pool, { table: freshTable() });
    await store.set('key', 'value', HOUR);
    await pool.end();
    expect((await failures(store)).errors).toEqual(outages);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, undefined as never])(
    'a lifetime of %p is refused, not kept for ever',
    async ttlSeconds => {
      const store = postgresStore(raw, { table: freshTable() });
      await expect(store.set('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
      await expect(store.add('key', 'value', ttlSeconds)).rejects.toThrow(RangeError);
      await expect(store.replace('key', 'value', 'new', ttlSeconds)).rejects.toThrow(RangeError);
      expect(await store.get('key')).toBeNull();
    },
  );

  test('only a pool that nobody listens to gets a listener for errors, and only one', () => {
    const pool = pooled();
    for (let store = 0; store < 20; store++) postgresStore(pool);
    expect(pool.listenerCount('error')).toBe(1);
    const heard = pooled();
    const listener = () => {};
    heard.on('error', listener);
    postgresStore(heard);
    expect(heard.listeners('error')).toEqual([listener]);
  });
});

describe('the options of postgresStore', () => {
  const pool = new Pool();
  const refusal = (given: unknown, options?: unknown) => {
    try {
      postgresStore(given as never, options as never);
      return 'accepted';
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).option;
    }
  };

  test.each([
    'records; DROP TABLE users',
    'records"',
    '"records"',
    "records'--",
    'a.b.c',
    'a.',
    '.a',
    '.',
    ' records',
    'records ',
    'records\n',
    'a b',
    'a-b',
    '1records',
    'r\u00e9cords',
    '$1',
    'r'.repeat(64),
    `a.${'r'.repeat(64)}`,
    '',
    5,
    ['records'],
    null,
  ])('a table named %p is refused', table => {
    expect(refusal(pool, { table })).toBe('table');
  });

  test.each([undefined, null, {}, 'postgres://127.0.0.1', { query: 'SELECT' }, { query: () => {} }])(
    '%p is no pool',
    given => {
      expect(refusal(given)).toBe('pool');
    },
  );

  test('what is unknown or out of bounds is refused by its name', () => {
    expect(refusal(pool, { tableName: 'records' })).toBe('tableName');
    expect(refusal(pool, { timeoutMs: 0 })).toBe('timeoutMs');
    expect(refusal(pool, null)).toBe('options');
    expect(refusal(pool, { table: undefined })).toBe('accepted');
  });
});
