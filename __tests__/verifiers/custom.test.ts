import { describe, expect, test } from '@jest/globals';
import { InvalidTokenError, ServerError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import type { OAuthTokenVerifier } from '@modelcontextprotocol/sdk/server/auth/provider.js';
import { OAuthErrorCode, OAuthError as SdkOAuthError } from '@modelcontextprotocol/server';
import { customVerifier, multiAuth, UnavailableError } from 'express-mcp-auth';
import { BASE, call, RESOURCE, recordEvents, thrown } from '../support/composition.js';
import { seconds } from '../support/keys.js';

const answering = (answer: unknown, options: Record<string, unknown> = {}) =>
  customVerifier({ name: 'vendor', ...options, verify: () => answer } as never);
const bound = (answer: unknown, options: Record<string, unknown> = {}) =>
  multiAuth([answering(answer)], { baseUrl: BASE, ...options });
const identity = (members: Record<string, unknown> = {}) => ({
  token: 'token',
  clientId: 'app',
  scopes: ['read'],
  ...members,
});

describe('customVerifier: what verify() answers', () => {
  test.each([
    ['at once', identity()],
    ['through a promise', Promise.resolve(identity())],
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
    ['through a thenable', { then: (done: (value: unknown) => void) => done(identity()) }],
  ])('an identity answered %s is accepted', async (_, answer) => {
    const auth = answering(answer);
    expect(await auth.verifyToken('token')).toEqual({
      token: 'token',
      clientId: 'app',
      scopes: ['read'],
      extra: { source: 'vendor', claims: {} },
    });
    expect((await call(auth, 'token')).status).toBe(200);
  });

  test.each([
    ['null', null],
    ['a promise of null', Promise.resolve(null)],
  ])('%s is foreign, so 401 alone', async (_, answer) => {
    const auth = answering(answer);
    expect(await auth.check('token')).toEqual({ outcome: 'foreign' });
    expect((await call(auth, 'token')).status).toBe(401);
  });

  test.each([
    ['undefined', undefined],
    ['false', false],
    ['true', true],
    ['a string', 'user'],
    ['a number', 42],
    ['a list', []],
    ['an Error', new Error('no')],
    ['a Map', new Map()],
    ['an error document', { error: 'invalid_token' }],
    ['an error document with members of an identity', { error: 'invalid_token', clientId: 'app', scopes: ['read'] }],
    ['an error document without claims', { error: 'invalid_token', claims: null }],
    ['an inactive answer', { active: false, token: 'token', clientId: 'app', scopes: ['read'] }],
    ['an inactive answer with nothing else', { active: false, claims: {} }],
    ['an invalid answer', { valid: false, clientId: 'app', scopes: ['read'] }],
    ['an invalid answer without scopes', { valid: false, scopes: [] }],
    ['claims of null', { claims: null }],
    ['claims that say nothing', { claims: {} }],
    ['claims that are a list', { claims: ['sub'] }],
    ['scopes that grant nothing', { scopes: [] }],
    ['names that are empty', { token: '', clientId: '', subject: '', claims: [] }],
    ['names that are no strings', { token: 1, clientId: null, subject: {}, scopes: [], expiresAt: null }],
    ['the response of a fetch', Response.json({ error: 'invalid_token' }, { status: 401 })],
  ])('%s lets nobody in', async (_, answer) => {
    const auth = answering(answer);
    expect((await auth.check('token')).outcome).not.toBe('accept');
    expect((await call(auth, 'token')).status).toBe(401);
  });

  test('the token of the identity is the one that was presented', async () => {
    expect((await answering(identity({ token: 'another' })).verifyToken('token'))?.token).toBe('token');
  });

  test.each([
    ['a token', { token: 'token' }],
    ['a client', { clientId: 'app' }],
    ['a subject', { subject: 'ana' }],
    ['a scope', { scopes: ['read'] }],
    ['a claim', { claims: { sub: 'ana' } }],
    ['an answer that says it is active and valid', { active: true, valid: true, clientId: 'app', error: null }],
  ])('%s is enough to name somebody', async (_, answer) => {
    expect((await answering(answer).check('token')).outcome).toBe('accept');
  });

  test('clientId and scopes are never undefined', async () => {
    const named = await answering({ token: 'token' }).verifyToken('token');
    expect(named).toMatchObject({ clientId: 'vendor', scopes: [] });
  });

  test('verify sees the token and nothing else, once per request', async () => {
    const seen: unknown[][] = [];
    const auth = customVerifier({
      verify: ((...args: unknown[]) => {
        seen.push(args);
        return identity();
      }) as never,
    });
    await call(auth, 'the-token');
    expect(seen.map(args => args[0])).toEqual(['the-token']);
  });

  test('accepts keeps a token from verify', async () => {
    let calls = 0;
    const auth = customVerifier({
      accepts: token => token.startsWith('sk_'),
      verify: token => {
        calls += 1;
        return { token, clientId: 'app', scopes: [] };
      },
    });
    expect(await auth.check('pk_1')).toEqual({ outcome: 'foreign' });
    expect(calls).toBe(0);
    expect((await auth.check('sk_1')).outcome).toBe('accept');
  });

  test('its own scope rule is handed to the guard, which answers 403', async () => {
    const auth = answering(identity(), { requiredScopes: ['write'] });
    expect(await auth.check('token')).toMatchObject({ outcome: 'accept', requiredScopes: ['write'] });
    expect((await call(auth, 'token')).status).toBe(403);
  });
});

describe('customVerifier: members of extra', () => {
  test('D6: members of the result are kept beside ours, and ours win', async () => {
    const user = { id: 7 };
    const auth = answering(
      identity({ extra: { tenant: 'acme', user, source: 'forged', subject: 'u-1', issuer: 'https://as.example.com' } }),
    );
    const verified = await auth.verifyToken('token');
    expect(verified?.extra).toMatchObject({ tenant: 'acme', user: { id: 7 }, source: 'vendor' });
    expect((await call(auth, 'token')).body.extra).toMatchObject({ tenant: 'acme', source: 'vendor' });
  });

  test('subject and issuer that the vendor knows are the subject and issuer of the identity', async () => {
    const verified = await answering(
      identity({ extra: { subject: 'u-1', issuer: 'https://as.example.com' } }),
    ).verifyToken('token');
    expect(verified?.extra).toMatchObject({ subject: 'u-1', issuer: 'https://as.example.com' });
  });

  test('claims are a deep frozen copy: the vendor’s object stays free and changes on either side do not show', async () => {
    const claims = { roles: ['a'], nested: { deep: { value: 1 } } };
    const auth = answering(identity({ extra: { claims } }));
    const verified = await auth.verifyToken('token');
    claims.roles.push('b');
    claims.nested.deep.value = 2;
    expect(verified?.extra.claims).toEqual({ roles: ['a'], nested: { deep: { value: 1 } } });
    expect(Object.isFrozen(verified?.extra.claims)).toBe(true);
    expect(Object.isFrozen((verified?.extra.claims.nested as { deep: object } | undefined)?.deep)).toBe(true);
    expect(Object.isFrozen(claims)).toBe(false);
    expect(Object.isFrozen(claims.nested.deep)).toBe(false);
  });

  test('each request gets its own object even where the vendor hands out one and the same', async () => {
    const shared = identity({ extra: { tenant: 'acme' } });
    const auth = answering(shared);
    const first = await auth.verifyToken('token');
    first?.scopes.push('admin');
    (first as { clientId: string }).clientId = 'changed';
    (first?.extra as unknown as Record<string, unknown>).tenant = 'changed';
    expect(await auth.verifyToken('token')).toMatchObject({
      clientId: 'app',
      scopes: ['read'],
      extra: { tenant: 'acme' },
    });
    expect(shared).toEqual(identity({ extra: { tenant: 'acme' } }));
    expect(Object.isFrozen(shared)).toBe(false);
  });

  test('a hostile extra pollutes no prototype', async () => {
    const extra = JSON.parse('{ "__proto__": { "admin": true }, "claims": { "__proto__": { "admin": true } } }');
    const verified = await answering(identity({ extra })).verifyToken('token');
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
    expect((verified?.extra as unknown as Record<string, unknown>)?.admin).toBeUndefined();
    expect(verified?.extra.claims.admin).toBeUndefined();
  });
});

describe('C1: customVerifier: the resource of the result (second gate)', () => {
  test.each([
    ['a string', RESOURCE],
    ['a URL', new URL(RESOURCE)],
    ['a string with one trailing slash', `${RESOURCE}/`],
  ])('our resource as %s is accepted, and the identity carries ours as a URL', async (_, resource) => {
    const verified = await bound(identity({ resource })).verifyToken('token');
    expect(verified?.resource).toBeInstanceOf(URL);
    expect(String(verified?.resource)).toBe(RESOURCE);
  });

  test('no resource at all is accepted', async () => {
    expect(String((await bound(identity()).verifyToken('token'))?.resource)).toBe(RESOURCE);
  });

  test.each([
    ['another host', 'https://other.example.com/mcp'],
    ['another path', `${BASE}/mcp2`],
    ['a path below ours', `${BASE}/mcp/tools`],
    ['our origin alone', BASE],
    ['another URL object', new URL('https://other.example.com/mcp')],
    ['no URL', 'mcp'],
    ['a number', 42],
  ])('%s is rejected and reported', async (_, resource) => {
    const auth = bound(identity({ resource }));
    const events = recordEvents();
    expect((await auth.check('token')).outcome).toBe('reject');
    expect((await call(auth, 'token')).status).toBe(401);
    events.stop();
    expect(events.of('rejected').at(-1)).toMatchObject({ source: 'vendor' });
  });

  test('one of legacyResources is ours too', async () => {
    const legacy = 'https://old.example.com/mcp';
    const auth = bound(identity({ resource: legacy }), { legacyResources: [legacy] });
    expect(String((await auth.verifyToken('token'))?.resource)).toBe(RESOURCE);
  });
});

describe('customVerifier: expiresAt of the result', () => {
  test('before it the token works, and the identity carries it', async () => {
    const until = seconds(60);
    expect((await answering(identity({ expiresAt: until })).verifyToken('token'))?.expiresAt).toBe(until);
  });

  test('C8: in the past, and 0, it is a reject for expired', async () => {
    for (const expiresAt of [seconds(-1), 0, -5]) {
      const auth = answering(identity({ expiresAt }));
      expect(await auth.check('token')).toMatchObject({ outcome: 'reject', reason: 'expired' });
      expect((await call(auth, 'token')).status).toBe(401);
    }
  });

  test.each([
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['milliseconds', Date.now() + 60_000],
    ['a string', String(seconds(60))],
    ['a Date', new Date(Date.now() + 60_000)],
  ])('%s is no number of seconds: rejected and reported', async (_, expiresAt) => {
    const auth = answering(identity({ expiresAt }));
    const events = recordEvents();
    const response = await call(auth, 'token');
    events.stop();
    expect(response.status).toBe(401);
    expect(events.of('rejected')).toHaveLength(1);
    expect(events.of('rejected')[0]).toMatchObject({ source: 'vendor' });
    expect(JSON.stringify(events.of('rejected')[0])).toContain('expiresAt');
  });
});

describe('customVerifier: verifiers of the MCP SDKs', () => {
  class SdkVerifier implements OAuthTokenVerifier {
    readonly #known = new Map([['good', 'sdk-app']]);
    readonly #refusal: () => unknown;
    constructor(refusal: () => unknown) {
      this.#refusal = refusal;
    }
    async verifyAccessToken(token: string) {
      const clientId = this.#known.get(token);
      if (!clientId) throw this.#refusal();
      return { token, clientId, scopes: ['read'], expiresAt: seconds(60), extra: { tenant: 'acme' } };
    }
  }

  const refusals: [string, () => unknown, number][] = [
    ['v1 InvalidTokenError', () => new InvalidTokenError('no'), 401],
    ['v1 ServerError', () => new ServerError('down'), 503],
    ['v2 invalid_token', () => new SdkOAuthError(OAuthErrorCode.InvalidToken, 'no'), 401],
    ['v2 server_error', () => new SdkOAuthError(OAuthErrorCode.ServerError, 'down'), 503],
  ];

  test.each(refusals)('%s: the good token is accepted, the refusal is %#', async (_, refusal, status) => {
    const verifier = new SdkVerifier(refusal);
    for (const auth of [customVerifier({ verify: verifier }), customVerifier(verifier)]) {
      const answer = await call(auth, 'good');
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({
        clientId: 'sdk-app',
        scopes: ['read'],
        extra: { source: 'customVerifier', tenant: 'acme' },
      });
      expect((await call(auth, 'bad')).status).toBe(status);
      if (status === 503) expect(await thrown(() => auth.check('bad'))).toBeInstanceOf(UnavailableError);
      else expect((await auth.check('bad')).outcome).toBe('reject');
    }
  });
});
