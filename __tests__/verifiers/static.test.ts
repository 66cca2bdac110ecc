import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ConfigError, multiAuth, remoteAuth, staticTokenVerifier } from 'express-mcp-auth';
import { BASE, call, RESOURCE, thrown } from '../support/composition.js';
import { seconds } from '../support/keys.js';

const KEY = 'ci-key-0123456789abcdef';
type Table = Parameters<typeof staticTokenVerifier>[0];
type Entry = Table[string];
const one = (entry: Entry, options?: Parameters<typeof staticTokenVerifier>[1]) =>
  staticTokenVerifier({ [KEY]: entry }, options);

/** Runs the work with another NODE_ENV. */
async function withEnvironment<T>(value: string | undefined, work: () => T | Promise<T>): Promise<T> {
  const before = process.env.NODE_ENV;
  if (value === undefined) delete process.env.NODE_ENV;
  else process.env.NODE_ENV = value;
  try {
    return await work();
  } finally {
    process.env.NODE_ENV = before;
  }
}

let warnings: jest.SpiedFunction<typeof process.emitWarning>;
beforeEach(() => {
  warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});
afterEach(() => warnings.mockRestore());

describe('staticTokenVerifier: what a key says', () => {
  test('C11: a known key is accepted with everything that its entry says, and without expiresAt it does not expire', async () => {
    const auth = one(
      { clientId: 'ci', scopes: ['read'], subject: 'robot', claims: { team: 'build' } },
      { name: 'ci-keys' },
    );
    const identity = await auth.verifyToken(KEY);
    expect(identity).toEqual({
      token: KEY,
      clientId: 'ci',
      scopes: ['read'],
      extra: { source: 'ci-keys', subject: 'robot', claims: { team: 'build' } },
    });
    expect(Object.keys(identity ?? {})).not.toContain('expiresAt');
    expect((await call(auth, KEY)).status).toBe(200);
  });

  test('scopes, subject and claims may be left out', async () => {
    const identity = await one({ clientId: 'ci' }).verifyToken(KEY);
    expect(identity).toMatchObject({ clientId: 'ci', scopes: [], extra: { claims: {} } });
    expect(identity?.extra).not.toHaveProperty('subject');
  });

  test('an identity names the bound resource', async () => {
    const auth = multiAuth(
      remoteAuth({
        verifier: one({ clientId: 'ci' }),
        authorizationServers: ['https://as.example.com'],
        baseUrl: BASE,
      }),
    );
    const identity = await auth.verifyToken(KEY);
    expect(identity?.resource).toBeInstanceOf(URL);
    expect(String(identity?.resource)).toBe(RESOURCE);
  });

  test('expiresAt is enforced: before it the key works, after it the refusal says expired', async () => {
    const until = seconds(60);
    expect((await one({ clientId: 'ci', expiresAt: until }).verifyToken(KEY))?.expiresAt).toBe(until);
    expect(await one({ clientId: 'ci', expiresAt: seconds(-1) }).check(KEY)).toMatchObject({
      outcome: 'reject',
      reason: 'expired',
    });
    expect((await call(one({ clientId: 'ci', expiresAt: seconds(-1) }), KEY)).status).toBe(401);
  });

  test('C8: expiresAt 0 is in the past, not absent', async () => {
    const made = await thrown(async () => {
      throw await one({ clientId: 'ci', expiresAt: 0 }).verifyToken(KEY);
    });
    expect(made === null || made instanceof ConfigError).toBe(true);
  });

  test('an unknown key is foreign, and 401 alone', async () => {
    const auth = one({ clientId: 'ci' });
    for (const token of [`${KEY}x`, KEY.slice(0, -1), KEY.toUpperCase(), 'x'])
      expect(await auth.check(token)).toEqual({ outcome: 'foreign' });
    expect((await call(auth, `${KEY}x`)).status).toBe(401);
  });

  test('its own scope rule is handed to the guard, which answers 403', async () => {
    const auth = one({ clientId: 'ci', scopes: ['read'] }, { requiredScopes: ['write'] });
    expect(await auth.check(KEY)).toMatchObject({ outcome: 'accept', requiredScopes: ['write'] });
    expect((await call(auth, KEY)).status).toBe(403);
    expect(await auth.verifyToken(KEY)).toBeNull();
  });

  test('each request gets its own identity: changing it never shows in the next', async () => {
    const auth = one({ clientId: 'ci', scopes: ['read'], claims: { roles: ['a'] } });
    const first = await auth.verifyToken(KEY);
    first?.scopes.push('admin');
    expect(() => (first?.extra.claims.roles as string[] | undefined)?.push('b')).toThrow();
    expect((await auth.verifyToken(KEY))?.scopes).toEqual(['read']);
    expect((await auth.verifyToken(KEY))?.extra.claims).toEqual({ roles: ['a'] });
  });

  test('the table is read once: later changes of it, of an entry or of a list change nothing', async () => {
    const scopes = ['read'];
    const entry = { clientId: 'ci', scopes, claims: { roles: ['a'] } };
    const table: Record<string, typeof entry> = { [KEY]: entry };
    const auth = staticTokenVerifier(table);
    scopes.push('admin');
    entry.clientId = 'attacker';
    entry.claims.roles.push('root');
    table['added-later-0123456789'] = entry;
    delete table[KEY];
    expect(await auth.verifyToken(KEY)).toMatchObject({
      clientId: 'ci',
      scopes: ['read'],
      extra: { claims: { roles: ['a'] } },
    });
    expect(await auth.verifyToken('added-later-0123456789')).toBeNull();
    expect(Object.isFrozen(entry)).toBe(false);
    expect(Object.isFrozen(entry.claims.roles)).toBe(false);
  });

  const cycle: Record<string, unknown> = {};
  cycle.self = { cycle };
  class Team {
    name = 'blue';
  }
  test.each<[string, unknown]>([
    ['a function', () => 'blue'],
    ['a symbol', Symbol('blue')],
    ['a bigint', 1n],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a typed array', new Uint8Array(3)],
    ['a Buffer', Buffer.from('blue')],
    ['a Map', new Map([['a', 1]])],
    ['a Set', new Set(['a'])],
    ['a Date', new Date()],
    ['a URL', new URL('https://example.com')],
    ['a promise', Promise.resolve('blue')],
    ['an instance of a class', new Team()],
    ['a cycle', cycle],
  ])('claims that JSON cannot say are a ConfigError: %s', (_, value) => {
    for (const claims of [{ team: value }, { team: ['red', { name: value }] }])
      expect(() => one({ clientId: 'ci', claims })).toThrow(
        expect.objectContaining({ name: 'ConfigError', option: 'tokens[0].claims', reason: expect.any(String) }),
      );
  });

  test('claims of everything that JSON can say come as they are, and undefined is as if absent', async () => {
    const shared = { name: 'blue' };
    const claims = { a: null, b: true, c: 1.5, d: 'x', e: [1, ['y', {}]], f: shared, g: [shared], h: undefined };
    const bare = Object.assign(Object.create(null), { team: 'blue' });
    expect((await one({ clientId: 'ci', claims }).verifyToken(KEY))?.extra.claims).toEqual(claims);
    expect((await one({ clientId: 'ci', claims: bare }).verifyToken(KEY))?.extra.claims).toEqual({ team: 'blue' });
  });

  test('no key can be found in the object itself', async () => {
    const auth = one({ clientId: 'ci' });
    expect(inspect(auth, { depth: 8, showHidden: true }) + JSON.stringify(auth)).not.toContain(KEY);
  });
});

describe('staticTokenVerifier: tables that must not open a door', () => {
  test.each([
    ['empty', ''],
    ['blank', '   '],
    ['a tab', '\t'],
    ['undefined, from an unset environment variable', String(undefined)],
    ['null', 'null'],
    ['a newline at its end, from a secrets file', `${KEY}\n`],
    ['a carriage return', `${KEY}\r\n`],
    ['a newline in front', `\n${KEY}`],
    ['a space inside', 'ci key 0123456789abcdef'],
    ['a trailing space', `${KEY} `],
    ['a comma', 'ci,key,0123456789abcdef'],
    ['a quote', 'ci"key"0123456789abcdef'],
    ['a letter outside ASCII', 'schlüssel-0123456789abcdef'],
    ['a control character', `${KEY}\u0000`],
  ])('a key that is or has %s is a ConfigError that does not print the key', async (_, key) => {
    const error = await thrown(() => staticTokenVerifier({ [KEY]: { clientId: 'good' }, [key]: { clientId: 'ci' } }));
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).factory).toBe('staticTokenVerifier');
    if (key.length > 16) expect(inspect(error)).not.toContain(key.trim());
  });

  test('a computed key of an unset environment variable is refused', async () => {
    const unset: Record<string, string | undefined> = {};
    const error = await thrown(() => staticTokenVerifier({ [unset.CI_TOKEN as string]: { clientId: 'ci' } }));
    expect(error).toBeInstanceOf(ConfigError);
  });

  test.each<[string, unknown]>([
    ['no clientId', {}],
    ['an empty clientId', { clientId: '' }],
    ['a clientId that is undefined', { clientId: undefined }],
    ['a clientId that is no string', { clientId: 42 }],
    ['a string for an entry', 'ci'],
    ['null for an entry', null],
    ['undefined for an entry', undefined],
    ['scopes that are a string', { clientId: 'ci', scopes: 'read' }],
    ['scopes that are no strings', { clientId: 'ci', scopes: [1] }],
    ['expiresAt as a string', { clientId: 'ci', expiresAt: '2030-01-01' }],
    ['expiresAt NaN', { clientId: 'ci', expiresAt: Number.NaN }],
    ['expiresAt in milliseconds', { clientId: 'ci', expiresAt: Date.now() + 60_000 }],
    ['an unknown member', { clientId: 'ci', scope: ['read'] }],
  ])('%s is a ConfigError that does not print the key', async (_, entry) => {
    const error = await thrown(() => staticTokenVerifier({ [KEY]: entry as Entry }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(inspect(error)).not.toContain(KEY);
  });

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a string', 'table'],
    ['a number', 42],
    ['a list', []],
    ['a Map, whose entries would all be overlooked', new Map([[KEY, { clientId: 'ci' }]])],
  ])('%s in place of the table is a ConfigError', async (_, table) => {
    expect(await thrown(() => staticTokenVerifier(table as never))).toBeInstanceOf(ConfigError);
  });

  test('a key shorter than 16 characters is a ConfigError in production and does not print the key', async () => {
    const error = await withEnvironment('production', () =>
      thrown(() => staticTokenVerifier({ 'fifteen-chars-x': { clientId: 'ci' } })),
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect(inspect(error)).not.toContain('fifteen-chars-x');
    await withEnvironment('production', () => staticTokenVerifier({ 'sixteen-chars-xx': { clientId: 'ci' } }));
    expect(warnings).not.toHaveBeenCalled();
  });

  test.each(['development', 'test', 'staging', undefined])(
    'with NODE_ENV %s a short key works and warns once, without the key',
    async environment => {
      const auth = await withEnvironment(environment, () =>
        staticTokenVerifier({ 'short-key-1': { clientId: 'ci' }, 'short-key-2': { clientId: 'ops' } }),
      );
      expect((await call(auth, 'short-key-1')).status).toBe(200);
      expect((await call(auth, 'short-key-2')).status).toBe(200);
      expect(warnings).toHaveBeenCalledTimes(1);
      const [text, options] = warnings.mock.calls[0] as unknown as [string, { type: string; code: string }];
      expect(options).toMatchObject({ type: 'ExpressMcpAuthWarning', code: 'MCP_AUTH_SHORT_KEY' });
      expect(text).toMatch(/16/);
      expect(text).not.toContain('short-key');
    },
  );

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'prototype'])(
    '%s is no token',
    async name => {
      const auth = one({ clientId: 'ci' });
      expect(await auth.check(name)).toEqual({ outcome: 'foreign' });
      expect((await call(auth, name)).status).toBe(401);
    },
  );

  test('__proto__ is no token of a parsed table either', async () => {
    const parsed = JSON.parse(`{ "__proto__": { "clientId": "attacker" }, "${KEY}": { "clientId": "ci" } }`) as Table;
    const answer = await thrown(async () => {
      throw await staticTokenVerifier(parsed).check('__proto__');
    });
    if (!(answer instanceof ConfigError)) expect(answer).toEqual({ outcome: 'foreign' });
  });

  test('inherited keys are no tokens, and a table without a prototype works', async () => {
    const inherited = Object.assign(Object.create({ 'inherited-0123456789': { clientId: 'attacker' } }), {
      [KEY]: { clientId: 'ci' },
    });
    const auth = staticTokenVerifier(inherited as Table);
    expect(await auth.check('inherited-0123456789')).toEqual({ outcome: 'foreign' });
    expect((await auth.check(KEY)).outcome).toBe('accept');
    const bare = Object.assign(Object.create(null), { [KEY]: { clientId: 'ci' } }) as Table;
    expect((await staticTokenVerifier(bare).check(KEY)).outcome).toBe('accept');
  });
});
