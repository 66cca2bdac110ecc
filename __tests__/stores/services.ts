import { describe, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Client } from 'pg';

export const REDIS_URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
export const POSTGRES = process.env.DATABASE_URL
  ? { connectionString: process.env.DATABASE_URL }
  : { host: '127.0.0.1', database: 'test', user: 'postgres' };

/**
 * `describe` for tests that need a service. Without the service they are skipped, which is said aloud; in CI that is a
 * failure.
 */
export async function describeWith(service: string, ask: () => Promise<unknown>): Promise<typeof describe.skip> {
  try {
    await ask();
    return describe;
  } catch (error) {
    if (process.env.CI)
      test(`${service} is there`, () => {
        throw new Error(`${service} does not answer, and in CI it must`, { cause: error });
      });
    else process.stderr.write(`\n*** SKIPPED: ${service} does not answer, so its tests do not run (${error}) ***\n\n`);
    return describe.skip;
  }
}

export async function askRedis(): Promise<void> {
  const client = new Redis(REDIS_URL, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.ping();
  } finally {
    client.disconnect();
  }
}

export async function askPostgres(): Promise<void> {
  const client = new Client({ ...POSTGRES, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
  } finally {
    await client.end().catch(() => {});
  }
}
