import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import { ConfigError, type JwtVerifierOptions, jwtVerifier, multiAuth, staticTokenVerifier } from 'express-mcp-auth';
import request from 'supertest';
import { type IdentityProvider, identityProvider } from '../support/identity-provider.js';
import { ASYMMETRIC, clockAt, forge, keyPair, SYMMETRIC, segment, signer } from '../support/jwt-forge.js';
import { accepted, failure, guardedApp, judge, listenTo, refused } from '../support/jwt-judge.js';

const ISSUER = 'https://idp.example.com';
const SECRET = 'correct-horse-battery-staple-and-then-some-more';
const RESOURCE = 'https://mcp.example.com/mcp';
const clock = clockAt();

/** A verifier with a shared secret, the quickest to sign for; options are added or replaced. */
const verifier = (options: Partial<JwtVerifierOptions> = {}) =>
  jwtVerifier({ issuer: ISSUER, audience: 'api', secret: SECRET, now: clock.now, ...options });

const hs = signer('HS256', SECRET);

/** A good token but for the claims given; `undefined` leaves a claim out. */
const token = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
  forge({ alg: 'HS256', ...header }, { iss: ISSUER, aud: 'api', exp: clock.at(3600), sub: 'ana', ...claims }, hs);

/** The same, with JSON text in place of one claim's value: for what JSON.stringify cannot write. */
const tokenWithRaw = (claim: string, text: string) => {
  const claims: Record<string, unknown> = { iss: ISSUER, aud: 'api', exp: clock.at(3600), sub: 'ana' };
  delete claims[claim];
  return forge({ alg: 'HS256' }, `${JSON.stringify(claims).slice(0, -1)},"${claim}":${text}}`, hs);
};

// openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=idp.example.com
const CERTIFICATE =
  'MIIBiDCCAS+gAwIBAgIUTqqibWl1X9nVRufqmLBPlp1zL30wCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPaWRwLmV4YW1wbGUuY29tMB4XDTI2MTEy' +
  'MTE5NDAwMVoXDTI2MTEyMjE5NDAwMVowGjEYMBYGA1UEAwwPaWRwLmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE37rXMXJ7' +
  'APBepb6WbhJmiim5baNezT9T5D4hUy9javbXmp2G7o5VI2pweKwGSkYzuNil0aMU/x1H0Nw8iAxepqNTMFEwHQYDVR0OBBYEFFp1xnw8+5mkf8t9' +
  'xYkLx3o6+zgcMB8GA1UdIwQYMBaAFFp1xnw8+5mkf8t9xYkLx3o6+zgcMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgBi8mflJz' +
  'q9gj5qh+mC4CWfoC1yAffOip1KECxD10N4wCIG7d7lwkhOX/0siBjDvlu9A4vFvkILMCUp78a5GW5FPY';

const configError = (options: unknown): ConfigError => {
  try {
    jwtVerifier(options as JwtVerifierOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return error as ConfigError;
  }
  throw new Error('expected a ConfigError');
};

describe('jwtVerifier: wrong options are a ConfigError when the factory is called', () => {
  const good = { issuer: ISSUER, audience: 'api', secret: SECRET };
  const keyless = { issuer: ISSUER, audience: 'api' };
  const es = keyPair('ES256');
  const rsa = keyPair('RS256');
  const jwks = { keys: [{ ...es.jwk, kid: 'one' }] };
  const der = (pair: typeof rsa) => pair.publicKey.export({ type: 'spki', format: 'der' });
  const bare = (pair: typeof rsa) => pair.pem.replace(/-----.*-----|\n/g, '');

  test.each<[string, unknown]>([
    ['no options at all', undefined],
    ['null for options', null],
    ['a string for options', ISSUER],
    ['no issuer', { audience: 'api', secret: SECRET }],
    ['an undefined issuer', { ...good, issuer: undefined }],
    ['an empty issuer', { ...good, issuer: '' }],
    ['an empty list of issuers', { ...good, issuer: [] }],
    ['an empty issuer in a list', { ...good, issuer: [ISSUER, ''] }],
    ['a number as issuer', { ...good, issuer: 42 }],
    ['an issuer that is no URL and nothing to verify with', { issuer: 'my-service', audience: 'api' }],
    ['an issuer to discover over plain http (attack 65)', { issuer: 'http://idp.example.com', audience: 'api' }],
    ['an issuer to discover that is no http URL', { issuer: 'ftp://idp.example.com', audience: 'api' }],
    ['an issuer predicate without a key source', { issuer: () => true, audience: 'api' }],
    ['an empty audience', { ...good, audience: '' }],
    ['an empty list of audiences', { ...good, audience: [] }],
    ['an empty audience in a list', { ...good, audience: ['api', ''] }],
    ['a number as audience', { ...good, audience: 42 }],
    ['an audience and any audience at once', { ...good, dangerouslyAcceptAnyAudience: true }],
    ['the text "false" for any audience', { issuer: ISSUER, secret: SECRET, dangerouslyAcceptAnyAudience: 'false' }],
    ['a jwksUri that is no URL', { ...keyless, jwksUri: 'not a url' }],
    ['an empty jwksUri', { ...keyless, jwksUri: '' }],
    ['a jwksUri over plain http (attack 65)', { ...keyless, jwksUri: 'http://keys.example.com/jwks' }],
    ['a jwksUri of a file', { ...keyless, jwksUri: 'file:///etc/passwd' }],
    ['a number as jwksUri', { ...keyless, jwksUri: 42 }],
    ['jwks that is null', { ...keyless, jwks: null }],
    ['jwks that is text', { ...keyless, jwks: JSON.stringify(jwks) }],
    ['jwks without keys', { ...keyless, jwks: {} }],
    ['jwks whose keys are no list', { ...keyless, jwks: { keys: {} } }],
    ['jwks with no key in it', { ...keyless, jwks: { keys: [] } }],
    ['a publicKey that is no PEM', { ...keyless, publicKey: 'garbage' }],
    ['an empty publicKey', { ...keyless, publicKey: '' }],
    ['a number as publicKey', { ...keyless, publicKey: 42 }],
    ['an empty object as publicKey', { ...keyless, publicKey: {} }],
    ['a broken JWK as publicKey', { ...keyless, publicKey: { kty: 'RSA', n: 'AQAB' } }],
    [
      'a symmetric JWK as publicKey',
      { ...keyless, publicKey: { kty: 'oct', k: Buffer.alloc(32).toString('base64url') } },
    ],
    ['a JWK whose point is on no curve', { ...keyless, publicKey: { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' } }],
    ['an Ed25519 JWK that is too short', { ...keyless, publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' } }],
    [
      'jwks with nothing but a broken key',
      { ...keyless, jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }] } },
    ],
    ['a private key as PEM', { ...keyless, publicKey: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) }],
    ['a private key as JWK', { ...keyless, publicKey: es.privateKey.export({ format: 'jwk' }) }],
    ['a private KeyObject', { ...keyless, publicKey: es.privateKey }],
    ['a private key in jwks', { ...keyless, jwks: { keys: [es.privateKey.export({ format: 'jwk' })] } }],
    [
      'jwks with nothing but keys that verify nothing',
      { ...keyless, jwks: { keys: [{ ...rsa.jwk, use: 'enc' }, {}] } },
    ],
    ['an RSA key of 1024 bits (W-2, attack 65)', { ...keyless, publicKey: keyPair('RSA-1024').pem }],
    ['an RSA JWK of 1024 bits (W-2, attack 65)', { ...keyless, publicKey: keyPair('RSA-1024').jwk }],
    ['an empty secret', { ...keyless, secret: '' }],
    ['a secret of 31 bytes (W-4, attack 65)', { ...keyless, secret: 's'.repeat(31) }],
    ['a secret of 31 bytes as bytes (W-4, attack 65)', { ...keyless, secret: new Uint8Array(31) }],
    ['a number as secret', { ...keyless, secret: 42 }],
    ['a public key as secret (C7, attack 38)', { ...keyless, secret: es.pem }],
    ['a public key in bytes as secret (C7, attack 38)', { ...keyless, secret: Buffer.from(rsa.pem) }],
    [
      'a public key in DER as secret (C7, attack 38)',
      { ...keyless, secret: rsa.publicKey.export({ type: 'spki', format: 'der' }) },
    ],
    [
      'a public key as bare base64, as some consoles show it, as secret (C7, attack 38)',
      { ...keyless, secret: bare(rsa) },
    ],
    ['a public key in hex as secret (C7, attack 38)', { ...keyless, secret: der(rsa).toString('hex') }],
    [
      'an EC public key in hex as secret (C7, attack 38)',
      { ...keyless, secret: der(es).toString('hex').toUpperCase() },
    ],
    ['a public key in base64url as secret (C7, attack 38)', { ...keyless, secret: der(rsa).toString('base64url') }],
    ['a PEM in base64 as secret (C7, attack 38)', { ...keyless, secret: Buffer.from(es.pem).toString('base64') }],
    ['a JWK in base64 as secret (C7, attack 38)', { ...keyless, secret: segment(JSON.stringify(rsa.jwk)) }],
    ['a certificate as x5c as secret (C7, attack 38)', { ...keyless, secret: CERTIFICATE }],
    ['a certificate in DER as secret (C7, attack 38)', { ...keyless, secret: Buffer.from(CERTIFICATE, 'base64') }],
    ['a certificate in lines as secret (C7, attack 38)', { ...keyless, secret: CERTIFICATE.replace(/.{64}/g, '$&\n') }],
    ['a JWK as JSON as secret (C7, attack 38)', { ...keyless, secret: JSON.stringify(rsa.jwk) }],
    ['jwksUri and jwks', { ...keyless, jwksUri: `${ISSUER}/jwks`, jwks }],
    ['jwksUri and publicKey', { ...keyless, jwksUri: `${ISSUER}/jwks`, publicKey: es.pem }],
    ['jwksUri and secret', { ...good, jwksUri: `${ISSUER}/jwks` }],
    ['jwks and publicKey', { ...keyless, jwks, publicKey: es.pem }],
    ['jwks and secret', { ...good, jwks }],
    ['publicKey and secret', { ...good, publicKey: es.pem }],
    ['no algorithm at all', { ...good, algorithms: [] }],
    ['a string for algorithms', { ...good, algorithms: 'HS256' }],
    ['an unknown algorithm', { ...keyless, algorithms: ['RS257'] }],
    ['an algorithm in the wrong case (W-1)', { ...keyless, algorithms: ['rs256'] }],
    ['none with a secret (W-2)', { ...good, algorithms: ['HS256', 'none'] }],
    ['none with discovered keys (W-2)', { ...keyless, algorithms: ['none'] }],
    ['none with a public key (W-2)', { ...keyless, publicKey: es.pem, algorithms: ['none'] }],
    ['a public-key algorithm with a secret', { ...good, algorithms: ['RS256'] }],
    ['HS256 with a PEM (C7)', { ...keyless, publicKey: rsa.pem, algorithms: ['HS256'] }],
    ['HS256 beside RS256 with a PEM (C7)', { ...keyless, publicKey: rsa.pem, algorithms: ['RS256', 'HS256'] }],
    ['HS256 with jwks (C7)', { ...keyless, jwks, algorithms: ['HS256'] }],
    ['HS256 with a jwksUri (C7)', { ...keyless, jwksUri: `${ISSUER}/jwks`, algorithms: ['HS256'] }],
    ['HS256 with discovered keys (C7)', { ...keyless, algorithms: ['HS256'] }],
    ['an algorithm that the key cannot do', { ...keyless, publicKey: es.pem, algorithms: ['RS256'] }],
    ['an algorithm of another curve', { ...keyless, publicKey: es.pem, algorithms: ['ES384'] }],
    ['a string for requiredScopes', { ...good, requiredScopes: 'read' }],
    ['an empty scope', { ...good, requiredScopes: [''] }],
    ['a scope with a space', { ...good, requiredScopes: ['read write'] }],
    ['a scope with a quote', { ...good, requiredScopes: ['re"ad'] }],
    ['a number as scope', { ...good, requiredScopes: [42] }],
    ['an empty name', { ...good, name: '' }],
    ['a number as name', { ...good, name: 42 }],
    ['claims that is no function', { ...good, claims: { azp: 'x' } }],
    ['an empty typ', { ...good, typ: '' }],
    ['a number as typ', { ...good, typ: 42 }],
    ['a negative clock tolerance', { ...good, clockToleranceSeconds: -1 }],
    ['a clock tolerance of NaN', { ...good, clockToleranceSeconds: Number.NaN }],
    ['an endless clock tolerance', { ...good, clockToleranceSeconds: Number.POSITIVE_INFINITY }],
    ['a clock tolerance as text', { ...good, clockToleranceSeconds: '5' }],
    ['a number as cache', { ...good, cache: 42 }],
    ['a negative number of cache entries', { ...good, cache: { maxEntries: -1 } }],
    ['a cache size as text', { ...good, cache: { maxEntries: '10' } }],
    ['a cache time of NaN', { ...good, cache: { ttlSeconds: Number.NaN } }],
    ['an unknown cache option', { ...good, cache: { ttl: 5 } }],
    ['a negative key set age', { ...keyless, jwksCache: { ttlSeconds: -1 } }],
    ['a burst that is no number', { ...keyless, jwksCache: { burst: 'x' } }],
    ['a time-out of NaN', { ...keyless, jwksCache: { timeoutMs: Number.NaN } }],
    ['an unknown jwksCache option', { ...keyless, jwksCache: { ttl: 5 } }],
    ['a fetch that is no function', { ...keyless, fetch: 'fetch' }],
    ['a now that is no function', { ...good, now: Date.now() }],
  ])('%s is refused', (_, options) => {
    const error = configError(options);
    expect(error.factory).toBe('jwtVerifier');
    for (const part of [error.option, error.reason, error.remedy]) expect(String(part)).toMatch(/\S/);
    expect(error.message).toContain('jwtVerifier');
  });

  test.each<[string, string]>([
    ['audiance', 'audience'],
    ['isuer', 'issuer'],
    ['jwksURI', 'jwksUri'],
    ['algorithm', 'algorithms'],
    ['publickey', 'publicKey'],
    ['requiredScope', 'requiredScopes'],
    ['clockToleranceSecond', 'clockToleranceSeconds'],
  ])('the unknown option %s is refused with the nearest name %s', (unknown, nearest) => {
    const error = configError({ issuer: ISSUER, secret: SECRET, audience: 'api', [unknown]: 'x' });
    expect(error.message).toContain(unknown);
    expect(error.message).toMatch(new RegExp(`\\b${nearest}\\b`));
  });

  test.each(['secret', 'publicKey', 'jwks'])(
    '%s that is present but undefined is an error, even beside another key source: an unset variable opens no door',
    option => {
      expect(configError({ issuer: ISSUER, audience: 'api', [option]: undefined }).option).toBe(option);
      const other = option === 'secret' ? { publicKey: es.pem } : { secret: SECRET };
      expect(configError({ issuer: ISSUER, audience: 'api', ...other, [option]: undefined }).option).toBe(option);
    },
  );

  test('any other option that is undefined is as if absent', async () => {
    const optional = ['audience', 'dangerouslyAcceptAnyAudience', 'jwksUri', 'algorithms', 'requiredScopes', 'name']
      .concat(['claims', 'typ', 'clockToleranceSeconds', 'cache', 'jwksCache', 'fetch'])
      .map(name => [name, undefined]);
    const auth = jwtVerifier({ issuer: ISSUER, secret: SECRET, now: clock.now, ...Object.fromEntries(optional) });
    const composition = multiAuth(auth, { baseUrl: 'https://mcp.example.com' });
    expect(await judge(composition, token({ aud: RESOURCE }))).toBe('accept');
    expect(await judge(composition, token({ aud: 'other' }))).toBe('audience');
    expect(auth.name).toBe('jwtVerifier');
  });

  test('no error ever shows the secret, whatever else is wrong', () => {
    const mistakes: Record<string, unknown>[] = [
      { issuer: '' },
      { audience: '' },
      { algorithms: ['RS256'] },
      { algorithms: ['none'] },
      { jwksUri: `${ISSUER}/jwks` },
      { publicKey: es.pem },
      { claims: 1 },
      { unknown: 1 },
      { cache: { nope: 1 } },
    ];
    const shown = mistakes.map(mistake => configError({ ...good, ...mistake }));
    const short = 'hunter2-hunter2';
    const errors = [
      ...shown,
      configError({ ...keyless, secret: short }),
      configError({ ...keyless, secret: [SECRET] }),
    ];
    for (const error of errors) {
      const everything = `${error.message} ${error.stack} ${JSON.stringify(error)} ${inspect(error, { depth: 9 })}`;
      expect(everything).not.toContain(SECRET);
      expect(everything).not.toContain(short);
    }
  });

  test('a jwksUri with a password in it is refused, and the password is not shown', () => {
    const error = configError({ ...keyless, jwksUri: 'https://user:hunter2-hunter2@keys.example.com/jwks' });
    expect(error.option).toBe('jwksUri');
    expect(`${error.message} ${inspect(error, { depth: 9 })}`).not.toContain('hunter2');
  });

  test('the factory itself sends nothing, whatever the key source', async () => {
    let asked = 0;
    const fetch = async () => {
      asked++;
      throw new Error('asked when the factory was called');
    };
    jwtVerifier({ issuer: ISSUER, fetch });
    jwtVerifier({ issuer: [ISSUER, `${ISSUER}/other`], fetch });
    jwtVerifier({ issuer: ISSUER, jwksUri: `${ISSUER}/jwks`, fetch });
    jwtVerifier({ issuer: () => true, jwksUri: iss => `${iss}/jwks`, fetch });
    // What a factory began without waiting for it has been sent by then.
    await new Promise(resolve => setImmediate(resolve));
    expect(asked).toBe(0);
  });
});

describe('jwtVerifier: a verifier without any audience never runs (C2, C3, RS-25)', () => {
  const unbound = () => jwtVerifier({ issuer: ISSUER, secret: SECRET, now: clock.now });

  test('protect() throws a ConfigError', () => {
    expect(() => unbound().protect()).toThrow(ConfigError);
  });

  test('check() rejects with a ConfigError that names the audience', async () => {
    const error = await failure<ConfigError>((async () => unbound().check(token()))());
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain('audience');
  });

  test('every request goes to next(err), with or without a token, and nothing is let through', async () => {
    const guarded = guardedApp(unbound());
    await request(guarded.app).post('/mcp').set('authorization', `Bearer ${token()}`).expect(500);
    await request(guarded.app).post('/mcp').expect(500);
    expect(guarded.errors).toEqual([expect.any(ConfigError), expect.any(ConfigError)]);
    expect(guarded.handled).toBe(0);
  });

  test('in a composition it is the same for every request, a good static token included', async () => {
    const composition = multiAuth([unbound(), staticTokenVerifier({ 'static-token-of-the-ci': { clientId: 'ci' } })]);
    const guarded = guardedApp(composition);
    for (const credential of [token(), 'static-token-of-the-ci'])
      await request(guarded.app).post('/mcp').set('authorization', `Bearer ${credential}`).expect(500);
    expect(guarded.errors).toEqual([expect.any(ConfigError), expect.any(ConfigError)]);
    expect(guarded.handled).toBe(0);
    expect(() => composition.protect()).toThrow(ConfigError);
    await expect((async () => composition.check('static-token-of-the-ci'))()).rejects.toBeInstanceOf(ConfigError);
  });

  test('the same verifier runs in a composition that knows its resource', async () => {
    const shared = unbound();
    expect(await judge(multiAuth(shared, { baseUrl: 'https://mcp.example.com' }), token({ aud: RESOURCE }))).toBe(
      'accept',
    );
    await expect((async () => shared.check(token({ aud: RESOURCE })))()).rejects.toBeInstanceOf(ConfigError);
  });

  test('dangerouslyAcceptAnyAudience takes any aud and none, and says so by name only', async () => {
    const any = verifier({ audience: undefined, dangerouslyAcceptAnyAudience: true });
    expect(await judge(any, token({ aud: 'somebody else' }))).toBe('accept');
    expect(await judge(any, token({ aud: undefined }))).toBe('accept');
    expect(await judge(any, token({ aud: 'somebody else', exp: clock.at(-60) }))).toBe('expired');
    expect(() =>
      jwtVerifier({ issuer: ISSUER, secret: SECRET, dangerouslyAcceptAnyAudience: false }).protect(),
    ).toThrow(ConfigError);
  });
});

describe('jwtVerifier: algorithms and key formats (RFC 7515, RFC 7518, RFC 8037; C24)', () => {
  let idp: IdentityProvider;
  beforeAll(async () => {
    idp = await identityProvider();
    idp.intercept = (_req, res, path) => {
      const alg = /^\/jwks\/(.+)$/.exec(path)?.[1];
      if (alg)
        res
          .setHeader('content-type', 'application/json')
          .end(JSON.stringify({ keys: [{ ...keyPair(alg).jwk, kid: alg, alg, use: 'sig' }] }));
      return alg !== undefined;
    };
  });
  afterAll(() => idp.close());

  describe.each(ASYMMETRIC)('%s', alg => {
    const pair = keyPair(alg);
    const good = () => {
      const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60), sub: 'ana' };
      return forge({ alg, kid: alg }, claims, signer(alg, pair.privateKey));
    };
    const forged = () =>
      forge(
        { alg, kid: alg },
        { iss: ISSUER, aud: 'api', exp: clock.at(60) },
        signer(alg, keyPair(alg, 'x').privateKey),
      );

    test.each<[string, () => Partial<JwtVerifierOptions>]>([
      ['a PEM', () => ({ publicKey: pair.pem })],
      ['a JWK', () => ({ publicKey: pair.jwk })],
      ['a KeyObject', () => ({ publicKey: pair.publicKey })],
      ['an inline set', () => ({ jwks: { keys: [{ ...pair.jwk, kid: alg }] } })],
      ['an inline set with alg and use', () => ({ jwks: { keys: [{ ...pair.jwk, kid: alg, alg, use: 'sig' }] } })],
      ['a remote set', () => ({ jwksUri: `${idp.issuer}/jwks/${alg}` })],
    ])('is verified with the public key as %s, and a signature of another key is not', async (_, key) => {
      for (const algorithms of [undefined, [alg]]) {
        const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', now: clock.now, algorithms, ...key() });
        expect(await judge(auth, good())).toBe('accept');
        expect(await judge(auth, forged())).toBe('signature');
      }
    });
  });

  test.each(SYMMETRIC)(
    '%s is verified with a secret of text or bytes, and another secret does not do (W-4)',
    async alg => {
      const secrets = ['s'.repeat(64), new Uint8Array(64).fill(7), Buffer.alloc(64, 9)];
      for (const secret of secrets) {
        const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', secret, now: clock.now });
        const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60) };
        expect(await judge(auth, forge({ alg, kid: 'any' }, claims, signer(alg, secret)))).toBe('accept');
        expect(await judge(auth, forge({ alg }, claims, signer(alg, 'z'.repeat(64))))).toBe('signature');
      }
    },
  );

  test('a secret of exactly 32 bytes is enough, counted in bytes and not in characters', async () => {
    const secret = 'é'.repeat(16);
    const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', secret, now: clock.now });
    const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60) };
    expect(await judge(auth, forge({ alg: 'HS256' }, claims, signer('HS256', secret)))).toBe('accept');
  });

  test('changing the bytes of a secret after the call changes nothing: options are read once', async () => {
    const secret = new Uint8Array(32).fill(7);
    const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', secret, now: clock.now });
    const good = forge(
      { alg: 'HS256' },
      { iss: ISSUER, aud: 'api', exp: clock.at(60) },
      signer('HS256', Buffer.from(secret)),
    );
    secret.fill(0);
    expect(await judge(auth, good)).toBe('accept');
  });

  test('algorithms is an allow-list: what the key could do but the list does not name is refused (W-1)', async () => {
    const { publicKey, privateKey } = keyPair('RS256');
    const auth = jwtVerifier({
      issuer: ISSUER,
      audience: 'api',
      publicKey,
      algorithms: ['RS256', 'PS256'],
      now: clock.now,
    });
    const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60) };
    expect(await judge(auth, forge({ alg: 'RS256' }, claims, signer('RS256', privateKey)))).toBe('accept');
    expect(await judge(auth, forge({ alg: 'PS256' }, claims, signer('PS256', privateKey)))).toBe('accept');
    expect(await judge(auth, forge({ alg: 'RS512' }, claims, signer('RS512', privateKey)))).toBe('algorithm');
    const one = verifier({ algorithms: ['HS512'] });
    expect(await judge(one, token())).toBe('algorithm');
  });

  test('an inline set with many keys picks the one of the kid, and a kid it does not hold is refused', async () => {
    const pairs = ['a', 'b', 'c'].map(kid => ({ kid, pair: keyPair('ES256', kid) }));
    const keys = pairs.map(({ kid, pair }) => ({ ...pair.jwk, kid }));
    const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', jwks: { keys }, now: clock.now });
    const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60) };
    for (const { kid, pair } of pairs) {
      const sign = signer('ES256', pair.privateKey);
      expect(await judge(auth, forge({ alg: 'ES256', kid }, claims, sign))).toBe('accept');
      expect(await judge(auth, forge({ alg: 'ES256', kid: kid === 'a' ? 'b' : 'a' }, claims, sign))).toBe('signature');
      expect(await judge(auth, forge({ alg: 'ES256', kid: 'zz' }, claims, sign))).toBe('unknown_key');
    }
  });

  test('a token without kid is verified by the only key that fits its algorithm', async () => {
    const keys = [
      { ...keyPair('Ed25519').jwk, kid: 'ed' },
      { ...keyPair('RS256').jwk, kid: 'rsa' },
    ];
    const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', jwks: { keys }, now: clock.now });
    const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60) };
    expect(await judge(auth, forge({ alg: 'RS256' }, claims, signer('RS256', keyPair('RS256').privateKey)))).toBe(
      'accept',
    );
  });

  test('one bad key in an inline set never hides a good one', async () => {
    const good = keyPair('ES256');
    const bad = [{ kty: 'RSA', kid: 'bad' }, { kty: 'EC', crv: 'P-256', x: '!', y: '!', kid: 'one' }, { kty: 'XX' }];
    const jwks = { keys: [...bad, { ...good.jwk, kid: 'one' }] };
    const auth = jwtVerifier({ issuer: ISSUER, audience: 'api', jwks, now: clock.now });
    const claims = { iss: ISSUER, aud: 'api', exp: clock.at(60) };
    expect(await judge(auth, forge({ alg: 'ES256', kid: 'one' }, claims, signer('ES256', good.privateKey)))).toBe(
      'accept',
    );
  });
});

describe('jwtVerifier: issuer (RFC 7519 §4.1.1, W-5, attack 48)', () => {
  test.each<[string, unknown]>([
    ['a trailing slash', `${ISSUER}/`],
    ['a path below', `${ISSUER}/tenant`],
    ['another port', `${ISSUER}:8443`],
    ['the default port written out', `${ISSUER}:443`],
    ['another case of the host', 'https://IDP.example.com'],
    ['another scheme', 'http://idp.example.com'],
    ['a longer host', `${ISSUER}.evil.test`],
    ['white space around', ` ${ISSUER} `],
    ['a list that holds it', [ISSUER]],
    ['a number', 42],
    ['null', null],
    ['an empty string', ''],
    ['no issuer at all', undefined],
  ])('%s is not this issuer', async (_, iss) => {
    expect(await judge(verifier(), token({ iss }))).toEqual(refused);
  });

  test('another issuer is foreign, not bad: some other source may know it', async () => {
    expect(await judge(verifier(), token({ iss: 'https://other.example.com' }))).toBe('foreign');
  });

  test('each of a list is taken and nothing else (C19)', async () => {
    const auth = verifier({ issuer: [ISSUER, 'https://two.example.com'] });
    expect(await judge(auth, token())).toBe('accept');
    expect((await accepted(auth, token({ iss: 'https://two.example.com' }))).extra.issuer).toBe(
      'https://two.example.com',
    );
    expect(await judge(auth, token({ iss: 'https://three.example.com' }))).toBe('foreign');
  });

  test('any string can name the issuer of an inline key', async () => {
    expect(await judge(verifier({ issuer: 'my-service' }), token({ iss: 'my-service' }))).toBe('accept');
  });

  test('a predicate decides for tenants, and is only ever given a string (C18)', async () => {
    const asked: unknown[] = [];
    const issuer = (iss: string) => {
      asked.push(iss);
      return /^https:\/\/login\.example\.com\/(one|two)$/.test(iss);
    };
    const auth = verifier({ issuer });
    expect(await judge(auth, token({ iss: 'https://login.example.com/one' }))).toBe('accept');
    expect(await judge(auth, token({ iss: 'https://login.example.com/two' }))).toBe('accept');
    expect(await judge(auth, token({ iss: 'https://login.example.com/three' }))).toBe('foreign');
    for (const iss of [42, null, undefined, [], {}]) expect(await judge(auth, token({ iss }))).toEqual(refused);
    expect(asked.every(iss => typeof iss === 'string')).toBe(true);
  });

  test('a predicate that throws, or answers anything but a boolean true, lets nobody in', async () => {
    const predicates: unknown[] = [
      () => {
        throw new Error('bug');
      },
      async () => false,
      async () => true,
      () => undefined,
    ];
    for (const issuer of predicates) {
      const verdict = await judge(verifier({ issuer: issuer as never }), token()).catch(() => 'error');
      expect(verdict).not.toBe('accept');
    }
  });

  test('the list of issuers is read once: changing it later opens nothing', async () => {
    const issuer = [ISSUER];
    const auth = verifier({ issuer });
    issuer.push('https://evil.example.com');
    expect(await judge(auth, token({ iss: 'https://evil.example.com' }))).toBe('foreign');
  });
});

describe('jwtVerifier: audience (RFC 7519 §4.1.3, RS-25, W-6, T-4, attack 47, C1)', () => {
  const bound = (options: Partial<JwtVerifierOptions> = {}) =>
    multiAuth(verifier({ audience: undefined, ...options }), { baseUrl: 'https://mcp.example.com' });

  test.each<[string, unknown]>([
    ['the resource itself', RESOURCE],
    ['a list that holds it', ['https://other.example.com', RESOURCE]],
    ['one trailing slash more', `${RESOURCE}/`],
    ['the host in another case', 'https://MCP.Example.com/mcp'],
    ['the scheme in another case', 'HTTPS://mcp.example.com/mcp'],
    ['the default port written out', 'https://mcp.example.com:443/mcp'],
  ])('by default %s is this resource', async (_, aud) => {
    expect(await judge(bound(), token({ aud }))).toBe('accept');
  });

  test.each<[string, unknown]>([
    ['another resource', 'https://other.example.com/mcp'],
    ['a longer path', `${RESOURCE}-evil`],
    ['a shorter path', 'https://mcp.example.com/mc'],
    ['a path below', `${RESOURCE}/admin`],
    ['the origin alone', 'https://mcp.example.com'],
    ['the path in another case', 'https://mcp.example.com/MCP'],
    ['two trailing slashes', `${RESOURCE}//`],
    ['another port', 'https://mcp.example.com:8443/mcp'],
    ['another scheme', 'http://mcp.example.com/mcp'],
    ['a longer host', 'https://mcp.example.com.evil.test/mcp'],
    ['the host as user name', 'https://mcp.example.com@evil.test/mcp'],
    ['a user name in front', 'https://root@mcp.example.com/mcp'],
    ['a query', `${RESOURCE}?`],
    ['a query with a value', `${RESOURCE}?a=b`],
    ['a fragment', `${RESOURCE}#`],
    ['a path that resolves to it', 'https://mcp.example.com/x/../mcp'],
    ['a percent-encoded path', 'https://mcp.example.com/m%63p'],
    ['backslashes', 'https:\\\\mcp.example.com\\mcp'],
    ['white space', ` ${RESOURCE}`],
    ['a line break inside', 'https://mcp.example.com/m\ncp'],
    ['a scope-like list in one string', `${RESOURCE} other`],
    ['a list without it', ['https://other.example.com/mcp', 'x']],
    ['an empty list', []],
    ['a list in a list', [[RESOURCE]]],
    ['a number', 42],
    ['a list of numbers', [42]],
    ['true', true],
    ['an object', { [RESOURCE]: true }],
    ['null', null],
    ['an empty string', ''],
    ['no audience', undefined],
  ])('%s is not this resource', async (_, aud) => {
    expect(await judge(bound(), token({ aud }))).toEqual(refused);
  });

  test('a foreign audience says so, with what was expected and received, and never the token', async () => {
    const rejected = listenTo('rejected');
    try {
      const bad = token({ aud: 'https://other.example.com/mcp' });
      await request(guardedApp(bound()).app).post('/mcp').set('authorization', `Bearer ${bad}`).expect(401);
      expect(rejected.messages).toHaveLength(1);
      expect(rejected.messages[0]).toMatchObject({ source: 'jwtVerifier', reason: 'audience' });
      const shown = inspect(rejected.messages[0], { depth: 9 });
      expect(shown).toContain(RESOURCE);
      expect(shown).toContain('https://other.example.com/mcp');
      expect(shown).not.toContain(bad.split('.')[2]);
    } finally {
      rejected.stop();
    }
  });

  test('an explicit audience takes the place of the resource and is compared as a string', async () => {
    const auth = bound({ audience: 'https://api.example.com' });
    expect(await judge(auth, token({ aud: 'https://api.example.com' }))).toBe('accept');
    expect(await judge(auth, token({ aud: ['x', 'https://api.example.com'] }))).toBe('accept');
    const others = [
      'https://api.example.com/',
      'https://API.example.com',
      'https://api.example.com:443',
      RESOURCE,
      'api',
    ];
    for (const aud of others) expect(await judge(auth, token({ aud }))).toBe('audience');
  });

  test('a list of audiences is met by any one of them', async () => {
    const audience = ['api://one', 'api://two'];
    const auth = verifier({ audience });
    for (const aud of ['api://one', 'api://two', ['x', 'api://two']])
      expect(await judge(auth, token({ aud }))).toBe('accept');
    audience.push('api://three');
    for (const aud of ['api://three', 'api://on', 'api', ['x']])
      expect(await judge(auth, token({ aud }))).toBe('audience');
  });

  test('legacyResources of the composition are taken as audience too', async () => {
    const legacyResources = ['https://old.example.com/mcp'];
    const auth = multiAuth(verifier({ audience: undefined }), { baseUrl: 'https://mcp.example.com', legacyResources });
    expect(await judge(auth, token({ aud: 'https://old.example.com/mcp' }))).toBe('accept');
    expect(await judge(auth, token({ aud: 'https://older.example.com/mcp' }))).toBe('audience');
  });

  test('two verifiers of one issuer with different audiences work in either order (C19)', async () => {
    const one = verifier({ name: 'one', audience: 'api://one' });
    const two = verifier({ name: 'two', audience: 'api://two' });
    for (const auth of [multiAuth([one, two]), multiAuth([two, one])]) {
      expect((await accepted(auth, token({ aud: 'api://one' }))).extra.source).toBe('one');
      expect((await accepted(auth, token({ aud: 'api://two' }))).extra.source).toBe('two');
      expect(await judge(auth, token({ aud: 'api://three' }))).toBe('audience');
    }
  });
});

describe('jwtVerifier: time (RFC 7519 §4.1.4–5, RS-26, T-4, attack 49, C8)', () => {
  // What is no NumericDate, in whichever claim it stands; as JSON text, for what JSON.stringify cannot write.
  const noDates: [string, string][] = [
    ['a time in a string', '"99999999999"'],
    ['0 in a string', '"0"'],
    ['NaN in a string', '"NaN"'],
    ['an empty string', '""'],
    ['null', 'null'],
    ['true', 'true'],
    ['a list with a time', '[99999999999]'],
    ['a list with 0', '[0]'],
    ['an object', '{}'],
    ['1e309, which parses as infinity', '1e309'],
    ['-1e309', '-1e309'],
    ['NaN, which is no JSON', 'NaN'],
    ['Infinity, which is no JSON', 'Infinity'],
  ];

  test.each([['0', '0'], ['a negative number', '-1'], ...noDates])('an exp of %s is refused', async (_, exp) => {
    expect(await judge(verifier(), tokenWithRaw('exp', exp))).toEqual(refused);
  });

  test('a token without exp is refused, with any audience too', async () => {
    expect(await judge(verifier(), token({ exp: undefined }))).toEqual(refused);
    const any = verifier({ audience: undefined, dangerouslyAcceptAnyAudience: true });
    expect(await judge(any, token({ exp: undefined }))).toEqual(refused);
  });

  test('an exp in milliseconds is refused', async () => {
    expect(await judge(verifier(), token({ exp: clock.now() + 3_600_000 }))).toEqual(refused);
  });

  test('an exp with a fraction is a NumericDate', async () => {
    expect(await judge(verifier(), token({ exp: clock.at(60) + 0.5 }))).toBe('accept');
  });

  test('a token is good until exp plus the tolerance of 5 seconds, and not at that second', async () => {
    expect(await judge(verifier(), token({ exp: clock.at(-4) }))).toBe('accept');
    expect(await judge(verifier(), token({ exp: clock.at(-5) }))).toBe('expired');
    expect(await judge(verifier(), token({ exp: clock.at(-6) }))).toBe('expired');
  });

  test('nbf is honoured within the same tolerance', async () => {
    expect(await judge(verifier(), token({ nbf: clock.at(0) }))).toBe('accept');
    expect(await judge(verifier(), token({ nbf: clock.at(5) }))).toBe('accept');
    expect(await judge(verifier(), token({ nbf: clock.at(6) }))).toBe('not_yet_valid');
  });

  test.each(noDates)('an nbf of %s is refused', async (_, nbf) => {
    expect(await judge(verifier(), tokenWithRaw('nbf', nbf))).toEqual(refused);
  });

  test('clockToleranceSeconds widens and closes the window', async () => {
    const strict = verifier({ clockToleranceSeconds: 0 });
    expect(await judge(strict, token({ exp: clock.at(1) }))).toBe('accept');
    expect(await judge(strict, token({ exp: clock.at(0) }))).toBe('expired');
    expect(await judge(strict, token({ nbf: clock.at(1) }))).toBe('not_yet_valid');
    const loose = verifier({ clockToleranceSeconds: 60 });
    expect(await judge(loose, token({ exp: clock.at(-59) }))).toBe('accept');
    expect(await judge(loose, token({ exp: clock.at(-60) }))).toBe('expired');
    expect(await judge(loose, token({ nbf: clock.at(60) }))).toBe('accept');
  });

  test('now is the only clock: a token long past is good when now says so', async () => {
    const past = clockAt(Date.UTC(2001, 0, 1));
    const auth = verifier({ now: past.now });
    const old = token({ exp: past.at(60), nbf: past.at(-60) });
    expect(await judge(auth, old)).toBe('accept');
    past.advance(65);
    expect(await judge(auth, old)).toBe('expired');
  });

  test('iat is not judged', async () => {
    expect(await judge(verifier(), token({ iat: clock.at(9_999_999) }))).toBe('accept');
  });
});

describe('jwtVerifier: typ (RFC 9068 §4, T-3, W-8)', () => {
  test('any typ is fine by default', async () => {
    for (const typ of [undefined, 'JWT', 'at+jwt', 'x'])
      expect(await judge(verifier(), token({}, { typ }))).toBe('accept');
  });

  test.each(['at+jwt', 'application/at+jwt', 'AT+JWT', 'Application/at+JWT'])('%s is at+jwt', async typ => {
    expect(await judge(verifier({ typ: 'at+jwt' }), token({}, { typ }))).toBe('accept');
  });

  test.each([undefined, 'JWT', 'dpop+jwt', 'logout+jwt', 'at+jwt2', 'text/at+jwt', '', 42, null, ['at+jwt']])(
    '%p is not at+jwt',
    async typ => {
      expect(await judge(verifier({ typ: 'at+jwt' }), token({}, { typ }))).toEqual(refused);
    },
  );
});

describe('jwtVerifier: the claims predicate', () => {
  test('sees the verified payload and decides', async () => {
    const seen: unknown[] = [];
    const auth = verifier({
      claims: payload => {
        seen.push(payload.azp);
        return payload.azp === 'app';
      },
    });
    expect(await judge(auth, token({ azp: 'app' }))).toBe('accept');
    expect(await judge(auth, token({ azp: 'other' }))).toEqual(refused);
    expect(seen).toEqual(['app', 'other']);
  });

  test('is never asked about a payload that nobody signed', async () => {
    let asked = 0;
    const auth = verifier({ claims: () => ++asked > 0 });
    const evil = forge(
      { alg: 'HS256' },
      { iss: ISSUER, aud: 'api', exp: clock.at(60) },
      signer('HS256', 'x'.repeat(32)),
    );
    expect(await judge(auth, evil)).toBe('signature');
    expect(await judge(auth, token({ exp: clock.at(-60) }))).toBe('expired');
    expect(asked).toBe(0);
  });

  test('one that throws, is async or answers nothing lets nobody in', async () => {
    const predicates: unknown[] = [
      () => {
        throw new Error('bug');
      },
      async () => false,
      async () => true,
      () => undefined,
      () => null,
    ];
    for (const claims of predicates) {
      const verdict = await judge(verifier({ claims: claims as never }), token()).catch(() => 'error');
      expect(verdict).not.toBe('accept');
    }
  });

  test('cannot change what the next request sees', async () => {
    const claims = (payload: Record<string, unknown>) => {
      try {
        payload.scope = 'admin';
      } catch {}
      return true;
    };
    const auth = verifier({ claims });
    const one = token({ scope: 'read' });
    expect((await accepted(auth, one)).scopes).toEqual(['read']);
    expect((await accepted(auth, one)).scopes).toEqual(['read']);
  });
});

describe('jwtVerifier: who the token is', () => {
  test('clientId is client_id, else azp, else sub, else the name of the source', async () => {
    const auth = verifier({ name: 'backend' });
    expect((await accepted(auth, token({ client_id: 'c', azp: 'a' }))).clientId).toBe('c');
    expect((await accepted(auth, token({ azp: 'a' }))).clientId).toBe('a');
    expect((await accepted(auth, token())).clientId).toBe('ana');
    expect((await accepted(auth, token({ sub: undefined }))).clientId).toBe('backend');
    expect((await accepted(verifier(), token({ sub: undefined }))).clientId).toBe('jwtVerifier');
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['a scope string', { scope: 'read write' }, ['read', 'write']],
    ['a scope string with odd spaces', { scope: '  read   write ' }, ['read', 'write']],
    ['a scope list', { scope: ['read', 'write'] }, ['read', 'write']],
    ['an scp string', { scp: 'read write' }, ['read', 'write']],
    ['an scp list', { scp: ['read', 'write'] }, ['read', 'write']],
    ['permissions as a list', { permissions: ['read', 'write'] }, ['read', 'write']],
    ['permissions as a string', { permissions: 'read write' }, ['read', 'write']],
    ['scope before scp and permissions', { scope: 'read', scp: 'x', permissions: ['y'] }, ['read']],
    ['scp before permissions', { scp: 'read', permissions: ['y'] }, ['read']],
    ['an empty scope, which is present', { scope: '', scp: 'admin' }, []],
    ['an empty list, which is present', { scope: [], scp: 'admin' }, []],
    ['the same scope twice (C-4)', { scope: 'read read' }, ['read']],
    ['no scope', {}, []],
  ])('scopes from %s (C10)', async (_, claims, scopes) => {
    expect((await accepted(verifier(), token(claims))).scopes).toEqual(scopes);
  });

  test('a scope in a list is one scope, whatever is in it: no splitting, no substring (C10)', async () => {
    const auth = multiAuth(verifier({ requiredScopes: ['read'] }));
    for (const scope of [['readwrite'], 'readwrite', 'READ', ['read write'], ['x:read']]) {
      const guarded = guardedApp(auth);
      const res = await request(guarded.app)
        .post('/mcp')
        .set('authorization', `Bearer ${token({ scope })}`);
      expect([403, 401]).toContain(res.status);
      expect(guarded.handled).toBe(0);
    }
  });

  test('the whole AuthInfo: token, expiry in seconds, resource as URL, source, issuer, subject, claims (RS-25, MA-7)', async () => {
    const auth = multiAuth(verifier({ audience: undefined, name: 'backend' }), { baseUrl: 'https://mcp.example.com' });
    const good = token({ aud: RESOURCE, client_id: 'app', scope: 'read', groups: [{ id: 1 }] });
    const info = await accepted(auth, good);
    expect(info).toMatchObject({ token: good, clientId: 'app', scopes: ['read'], expiresAt: clock.at(3600) });
    expect(info.resource).toBeInstanceOf(URL);
    expect(info.resource?.href).toBe(RESOURCE);
    expect(info.extra).toMatchObject({ source: 'backend', issuer: ISSUER, subject: 'ana' });
    expect(info.extra.claims).toMatchObject({ iss: ISSUER, aud: RESOURCE, sub: 'ana', groups: [{ id: 1 }] });
  });

  test('without sub there is no subject, and without a resource none is made up', async () => {
    const info = await accepted(verifier(), token({ sub: undefined }));
    expect(info.extra.subject).toBeUndefined();
    expect(info.resource).toBeUndefined();
  });

  test('claims are deeply frozen', async () => {
    const { claims } = (await accepted(verifier(), token({ deep: { list: [{ a: 1 }] } }))).extra;
    const deep = claims.deep as { list: { a: number }[] };
    for (const value of [claims, deep, deep.list, deep.list[0]]) expect(Object.isFrozen(value)).toBe(true);
  });

  test('required scopes come with the verdict and are left to the guard: 403 and not 401 (RS-14)', async () => {
    const auth = verifier({ requiredScopes: ['read'] });
    expect(await auth.check(token())).toMatchObject({ outcome: 'accept', requiredScopes: ['read'] });
    expect(await auth.verifyToken(token())).toBeNull();
    expect((await auth.verifyToken(token({ scope: 'read' })))?.clientId).toBe('ana');
    const guarded = guardedApp(auth);
    const res = await request(guarded.app).post('/mcp').set('authorization', `Bearer ${token()}`).expect(403);
    expect(res.headers['www-authenticate']).toContain('error="insufficient_scope"');
    expect(guarded.handled).toBe(0);
  });

  test('verifyToken is null for everything that is not accepted (C12)', async () => {
    const auth = verifier();
    for (const bad of ['', 'x', token({ exp: 1 }), token({ aud: 'x' }), token({ iss: 'x' }), `${token()}x`])
      expect(await auth.verifyToken(bad)).toBeNull();
    expect(await auth.verifyToken(token())).not.toBeNull();
  });
});

describe('jwtVerifier: one 401 per cause, before the handler runs (RS-13, RS-26)', () => {
  const es = keyPair('ES256');
  const claims = (more: Record<string, unknown> = {}) => ({ iss: ISSUER, aud: 'api', exp: clock.at(60), ...more });
  const sign = signer('ES256', es.privateKey);
  const header = { alg: 'ES256', kid: 'one' };
  const causes: Record<string, string> = {
    expired: forge(header, claims({ exp: clock.at(-60) }), sign),
    'not yet valid': forge(header, claims({ nbf: clock.at(60) }), sign),
    'wrong issuer': forge(header, claims({ iss: 'https://evil.example.com' }), sign),
    'wrong audience': forge(header, claims({ aud: 'other' }), sign),
    'no audience': forge(header, claims({ aud: undefined }), sign),
    'bad signature': forge(header, claims(), signer('ES256', keyPair('ES256', 'x').privateKey)),
    'unknown key': forge({ alg: 'ES256', kid: 'two' }, claims(), sign),
    malformed: 'not-a-jwt',
    confirmation: forge(header, claims({ cnf: { jkt: 'x' } }), sign),
  };

  test.each(Object.entries(causes))('%s', async (_, bad) => {
    const auth = jwtVerifier({
      issuer: ISSUER,
      audience: 'api',
      jwks: { keys: [{ ...es.jwk, kid: 'one' }] },
      now: clock.now,
    });
    const guarded = guardedApp(auth);
    const res = await request(guarded.app).post('/mcp').set('authorization', `Bearer ${bad}`).expect(401);
    expect(res.headers['www-authenticate']).toMatch(/^Bearer .*error="invalid_token"/);
    expect(res.headers['content-type']).toMatch(/^application\/json/);
    expect(guarded.handled).toBe(0);
    await request(guarded.app)
      .post('/mcp')
      .set('authorization', `Bearer ${forge(header, claims(), sign)}`)
      .expect(200);
    expect(guarded.handled).toBe(1);
  });

  test('the answer is the same text for every cause: reasons go to the events (RS-21)', async () => {
    const auth = jwtVerifier({
      issuer: ISSUER,
      audience: 'api',
      jwks: { keys: [{ ...es.jwk, kid: 'one' }] },
      now: clock.now,
    });
    const guarded = guardedApp(auth);
    const answers = new Set<string>();
    const rejected = listenTo('rejected');
    try {
      for (const bad of Object.values(causes)) {
        const res = await request(guarded.app).post('/mcp').set('authorization', `Bearer ${bad}`);
        answers.add(`${res.headers['www-authenticate']} ${res.text}`);
      }
    } finally {
      rejected.stop();
    }
    expect(answers.size).toBe(1);
    expect(new Set(rejected.messages.map(message => message.reason)).size).toBeGreaterThan(5);
  });
});

test('an app mounted in the ordinary way shows the identity to its handler', async () => {
  const app = express();
  const auth = verifier();
  app.post('/mcp', auth, (req, res) => {
    res.json((req as unknown as { auth: { clientId: string } }).auth.clientId);
  });
  const res = await request(app)
    .post('/mcp')
    .set('authorization', `Bearer ${token({ client_id: 'app' })}`)
    .expect(200);
  expect(res.body).toBe('app');
});
