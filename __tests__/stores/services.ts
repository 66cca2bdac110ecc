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
export async function describeWith(service: string, answers: () => Promise<boolean>): Promise<typeof describe.skip> {
  if (await answers()) return describe;
  if (process.env.CI)
    test(`${service} is there`, () => {
      throw new Error(`${service} does not answer, and in CI it must.`);
    });
  else process.stderr.write(`\n*** SKIPPED: ${service} does not answer, so its tests do not run. ***\n\n`);
  return describe.skip;
}

const succeeds = (asking: Promise<unknown>) =>
  asking.then(
    () => true,
    () => false,
  );

export async function redisAnswers(): Promise<boolean> {
  const waits = { connectTimeout: 2_000, disconnectTimeout: 50 };
  const client = new Redis(REDIS_URL, { lazyConnect: true, retryStrategy: () => null, ...waits });
  client.on('error', () => {});
  const answered = await succeeds(client.connect().then(() => client.ping()));
  client.disconnect();
  return answered;
}

export async function postgresAnswers(): Promise<boolean> {
  const client = new Client({ ...POSTGRES, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  const answered = await succeeds(client.connect());
  await client.end().catch(() => {});
  return answered;
}
