import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { type Database, open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';
import { UnavailableError } from '../core/errors.js';
import { Options } from '../core/options.js';
import { answerOf, outageOf } from '../store/answer.js';
import { lifetimeMs } from '../store/lifetime.js';
import type { Store } from '../store/store.js';

const NAME = 'the lmdb store';
// More than one, so that a write leaves the file with less that is over than it found.
const PURGED_PER_WRITE = 8;
// The first bytes of a database of lmdb, on processors of either byte order.
const MAGICS = ['dec0efbe', 'beefc0de'];

/** Options of `lmdbStore`. */
export interface LmdbStoreOptions {
  /** The file, on a local disk; its folder is made, and a lock file stands beside it. */
  readonly path: string;
  /** The clock, in milliseconds like `Date.now`. All processes that share a file must agree on it. */
  readonly now?: (() => number) | undefined;
}

/**
 * Keeps records in a file, with the embedded database of the package `lmdb`: they survive restarts and `kill -9`, and
 * the processes of one machine may share them. A network file system will not do, nor will containers that do not see
 * each other's processes. `close()` lets go of the file.
 *
 * @throws ConfigError for wrong or unknown options, and for a file that cannot be opened
 */
export function lmdbStore(options: LmdbStoreOptions): Required<Store> {
  const read = new Options('lmdbStore', options, ['path', 'now']);
  const now = read.function<() => number>('now') ?? Date.now;
  const { root, records, expiries } = openFile(read);
  let closed: Promise<void> | undefined;

  const find = (key: string) => {
    const record = records.get(key);
    if (record === undefined) return undefined;
    const end = record.indexOf(' ');
    return { expiresAt: Number(record.slice(0, end)), value: record.slice(end + 1) };
  };
  const live = (key: string, at: number): string | null => {
    const record = find(key);
    return record !== undefined && record.expiresAt > at ? record.value : null;
  };
  const drop = (key: string) => {
    const record = find(key);
    if (record === undefined) return;
    records.removeSync(key);
    expiries.removeSync([record.expiresAt, key]);
  };
  const put = (key: string, value: string, expiresAt: number) => {
    drop(key);
    expiries.putSync([expiresAt, key], '');
    records.putSync(key, `${expiresAt} ${value}`);
  };
  const purge = (at: number) => {
    const over = [...expiries.getKeys({ end: [at + 1], limit: PURGED_PER_WRITE })];
    for (const entry of over) {
      expiries.removeSync(entry);
      records.removeSync(entry[1]);
    }
  };
  // The native code has no memory behind a closed database and must not be asked.
  const mustBeOpen = () => {
    if (closed !== undefined) throw new UnavailableError(`${NAME} is closed`);
  };

  /** One transaction: nobody, in any process, reads or writes between what it reads and what it writes. */
  const write = <T>(change: (at: number) => T): Promise<T> =>
    answerOf(NAME, async () => {
      mustBeOpen();
      const transaction = records.transaction(() => {
        const at = Math.floor(now());
        purge(at);
        return change(at);
      });
      return transaction.catch(rethrowCommitError);
    });

  return {
    get: async key => {
      try {
        mustBeOpen();
        // The snapshot that lmdb keeps for a moment may be older than what another process has just written.
        records.resetReadTxn();
        return live(key, now());
      } catch (error) {
        throw outageOf(NAME, error);
      }
    },
    set: async (key, value, ttlSeconds) => {
      const lifetime = lifetimeMs(ttlSeconds);
      await write(at => put(key, value, at + lifetime));
    },
    add: async (key, value, ttlSeconds) => {
      const lifetime = lifetimeMs(ttlSeconds);
      return write(at => {
        if (live(key, at) !== null) return false;
        put(key, value, at + lifetime);
        return true;
      });
    },
    take: async key =>
      write(at => {
        const value = live(key, at);
        drop(key);
        return value;
      }),
    replace: async (key, expected, value, ttlSeconds) => {
      const lifetime = lifetimeMs(ttlSeconds);
      return write(at => {
        if (live(key, at) !== expected) return false;
        put(key, value, at + lifetime);
        return true;
      });
    },
    delete: async key => write(() => drop(key)),
    close: () => {
      closed ??= root.close();
      return closed;
    },
  };
}

interface File {
  readonly root: RootDatabase;
  /** The end of a record's lifetime in milliseconds since the epoch, a space, and its value. */
  readonly records: Database<string, string>;
  /** Every record once more, in the order in which they expire. */
  readonly expiries: Database<string, [expiresAt: number, key: string]>;
}

function openFile(read: Options): File {
  const path = read.string('path') ?? read.fail('path', 'is missing', 'Name the file that keeps the records.');
  const options: RootDatabaseOptionsWithPath & { permissionsMode: number } = {
    path,
    noSubdir: true,
    maxDbs: 2,
    // Its batches make promises that nobody sees: where a disk is full, they would end the process.
    eventTurnBatching: false,
    // Missing in the types of lmdb. Nobody else on the machine may read the file.
    permissionsMode: 0o600,
  };
  try {
    if (!isDatabase(path)) throw new Error('it is a file of another kind');
    const root = open(options);
    const records = root.openDB<string, string>('records', { encoding: 'string' });
    const expiries = root.openDB<string, [number, string]>('expiries', { encoding: 'string' });
    return { root, records, expiries };
  } catch (error) {
    const { message } = error as Error;
    return read.fail(
      'path',
      `cannot be opened: ${message}`,
      'Name a file on a local disk that this process may write.',
    );
  }
}

/** Whether lmdb may open this: it crashes the process over a file that it did not make. */
function isDatabase(path: string): boolean {
  if (!existsSync(path)) return true;
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(64);
    const length = readSync(file, head);
    return length === 0 || MAGICS.some(magic => head.includes(magic, 0, 'hex'));
  } finally {
    closeSync(file);
  }
}

/** lmdb tells why a commit failed in a second promise, which would end the process if nobody listened to it. */
async function rethrowCommitError(error: unknown): Promise<never> {
  await (error as { commitError?: Promise<unknown> } | null)?.commitError;
  throw error;
}
