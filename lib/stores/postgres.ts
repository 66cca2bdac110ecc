import { ConfigError } from '../core/errors.js';
import { kindOf, Options } from '../core/options.js';
import { answerOf, PATIENCE_MS } from '../store/answer.js';
import { lifetimeMs } from '../store/lifetime.js';
import type { Store } from '../store/store.js';
import { tableOf } from './postgres-table.js';

const FACTORY = 'postgresStore';
const ATTEMPTS = 5;
const WRITES_PER_PURGE = 128;

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const UNDEFINED_TABLE = '42P01';
// Another replica made the table at the same moment.
const MADE_ALREADY = new Set(['42P07', '42710', '23505']);
// The statement did nothing, because another came between: a database may be set to be that strict.
const CAME_BETWEEN = new Set(['40001', '40P01']);

/** What is used of a `Pool` of `pg`. */
export interface PostgresPool {
  // biome-ignore lint/suspicious/noExplicitAny: the type of a result is a parameter in pg
  query(text: string, values?: unknown[]): Promise<any>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  listenerCount(event: 'error'): number;
}

/** Options of `postgresStore`. */
export interface PostgresStoreOptions {
  /** The table, or `schema.table`; upper case counts. It is made where it is missing. Default `mcp_auth_records`. */
  readonly table?: string | undefined;
  /** How long an operation may take, in milliseconds, before PostgreSQL counts as out of reach. Default 5000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Keeps records in a table of PostgreSQL, for any number of replicas. The pool is the app's, to make and to end; its
 * role may create the table, or finds one. Lifetimes go by the clock of the database. An outage is answered with 503, so
 * a pool that nobody listens to for `error` gets a listener: otherwise it would end the process.
 *
 * @throws ConfigError for wrong or unknown options, and for a pool of another kind
 */
export function postgresStore(pool: PostgresPool, options: PostgresStoreOptions = {}): Store {
  const read = new Options(FACTORY, options, ['table', 'timeoutMs']);
  const timeoutMs = read.number('timeoutMs', { min: 1, max: 120_000, fallback: PATIENCE_MS });
  const table =
    tableOf(read.string('table') ?? 'mcp_auth_records') ??
    read.fail('table', 'is no plain name of a table', 'Use letters, digits and _, as in "auth.mcp_records".');
  if (typeof pool?.query !== 'function' || typeof pool.on !== 'function')
    throw new ConfigError(
      FACTORY,
      'pool',
      `must be a Pool of pg, got ${kindOf(pool)}`,
      'Pass new Pool({ ... }) of "pg".',
    );
  if (pool.listenerCount('error') === 0) pool.on('error', () => {});
  let creating: Promise<void> | undefined;
  let creations = 0;
  let writes = 0;

  const create = async () => {
    try {
      await pool.query(table.create);
    } catch (error) {
      if (!MADE_ALREADY.has(codeOf(error))) throw error;
    } finally {
      creating = undefined;
    }
    creations++;
  };
  const attempt = async (text: string, values: unknown[], attempts: number): Promise<Result> => {
    const before = creations;
    try {
      return await pool.query(text, values);
    } catch (error) {
      const code = codeOf(error);
      if (attempts === 1 || (code !== UNDEFINED_TABLE && !CAME_BETWEEN.has(code))) throw error;
      // Made since the question was asked, it needs no making.
      if (code === UNDEFINED_TABLE && creations === before) {
        creating ??= create();
        await creating;
      }
      return attempt(text, values, attempts - 1);
    }
  };
  const query = (text: string, values: unknown[]) =>
    answerOf('PostgreSQL', () => attempt(text, values, ATTEMPTS), timeoutMs);
  const write = async (text: string, key: string, value: string, ttlSeconds: number, ...rest: string[]) => {
    const { rowCount } = await query(text, [key, value, lifetimeMs(ttlSeconds), ...rest]);
    if (writes++ % WRITES_PER_PURGE === 0) void purge();
    return rowCount === 1;
  };
  // Nobody waits for it and nobody needs it to succeed: what is over is not shown, purged or not.
  const purge = () => pool.query(table.purge).catch(() => {});

  return {
    get: async key => onlyValue(await query(table.get, [key])),
    set: async (key, value, ttlSeconds) => {
      await write(table.set, key, value, ttlSeconds);
    },
    add: (key, value, ttlSeconds) => write(table.add, key, value, ttlSeconds),
    take: async key => onlyValue(await query(table.take, [key])),
    replace: (key, expected, value, ttlSeconds) => write(table.replace, key, value, ttlSeconds, expected),
    delete: async key => {
      await query(table.delete, [key]);
    },
  };
}

interface Result {
  readonly rows: readonly { readonly value: string | null }[];
  readonly rowCount: number | null;
}

function onlyValue({ rows }: Result): string | null {
  return rows[0]?.value ?? null;
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
