import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type Auth, type JwtVerifierOptions, jwtVerifier, multiAuth } from 'express-mcp-auth';
import { type Clock, clockAt, forge, keyPair, signer } from '../support/jwt-forge.js';
import { accepted, judge } from '../support/jwt-judge.js';

const ISSUER = 'https://idp.example.com';
const SECRET = 'a-secret-of-more-than-thirty-two-bytes-for-the-cache';
const hs = signer('HS256', SECRET);

let clock: Clock;
let verified: ReturnType<typeof spyOnVerify>;

/** Counts signature checks where they happen: in WebCrypto, which jose calls. */
const spyOnVerify = () => jest.spyOn(globalThis.crypto.subtle, 'verify');

beforeEach(() => {
  clock = clockAt();
  verified = spyOnVerify();
});
afterEach(() => verified.mockRestore());

const checks = () => verified.mock.calls.length;

/** Does something `count` times, a hundred at once. */
async function crowd(count: number, act: (index: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i += 100) await Promise.all(Array.from({ length: 100 }, (_, j) => act(i + j)));
}

const verifier = (options: Partial<JwtVerifierOptions> = {}) =>
  jwtVerifier({ issuer: ISSUER, audience: 'api', secret: SECRET, now: clock.now, ...options });

const token = (claims: Record<string, unknown> = {}, sign = hs) =>
  forge({ alg: 'HS256' }, { iss: ISSUER, aud: 'api', exp: clock.at(3600), sub: 'ana', ...claims }, sign);

describe('verified-token cache: it saves the signature check', () => {
  test('a repeated token is verified once', async () => {
    const auth = verifier();
    const one = token();
    for (let i = 0; i < 20; i++) expect(await judge(auth, one)).toBe('accept');
    expect(checks()).toBe(1);
    expect(await judge(auth, token({ jti: '2' }))).toBe('accept');
    expect(checks()).toBe(2);
  });

  test('cache: false verifies every time, and every decision stays the same', async () => {
    const auth = verifier({ cache: false });
    const one = token();
    for (let i = 0; i < 5; i++) expect(await judge(auth, one)).toBe('accept');
    expect(checks()).toBe(5);
    expect(await judge(auth, token({ exp: clock.at(-60) }))).toBe('expired');
    expect(await judge(auth, `${one.slice(0, -4)}AAAA`)).toBe('signature');
  });

  test('after ttlSeconds (60 by default) it is verified again', async () => {
    for (const [cache, ttl] of [[undefined, 60] as const, [{ ttlSeconds: 10 }, 10] as const]) {
      const auth = verifier({ cache });
      const one = token();
      verified.mockClear();
      expect(await judge(auth, one)).toBe('accept');
      clock.advance(ttl - 1);
      expect(await judge(auth, one)).toBe('accept');
      expect(checks()).toBe(1);
      clock.advance(2);
      expect(await judge(auth, one)).toBe('accept');
      expect(checks()).toBe(2);
    }
  });

  test('maxEntries bounds it: the longest unused token goes first', async () => {
    const auth = verifier({ cache: { maxEntries: 2 } });
    const [a, b, c] = ['a', 'b', 'c'].map(jti => token({ jti })) as [string, string, string];
    for (const one of [a, b, a, c]) expect(await judge(auth, one)).toBe('accept');
    expect(checks()).toBe(3);
    expect(await judge(auth, a)).toBe('accept');
    expect(checks()).toBe(3);
    expect(await judge(auth, b)).toBe('accept');
    expect(checks()).toBe(4);
  });

  test('it is bounded by bytes too: 1,000 places are not 1,000 times 15 kB', async () => {
    const auth = verifier({ cache: { maxEntries: 1_000 } });
    const pad = 'p'.repeat(11_000);
    const first = token({ jti: 'first', pad });
    expect(await judge(auth, first)).toBe('accept');
    await crowd(300, i => auth.check(token({ jti: i, pad })));
    verified.mockClear();
    expect(await judge(auth, first)).toBe('accept');
    expect(checks()).toBe(1);
  }, 60_000);
});

describe('verified-token cache: it holds signature facts only, all else is judged on every hit', () => {
  test('a cached token expires on time', async () => {
    const auth = verifier({ cache: { ttlSeconds: 3600 } });
    const one = token({ exp: clock.at(30) });
    expect(await judge(auth, one)).toBe('accept');
    clock.advance(34);
    expect(await judge(auth, one)).toBe('accept');
    clock.advance(1);
    expect(await judge(auth, one)).toBe('expired');
  });

  test('a cached token is not yet valid when the clock is set back', async () => {
    const auth = verifier();
    const one = token({ nbf: clock.at() });
    expect(await judge(auth, one)).toBe('accept');
    clock.advance(-60);
    expect(await judge(auth, one)).toBe('not_yet_valid');
  });

  test('the claims predicate is asked on every hit and may change its mind', async () => {
    let allowed = true;
    let asked = 0;
    const auth = verifier({
      claims: () => {
        asked++;
        return allowed;
      },
    });
    const one = token();
    for (let i = 0; i < 3; i++) expect(await judge(auth, one)).toBe('accept');
    allowed = false;
    expect(await judge(auth, one)).not.toBe('accept');
    allowed = true;
    expect(await judge(auth, one)).toBe('accept');
    expect(asked).toBe(5);
    expect(checks()).toBe(1);
  });

  test('the issuer predicate is asked on every hit: a tenant that was locked out is out', async () => {
    const tenants = new Set([ISSUER]);
    const auth = verifier({ issuer: iss => tenants.has(iss) });
    const one = token();
    expect(await judge(auth, one)).toBe('accept');
    tenants.clear();
    expect(await judge(auth, one)).toBe('foreign');
  });

  test('an audience accepted in one composition does not pass for that of another, in either order', async () => {
    const shared = verifier({ audience: undefined });
    const a = multiAuth(shared, { baseUrl: 'https://a.example.com' });
    const b = multiAuth(shared, { baseUrl: 'https://b.example.com' });
    const forA = token({ aud: 'https://a.example.com/mcp' });
    const forB = token({ aud: 'https://b.example.com/mcp' });
    for (let i = 0; i < 2; i++) {
      expect(await judge(a, forA)).toBe('accept');
      expect(await judge(b, forA)).toBe('audience');
      expect(await judge(b, forB)).toBe('accept');
      expect(await judge(a, forB)).toBe('audience');
    }
    const forBoth = token({ aud: ['https://a.example.com/mcp', 'https://b.example.com/mcp'] });
    expect((await accepted(a, forBoth)).resource?.href).toBe('https://a.example.com/mcp');
    expect((await accepted(b, forBoth)).resource?.href).toBe('https://b.example.com/mcp');
    expect(checks()).toBe(3);
  });

  test('each composition asks for its own scopes of the same cached token', async () => {
    const shared = verifier();
    const open = multiAuth(shared, { requiredScopes: [] });
    const closed = multiAuth(shared, { requiredScopes: ['admin'] });
    const one = token({ scope: 'read' });
    expect(await open.verifyToken(one)).not.toBeNull();
    expect(await closed.verifyToken(one)).toBeNull();
    expect(await open.verifyToken(one)).not.toBeNull();
  });

  test('two verifiers share nothing, though they see the same tokens (C17)', async () => {
    const one = token();
    expect(await judge(verifier(), one)).toBe('accept');
    const other = verifier({ secret: 'another-secret-of-more-than-thirty-two-bytes' });
    expect(await judge(other, one)).toBe('signature');
    expect(await judge(verifier({ algorithms: ['HS512'] }), one)).toBe('algorithm');
  });

  test('each request gets its own object, its URL too: changing it never shows in another', async () => {
    const auth = multiAuth(verifier({ audience: undefined }), { baseUrl: 'https://a.example.com' });
    const one = token({ aud: 'https://a.example.com/mcp', scope: 'read' });
    const first = await accepted(auth, one);
    first.scopes.push('admin');
    first.clientId = 'root';
    first.extra.subject = 'root';
    first.expiresAt = 0;
    if (first.resource) first.resource.pathname = '/evil';
    const second = await accepted(auth, one);
    expect(second).toMatchObject({ clientId: 'ana', scopes: ['read'], expiresAt: clock.at(3600) });
    expect(second.extra.subject).toBe('ana');
    expect(second.resource?.href).toBe('https://a.example.com/mcp');
    expect(second.extra.claims).toBe(first.extra.claims);
    expect(Object.isFrozen(second.extra.claims)).toBe(true);
  });
});

describe('verified-token cache: keyed by the whole token (C16, C17)', () => {
  test('no part of a cached token can be exchanged: each character counts', async () => {
    const auth = verifier();
    const one = token({ scope: 'read' });
    expect(await judge(auth, one)).toBe('accept');
    for (let at = 0; at < one.length - 1; at += 3) {
      if (one[at] === '.') continue;
      const changed = `${one.slice(0, at)}${one[at] === 'A' ? 'B' : 'A'}${one.slice(at + 1)}`;
      expect(await judge(auth, changed)).not.toBe('accept');
    }
    const [header, , signature] = one.split('.');
    const [, payload] = token({ scope: 'admin' }).split('.');
    expect(await judge(auth, `${header}.${payload}.${signature}`)).toBe('signature');
  });

  test('a token that is the hash of a cached one is nobody', async () => {
    const auth = verifier();
    const one = token();
    expect(await judge(auth, one)).toBe('accept');
    for (const encoding of ['hex', 'base64', 'base64url', 'binary'] as const)
      expect(await judge(auth, createHash('sha256').update(one).digest(encoding))).not.toBe('accept');
    for (const name of ['__proto__', 'constructor', 'undefined', ''])
      expect(await judge(auth, name)).not.toBe('accept');
  });
});

describe('texts that come again and again', () => {
  test('a spelling of the resource is known after any number of foreign audiences, and they stay foreign', async () => {
    const auth = multiAuth(verifier({ audience: undefined }), { baseUrl: 'https://a.example.com' });
    const spelled = ['HTTPS://A.example.com/mcp', 'https://a.example.com:443/mcp/', 'https://a.example.com/mcp'];
    const foreign = Array.from({ length: 150 }, (_, i) => `https://b${i}.example.com/mcp`);
    for (const aud of [...spelled, ...spelled, ...foreign, ...spelled, ...foreign.slice(-3), ...spelled])
      expect(await judge(auth, token({ aud }))).toBe(foreign.includes(aud) ? 'audience' : 'accept');
  });

  test('the same scopes in two tokens are two lists, and as many headers as there may be are read', async () => {
    const auth = verifier();
    const first = await accepted(auth, token({ jti: '1', scope: 'read write' }));
    first.scopes.push('admin');
    expect((await accepted(auth, token({ jti: '2', scope: 'read write' }))).scopes).toEqual(['read', 'write']);
    for (let i = 0; i < 150; i++) {
      const header = { alg: 'HS256', note: i % 2 ? 'x'.repeat(600 + i) : `${i}` };
      const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60), scope: `s${i}` };
      expect((await accepted(auth, forge(header, claims, hs))).scopes).toEqual([`s${i}`]);
    }
  });
});

describe('negative cache: bad signatures, by token and key', () => {
  const evil = signer('HS256', 'somebody-elses-secret-of-forty-characters');

  test('a repeated bad signature is checked once', async () => {
    const auth = verifier();
    const bad = token({}, evil);
    for (let i = 0; i < 20; i++) expect(await judge(auth, bad)).toBe('signature');
    expect(checks()).toBe(1);
    expect(await judge(auth, token({ jti: '2' }, evil))).toBe('signature');
    expect(checks()).toBe(2);
  });

  test('tokens that end alike are told apart: each is judged by itself, bad or good', async () => {
    const auth = verifier();
    const one = token({ jti: 'one' });
    const signature = one.slice(one.lastIndexOf('.'));
    const others = Array.from({ length: 5 }, (_, i) => token({ jti: `other ${i}` }).replace(/\.[^.]*$/, signature));
    for (const other of others) expect(await judge(auth, other)).toBe('signature');
    expect(await judge(auth, one)).toBe('accept');
    expect(checks()).toBe(6);
    for (const other of others) expect(await judge(auth, other)).toBe('signature');
    expect(await judge(auth, one)).toBe('accept');
    expect(checks()).toBe(6);
  });

  test('what a remembered bad token says is judged on every use: its end comes first', async () => {
    const auth = verifier();
    const bad = token({ exp: clock.at(60) }, evil);
    for (let i = 0; i < 3; i++) expect(await judge(auth, bad)).toBe('signature');
    clock.advance(600);
    expect(await judge(auth, bad)).toBe('expired');
    expect(checks()).toBe(1);
  });

  test('nothing but a bad signature is remembered: what was wrong may become right', async () => {
    let azp = false;
    const auth = verifier({ claims: () => azp });
    const later = token({ nbf: clock.at(60) });
    const refusedByClaims = token({ jti: 'claims' });
    expect(await judge(auth, later)).toBe('not_yet_valid');
    expect(await judge(auth, refusedByClaims)).not.toBe('accept');
    azp = true;
    clock.advance(60);
    expect(await judge(auth, later)).toBe('accept');
    expect(await judge(auth, refusedByClaims)).toBe('accept');
    const tenants = new Set<string>();
    const byTenant = verifier({ issuer: iss => tenants.has(iss) });
    const early = token();
    expect(await judge(byTenant, early)).toBe('foreign');
    tenants.add(ISSUER);
    expect(await judge(byTenant, early)).toBe('accept');
  });

  test('a refusal in one composition is none in another', async () => {
    const shared = verifier({ audience: undefined });
    const a = multiAuth(shared, { baseUrl: 'https://a.example.com' });
    const b = multiAuth(shared, { baseUrl: 'https://b.example.com' });
    const forB = token({ aud: 'https://b.example.com/mcp' });
    expect(await judge(a, forB)).toBe('audience');
    expect(await judge(b, forB)).toBe('accept');
  });

  test('a flood of bad signatures pushes no good token out of the cache', async () => {
    const auth: Auth = verifier({ cache: { maxEntries: 3 } });
    const one = token();
    expect(await judge(auth, one)).toBe('accept');
    for (let i = 0; i < 200; i++) expect(await judge(auth, token({ jti: i }, evil))).toBe('signature');
    verified.mockClear();
    expect(await judge(auth, one)).toBe('accept');
    expect(checks()).toBe(0);
  });

  test('it is bounded: a flood makes it forget, and a forgotten bad token is still bad', async () => {
    const auth = verifier({ cache: { maxEntries: 3 } });
    const bad = token({}, evil);
    expect(await judge(auth, bad)).toBe('signature');
    // There is room for 5,000.
    await crowd(5_100, i => auth.check(token({ jti: i }, evil)));
    verified.mockClear();
    expect(await judge(auth, bad)).toBe('signature');
    expect(checks()).toBe(1);
  }, 60_000);

  test('a signature that one key of a set refuses is still checked against another key', async () => {
    const [a, b] = [keyPair('ES256', 'a'), keyPair('ES256', 'b')];
    const sign = signer('ES256', b.privateKey);
    const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60) };
    const body = (kid: string) => forge({ alg: 'ES256', kid }, claims, sign);
    const keys = [
      { ...a.jwk, kid: 'a' },
      { ...b.jwk, kid: 'b' },
    ];
    const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', jwks: { keys }, now: clock.now });
    expect(await judge(auth, body('a'))).toBe('signature');
    expect(await judge(auth, body('b'))).toBe('accept');
    expect(await judge(auth, body('a'))).toBe('signature');
  });
});
