import { hash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { UnavailableError } from '../core/errors.js';
import { deepFreeze } from '../core/freeze.js';
import { Recent } from '../core/recent.js';
import type { DeriveKeys } from '../crypto/key-ring.js';
import type { Store } from '../store/store.js';

/** A record as it was read: `sealed` is what the store must still hold for a replacement to succeed. */
export interface Opened<T> {
  readonly value: T;
  readonly sealed: string;
}

/** Records of one kind. Whatever the adapter: it sees hashes of keys, and values sealed and bound to them. */
export interface Records<T> {
  /** `null` for an absent record and for one that does not open: moved, tampered with, or sealed by a forgotten key. */
  get(id: string): Promise<Opened<T> | null>;
  add(id: string, value: T, ttlSeconds: number): Promise<boolean>;
  /** The replacement, or `null` when somebody else was faster. */
  replace(id: string, before: Opened<T>, value: T, ttlSeconds: number): Promise<Opened<T> | null>;
  delete(id: string): Promise<void>;
}

export type OpenRecords = <T extends object>(kind: string) => Records<T>;

export function sealedRecords(store: Store, derive: DeriveKeys, issuer: string): OpenRecords {
  const ring = derive('store');
  // What the store held last under a key, and what that says: a read is never skipped, only the decryption of an answer
  // seen before. A record that somebody moved does not open in another place, read before or not.
  const opened = new Recent<Opened<object>>({ maxSize: 16 * 1_024 * 1_024 });

  return <T extends object>(kind: string): Records<T> => {
    const keyOf = (id: string) => hash('sha256', `${issuer}\0${kind}\0${id}`, 'base64url');
    const seal = (key: string, value: T): string => {
      const json = JSON.stringify(value);
      const sealed = ring.seal(pack(json), key).toString('base64url');
      // What was just written is what will be read next.
      opened.set(key, { value: deepFreeze(value), sealed }, sizeOf(sealed, json));
      return sealed;
    };
    const open = (key: string, sealed: string): T | null => {
      const known = opened.get(key);
      if (known?.sealed === sealed) return known.value as T;
      const plain = ring.open(Buffer.from(sealed, 'base64url'), key);
      if (plain === null) return null;
      const json = unpack(plain);
      const value = deepFreeze(JSON.parse(json) as T);
      opened.set(key, { value, sealed }, sizeOf(sealed, json));
      return value;
    };

    return {
      get: id =>
        reach(async () => {
          const key = keyOf(id);
          const sealed = await store.get(key);
          const value = sealed === null ? null : open(key, sealed);
          return value === null ? null : { value, sealed: sealed as string };
        }),
      add: (id, value, ttlSeconds) => {
        const key = keyOf(id);
        return reach(() => store.add(key, seal(key, value), wholeSeconds(ttlSeconds)));
      },
      replace: (id, before, value, ttlSeconds) =>
        reach(async () => {
          const key = keyOf(id);
          const sealed = seal(key, value);
          const isReplaced = await store.replace(key, before.sealed, sealed, wholeSeconds(ttlSeconds));
          return isReplaced ? { value, sealed } : null;
        }),
      delete: id => reach(() => store.delete(keyOf(id))),
    };
  };
}

// What is kept of a record, and not what is left of it once deflated, which strangers can make next to nothing.
function sizeOf(sealed: string, json: string): number {
  return 512 + sealed.length + 2 * json.length;
}

const PLAIN = 0;
const DEFLATED = 1;
const LARGE = 2_048;
const MAX_UNPACKED = 1_048_576;

// Only what a stranger made long is worth the time.
function pack(json: string): Buffer {
  const bytes = Buffer.from(json);
  return bytes.length < LARGE
    ? Buffer.concat([Buffer.of(PLAIN), bytes])
    : Buffer.concat([Buffer.of(DEFLATED), deflateRawSync(bytes)]);
}

function unpack(packed: Buffer): string {
  const bytes = packed.subarray(1);
  return packed[0] === DEFLATED
    ? inflateRawSync(bytes, { maxOutputLength: MAX_UNPACKED }).toString()
    : bytes.toString();
}

async function reach<R>(work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (cause) {
    throw cause instanceof UnavailableError ? cause : new UnavailableError('the store is out of reach', { cause });
  }
}

function wholeSeconds(ttlSeconds: number): number {
  return Math.max(1, Math.ceil(ttlSeconds));
}
