import { createServer, type Server } from 'node:http';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Auth, ConfigError, jwtVerifier, multiAuth, staticTokenVerifier } from 'express-mcp-auth';
import { CompactEncrypt } from 'jose';
import request from 'supertest';
import { close, type IdentityProvider, identityProvider, listen } from '../support/identity-provider.js';
import { type Clock, clockAt, forge, keyPair, type Signer, segment, signer, unsigned } from '../support/jwt-forge.js';
import { accepted, type GuardedApp, guardedApp, judge, listenTo, refused } from '../support/jwt-judge.js';

const ISSUER = 'https://idp.example.com';
const SERVICES = 'https://services.example.com';
const SECRET = 'a-secret-of-more-than-thirty-two-bytes-for-services';
const RESOURCE = 'https://mcp.example.com/mcp';
const MARK = 'EVIL-MARK';

const KINDS = ['RS256', 'ES256', 'ES384', 'ES512', 'Ed25519'] as const;
const published = () => KINDS.map(alg => ({ ...keyPair(alg).jwk, kid: alg, alg, use: 'sig' }));
const genuine = (alg: string): Signer => signer(alg, keyPair(alg).privateKey);
const attacker = (alg: string): Signer => signer(alg, keyPair(alg, 'attacker').privateKey);

let idp: IdentityProvider;
let evil: Server;
let evilOrigin: string;
let evilHits: number;
let clock: Clock;
let outbound: string[];
let auth: Auth;
let guarded: GuardedApp;

beforeAll(async () => {
  idp = await identityProvider();
  idp.intercept = (_req, res, path) => {
    if (path === '/jwks') res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published() }));
    return path === '/jwks';
  };
  evil = createServer((_req, res) => {
    evilHits++;
    const keys = KINDS.map(alg => ({ ...keyPair(alg, 'attacker').jwk, kid: alg, alg, use: 'sig' }));
    res.end(JSON.stringify({ keys }));
  });
  evilOrigin = await listen(evil);
});

afterAll(async () => {
  await idp.close();
  await close(evil);
});

/** The target: remote keys, a shared secret and a static key in one composition, all for one resource. */
beforeEach(async () => {
  clock = clockAt();
  outbound = [];
  evilHits = 0;
  const fetch: typeof globalThis.fetch = (input, init) => {
    outbound.push(input instanceof Request ? input.url : String(input));
    return globalThis.fetch(input, init);
  };
  auth = multiAuth(
    [
      jwtVerifier({ name: 'people', issuer: ISSUER, jwksUri: idp.jwksUri, fetch, now: clock.now }),
      jwtVerifier({ name: 'services', issuer: SERVICES, secret: SECRET, now: clock.now }),
      staticTokenVerifier({ 'static-key-of-the-nightly-build': { clientId: 'ci' } }),
    ],
    { baseUrl: 'https://mcp.example.com' },
  );
  guarded = guardedApp(auth);
});

afterEach(() => {
  expect(guarded.errors).toEqual([]);
  expect(evilHits).toBe(0);
  expect(outbound.filter(url => url !== idp.jwksUri)).toEqual([]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

const claims = (more: Record<string, unknown> = {}) => ({
  iss: ISSUER,
  aud: RESOURCE,
  exp: clock.at(3600),
  sub: 'ana',
  ...more,
});

const good = (alg = 'ES256') => forge({ alg, kid: alg }, claims(), genuine(alg));

const send = (token: string) => request(guarded.app).post('/mcp').set('authorization', `Bearer ${token}`);

/** 401 invalid_token and nothing of the attacker in it, the handler not reached. */
async function refuses(token: string): Promise<void> {
  const before = guarded.handled;
  const res = await send(token);
  expect({ token, status: res.status }).toEqual({ token, status: 401 });
  expect(res.headers['www-authenticate']).toMatch(/^Bearer .*error="invalid_token"/);
  expect(guarded.handled).toBe(before);
  expect(`${JSON.stringify(res.headers)}${res.text}`).not.toContain(MARK);
  expect(await judge(auth, token)).toEqual(refused);
}

/** The key set is there and the honest token works, so that a refusal is a refusal of the forgery. */
async function warm(alg = 'ES256'): Promise<void> {
  await send(good(alg)).expect(200);
  expect(outbound).toHaveLength(1);
}

describe('attack 37: tokens without a signature (RFC 8725 §3.2, W-2)', () => {
  const spellings = [
    'none',
    'None',
    'NONE',
    'nOnE',
    ' none',
    'none ',
    'none\u0000',
    '',
    null,
    undefined,
    ['none'],
    0,
    {},
  ];

  test.each(spellings)('alg %p with an empty, missing, genuine or made-up signature is 401', async alg => {
    await warm();
    for (const issuer of [ISSUER, SERVICES]) {
      const header = { alg, kid: 'ES256', typ: 'JWT' };
      const bare = forge(header, claims({ iss: issuer }), unsigned);
      await refuses(bare);
      await refuses(bare.slice(0, -1));
      await refuses(`${bare}AAAA`);
      await refuses(forge(header, claims({ iss: issuer }), genuine('ES256')));
      await refuses(forge(header, claims({ iss: issuer }), signer('HS256', SECRET)));
    }
    expect(outbound).toHaveLength(1);
  });

  test('a genuine alg with an empty, zero, truncated, extended or DER signature is 401', async () => {
    await warm();
    const token = good();
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const bytes = Buffer.from(signature, 'base64url');
    const der = Buffer.concat([
      Buffer.from([0x30, 0x44, 2, 32]),
      bytes.subarray(0, 32),
      Buffer.from([2, 32]),
      bytes.subarray(32),
    ]);
    const variants = [
      Buffer.alloc(0),
      Buffer.alloc(64),
      Buffer.alloc(1),
      bytes.subarray(0, 63),
      Buffer.concat([bytes, bytes]),
      der,
    ];
    for (const variant of variants) await refuses(`${header}.${payload}.${variant.toString('base64url')}`);
    await send(token).expect(200);
  });

  test('a token that was accepted does not lend its signature to another payload or header', async () => {
    await warm();
    const [header, payload, signature] = good().split('.');
    await refuses(`${header}.${segment(claims({ scope: 'admin' }))}.${signature}`);
    await refuses(`${segment({ alg: 'ES256', kid: 'ES256', typ: 'x' })}.${payload}.${signature}`);
  });
});

describe('attack 38: HS* with a public key as secret (RFC 8725 §3.1, W-1, W-2, C7)', () => {
  const { pem, jwk, publicKey } = keyPair('RS256');
  const ec = keyPair('ES256');
  const ed = keyPair('Ed25519');
  const text = (key: object) => JSON.stringify(key);
  const secrets: Record<string, string | Buffer> = {
    'the PEM text': pem,
    'the PEM without its last line break': pem.trim(),
    'the PEM with CRLF': pem.replaceAll('\n', '\r\n'),
    'the PKCS #1 PEM': publicKey.export({ type: 'pkcs1', format: 'pem' }) as string,
    'the DER': publicKey.export({ type: 'spki', format: 'der' }),
    'the PKCS #1 DER': publicKey.export({ type: 'pkcs1', format: 'der' }),
    'the JWK as JSON': text(jwk),
    'the published JWK as JSON': text({ ...jwk, kid: 'RS256', alg: 'RS256', use: 'sig' }),
    'the whole set as JSON': text({ keys: published() }),
    'the modulus as text': jwk.n as string,
    'the modulus as bytes': Buffer.from(jwk.n as string, 'base64url'),
    'the PEM of the EC key': ec.pem,
    'the point of the EC key': Buffer.from(ec.jwk.x as string, 'base64url'),
    'the PEM of the Ed25519 key': ed.pem,
    'the bytes of the Ed25519 key': Buffer.from(ed.jwk.x as string, 'base64url'),
    'the kid': 'RS256',
    nothing: '',
  };
  const targets = (): [string, Auth][] => {
    const options = { issuer: ISSUER, audience: RESOURCE, now: clock.now };
    return [
      ['PEM', jwtVerifier({ ...options, publicKey: pem })],
      ['JWK', jwtVerifier({ ...options, publicKey: jwk })],
      ['KeyObject', jwtVerifier({ ...options, publicKey })],
      ['EC PEM', jwtVerifier({ ...options, publicKey: ec.pem })],
      ['Ed25519 PEM', jwtVerifier({ ...options, publicKey: ed.pem })],
      ['inline set', jwtVerifier({ ...options, jwks: { keys: published() } })],
    ];
  };

  test.each(Object.entries(secrets))('%s as secret', async (_, secret) => {
    const all = targets();
    for (const alg of ['HS256', 'HS384', 'HS512'])
      for (const kid of ['RS256', 'ES256', 'Ed25519', undefined]) {
        const token = forge({ alg, kid }, claims(), signer(alg, secret));
        for (const [name, target] of all) expect([name, await judge(target, token)]).toEqual([name, 'algorithm']);
        await refuses(token);
      }
    expect(outbound).toEqual([]);
  });

  test('a symmetric key inside an inline set is no way in: the factory refuses it', () => {
    const oct = { kty: 'oct', k: Buffer.alloc(32, 7).toString('base64url'), kid: 'oct' };
    const jwks = { keys: [oct, { ...ec.jwk, kid: 'ES256' }] };
    expect(() => jwtVerifier({ issuer: ISSUER, audience: RESOURCE, jwks: jwks as never })).toThrow(ConfigError);
  });

  test('a public-key signature does not pass for the HMAC of a secret', async () => {
    for (const alg of KINDS) await refuses(forge({ alg, kid: alg }, claims({ iss: SERVICES }), genuine(alg)));
    await send(forge({ alg: 'HS256' }, claims({ iss: SERVICES }), signer('HS256', SECRET))).expect(200);
  });

  test('the secret of one issuer signs nothing for another', async () => {
    await warm();
    await refuses(forge({ alg: 'HS256', kid: 'ES256' }, claims(), signer('HS256', SECRET)));
  });
});

describe('attack 39: algorithm and key do not belong together (RFC 8725 §3.1, W-1)', () => {
  const claimed = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'Ed25519'];

  test.each(KINDS)('a key published for %s verifies no other algorithm', async kid => {
    await warm(kid);
    for (const alg of claimed.filter(other => other !== kid)) {
      await refuses(forge({ alg, kid }, claims(), genuine(kid)));
      const family = (name: string) => name.replace(/\d+$/, '').replace(/^PS$/, 'RS');
      if (family(alg) === family(kid))
        await refuses(forge({ alg, kid }, claims(), signer(alg, keyPair(kid).privateKey)));
    }
    expect(outbound).toHaveLength(1);
  });

  test.each(['es256', 'Es256', 'ES256 ', 'ES-256', 'ES256K', 'RS1', 'PBES2-HS256+A128KW', 'dir', 'constructor'])(
    'alg %p is none of ours',
    async alg => {
      await warm();
      await refuses(forge({ alg, kid: 'ES256' }, claims(), genuine('ES256')));
    },
  );

  test.each<[string, Record<string, unknown>]>([
    ['use: enc', { use: 'enc' }],
    ['key_ops without verify', { key_ops: ['encrypt', 'wrapKey'] }],
    ['no key_ops at all', { key_ops: [] }],
    ['the alg of another algorithm', { alg: 'ES384' }],
    ['an encryption alg', { alg: 'ECDH-ES' }],
  ])('a key with %s verifies nothing, inline or remote', async (_, member) => {
    const { jwk, privateKey } = keyPair('ES256', 'restricted');
    const keys = [
      { ...jwk, kid: 'restricted', ...member },
      { ...keyPair('ES256').jwk, kid: 'ES256' },
    ];
    const token = forge({ alg: 'ES256', kid: 'restricted' }, claims(), signer('ES256', privateKey));
    const options = { issuer: ISSUER, audience: RESOURCE, now: clock.now };
    const fetch: typeof globalThis.fetch = async () => Response.json({ keys });
    for (const target of [
      jwtVerifier({ ...options, jwks: { keys } }),
      jwtVerifier({ ...options, jwksUri: `${ISSUER}/jwks`, fetch }),
    ]) {
      expect(await judge(target, good())).toBe('accept');
      expect(await judge(target, token)).toEqual(refused);
    }
  });

  test('a 1024-bit RSA key in a remote set verifies nothing and hides nothing (W-2, attack 65)', async () => {
    const weak = keyPair('RSA-1024');
    const keys = [{ ...weak.jwk, kid: 'weak' }, ...published()];
    const fetch: typeof globalThis.fetch = async () => Response.json({ keys });
    const target = jwtVerifier({
      issuer: ISSUER,
      audience: RESOURCE,
      jwksUri: `${ISSUER}/jwks`,
      fetch,
      now: clock.now,
    });
    expect(await judge(target, good('RS256'))).toBe('accept');
    const token = forge({ alg: 'RS256', kid: 'weak' }, claims(), signer('RS256', weak.privateKey));
    expect(await judge(target, token)).toEqual(refused);
  });
});

describe('attack 40: keys offered by the token itself (RFC 8725 §3.10, W-7)', () => {
  const offers = (): Record<string, Record<string, unknown>> => {
    const jwk = { ...keyPair('ES256', 'attacker').jwk, kid: 'ES256' };
    return {
      jku: { jku: `${evilOrigin}/jwks` },
      x5u: { x5u: `${evilOrigin}/chain.pem` },
      jwk: { jwk },
      x5c: { x5c: [keyPair('ES256', 'attacker').publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] },
      all: { jku: `${evilOrigin}/jwks`, x5u: `${evilOrigin}/c`, jwk, x5c: ['AAAA'], 'x5t#S256': 'x', x5t: 'x' },
    };
  };

  test.each(['jku', 'x5u', 'jwk', 'x5c', 'all'])('%s draws no request and lends no key', async name => {
    await warm();
    const offer = offers()[name] as Record<string, unknown>;
    await refuses(forge({ alg: 'ES256', kid: 'ES256', ...offer }, claims(), attacker('ES256')));
    await refuses(forge({ alg: 'ES256', ...offer }, claims(), attacker('ES256')));
    expect(outbound).toHaveLength(1);
    expect(evilHits).toBe(0);
    await send(forge({ alg: 'ES256', kid: 'ES256', ...offer }, claims(), genuine('ES256'))).expect(200);
    expect(evilHits).toBe(0);
  });

  test('an issuer of the attacker, whose own keys would verify, is not asked for them (attack 48)', async () => {
    await warm();
    await refuses(forge({ alg: 'ES256', kid: 'ES256' }, claims({ iss: evilOrigin }), attacker('ES256')));
    await refuses(forge({ alg: 'ES256', kid: 'ES256' }, claims({ iss: [ISSUER, evilOrigin] }), attacker('ES256')));
    expect(outbound).toHaveLength(1);
  });
});

describe('attack 41: hostile key ids (W-7)', () => {
  const hostile: [string, unknown][] = [
    ['a path', `../../etc/passwd${MARK}`],
    ['SQL', `' OR 1=1 --${MARK}`],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['toString', 'toString'],
    ['hasOwnProperty', 'hasOwnProperty'],
    ['0', '0'],
    ['length', 'length'],
    ['10 kB', 'k'.repeat(10_000)],
    ['a URL', 'http://169.254.169.254/latest'],
    ['line breaks and quotes', `"\r\nSet-Cookie: ${MARK}=1`],
    ['markup', `<script>${MARK}</script>`],
    ['an empty string', ''],
    ['unpaired surrogates', '\ud800'],
    ['a number', 42],
    ['zero', 0],
    ['an object', { toString: 'ES256' }],
    ['a list with a good one', ['ES256']],
    ['null', null],
    ['true', true],
  ];

  test.each(hostile)('%s is 401 and never part of a URL', async (_, kid) => {
    await warm();
    clock.advance(10);
    const token = forge({ alg: 'ES256', kid }, claims(), attacker('ES256'));
    await refuses(token);
    const inline = jwtVerifier({ issuer: ISSUER, audience: RESOURCE, jwks: { keys: published() }, now: clock.now });
    expect(await judge(inline, token)).toEqual(refused);
    expect(new Set(outbound)).toEqual(new Set([idp.jwksUri]));
  });

  test.each(hostile.filter(([, kid]) => typeof kid !== 'string'))(
    'a kid that is %s is refused even with a genuine signature: it names no key',
    async (_, kid) => {
      await warm();
      clock.advance(10);
      await refuses(forge({ alg: 'ES256', kid }, claims(), genuine('ES256')));
    },
  );
});

describe('attack 45: other shapes than three base64url parts (RFC 7515, RFC 7797, W-3, W-7, W-9, C20, C24)', () => {
  test.each<[string, Record<string, unknown>]>([
    ['an unknown extension', { crit: ['https://example.com/x'], 'https://example.com/x': true }],
    ['an extension that is not there', { crit: ['x'] }],
    ['a registered name', { crit: ['exp'], exp: 1 }],
    ['alg', { crit: ['alg'] }],
    ['nothing', { crit: [] }],
    ['a string', { crit: 'x', x: 1 }],
    ['null', { crit: null }],
    ['a number', { crit: [42] }],
    ['an object', { crit: { x: true }, x: 1 }],
    ['b64 that is true', { crit: ['b64'], b64: true }],
  ])('crit with %s is 401, though the signature is genuine', async (_, member) => {
    await warm();
    await refuses(forge({ alg: 'ES256', kid: 'ES256', ...member }, claims(), genuine('ES256')));
  });

  test('b64: false is 401, the payload encoded or not', async () => {
    await warm();
    const header = segment({ alg: 'ES256', kid: 'ES256', b64: false, crit: ['b64'] });
    const raw = JSON.stringify(claims());
    const overRaw = Buffer.from(genuine('ES256')(`${header}.${raw}`)).toString('base64url');
    await refuses(`${header}.${segment(raw)}.${overRaw}`);
    expect(await judge(auth, `${header}.${raw}.${overRaw}`)).toEqual(refused);
    await refuses(forge({ alg: 'ES256', kid: 'ES256', b64: false, crit: ['b64'] }, claims(), genuine('ES256')));
  });

  test('a private header that is not critical is ignored', async () => {
    const header = { alg: 'ES256', kid: 'ES256', 'x-vendor': 'x', nonce: 'y' };
    await send(forge(header, claims(), genuine('ES256'))).expect(200);
  });

  test('one, two, four and five parts, and empty ones, are 401', async () => {
    await warm();
    const [header, payload, signature] = good().split('.') as [string, string, string];
    const shapes = [
      header,
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}..${signature}`,
      `.${payload}.${signature}`,
      '..',
      '.',
      `${header}.${payload}.${signature}.`,
      `.${header}.${payload}.${signature}`,
      `${header}.${payload}.${signature}.${signature}`,
      `${header}.${payload}.${signature}..`,
      `${header}.${header}.${payload}.${payload}.${signature}`,
    ];
    for (const shape of shapes) await refuses(shape);
    expect(outbound).toHaveLength(1);
  });

  test('padding, the other base64 alphabet and foreign characters are 401', async () => {
    await warm();
    const { token, parts } = oddToken();
    const [header, payload, signature] = parts;
    await send(token).expect(200);
    const other = (part: string) => part.replaceAll('-', '+').replaceAll('_', '/');
    await refuses(`${header}.${payload}.${other(signature)}`);
    await refuses(`${header}.${payload}.${signature}==`);
    await refuses(`${header}.${payload}.${signature}=`);
    await refuses(`${header}=.${payload}.${signature}`);
    await refuses(`${header}.${payload}=.${signature}`);
    await refuses(`${header}.${payload}.${signature}!`);
    await refuses(`${header}.${payload}.${signature}~`);
    for (const blank of [' ', '\n', '\t', '\r\n', '\u00a0', '\u200b', '\u0000'])
      for (const spaced of [
        `${token}${blank}`,
        `${blank}${token}`,
        `${header}.${payload}.${signature.slice(0, 9)}${blank}${signature.slice(9)}`,
      ])
        expect(await judge(auth, spaced)).toEqual(refused);
  });

  /** A genuine token whose signature has a character of the base64url alphabet that base64 does not have. */
  function oddToken(): { token: string; parts: [string, string, string] } {
    for (let jti = 0; ; jti++) {
      const token = forge({ alg: 'ES256', kid: 'ES256' }, claims({ jti: String(jti) }), genuine('ES256'));
      const parts = token.split('.') as [string, string, string];
      if (/[-_]/.test(parts[2])) return { token, parts };
    }
  }

  test('an encrypted token is 401, to our key or with our secret', async () => {
    await warm();
    const nested = new TextEncoder().encode(good());
    const header = { alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: 'RS256', cty: 'JWT', iss: ISSUER };
    await refuses(await new CompactEncrypt(nested).setProtectedHeader(header).encrypt(keyPair('RS256').publicKey));
    const dir = { alg: 'dir', enc: 'A256GCM', iss: SERVICES };
    await refuses(
      await new CompactEncrypt(nested).setProtectedHeader(dir).encrypt(Buffer.from(SECRET).subarray(0, 32)),
    );
    expect(outbound).toHaveLength(1);
  });

  test('a token in a token is 401', async () => {
    await warm();
    await refuses(forge({ alg: 'ES256', kid: 'ES256', cty: 'JWT' }, good(), genuine('ES256')));
  });

  test('the JSON serialisations are refused: 400 in a header, no by check()', async () => {
    await warm();
    const [header, payload, signature] = good().split('.');
    const flattened = { protected: header, payload, signature };
    const general = { payload, signatures: [{ protected: header, signature }] };
    for (const shape of [flattened, general]) {
      const text = JSON.stringify(shape);
      await send(text).expect(400);
      expect(await judge(auth, text)).toEqual(refused);
      await refuses(segment(text));
    }
    expect(guarded.handled).toBe(1);
  });

  test.each(['', '[]', '"x"', '42', 'null', 'true', '{', '{}}', '{"iss":', "{'iss':1}", '\u0000', '[[[[[['])(
    'a header or payload of %p is 401, though the signature is genuine',
    async text => {
      await warm();
      await refuses(forge({ alg: 'ES256', kid: 'ES256' }, text, genuine('ES256')));
      await refuses(forge(text, claims(), genuine('ES256')));
    },
  );

  test('a signed payload nested thousands deep escapes as no exception', async () => {
    await warm();
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
    const payload = `${JSON.stringify(claims()).slice(0, -1)},"deep":${deep}}`;
    const header = { alg: 'ES256', kid: 'ES256' };
    expect(['accept', 'malformed']).toContain(await judge(auth, forge(header, payload, genuine('ES256'))));
    await refuses(forge(header, payload, attacker('ES256')));
    await send(good()).expect(200);
  });
});

describe('attack 46: a JWT of the same issuer that is no access token for us (RFC 9068 §5, T-6, W-8)', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['an ID token', { typ: 'JWT' }, { aud: 'client-1', nonce: 'n', at_hash: 'x' }],
    ['a logout token', { typ: 'logout+jwt' }, { aud: 'client-1', events: {} }],
    ['a client assertion', {}, { iss: 'client-1', sub: 'client-1', aud: ISSUER }],
    ['an ID-JAG', { typ: 'oauth-id-jag+jwt' }, { aud: 'https://as.example.com' }],
    [
      'a DPoP proof',
      { typ: 'dpop+jwt', kid: undefined },
      { iss: undefined, aud: undefined, htm: 'POST', htu: RESOURCE },
    ],
    ['an access token for another API', { typ: 'at+jwt' }, { aud: 'https://api.example.com' }],
    ['a refresh token', { typ: 'Refresh' }, { aud: ISSUER }],
  ])('%s is 401', async (_, header, more) => {
    await warm();
    await refuses(forge({ alg: 'ES256', kid: 'ES256', ...header }, claims(more), genuine('ES256')));
  });

  test('with typ at+jwt an ID token is refused even where its audience holds the resource', async () => {
    const jwks = { keys: published() };
    const target = jwtVerifier({ issuer: ISSUER, audience: RESOURCE, typ: 'at+jwt', jwks, now: clock.now });
    const sign = genuine('ES256');
    const body = claims({ aud: ['client-1', RESOURCE] });
    expect(await judge(target, forge({ alg: 'ES256', kid: 'ES256', typ: 'at+jwt' }, body, sign))).toBe('accept');
    for (const typ of ['JWT', 'id+jwt', undefined])
      expect(await judge(target, forge({ alg: 'ES256', kid: 'ES256', typ }, body, sign))).toEqual(refused);
  });

  test('a token bound to a key of its client is no bearer token (attack 51, MA-9)', async () => {
    await warm();
    for (const cnf of [{ jkt: 'x' }, { 'x5t#S256': 'x' }, { jkt: '' }]) {
      const token = forge({ alg: 'ES256', kid: 'ES256' }, claims({ cnf }), genuine('ES256'));
      await refuses(token);
      expect(await judge(auth, token)).toBe('confirmation');
    }
  });
});

describe('attack 50: claims of the wrong kind', () => {
  const signed = (more: Record<string, unknown>) =>
    forge({ alg: 'ES256', kid: 'ES256' }, claims(more), genuine('ES256'));
  const signedText = (text: string) => forge({ alg: 'ES256', kid: 'ES256' }, text, genuine('ES256'));

  test.each<[string, Record<string, unknown>]>([
    ['sub as a number', { sub: 42 }],
    ['sub as an object', { sub: { toString: 'root' } }],
    ['sub as a list', { sub: ['root'] }],
    ['sub as true', { sub: true }],
    ['scope as a number', { scope: 42 }],
    ['scope as an object', { scope: { admin: true } }],
    ['scope as true', { scope: true }],
    ['scope as a list with an object', { scope: ['read', { admin: true }] }],
    ['scope as a list with a list', { scope: [['admin']] }],
    ['scope as a list with a number', { scope: [1] }],
    ['scp as an object', { scp: { 0: 'admin', length: 1 } }],
    ['permissions as an object', { permissions: { admin: true } }],
    ['client_id as an object', { client_id: { toString: 'root' } }],
    ['client_id as a number', { client_id: 42 }],
  ])('%s is 401', async (_, more) => {
    await warm();
    await refuses(signed(more));
  });

  test('of a key written twice only the last counts, in the payload', async () => {
    const twice = (key: string, first: unknown, last: unknown) => {
      const rest = claims({ [key]: undefined });
      return signedText(
        `{"${key}":${JSON.stringify(first)},${JSON.stringify(rest).slice(1, -1)},"${key}":${JSON.stringify(last)}}`,
      );
    };
    await refuses(twice('iss', ISSUER, evilOrigin));
    await refuses(twice('aud', RESOURCE, 'https://other.example.com'));
    await refuses(twice('exp', clock.at(60), 1));
    const escaped = `{"a\\u0075d":"${RESOURCE}",${JSON.stringify(claims({ aud: 'https://other.example.com' })).slice(1)}`;
    await refuses(signedText(escaped));
    const verdict = await auth.check(twice('sub', 'root', 'ana'));
    expect(verdict).toMatchObject({ outcome: 'accept', auth: { clientId: 'ana', extra: { subject: 'ana' } } });
  });

  test('of a key written twice only the last counts, in the header', async () => {
    await warm();
    const header = (first: string, last: string) => `{"alg":"${first}","kid":"ES256","alg":"${last}"}`;
    await refuses(forge(header('ES256', 'none'), claims(), genuine('ES256')));
    await refuses(forge(header('ES256', 'none'), claims(), unsigned));
    await refuses(forge(header('none', 'ES256'), claims(), unsigned));
  });

  test('__proto__ in claims gives nothing: no scope, no identity, no issuer, no pollution', async () => {
    const proto = JSON.stringify({
      iss: ISSUER,
      aud: RESOURCE,
      exp: 1e10,
      scope: 'admin',
      client_id: 'root',
      polluted: 1,
    });
    await refuses(signedText(`{"__proto__":${proto}}`));
    await refuses(signedText(`{"__proto__":${proto},"aud":"${RESOURCE}","exp":${clock.at(60)}}`));
    const full = signedText(
      `{"__proto__":${proto},"constructor":{"prototype":{"polluted":1}},${JSON.stringify(claims()).slice(1)}`,
    );
    const caller = await accepted(auth, full);
    expect(caller).toMatchObject({ clientId: 'ana', scopes: [] });
    for (const name of ['polluted', 'scope', 'client_id']) expect(caller.extra.claims[name]).toBeUndefined();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(({} as Record<string, unknown>).scope).toBeUndefined();
  });

  test('members inherited from Object are no claims: a token without sub has no subject', async () => {
    const verdict = await auth.check(signedText(JSON.stringify(claims({ sub: undefined, toString: 'x', valueOf: 1 }))));
    expect(verdict).toMatchObject({ outcome: 'accept', auth: { clientId: 'people', scopes: [] } });
  });

  test('text of a token never reaches a header or the body, whatever it holds (RS-19)', async () => {
    await warm();
    const injection = `${MARK}"\r\nX-Evil: 1\r\n\r\n<script>`;
    const header = { alg: 'ES256', kid: 'ES256' };
    await refuses(forge({ ...header, kid: injection, typ: injection }, claims(), attacker('ES256')));
    await refuses(forge(header, claims({ aud: injection }), genuine('ES256')));
    await refuses(forge(header, claims({ iss: injection }), genuine('ES256')));
    await refuses(forge(header, claims({ exp: injection }), genuine('ES256')));
    await refuses(forge({ ...header, alg: injection }, claims(), genuine('ES256')));
    const res = await send(forge(header, claims({ aud: injection }), genuine('ES256')));
    expect(res.headers['x-evil']).toBeUndefined();
  });
});

describe('attack 54: oversize tokens are refused before any key is asked for', () => {
  const LIMIT = 16 * 1024;

  /** A genuine token of exactly `length` characters. */
  function sized(length: number): string {
    for (const kid of ['ES256', undefined]) {
      const header = { alg: 'ES256', kid };
      const room = length - 2 - 86 - segment(header).length;
      const bytes = Math.floor((room * 3) / 4) - JSON.stringify(claims({ pad: '' })).length;
      for (const pad of [bytes - 1, bytes, bytes + 1]) {
        const token = forge(header, claims({ pad: 'p'.repeat(Math.max(0, pad)) }), genuine('ES256'));
        if (token.length === length) return token;
      }
    }
    throw new Error(`no token of ${length} characters`);
  }

  const near = (from: number, step: number) => {
    for (let length = from; ; length += step)
      try {
        return sized(length);
      } catch {}
  };

  test('a genuine token of up to 16 KiB is accepted, one beyond it is not, and costs no fetch', async () => {
    const beyond = near(LIMIT + 1, 1);
    expect(beyond.length).toBeLessThanOrEqual(LIMIT + 3);
    expect(await judge(auth, beyond)).toEqual(refused);
    expect(outbound).toEqual([]);
    const within = near(LIMIT, -1);
    expect(within.length).toBeGreaterThan(LIMIT - 3);
    expect(await judge(auth, within)).toBe('accept');
  });

  test('10,000 scopes are beyond it; as many as fit are all read', async () => {
    const scopes = (count: number) => Array.from({ length: count }, (_, i) => i.toString(36)).join(' ');
    const many = (count: number) =>
      forge({ alg: 'ES256', kid: 'ES256' }, claims({ scope: scopes(count) }), genuine('ES256'));
    expect(await judge(auth, many(10_000))).toEqual(refused);
    expect(outbound).toEqual([]);
    const verdict = await auth.check(many(2_500));
    expect(verdict.outcome === 'accept' && verdict.auth.scopes.length).toBe(2_500);
  });

  test('16 KiB and more is 401 over HTTP too, where the server lets such a header through', async () => {
    const server = createServer({ maxHeaderSize: 2_000_000 }, guarded.app);
    const origin = await listen(server);
    try {
      for (const token of [
        sized(LIMIT + 2),
        `${good()}${'A'.repeat(1_000_000)}`,
        'A'.repeat(1_000_000),
        '.'.repeat(1_000_000),
      ]) {
        const res = await fetch(`${origin}/mcp`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
        expect(res.status).toBe(401);
      }
    } finally {
      await close(server);
    }
    expect(guarded.handled).toBe(0);
    expect(outbound).toEqual([]);
  });
});

describe('what can be seen without the key is seen first: a bad token never costs a fetch', () => {
  const cases: Record<string, () => string> = {
    'alg none': () => forge({ alg: 'none', kid: 'x' }, claims(), unsigned),
    HS256: () => forge({ alg: 'HS256', kid: 'x' }, claims(), signer('HS256', 'x')),
    crit: () => forge({ alg: 'ES256', kid: 'x', crit: ['y'], y: 1 }, claims(), attacker('ES256')),
    'a kid that is no string': () => forge({ alg: 'ES256', kid: 42 }, claims(), attacker('ES256')),
    typ: () => forge({ alg: 'ES256', kid: 'x', typ: 'dpop+jwt' }, claims(), attacker('ES256')),
    iss: () => forge({ alg: 'ES256', kid: 'x' }, claims({ iss: 'https://x' }), attacker('ES256')),
    aud: () => forge({ alg: 'ES256', kid: 'x' }, claims({ aud: 'https://x' }), attacker('ES256')),
    exp: () => forge({ alg: 'ES256', kid: 'x' }, claims({ exp: clock.at(-60) }), attacker('ES256')),
    'no exp': () => forge({ alg: 'ES256', kid: 'x' }, claims({ exp: undefined }), attacker('ES256')),
    nbf: () => forge({ alg: 'ES256', kid: 'x' }, claims({ nbf: clock.at(60) }), attacker('ES256')),
    shape: () => 'a.b.c',
    garbage: () => 'garbage',
  };

  test.each(Object.entries(cases))('%s', async (_, token) => {
    const fetch: typeof globalThis.fetch = async url => {
      outbound.push(String(url));
      return Response.json({ keys: published() });
    };
    const options = { issuer: ISSUER, audience: RESOURCE, typ: 'at+jwt', jwksUri: idp.jwksUri, fetch, now: clock.now };
    const target = jwtVerifier({ ...options, typ: _ === 'typ' ? 'at+jwt' : undefined });
    expect(await judge(target, token())).toEqual(refused);
    expect(outbound).toEqual([]);
    const control = forge({ alg: 'ES256', kid: 'ES256', typ: 'at+jwt' }, claims(), genuine('ES256'));
    expect(await judge(target, control)).toBe('accept');
    expect(outbound).toHaveLength(1);
  });

  test('unverified claims only ever reject: what looks right unverified is still verified', async () => {
    await warm();
    await refuses(forge({ alg: 'ES256', kid: 'ES256' }, claims({ scope: 'admin' }), attacker('ES256')));
  });
});

test('no event of a refusal holds the token or its signature (RS-29)', async () => {
  await warm();
  const events = ['rejected', 'accepted', 'unavailable', 'keys_failed', 'keys_fetched'].map(name => listenTo(name));
  const tokens = [
    forge({ alg: 'ES256', kid: 'ES256' }, claims(), attacker('ES256')),
    forge({ alg: 'ES256', kid: 'other' }, claims(), attacker('ES256')),
    forge({ alg: 'ES256', kid: 'ES256' }, claims({ aud: 'x' }), genuine('ES256')),
    'opaque-token-that-nobody-knows',
  ];
  try {
    for (const token of tokens) await refuses(token);
    const shown = events.flatMap(({ messages }) =>
      messages.map(message => `${inspect(message, { depth: 9 })}${JSON.stringify(message)}`),
    );
    expect(shown.length).toBeGreaterThanOrEqual(tokens.length);
    for (const token of tokens) {
      expect(shown.join()).not.toContain(token);
      const signature = token.split('.')[2];
      if (signature) expect(shown.join()).not.toContain(signature);
    }
  } finally {
    for (const event of events) event.stop();
  }
});
