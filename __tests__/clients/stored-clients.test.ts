import { beforeEach, describe, expect, test } from '@jest/globals';
import { type ClientRecords, type StoredClient, storedClients } from '../../lib/clients/stored-clients.js';
import type { ClientMetadata } from '../../lib/oauth/client-metadata.js';

const DAY = 86_400;
const REFRESH_TTL = 30 * DAY;
const publicClient: ClientMetadata = { redirect_uris: ['http://localhost/cb'], token_endpoint_auth_method: 'none' };
const secretClient: ClientMetadata = { ...publicClient, token_endpoint_auth_method: 'client_secret_post' };

interface Kept {
  readonly value: StoredClient;
  readonly version: number;
}

/** Records in memory with the lifetimes they were given; they never forget by themselves. */
class Records implements ClientRecords<Kept> {
  readonly kept = new Map<string, Kept>();
  readonly lifetimes = new Map<string, number>();
  reads = 0;
  replacements = 0;
  /** Called before each replacement, as somebody who is faster. */
  meanwhile: (id: string) => void = () => {};

  async get(id: string) {
    this.reads++;
    return this.kept.get(id) ?? null;
  }

  async add(id: string, value: StoredClient, ttlSeconds: number) {
    if (this.kept.has(id)) return false;
    this.kept.set(id, { value, version: 1 });
    this.lifetimes.set(id, ttlSeconds);
    return true;
  }

  async replace(id: string, before: Kept, value: StoredClient, ttlSeconds: number) {
    this.meanwhile(id);
    if (this.kept.get(id)?.version !== before.version) return null;
    this.replacements++;
    const kept = { value, version: before.version + 1 };
    this.kept.set(id, kept);
    this.lifetimes.set(id, ttlSeconds);
    return kept;
  }
}

let seconds: number;
let records: Records;
const clients = (refreshTtlSeconds = REFRESH_TTL) =>
  storedClients(records, () => seconds * 1_000 + 500, refreshTtlSeconds);
const expiryOf = (id: string) => records.kept.get(id)?.value.expiresAt;

beforeEach(() => {
  seconds = 1_900_000_000;
  records = new Records();
});

describe('stored clients', () => {
  test('a registration is found again, with its metadata', async () => {
    const issued = await clients().issue(publicClient);
    expect(issued).toEqual({ id: expect.stringMatching(/^[A-Za-z0-9_-]{32}$/), issuedAt: seconds });
    expect(await clients().find(issued.id)).toMatchObject({
      id: issued.id,
      origin: 'stored',
      metadata: publicClient,
      issuedAt: seconds,
    });
    expect((await clients().issue(publicClient)).id).not.toBe(issued.id);
  });

  test('attack 64: of the secret only a digest is kept', async () => {
    const { id, secret = '' } = await clients().issue(secretClient);
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(JSON.stringify([...records.kept])).not.toContain(secret);
    const client = await clients().find(id);
    expect(client?.isSecret(secret)).toBe(true);
    for (const wrong of ['', 'x', `${secret} `, records.kept.get(id)?.value.secretDigest ?? ''])
      expect(client?.isSecret(wrong)).toBe(false);
  });

  test('E-16: a client that authenticates with none has no secret', async () => {
    const issued = await clients().issue(publicClient);
    expect(issued).not.toHaveProperty('secret');
    expect((await clients().find(issued.id))?.isSecret('')).toBe(false);
  });

  test('G-6: a client that nobody signed in with is gone after a day, also from a store that forgets late', async () => {
    const { id } = await clients().issue(publicClient);
    expect(records.lifetimes.get(id)).toBe(DAY);
    seconds += DAY - 1;
    expect(await clients().find(id)).not.toBeNull();
    seconds += 1;
    expect(await clients().find(id)).toBeNull();
    await clients().renew(id);
    expect(records.replacements).toBe(0);
  });

  test('G-5: a sign-in renews it for twice the lifetime of a refresh token', async () => {
    const { id } = await clients().issue(publicClient);
    seconds += 60;
    await clients().renew(id);
    expect([records.lifetimes.get(id), expiryOf(id)]).toEqual([2 * REFRESH_TTL, seconds + 2 * REFRESH_TTL]);
    seconds += 60;
    await clients().renew(id);
    expect(expiryOf(id)).toBe(seconds + 2 * REFRESH_TTL);
    expect((await clients().find(id))?.metadata).toEqual(publicClient);
  });

  test('nothing shortens it', async () => {
    const { id } = await clients(60).issue(publicClient);
    await clients(60).renew(id);
    expect(expiryOf(id)).toBe(seconds + DAY);
    await clients().renew(id);
    await clients(60).renew(id);
    expect(expiryOf(id)).toBe(seconds + 2 * REFRESH_TTL);
  });

  test('a refresh renews it once less than half of that is left', async () => {
    const { id } = await clients().issue(publicClient);
    await clients().renew(id);
    const first = expiryOf(id);
    seconds += REFRESH_TTL;
    await clients().renewWhenHalfGone(id);
    expect(expiryOf(id)).toBe(first);
    seconds += 1;
    await clients().renewWhenHalfGone(id);
    expect(expiryOf(id)).toBe(seconds + 2 * REFRESH_TTL);
  });

  test('of several that renew it at once one is enough', async () => {
    const { id } = await clients().issue(publicClient);
    records.meanwhile = () => {
      records.meanwhile = () => {};
      const kept = records.kept.get(id) as Kept;
      const expiresAt = seconds + 2 * REFRESH_TTL;
      records.kept.set(id, { value: { ...kept.value, expiresAt }, version: kept.version + 1 });
    };
    await clients().renew(id);
    expect(records.replacements).toBe(0);
    expect(expiryOf(id)).toBe(seconds + 2 * REFRESH_TTL);
  });

  test('a record that changes again and again is given up on', async () => {
    const { id } = await clients().issue(publicClient);
    records.meanwhile = () => {
      const kept = records.kept.get(id) as Kept;
      records.kept.set(id, { ...kept, version: kept.version + 1 });
    };
    await clients().renew(id);
    expect(records.replacements).toBe(0);
  });

  test('a client that was removed stays removed', async () => {
    const { id } = await clients().issue(publicClient);
    records.meanwhile = () => records.kept.delete(id);
    await clients().renew(id);
    expect(records.kept.size).toBe(0);
  });

  test.each(['', 'x', '__proto__', 'a:b', '../x', '*', 'a'.repeat(33), 'a'.repeat(100_000), `${'a'.repeat(31)}\n`])(
    'attack 85: the made-up id %j never reaches the store',
    async id => {
      expect(await clients().find(id)).toBeNull();
      await clients().renew(id);
      await clients().renewWhenHalfGone(id);
      expect(records.reads).toBe(0);
    },
  );
});
