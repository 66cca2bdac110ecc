import { deepFreeze } from '../core/freeze.js';
import { randomToken } from '../crypto/key-ring.js';
import type { ClientMetadata } from '../oauth/client-metadata.js';
import type { Client, IssuedClient } from './client.js';
import { secretDigest, secretMatcher } from './client-secret.js';

const UNUSED_TTL_SECONDS = 86_400;
const ID_BYTES = 24;
const MAX_ATTEMPTS = 5;
const ID = /^[A-Za-z0-9_-]{32}$/;

/** What is stored of a client; of its secret only the SHA-256. */
export interface StoredClient {
  readonly metadata: ClientMetadata;
  readonly secretDigest?: string;
  /** In seconds since the epoch, like `expiresAt`. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** The records of a store that stored clients need. */
export interface ClientRecords<R extends { readonly value: StoredClient } = { readonly value: StoredClient }> {
  get(id: string): Promise<R | null>;
  add(id: string, value: StoredClient, ttlSeconds: number): Promise<boolean>;
  /** Compares and sets; `null` when somebody else was faster. */
  replace(id: string, before: R, value: StoredClient, ttlSeconds: number): Promise<R | null>;
}

export interface StoredClients {
  issue(metadata: ClientMetadata): Promise<IssuedClient>;
  find(id: string): Promise<Client | null>;
  /** After a sign-in: the client lives for twice the lifetime of a refresh token from now on, or longer. */
  renew(id: string): Promise<void>;
  /** After a refresh: the same, once less than half of that is left. */
  renewWhenHalfGone(id: string): Promise<void>;
}

/**
 * Registered clients with a record each. One that nobody signed in with is gone after a day, so a flood of
 * registrations drains; any other outlives its newest refresh token.
 */
export function storedClients<R extends { readonly value: StoredClient }>(
  records: ClientRecords<R>,
  now: () => number,
  refreshTtlSeconds: number,
): StoredClients {
  const seconds = () => Math.floor(now() / 1_000);
  const lifetimeSeconds = 2 * refreshTtlSeconds;

  const read = async (id: string): Promise<R | null> => {
    if (!ID.test(id)) return null;
    const record = await records.get(id);
    // Also for a store that forgets late, or whose clock is another one.
    return record === null || record.value.expiresAt <= seconds() ? null : record;
  };

  const prolong = async (id: string, isDue: (leftSeconds: number) => boolean): Promise<void> => {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const record = await read(id);
      const expiresAt = seconds() + lifetimeSeconds;
      if (record === null || record.value.expiresAt >= expiresAt || !isDue(record.value.expiresAt - seconds())) return;
      // Somebody who was faster has prolonged it as well; whether far enough, the next round sees.
      if ((await records.replace(id, record, { ...record.value, expiresAt }, lifetimeSeconds)) !== null) return;
    }
  };

  return {
    async issue(metadata) {
      const id = randomToken(ID_BYTES);
      const secret = metadata.token_endpoint_auth_method === 'none' ? undefined : randomToken();
      const issuedAt = seconds();
      const client: StoredClient = {
        metadata,
        ...(secret !== undefined && { secretDigest: secretDigest(secret).toString('base64url') }),
        issuedAt,
        expiresAt: issuedAt + UNUSED_TTL_SECONDS,
      };
      if (!(await records.add(id, client, UNUSED_TTL_SECONDS))) throw new Error('a random client id is taken');
      return { id, issuedAt, ...(secret !== undefined && { secret }) };
    },
    async find(id) {
      const record = await read(id);
      if (record === null) return null;
      const { metadata, issuedAt, secretDigest: digest } = record.value;
      const digests = digest === undefined ? [] : [Buffer.from(digest, 'base64url')];
      return { id, origin: 'stored', metadata: deepFreeze(metadata), issuedAt, isSecret: secretMatcher(digests) };
    },
    renew: id => prolong(id, () => true),
    renewWhenHalfGone: id => prolong(id, leftSeconds => leftSeconds < lifetimeSeconds / 2),
  };
}
