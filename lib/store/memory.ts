import { UnavailableError } from '../core/errors.js';
import { Options } from '../core/options.js';
import { ExpiryHeap, type HeapItem } from './expiry-heap.js';
import { lifetimeMs } from './lifetime.js';
import type { Store } from './store.js';

// What V8 takes for a record beside its text: the object, two string headers, its places in the map and in the heap.
const OVERHEAD_BYTES = 256;
// More than one, so that a write leaves the store with less that is over than it found.
const SWEPT_PER_WRITE = 8;
// What lives longer is a session. Everything that strangers bring about ends within a day.
const DAY_MS = 86_400_000;

/** Options of `memoryStore`. */
export interface MemoryStoreOptions {
  /** The most that keys, values and the overhead of records may take together, in bytes. Default 67108864 (64 MiB). */
  readonly maxBytes?: number | undefined;
  /** The clock, in milliseconds like `Date.now`. */
  readonly now?: (() => number) | undefined;
}

interface Entry extends HeapItem {
  readonly key: string;
  readonly value: string;
  readonly bytes: number;
}

/**
 * Keeps records in the memory of this process: for development, for tests, and for one process whose sign-ins may end
 * with it.
 *
 * It never takes more than `maxBytes`. When it is full, a new record takes the place of those that expire soonest, but
 * not of one that has more than a day left and expires later than the new one: a flood of sign-ins that nobody finishes
 * pushes out its own kind and what ends as soon, never a session with more than a day left. A write that finds no place
 * is refused with an {@link UnavailableError} and changes nothing.
 *
 * @throws ConfigError for wrong or unknown options
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const read = new Options('memoryStore', options, ['maxBytes', 'now']);
  const maxBytes = read.number('maxBytes', { min: 1, fallback: 64 * 1_024 * 1_024 });
  const now = read.function<() => number>('now') ?? Date.now;
  const entries = new Map<string, Entry>();
  const expiries = new ExpiryHeap<Entry>();
  let bytes = 0;

  const insert = (entry: Entry) => {
    entries.set(entry.key, entry);
    expiries.add(entry);
    bytes += entry.bytes;
  };
  const drop = (entry: Entry) => {
    entries.delete(entry.key);
    expiries.remove(entry);
    bytes -= entry.bytes;
  };
  const find = (key: string): Entry | undefined => {
    const entry = entries.get(key);
    if (entry === undefined || entry.expiresAt > now()) return entry;
    drop(entry);
    return undefined;
  };
  const sweep = (at: number) => {
    for (let swept = 0; swept < SWEPT_PER_WRITE; swept++) {
      const { soonest } = expiries;
      if (soonest === undefined || soonest.expiresAt > at) return;
      drop(soonest);
    }
  };
  const put = (key: string, value: string, ttlSeconds: number) => {
    const at = now();
    const entry = entryOf(key, value, at + lifetimeMs(ttlSeconds));
    if (entry.bytes > maxBytes) throw new UnavailableError('a record is larger than the whole memory store');
    sweep(at);
    const displaced: Entry[] = [];
    const displace = (other: Entry) => {
      drop(other);
      displaced.push(other);
    };
    const previous = entries.get(key);
    if (previous !== undefined) displace(previous);
    while (bytes + entry.bytes > maxBytes) {
      const { soonest } = expiries;
      if (soonest === undefined || soonest.expiresAt > Math.max(entry.expiresAt, at + DAY_MS)) {
        displaced.forEach(insert);
        throw new UnavailableError('the memory store is full of sessions');
      }
      displace(soonest);
    }
    insert(entry);
  };

  return {
    get: async key => find(key)?.value ?? null,
    set: async (key, value, ttlSeconds) => put(key, value, ttlSeconds),
    add: async (key, value, ttlSeconds) => {
      if (find(key) !== undefined) return false;
      put(key, value, ttlSeconds);
      return true;
    },
    take: async key => {
      const entry = find(key);
      if (entry === undefined) return null;
      drop(entry);
      return entry.value;
    },
    replace: async (key, expected, value, ttlSeconds) => {
      if (find(key)?.value !== expected) return false;
      put(key, value, ttlSeconds);
      return true;
    },
    delete: async key => {
      const entry = entries.get(key);
      if (entry !== undefined) drop(entry);
    },
  };
}

function entryOf(key: string, value: string, expiresAt: number): Entry {
  const bytes = Buffer.byteLength(key) + Buffer.byteLength(value) + OVERHEAD_BYTES;
  return { key, value, bytes, expiresAt, position: 0, order: 0 };
}
