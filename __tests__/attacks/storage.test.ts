import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { memoryStore } from 'express-mcp-auth';
import { lmdbStore } from 'express-mcp-auth/stores/lmdb';
import { sealedRecords } from '../../lib/authorization/records.js';
import { keyDerivation } from '../../lib/crypto/key-ring.js';
import type { ProxyApp } from '../support/proxy-app.js';
import { EVIL, expectFailure, expectPage, expectTokens } from './support/verdicts.js';
import { world } from './support/worlds.js';

/** Every text that must not be found in a store after this walk. */
async function wholeFlow(app: ProxyApp) {
  const client = await app.client({ token_endpoint_auth_method: 'client_secret_post', client_name: 'Findable name' });
  const approved = await client.decide(await client.authorize({ state: 'findable-state' }));
  const upstreamState = approved.location?.searchParams.get('state') ?? '';
  const back = await client.signIn(approved);
  const binding = [...client.browser.cookies(app.base).values()];
  const code = (await client.browser.get(back)).location?.searchParams.get('code') ?? '';
  const first = (await client.redeem(code)).body;
  const second = (await client.refresh(first.refresh_token)).body;
  const secrets = [code, first.access_token, first.refresh_token, second.access_token, second.refresh_token].map(
    String,
  );
  const others = [client.id, client.secret ?? '', client.verifier, upstreamState, ...binding, ...app.provider.secrets];
  const texts = ['Findable name', 'findable-state', 'alice', client.redirectUri, 'up-access', 'up-refresh'];
  return { client, first, second, code, secrets: [...secrets, ...others, ...texts].filter(text => text !== '') };
}

function expectNothingReadable(dump: string, secrets: readonly string[]): void {
  for (const secret of secrets) {
    expect(dump.includes(secret)).toBe(false);
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect(dump.includes(Buffer.from(secret).toString(encoding))).toBe(false);
    // The payload of a token of ours, without its prefix.
    if (secret.startsWith('mcp_')) expect(dump.includes(secret.slice(7))).toBe(false);
  }
}

describe('attack 64: a dump of the store (AS-18, PX-9)', () => {
  test.each(['stateless', 'stored'])(
    'holds nothing that can be used or read, with %s clients (attack 64)',
    async registration => {
      const app = await world({ options: { clients: { registration } } });
      const { secrets } = await wholeFlow(app);
      const dump = JSON.stringify([...app.store.live, ...app.store.writes]);
      expect(app.store.writes.length).toBeGreaterThan(3);
      expectNothingReadable(dump, secrets);
      for (const { key, value } of app.store.writes) {
        expect(key).toMatch(/^[\w-]{43}$/);
        expect(value).toMatch(/^[\w-]+$/);
      }
    },
  );

  test('nor does the file of the lmdb store (attack 64)', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'attack-'));
    const path = join(folder, 'store');
    const store = lmdbStore({ path });
    try {
      const app = await world({ options: { store, now: undefined } });
      const { secrets } = await wholeFlow(app);
      expectNothingReadable((await readFile(path)).toString('latin1'), secrets);
    } finally {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('the same thing sealed twice never looks the same (attack 64)', async () => {
    const app = await world();
    const client = await app.client();
    for (let index = 0; index < 3; index++) await client.tokens({ state: 'same' });
    const values = app.store.writes.map(({ value }) => value);
    expect(new Set(values).size).toBe(values.length);
    expect(new Set(values.map(value => value.slice(0, 16))).size).toBe(values.length);
  });

  test('without the secrets, a copy of the store is worth nothing (attack 64)', async () => {
    const app = await world();
    const { client, second } = await wholeFlow(app);
    const thief = await app.replica({ secrets: 'another-secret-of-the-proxy-that-is-long-enough' });
    expect((await thief.call(String(second.access_token))).status).toBe(401);
    expect((await app.call(String(second.access_token))).status).toBe(200);
    expectTokens(await client.refresh(second.refresh_token));
  });
});

describe('attack 86: records that were changed, moved or swapped in the store', () => {
  const expectGone = async (app: ProxyApp, token: unknown) => expect((await app.call(String(token))).status).toBe(401);

  test('one bent character, and the record counts as missing (attack 64, attack 86)', async () => {
    const app = await world();
    const { client, second } = await wholeFlow(app);
    const key = grantKey(app);
    const value = app.store.live.get(key) as string;
    for (const at of [0, 15, 20, Math.floor(value.length / 2), value.length - 2]) {
      const bent = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1);
      await app.store.set(key, bent, 600);
      await expectGone(app, second.access_token);
      expectFailure(await client.refresh(second.refresh_token), 401, 'invalid_grant');
    }
    for (const other of ['', 'x', '{}', '"', value.slice(0, 40), `${value}AAAA`]) {
      await app.store.set(key, other, 600);
      await expectGone(app, second.access_token);
    }
    await app.store.set(key, value, 600);
    expect((await app.call(String(second.access_token))).status).toBe(200);
  });

  test('the grant of one person in the place of another’s does not open (attack 86)', async () => {
    const app = await world();
    const alice = await wholeFlow(app);
    const aliceKey = grantKey(app);
    app.provider.behaviour.subject = 'mallory';
    const mallory = await wholeFlow(app);
    const malloryKey = grantKey(app);
    expect(malloryKey).not.toBe(aliceKey);
    await app.store.set(malloryKey, app.store.live.get(aliceKey) as string, 600);
    await expectGone(app, mallory.second.access_token);
    expect((await app.call(String(alice.second.access_token))).body.extra).toMatchObject({ subject: 'alice' });
  });

  test('the record of one client in the place of another’s does not open, just written or read before (attack 86)', async () => {
    const app = await world({ options: { clients: { registration: 'stored' } } });
    const honest = await app.client();
    const honestKey = app.store.writes.at(-1)?.key as string;
    const evil = await app.client({ redirect_uris: [EVIL] });
    const { value } = app.store.writes.at(-1) as { value: string };
    const moved = () => honest.authorize({ redirect_uri: EVIL });
    await app.store.set(honestKey, value, 600);
    expectPage(await moved());
    await evil.authorize();
    expectPage(await moved());
    expectPage(await honest.authorize());
  });

  test('a transaction in the place of a grant, and the other way round, opens nothing (attack 86)', async () => {
    const app = await world();
    const { second } = await wholeFlow(app);
    const key = grantKey(app);
    const client = await app.client();
    const back = await client.signIn(await client.decide(await client.authorize()));
    const { key: transactionKey, value } = app.store.writes.at(-1) as { key: string; value: string };
    const grant = app.store.live.get(key) as string;
    await app.store.set(key, value, 600);
    await app.store.set(transactionKey, grant, 600);
    await expectGone(app, second.access_token);
    expectPage(await client.browser.get(back));
  });

  test('an older state of a grant opens, and gives back nothing that was spent for good (attack 86)', async () => {
    const app = await world();
    const client = await app.client();
    const first = await client.tokens();
    const key = grantKey(app);
    const before = app.store.live.get(key) as string;
    await client.revoke(first.refresh_token);
    await expectGone(app, first.access_token);
    // Who can write to the store can bring back what was in it: that is why the store is the operator's.
    await app.store.set(key, before, 600);
    expect((await app.call(first.access_token)).status).toBe(200);
  });

  /** The key of the newest grant: the last record that was written with a long life. */
  function grantKey(app: ProxyApp): string {
    return [...app.store.writes].reverse().find(({ ttlSeconds }) => ttlSeconds > 1_000)?.key as string;
  }
});

describe('attack 85: keys', () => {
  test.each([
    'a:b',
    '../../etc/passwd',
    'transaction:*',
    'a\u0000b',
    'a\nb',
    '__proto__',
    'constructor',
    'x'.repeat(5_000),
    '\u00e9',
    'e\u0301',
    'mcp:grant:x',
  ])('%j reaches no store but as a hash, and finds nothing (attack 85)', async text => {
    const keys: string[] = [];
    const app = await world({ options: { clients: { registration: 'stored' } } });
    const { get } = app.store;
    app.store.get = key => {
      keys.push(key);
      return get.call(app.store, key);
    };
    const client = await app.client();
    const params = new URLSearchParams({ state: text, code: text });
    expectPage(await client.browser.get(`${app.base}/auth/callback?${params}`));
    expectFailure(await client.redeem(text), 401, 'invalid_grant');
    expectFailure(await client.refresh(text), 401, 'invalid_grant');
    expect((await client.revoke(text)).status).toBe(200);
    expectFailure(
      await client.token({ grant_type: 'refresh_token', refresh_token: 'x', client_id: text }),
      401,
      'invalid_client',
    );
    for (const key of keys) expect(key).toMatch(/^[\w-]{43}$/);
  });
});

describe('attack 85: one kind of record for another', () => {
  const SECRETS = ['a-secret-of-the-proxy-that-is-long-enough'];

  test('the same id finds nothing of another kind, nor of another issuer over the same store (attack 85, attack 86)', async () => {
    const store = memoryStore();
    const open = (issuer: string) => sealedRecords(store, keyDerivation(SECRETS, 'https://one.example'), issuer);
    const [one, two] = [open('https://one.example'), open('https://two.example')];
    await one<{ name: string }>('grant').add('id', { name: 'mine' }, 60);
    expect((await one<{ name: string }>('grant').get('id'))?.value).toEqual({ name: 'mine' });
    expect(await one('transaction').get('id')).toBeNull();
    expect(await two('grant').get('id')).toBeNull();
    expect(await one('grant').get('grant\0id')).toBeNull();
  });

  test('a record that was moved opens neither at first sight nor after it was read in its own place (attack 86)', async () => {
    const store = memoryStore();
    const written: { key: string; value: string }[] = [];
    const watched = {
      ...store,
      add: async (key: string, value: string, ttlSeconds: number) => {
        written.push({ key, value });
        return store.add(key, value, ttlSeconds);
      },
    };
    const issuer = 'https://one.example';
    const open = () => sealedRecords(watched, keyDerivation(SECRETS, issuer), issuer)<{ name: string }>('grant');
    const records = open();
    await records.add('alice', { name: 'alice' }, 60);
    await records.add('mallory', { name: 'mallory' }, 60);
    const [alice, mallory] = written as [{ key: string; value: string }, { key: string; value: string }];
    await store.set(mallory.key, alice.value, 60);
    for (const reader of [open(), records, open()]) {
      expect((await reader.get('alice'))?.value).toEqual({ name: 'alice' });
      expect(await reader.get('mallory')).toBeNull();
    }
  });

  test('what was sealed or signed for one purpose, issuer or context is nothing in another (attack 46, attack 86)', () => {
    const derive = keyDerivation(SECRETS, 'https://one.example');
    const sealed = derive('store').seal('text', 'context');
    expect(String(derive('store').open(sealed, 'context'))).toBe('text');
    expect(derive('store').open(sealed, 'another context')).toBeNull();
    expect(derive('consent form').open(sealed, 'context')).toBeNull();
    expect(keyDerivation(SECRETS, 'https://two.example')('store').open(sealed, 'context')).toBeNull();
    const signature = derive('csrf').sign('text');
    expect(derive('csrf').verify('text', signature)).toBe(true);
    expect(derive('browser binding').verify('text', signature)).toBe(false);
  });
});

describe('attack 87: a store that forgets late', () => {
  /** Keeps every record for ever, as an adapter without lifetimes would. */
  function undying(app: ProxyApp): ProxyApp['store'] {
    const records = new Map<string, string>();
    return {
      ...app.store,
      get: async key => records.get(key) ?? null,
      set: async (key, value) => void records.set(key, value),
      add: async (key, value) => !records.has(key) && Boolean(records.set(key, value)),
      take: async key => {
        const value = records.get(key) ?? null;
        records.delete(key);
        return value;
      },
      replace: async (key, expected, value) => records.get(key) === expected && Boolean(records.set(key, value)),
      delete: async key => void records.delete(key),
    };
  }

  test('codes, tokens, transactions and clients end all the same (attack 87)', async () => {
    const first = await world();
    const app = await first.replica({
      store: undying(first),
      baseUrl: first.base,
      clients: { registration: 'stored' },
      tokens: { accessTtlSeconds: 100, refreshTtlSeconds: 1_000 },
    });
    const client = await app.client();
    const other = await app.client();
    const back = await other.signIn(await other.decide(await other.authorize()));
    const code = await client.code();
    const { verifier } = client;
    const tokens = await client.tokens();
    app.clock.pass(61);
    expectFailure(await client.redeem(code, { code_verifier: verifier }), 401, 'invalid_grant');
    app.clock.pass(60);
    expect((await app.call(tokens.access_token)).status).toBe(401);
    app.clock.pass(600);
    expectPage(await other.browser.get(back));
    app.clock.pass(300);
    expectFailure(await client.refresh(tokens.refresh_token), 401, 'invalid_grant');
    app.clock.pass(86_400);
    expectPage(await other.authorize());
  });

  test('a clock that steps back brings nothing to life that was spent (attack 87)', async () => {
    const app = await world();
    const client = await app.client();
    const back = await client.signIn(await client.decide(await client.authorize()));
    const { location } = await client.browser.get(back);
    const code = location?.searchParams.get('code') ?? '';
    const { body } = await client.redeem(code);
    app.clock.pass(-3_600);
    expectPage(await client.browser.get(back));
    expectFailure(await client.redeem(code), 401, 'invalid_grant');
    await client.revoke(body.refresh_token);
    expect((await app.call(String(body.access_token))).status).toBe(401);
  });
});
