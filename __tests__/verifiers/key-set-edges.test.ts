import { describe, expect, jest, test } from '@jest/globals';
import { type JwtVerifierOptions, jwtVerifier } from 'express-mcp-auth';
import { drain } from '../support/introspection-server.js';
import { clockAt } from '../support/jwt-forge.js';
import { judge } from '../support/jwt-judge.js';
import { type SigningKey, signingKey } from '../support/keys.js';

const ISSUER = 'https://idp.example.com';
const YEAR = 365 * 86_400;

/** A response that is read within microtasks, so that it can end at any of them. */
function quick(json: unknown): Response {
  const parts = [Buffer.from(JSON.stringify(json))];
  const read = async () => ({ done: parts.length === 0, value: parts.pop() });
  return { status: 200, body: { getReader: () => ({ read }) } } as unknown as Response;
}

/** A key set in memory, whose answers can be held back, and a verifier of it by a clock that only moves when told to. */
function world(keys: SigningKey[], options: Partial<JwtVerifierOptions> = {}) {
  const clock = clockAt();
  const set = {
    keys,
    isDown: false,
    extra: [] as unknown[],
    fetches: 0,
    held: undefined as (() => void)[] | undefined,
  };
  const auth = jwtVerifier({
    issuer: ISSUER,
    audience: 'api',
    jwksUri: `${ISSUER}/jwks`,
    now: clock.now,
    fetch: async () => {
      set.fetches++;
      if (set.held !== undefined) await new Promise<void>(resolve => set.held?.push(resolve));
      if (set.isDown) return new Response(null, { status: 503 });
      return quick({ keys: [...set.extra, ...set.keys.map(key => key.publicJwk)] });
    },
    ...options,
  });
  let count = 0;
  return {
    clock,
    set,
    auth,
    token: (key: SigningKey) =>
      key.sign({ iss: ISSUER, aud: 'api', exp: clock.at(YEAR), sub: 'ana', jti: String(count++) }),
    judge: (token: string) => judge(auth, token),
    /** Lets the held fetch end. */
    release() {
      const { held = [] } = set;
      set.held = undefined;
      for (const answer of held) answer();
    },
  };
}

describe('key sets: a refresh that ends while a token is looked at', () => {
  /** A verifier past its ttl, with a refresh under way that nobody waits for any more. */
  async function refreshing(before: SigningKey, after: SigningKey) {
    const w = world([before]);
    await w.auth.ready();
    w.clock.advance(601);
    w.set.held = [];
    w.set.keys = [after];
    expect(await w.judge(await w.token(before))).toBe('accept');
    return w;
  }

  test.each([
    ['under its old kid', 'a'],
    ['under a new kid', 'b'],
  ])(
    'a token of a key that was replaced %s is accepted at whatever moment it ends',
    async (_how, kid) => {
      const [before, after] = [await signingKey('ES256', 'a'), await signingKey('ES256', kid)];
      const moments = [0, 4, 5, 6, 7, 8, 10].flatMap(turns => [[true, turns] as const, [false, turns] as const]);
      // All at once: each waits until the old set may answer, which takes real time.
      const worlds = await Promise.all(moments.map(() => refreshing(before, after)));
      for (const [index, [first, turns]] of moments.entries()) {
        const w = worlds[index] as Awaited<ReturnType<typeof refreshing>>;
        const token = await w.token(after);
        if (!first) w.release();
        for (let turn = 0; turn < turns; turn++) await null;
        const word = w.judge(token);
        if (first) w.release();
        expect([first, turns, await word]).toEqual([first, turns, 'accept']);
        expect(w.set.fetches).toBe(2);
      }
    },
    30_000,
  );

  test('C13: an unknown kid on a cold start is refused by the set that was fetched for it, without a second fetch', async () => {
    const [known, unknown] = [await signingKey(), await signingKey()];
    const w = world([known]);
    expect(await w.judge(await w.token(unknown))).toBe('unknown_key');
    expect(w.set.fetches).toBe(1);
    expect(await w.judge(await w.token(known))).toBe('accept');
    expect(w.set.fetches).toBe(1);
  });

  test('and one that came before the refresh ended by the refreshed set', async () => {
    const [before, after] = [await signingKey('ES256', 'a'), await signingKey('ES256', 'b')];
    const w = await refreshing(before, after);
    const word = w.judge(await w.token(await signingKey('ES256', 'c')));
    w.release();
    expect(await word).toBe('unknown_key');
    expect(w.set.fetches).toBe(2);
  });
});

describe('a clock that steps back', () => {
  test('makes no key set fresh: a withdrawn key is refused with the next fetch, cached tokens too', async () => {
    const [withdrawn, next] = [await signingKey(), await signingKey()];
    const w = world([withdrawn]);
    w.clock.advance(YEAR);
    const token = await w.token(withdrawn);
    expect(await w.judge(token)).toBe('accept');
    w.set.keys = [next];
    w.clock.advance(-YEAR);
    expect(await w.judge(token)).not.toBe('accept');
    expect(await w.judge(await w.token(next))).toBe('accept');
  });

  test('lets an old set answer during an outage for staleSeconds and no longer', async () => {
    const key = await signingKey();
    const w = world([key]);
    w.clock.advance(YEAR);
    await w.auth.ready();
    w.set.isDown = true;
    w.clock.advance(-YEAR);
    const token = await w.token(key);
    expect(await w.judge(token)).toBe('accept');
    w.clock.advance(3_599);
    expect(await w.judge(token)).toBe('accept');
    w.clock.advance(2);
    expect(await w.judge(token)).toBe('unavailable');
    w.set.isDown = false;
    w.clock.advance(2);
    expect(await w.judge(token)).toBe('accept');
  });

  test('stops no look for a key that was replaced under its kid, and no ready()', async () => {
    const [before, after] = [await signingKey('ES256', 'a'), await signingKey('ES256', 'a')];
    const w = world([before]);
    w.clock.advance(YEAR);
    await w.auth.ready();
    w.set.keys = [after];
    w.clock.advance(-YEAR);
    await w.auth.ready();
    expect(w.set.fetches).toBe(2);
    expect(await w.judge(await w.token(after))).toBe('accept');
  });

  test('makes no verified token fresh: its signature is checked again', async () => {
    const key = await signingKey();
    const clock = clockAt();
    const options = { issuer: ISSUER, audience: 'api', jwks: { keys: [key.publicJwk] }, now: clock.now };
    const auth = jwtVerifier(options);
    const token = await key.sign({ iss: ISSUER, aud: 'api', exp: clock.at(2 * YEAR) });
    const checks = jest.spyOn(globalThis.crypto.subtle, 'verify');
    expect(await judge(auth, token)).toBe('accept');
    clock.advance(-YEAR);
    expect(await judge(auth, token)).toBe('accept');
    expect(checks).toHaveBeenCalledTimes(2);
    expect(await judge(auth, token)).toBe('accept');
    expect(checks).toHaveBeenCalledTimes(2);
    checks.mockRestore();
  });
});

describe('attack 65: a key that cannot be read hides no other', () => {
  test.each([
    ['kty: constructor', { kty: 'constructor' }],
    ['kty: toString', { kty: 'toString' }],
    ['kty: __proto__', { kty: '__proto__' }],
    ['a kty that is no string', { kty: { toString: 1 } }],
    ['a kty in a list', { kty: ['RSA'], n: 'AQAB', e: 'AQAB' }],
    ['a crv that is no string', { kty: 'EC', crv: { toString: null }, x: 'AA', y: 'AA' }],
    ['members that are no strings', { kty: 'RSA', n: {}, e: [] }],
    ['use and key_ops of odd types', { kty: 'RSA', use: {}, key_ops: { includes: 1 } }],
    ['null', null],
    ['a string', 'key'],
  ])('%s', async (_, odd) => {
    const key = await signingKey();
    const w = world([key]);
    w.set.extra = [odd];
    expect(await w.judge(await w.token(key))).toBe('accept');
    const inline = jwtVerifier({ issuer: ISSUER, audience: 'api', jwks: { keys: [odd, key.publicJwk] } as never });
    expect(await judge(inline, await w.token(key))).toBe('accept');
    expect(() => jwtVerifier({ issuer: ISSUER, audience: 'api', jwks: { keys: [odd] } as never })).toThrow(
      expect.objectContaining({ name: 'ConfigError', option: 'jwks' }),
    );
  });
});

describe('C18: tenants that come and go', () => {
  const tenantOf = (name: string) => `https://${name}.tenants.example.com`;

  async function tenants() {
    const key = await signingKey();
    const clock = clockAt();
    const fetched: string[] = [];
    const held = new Map<string, () => void>();
    const heal = new Set<string>();
    const auth = jwtVerifier({
      issuer: iss => iss.endsWith('.tenants.example.com'),
      jwksUri: iss => `${iss}/jwks`,
      audience: 'api',
      now: clock.now,
      fetch: async input => {
        const name = /^https:\/\/([^.]+)/.exec(String(input))?.[1] ?? '';
        fetched.push(name);
        if (name.startsWith('slow')) await new Promise<void>(resolve => held.set(name, resolve));
        if (name.startsWith('bogus') && !heal.has(name)) return new Response(null, { status: 404 });
        return Response.json({ keys: [key.publicJwk] });
      },
    });
    const token = (name: string) => key.sign({ iss: tenantOf(name), aud: 'api', exp: clock.at(YEAR) });
    const ask = async (name: string) => judge(auth, await token(name));
    return { auth, clock, fetched, held, heal, token, ask };
  }

  /** All the room there is, taken by tenants whose sets are loaded. */
  async function full(t: Awaited<ReturnType<typeof tenants>>, count = 100): Promise<string[]> {
    const names = Array.from({ length: count }, (_, index) => `t${index}`);
    for (const name of names) {
      expect(await t.ask(name)).toBe('accept');
      t.clock.advance(1);
    }
    return names;
  }

  test('the bucket holds for a tenant until its first success, however often its fetch fails', async () => {
    const t = await tenants();
    const names = Array.from({ length: 25 }, (_, index) => `bogus${index}`);
    const tokens = await Promise.all(names.map(t.token));
    const minute = async () => {
      const before = t.fetched.length;
      for (let second = 0; second < 60; second++) {
        t.clock.advance(1.001);
        for (const token of tokens) expect(await judge(t.auth, token)).toBe('unavailable');
      }
      return t.fetched.length - before;
    };
    expect(await minute()).toBeLessThanOrEqual(20 + 61);
    expect(await minute()).toBeLessThanOrEqual(61);
    t.heal.add('bogus0');
    t.clock.advance(60);
    expect(await t.ask('bogus0')).toBe('accept');
  }, 30_000);

  test('a tenant that failed is left alone for a moment and is asked again after it', async () => {
    const t = await tenants();
    for (let i = 0; i < 10; i++) expect(await t.ask('bogus')).toBe('unavailable');
    expect(t.fetched).toEqual(['bogus']);
    t.heal.add('bogus');
    t.clock.advance(2);
    expect(await t.ask('bogus')).toBe('accept');
    expect(t.fetched).toEqual(['bogus', 'bogus']);
  });

  test('no loaded set goes for tenants that do not exist, admitted or not', async () => {
    const t = await tenants();
    const names = await full(t);
    t.clock.advance(60);
    for (let i = 0; i < 60; i++) expect(await t.ask(`bogus${i}`)).toBe('unavailable');
    const before = t.fetched.length;
    for (const name of names) expect([name, await t.ask(name)]).toEqual([name, 'accept']);
    expect(t.fetched.length).toBe(before);
  });

  test('a new tenant takes the place of the longest unused', async () => {
    const t = await tenants();
    await full(t);
    expect(await t.ask('t0')).toBe('accept');
    t.clock.advance(60);
    expect(await t.ask('new')).toBe('accept');
    const before = t.fetched.length;
    for (const name of ['new', 't0', 't2', 't99']) expect([name, await t.ask(name)]).toEqual([name, 'accept']);
    expect(t.fetched.length).toBe(before);
    expect(await t.ask('t1')).toBe('accept');
    expect(t.fetched.slice(before)).toEqual(['t1']);
  });

  test('a tenant whose fetch is under way is not pushed out by others', async () => {
    const t = await tenants();
    await full(t, 99);
    t.clock.advance(60);
    const slow = t.ask('slow');
    await drain();
    for (let i = 0; i < 15; i++) await t.ask(`bogus${i}`);
    for (const name of ['new0', 'new1']) expect(await t.ask(name)).toBe('accept');
    t.held.get('slow')?.();
    expect(await slow).toBe('accept');
    expect(t.fetched.filter(name => name === 'slow')).toHaveLength(1);
  });
});
