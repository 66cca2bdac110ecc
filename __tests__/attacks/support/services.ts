export const REDIS_URL = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
export const POSTGRES = process.env.DATABASE_URL
  ? { connectionString: process.env.DATABASE_URL }
  : { host: '127.0.0.1', database: 'test', user: 'postgres' };

/**
 * What a service needs to be opened, or `undefined` where it does not answer: then the tests say so and pass, as
 * `npm test` needs nothing but npm. In CI a service that is not there is a failure.
 */
export async function openService<T>(name: string, open: () => Promise<T>): Promise<T | undefined> {
  try {
    return await open();
  } catch (error) {
    const reason = error instanceof Error ? error.message || error.name : String(error);
    if (process.env.CI) throw new Error(`${name} is needed in CI and does not answer: ${reason}`);
    process.stderr.write(`\n*** NOT TESTED: ${name} does not answer (${reason}). Its tests are skipped. ***\n\n`);
    return undefined;
  }
}
