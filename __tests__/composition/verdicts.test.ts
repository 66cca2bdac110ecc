import { once } from 'node:events';
import { createServer, get, type RequestListener } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  InvalidTokenError,
  ServerError,
  TemporarilyUnavailableError,
} from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { OAuthErrorCode, OAuthError as SdkOAuthError } from '@modelcontextprotocol/server';
import {
  type Auth,
  customVerifier,
  debugVerifier,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  OAuthError,
  remoteAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import {
  accepted,
  BASE,
  call,
  challenge,
  type IntrospectionEndpoint,
  introspectionEndpoint,
  RESOURCE,
  recordEvents,
  thrown,
  vendor,
} from '../support/composition.js';
import { close, type IdentityProvider, identityProvider, listen } from '../support/identity-provider.js';
import { seconds, signingKey } from '../support/keys.js';

const KEY = 'shared-key-0123456789abcdef';
const keys = (clientId: string, scopes: string[] = [], requiredScopes?: string[]) =>
  staticTokenVerifier(
    { [KEY]: { clientId, scopes } },
    requiredScopes ? { name: clientId, requiredScopes } : { name: clientId },
  );

let idp: IdentityProvider;
let other: IdentityProvider;
let opaque: IntrospectionEndpoint;
beforeAll(async () => {
  [idp, other, opaque] = await Promise.all([identityProvider(), identityProvider(), introspectionEndpoint()]);
});
afterAll(() => Promise.all([idp.close(), other.close(), opaque.close()]));
afterEach(() => {
  opaque.asked.length = 0;
  opaque.answers.clear();
});

const jwt = (provider = idp, options: Partial<Parameters<typeof jwtVerifier>[0]> = {}) =>
  jwtVerifier({ name: provider === idp ? 'jwt' : 'other', issuer: provider.issuer, ...options });
const introspection = (options: Record<string, unknown> = {}) =>
  introspectionVerifier({
    name: 'opaque',
    introspectionUrl: opaque.url,
    clientId: 'rs',
    clientSecret: 'rs-secret-value',
    ...options,
  });
const active = (claims: Record<string, unknown> = {}) => ({
  active: true,
  aud: RESOURCE,
  exp: seconds(600),
  ...claims,
});

/** All orders of a list. */
function orders<T>(list: T[]): T[][] {
  if (list.length < 2) return [list];
  return list.flatMap((item, index) =>
    orders([...list.slice(0, index), ...list.slice(index + 1)]).map(rest => [item, ...rest]),
  );
}

describe('who is asked: mine, maybe, foreign (rule 2)', () => {
  test('D7: a JWT of a known issuer costs no call to an introspection endpoint or a vendor, whatever the order', async () => {
    const good = await idp.mint({ aud: RESOURCE, sub: 'job' });
    const expired = await idp.mint({ aud: RESOURCE, exp: seconds(-600) });
    const api = vendor(accepted('vendor'));
    const sources: Auth[] = [jwt(), introspection(), api.source, keys('static')];
    for (const order of orders(sources)) {
      const auth = multiAuth(order, { baseUrl: BASE });
      expect((await auth.verifyToken(good))?.extra.source).toBe('jwt');
      expect(await auth.check(expired)).toMatchObject({ outcome: 'reject', reason: 'expired' });
    }
    const auth = multiAuth(sources.reverse(), { baseUrl: BASE });
    expect((await call(auth, good)).body.extra.source).toBe('jwt');
    expect((await call(auth, expired)).status).toBe(401);
    expect(opaque.asked).toEqual([]);
    expect(api.asked).toEqual([]);
  });

  test('a vendor listed as the server position does not see the JWT either', async () => {
    const api = vendor(accepted('vendor'));
    const server = remoteAuth({ verifier: api.source, authorizationServers: [idp.issuer], baseUrl: BASE });
    const answer = await call(multiAuth(server, jwt()), await idp.mint({ aud: RESOURCE }));
    expect(answer.body.extra.source).toBe('jwt');
    expect(api.asked).toEqual([]);
  });

  test('a token that a source calls its own and refuses is not offered to those that say maybe', async () => {
    const api = vendor(accepted('vendor'));
    const auth = multiAuth([api.source, jwt()], { baseUrl: BASE });
    const forged = await (await signingKey('ES256', idp.keys[0]?.kid)).sign({
      iss: idp.issuer,
      aud: RESOURCE,
      exp: seconds(60),
    });
    expect((await auth.check(forged)).outcome).toBe('reject');
    expect(api.asked).toEqual([]);
  });

  test('an opaque token asks no JWT issuer for keys', async () => {
    const fresh = await identityProvider();
    const auth = multiAuth([jwt(fresh), introspection()], { baseUrl: BASE });
    opaque.answers.set('opaque-1', active({ client_id: 'app' }));
    expect((await call(auth, 'opaque-1')).body).toMatchObject({ clientId: 'app', extra: { source: 'opaque' } });
    expect(fresh.hits.size).toBe(0);
    await fresh.close();
  });

  test('a JWT asks only the issuer that it names', async () => {
    const [a, b] = await Promise.all([identityProvider(), identityProvider()]);
    const auth = multiAuth([jwtVerifier({ issuer: a.issuer }), jwtVerifier({ issuer: b.issuer })], { baseUrl: BASE });
    expect((await call(auth, await b.mint({ aud: RESOURCE }))).status).toBe(200);
    expect(a.hits.size).toBe(0);
    expect(b.hits.get('/jwks')).toBe(1);
    await Promise.all([a.close(), b.close()]);
  });

  test('a JWT of an unknown issuer is offered to sources that say maybe', async () => {
    const api = vendor(accepted('vendor'));
    const auth = multiAuth([jwt(), api.source], { baseUrl: BASE });
    const token = await other.mint({ aud: RESOURCE });
    expect((await call(auth, token)).body.clientId).toBe('vendor');
    expect(api.asked).toEqual([token]);
  });

  test('a known static key is mine: nobody else sees it; an unknown one is foreign and goes to those that say maybe', async () => {
    const api = vendor(accepted('vendor'));
    const auth = multiAuth([api.source, introspection(), keys('static')], { baseUrl: BASE });
    expect((await auth.verifyToken(KEY))?.clientId).toBe('static');
    expect(api.asked).toEqual([]);
    expect((await auth.verifyToken('another-key-0123456789'))?.clientId).toBe('vendor');
    expect(opaque.asked).toEqual([]);
  });

  test('accepts: true makes a token mine, so that a source without accepts is not asked although it stands first', async () => {
    const first = vendor(accepted('first'));
    const second = vendor(accepted('second'), { accepts: (token: string) => token.startsWith('sk_') });
    const auth = multiAuth([first.source, second.source]);
    expect((await auth.verifyToken('sk_1'))?.clientId).toBe('second');
    expect(first.asked).toEqual([]);
    expect((await auth.verifyToken('pk_1'))?.clientId).toBe('first');
    expect(second.asked).toEqual(['sk_1']);
  });

  test('accepts: false makes a token foreign, even where nobody else is left to ask', async () => {
    const api = vendor(accepted('vendor'), { accepts: () => false });
    const auth = multiAuth([api.source, introspection({ accepts: () => false })], { baseUrl: BASE });
    expect(await auth.check('some-token')).toEqual({ outcome: 'foreign' });
    expect((await call(auth, 'some-token')).status).toBe(401);
    expect(api.asked).toEqual([]);
    expect(opaque.asked).toEqual([]);
  });

  test('introspection with an issuer judges JWTs by their iss, and still says maybe to opaque tokens', async () => {
    const auth = multiAuth([introspection({ issuer: 'https://as.example.com' })], { baseUrl: BASE });
    const key = await signingKey();
    const own = await key.sign({ iss: 'https://as.example.com', exp: seconds(60) });
    const foreign = await key.sign({ iss: 'https://elsewhere.example.com', exp: seconds(60) });
    opaque.answers.set(own, active({ iss: 'https://as.example.com' }));
    expect((await auth.check(own)).outcome).toBe('accept');
    expect(await auth.check(foreign)).toEqual({ outcome: 'foreign' });
    await auth.check('opaque-2');
    expect(opaque.asked).toEqual([own, 'opaque-2']);
  });

  test('an introspected JWT of the named issuer is mine, so a vendor before it is not asked', async () => {
    const api = vendor(accepted('vendor'));
    const auth = multiAuth([api.source, introspection({ issuer: 'https://as.example.com' })], { baseUrl: BASE });
    const own = await (await signingKey()).sign({ iss: 'https://as.example.com', exp: seconds(60) });
    opaque.answers.set(own, active({ iss: 'https://as.example.com', client_id: 'app' }));
    expect((await auth.verifyToken(own))?.clientId).toBe('app');
    expect(api.asked).toEqual([]);
  });

  test('a debug verifier in front takes nothing away from the sources that know their tokens', async () => {
    const auth = multiAuth([debugVerifier({ name: 'debug' }), jwt(), keys('static')], { baseUrl: BASE });
    expect((await auth.verifyToken(await idp.mint({ aud: RESOURCE })))?.extra.source).toBe('jwt');
    expect((await auth.verifyToken(KEY))?.extra.source).toBe('static');
    expect((await auth.verifyToken('whatever'))?.extra.source).toBe('debug');
  });

  test('MA-1: the order is the server, then the verifiers as listed', async () => {
    const asked: string[] = [];
    const noting = (name: string) =>
      customVerifier({
        name,
        verify: () => {
          asked.push(name);
          return null;
        },
      });
    const server = remoteAuth({
      verifier: [noting('s1'), noting('s2')],
      authorizationServers: [idp.issuer],
      baseUrl: BASE,
    });
    expect((await multiAuth(server, [noting('v1'), noting('v2')]).check('token')).outcome).toBe('foreign');
    expect(asked).toEqual(['s1', 's2', 'v1', 'v2']);
  });
});

describe('attacks on the choice of the source', () => {
  test('attack 102 MA-1: an issuer in the composition cannot mint for another, in either order', async () => {
    const stolenKid = idp.keys[0]?.kid;
    const forged = [
      await other.mint({ iss: idp.issuer, aud: RESOURCE }),
      await (other.keys[0] as { sign: typeof idp.mint }).sign(
        { iss: idp.issuer, aud: RESOURCE, exp: seconds(60) },
        { kid: stolenKid },
      ),
      await (other.keys[0] as { sign: typeof idp.mint }).sign(
        { iss: idp.issuer, aud: RESOURCE, exp: seconds(60) },
        { kid: undefined },
      ),
    ];
    for (const order of [
      [jwt(idp), jwt(other)],
      [jwt(other), jwt(idp)],
    ]) {
      const auth = multiAuth(order, { baseUrl: BASE });
      expect((await auth.verifyToken(await other.mint({ aud: RESOURCE })))?.extra.source).toBe('other');
      for (const token of forged) {
        const refused = await call(auth, token);
        expect([refused.status, challenge(refused).error]).toEqual([401, 'invalid_token']);
      }
    }
  });

  test('MA-2 C19: two verifiers with one issuer and different keys or audiences work in any order', async () => {
    const second = await signingKey();
    const a = jwtVerifier({ name: 'a', issuer: idp.issuer, audience: 'api-a' });
    const b = jwtVerifier({ name: 'b', issuer: idp.issuer, audience: 'api-b', jwks: { keys: [second.publicJwk] } });
    const forA = await idp.mint({ aud: 'api-a' });
    const forB = await second.sign({ iss: idp.issuer, aud: 'api-b', exp: seconds(60) });
    const crossed = await second.sign({ iss: idp.issuer, aud: 'api-a', exp: seconds(60) });
    for (const order of [
      [a, b],
      [b, a],
    ]) {
      const auth = multiAuth(order);
      expect((await auth.verifyToken(forA))?.extra.source).toBe('a');
      expect((await auth.verifyToken(forB))?.extra.source).toBe('b');
      expect(await auth.verifyToken(crossed)).toBeNull();
    }
  });

  test('MA-9: a token bound to a key is refused as bearer whichever source knows it', async () => {
    const auth = multiAuth([jwt(other), jwt(idp)], { baseUrl: BASE });
    for (const cnf of [{ jkt: 'thumbprint' }, { 'x5t#S256': 'thumbprint' }]) {
      expect((await auth.check(await idp.mint({ aud: RESOURCE, cnf } as never))).outcome).toBe('reject');
    }
  });

  test('attack 62 MA-8: 1000 garbage tokens against five sources cost no introspection, no vendor call and a handful of fetches', async () => {
    const [first, second] = await Promise.all([identityProvider(), identityProvider()]);
    const api = vendor(accepted('vendor'), { accepts: (token: string) => token.startsWith('sk_') });
    const auth = multiAuth(
      [
        jwt(first, { name: 'a' }),
        jwt(second, { name: 'b' }),
        keys('static'),
        introspection({ accepts: (t: string) => t.startsWith('op_') }),
        api.source,
      ],
      { baseUrl: BASE },
    );
    const attacker = await signingKey();
    const tokens = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => {
        const iss = i % 4 === 0 ? first.issuer : `https://attacker-${i}.example`;
        if (i % 2 === 0) return attacker.sign({ iss, aud: RESOURCE, exp: seconds(60) }, { kid: `random-${i}` });
        return `garbage-${i}${i % 3 === 0 ? '.b.c' : ''}`;
      }),
    );
    const outcomes = new Set<string>();
    for (const token of tokens)
      outcomes.add(
        await auth.check(token).then(
          verdict => verdict.outcome,
          error => error.name,
        ),
      );
    expect(outcomes).not.toContain('accept');
    expect(opaque.asked).toEqual([]);
    expect(api.asked).toEqual([]);
    expect(second.hits.size).toBe(0);
    // The first fetch and the burst for unknown keys; a refill every ten seconds at most.
    expect(first.hits.get('/jwks')).toBeLessThanOrEqual(1 + 5 + 2);
    expect((await auth.verifyToken(await first.mint({ aud: RESOURCE })))?.extra.source).toBe('a');
    await Promise.all([first.close(), second.close()]);
  });
});

describe('bounded work', () => {
  test('MA-8 attack 54: a token beyond 16 KiB reaches no source', async () => {
    const api = vendor(accepted('vendor'));
    const auth = multiAuth([api.source, introspection(), jwt()], { baseUrl: BASE });
    const [header, , signature] = (await idp.mint()).split('.');
    for (const token of ['x'.repeat(16 * 1024 + 1), `${header}.${'x'.repeat(20_000)}.${signature}`]) {
      expect((await auth.check(token)).outcome).toBe('reject');
      expect(await auth.verifyToken(token)).toBeNull();
    }
    expect([...api.asked, ...opaque.asked]).toEqual([]);
  });

  test('C16: many questions at once for one opaque token are one call to the introspection endpoint', async () => {
    const auth = multiAuth([introspection()], { baseUrl: BASE });
    opaque.answers.set('busy-token', active({ client_id: 'app' }));
    const answers = await Promise.all(Array.from({ length: 50 }, () => auth.verifyToken('busy-token')));
    expect(new Set(answers.map(answer => answer?.clientId))).toEqual(new Set(['app']));
    expect(new Set(answers).size).toBe(50);
    expect(opaque.asked).toEqual(['busy-token']);
  });
});

describe('the first acceptance whose scope rule holds wins (rule 3)', () => {
  test('the order of the list decides between two sources that know one token', async () => {
    expect((await multiAuth([keys('first'), keys('second')]).verifyToken(KEY))?.clientId).toBe('first');
    expect((await multiAuth([keys('second'), keys('first')]).verifyToken(KEY))?.clientId).toBe('second');
  });

  test('after an acceptance that wins nobody else is asked', async () => {
    const [first, second] = [vendor(accepted('first')), vendor(accepted('second'))];
    expect((await multiAuth([first.source, second.source]).verifyToken('token'))?.clientId).toBe('first');
    expect(second.asked).toEqual([]);
  });

  test('after an acceptance that lacks scopes the rest is still asked and can win', async () => {
    const narrow = vendor(accepted('narrow', 'read'), { name: 'narrow' });
    const broad = vendor(accepted('broad', 'read', 'write'), { name: 'broad' });
    const auth = multiAuth([narrow.source, broad.source], { requiredScopes: ['write'] });
    expect((await call(auth, 'token')).body.extra.source).toBe('broad');
    expect(await auth.check('token')).toMatchObject({ outcome: 'accept', auth: { clientId: 'broad' } });
    expect((await auth.verifyToken('token'))?.clientId).toBe('broad');
    expect(narrow.asked).toHaveLength(3);
  });

  test('where every acceptance lacks scopes the first shortfall is answered, as 403 and by check()', async () => {
    const auth = multiAuth([keys('first', ['x'], ['a', 'b']), keys('second', ['x'], ['c'])]);
    const refused = await call(auth, KEY);
    expect(refused.status).toBe(403);
    expect(challenge(refused)).toMatchObject({ error: 'insufficient_scope', scope: 'a b' });
    expect(await auth.check(KEY)).toMatchObject({
      outcome: 'accept',
      auth: { clientId: 'first' },
      requiredScopes: ['a', 'b'],
    });
    expect(await auth.verifyToken(KEY)).toBeNull();
  });
});

describe('what an error of a source means (rule 4)', () => {
  const coded = (code: string, message = code) =>
    Object.assign(new Error(message), { code, errno: -1, syscall: 'connect' });
  const closedOrigin = async () => {
    const server = createServer();
    const origin = await listen(server);
    await close(server);
    return origin;
  };
  async function broken(work: (origin: string) => Promise<unknown>, answer: RequestListener) {
    const server = createServer(answer);
    const origin = await listen(server);
    const error = await thrown(() => work(origin));
    await close(server);
    return error;
  }
  const requested = (origin: string) =>
    new Promise((resolve, reject) => {
      get(origin, resolve).on('error', reject);
    });

  const couldNotTell: [string, () => unknown][] = [
    ['UnavailableError', () => new UnavailableError('the store is down')],
    ['a failed fetch', async () => thrown(async () => fetch(await closedOrigin()))],
    ['ECONNREFUSED of node:http', async () => thrown(async () => requested(await closedOrigin()))],
    ['ECONNRESET of node:http', () => broken(requested, req => req.socket.destroy())],
    ['ENOTFOUND', () => coded('ENOTFOUND', 'getaddrinfo ENOTFOUND idp.example.com')],
    ['EAI_AGAIN', () => coded('EAI_AGAIN')],
    ['ETIMEDOUT', () => coded('ETIMEDOUT')],
    ['EHOSTUNREACH', () => coded('EHOSTUNREACH')],
    ['a connect time-out of undici', () => coded('UND_ERR_CONNECT_TIMEOUT')],
    ['EPROTO, a failed TLS handshake', () => coded('EPROTO')],
    ['a certificate that has expired', () => coded('CERT_HAS_EXPIRED', 'certificate has expired')],
    ['AbortError', () => thrown(() => fetch('http://127.0.0.1:9', { signal: AbortSignal.abort() }))],
    [
      'TimeoutError',
      async () => {
        const signal = AbortSignal.timeout(1);
        await once(signal, 'abort');
        return signal.reason;
      },
    ],
    ['our OAuthError server_error', () => new OAuthError('server_error', 'down')],
    ['our OAuthError temporarily_unavailable', () => new OAuthError('temporarily_unavailable', 'down')],
    ['ServerError of SDK v1', () => new ServerError('down')],
    ['TemporarilyUnavailableError of SDK v1', () => new TemporarilyUnavailableError('down')],
    ['server_error of SDK v2', () => new SdkOAuthError(OAuthErrorCode.ServerError, 'down')],
    ['temporarily_unavailable of SDK v2', () => new SdkOAuthError(OAuthErrorCode.TemporarilyUnavailable, 'down')],
    ['ERR_JWKS_TIMEOUT of jose', () => new errors.JWKSTimeout()],
    ['ERR_JOSE_GENERIC of jose', () => new errors.JOSEError('Expected 200 OK from the JSON Web Key Set HTTP response')],
    [
      'Promise.any of failed fetches',
      async () => {
        const origin = await closedOrigin();
        return thrown(() => Promise.any([fetch(origin), fetch(origin)]));
      },
    ],
    ['a wrapped AggregateError', () => new Error('no answer', { cause: new AggregateError([coded('ECONNRESET')]) })],
    [
      'an AggregateError in an AggregateError',
      () => new AggregateError([new AggregateError([coded('ETIMEDOUT')]), new UnavailableError('down')]),
    ],
    [
      'a key set endpoint that answers jose with 500',
      async () => {
        const token = await idp.mint();
        const fetchKeys = (origin: string) => jwtVerify(token, createRemoteJWKSet(new URL(origin)));
        return broken(fetchKeys, (_req, res) => res.writeHead(500).end());
      },
    ],
  ];
  const reject: [string, () => unknown][] = [
    ['our OAuthError invalid_token', () => new OAuthError('invalid_token', 'no')],
    ['InvalidTokenError of SDK v1', () => new InvalidTokenError('no')],
    ['invalid_token of SDK v2', () => new SdkOAuthError(OAuthErrorCode.InvalidToken, 'no')],
    ['JWTExpired of jose', () => new errors.JWTExpired('no', { exp: 1 })],
    ['JWTClaimValidationFailed of jose', () => new errors.JWTClaimValidationFailed('no', {}, 'aud')],
    ['JWSSignatureVerificationFailed of jose', () => new errors.JWSSignatureVerificationFailed()],
    ['JWKSNoMatchingKey of jose', () => new errors.JWKSNoMatchingKey()],
    ['JWSInvalid of jose', () => new errors.JWSInvalid('no')],
    ['a bug', () => new Error('a bug')],
    ['a TypeError that is no failed fetch', () => thrown(() => (undefined as unknown as () => void)())],
    ['a SyntaxError', () => thrown(() => JSON.parse('<html>'))],
    ['a RangeError', () => new RangeError('too long')],
    ['a missing file', () => coded('ENOENT')],
    ['an AggregateError with a no in it', () => new AggregateError([coded('ECONNRESET'), new Error('no')])],
    ['an AggregateError of nothing', () => new AggregateError([])],
    ['a string', () => 'nope'],
    ['a number', () => 42],
    ['null', () => null],
    ['undefined', () => undefined],
    ['a plain object', () => ({ message: 'nope' })],
    [
      'an object whose members throw when they are read',
      () => Object.defineProperty(new Error('no'), 'code', { get: () => JSON.parse('<html>') }),
    ],
  ];

  const ways: [string, (error: unknown) => () => unknown][] = [
    [
      'thrown',
      error => () => {
        throw error;
      },
    ],
    ['as a rejection', error => () => Promise.reject(error)],
  ];

  describe.each(ways)('%s', (_, way) => {
    test.each(couldNotTell)('D5 MA-4: %s means that the source could not tell', async (_name, make) => {
      const { source } = vendor(way(await make()), { name: 'vendor' });
      const auth = multiAuth([source]);
      expect(await thrown(() => auth.check('token'))).toBeInstanceOf(UnavailableError);
      expect(await thrown(() => auth.verifyToken('token'))).toBeInstanceOf(UnavailableError);
      const refused = await call(auth, 'token');
      expect(refused.status).toBe(503);
      expect(refused.headers['retry-after']).toMatch(/^[1-9]\d*$/);
      expect(refused.headers).not.toHaveProperty('www-authenticate');
    });

    test.each(reject)('C12 MA-5: %s means that the source rejects', async (_name, make) => {
      const { source } = vendor(way(await make()), { name: 'vendor' });
      const auth = multiAuth([source]);
      expect((await auth.check('token')).outcome).toBe('reject');
      expect(await auth.verifyToken('token')).toBeNull();
      const refused = await call(auth, 'token');
      expect([refused.status, challenge(refused).error]).toEqual([401, 'invalid_token']);
    });

    test.each([...couldNotTell.slice(0, 2), ...reject.slice(0, 2), ...reject.slice(8, 9)])(
      'MA-5: %s does not stop the others, and is reported',
      async (_name, make) => {
        const { source } = vendor(way(await make()), { name: 'broken' });
        const events = recordEvents();
        const answer = await call(multiAuth([source, vendor(accepted('healthy')).source]), 'token');
        events.stop();
        expect([answer.status, answer.body.clientId]).toEqual([200, 'healthy']);
        const reports = [...events.of('unavailable'), ...events.of('rejected')];
        expect(reports.map(message => message.source)).toEqual(['broken']);
      },
    );
  });

  test('a single source outside any list is judged by the same rule', async () => {
    const down = vendor(() => {
      throw new UnavailableError('down');
    }).source;
    expect((await call(down, 'token')).status).toBe(503);
    const buggy = vendor(() => {
      throw new Error('a bug');
    }).source;
    expect((await call(buggy, 'token')).status).toBe(401);
  });

  test('the message of an error reaches no client', async () => {
    for (const error of [
      new UnavailableError('secret detail'),
      new Error('secret detail'),
      new InvalidTokenError('secret detail'),
    ]) {
      const { text, headers } = await call(multiAuth([vendor(() => Promise.reject(error)).source]), 'token');
      expect(text + JSON.stringify(headers)).not.toContain('secret detail');
    }
  });
});

describe('nobody won: 403, 401 or 503 (rule 5)', () => {
  // Each letter is a source: accepts, lacks a scope, rejects, foreign, unavailable.
  const source = (letter: string, index: number): Auth => {
    const name = `${letter}${index}`;
    if (letter === 'A') return vendor(accepted(name), { name }).source;
    if (letter === 'L') return vendor(accepted(name, 'read'), { name, requiredScopes: [`scope-${index}`] }).source;
    if (letter === 'F') return vendor(() => null, { name }).source;
    const error =
      letter === 'U' ? new UnavailableError('down', { retryAfterSeconds: 7 }) : new OAuthError('invalid_token', 'no');
    return vendor(() => Promise.reject(error), { name }).source;
  };

  test.each([
    ['F', 401],
    ['FF', 401],
    ['R', 401],
    ['RF', 401],
    ['FR', 401],
    ['U', 503],
    ['UU', 503],
    ['UF', 503],
    ['FU', 503],
    ['UR', 401],
    ['RU', 401],
    ['FRU', 401],
    ['URF', 401],
    ['L', 403],
    ['LF', 403],
    ['FL', 403],
    ['LR', 403],
    ['RL', 403],
    ['LU', 403],
    ['UL', 403],
    ['RUFL', 403],
    ['LL', 403],
    ['A', 200],
    ['FA', 200],
    ['RA', 200],
    ['UA', 200],
    ['LA', 200],
    ['LURFA', 200],
  ])('%s answers %i (A accepts, L lacks a scope, R rejects, F foreign, U unavailable)', async (letters, status) => {
    const auth = multiAuth([...letters].map(source));
    const response = await call(auth, 'token');
    expect(response.status).toBe(status);
    if (status === 200) {
      expect(response.body.clientId).toBe(`A${letters.indexOf('A')}`);
      expect(await auth.verifyToken('token')).toMatchObject({ clientId: response.body.clientId });
    } else if (status === 503) {
      expect(response.headers['retry-after']).toBe('7');
      expect(response.headers).not.toHaveProperty('www-authenticate');
      expect(response.body.error).toBe('temporarily_unavailable');
      expect(await thrown(() => auth.check('token'))).toBeInstanceOf(UnavailableError);
      expect(await thrown(() => auth.verifyToken('token'))).toBeInstanceOf(UnavailableError);
    } else {
      const error = status === 403 ? 'insufficient_scope' : 'invalid_token';
      expect(challenge(response).error).toBe(error);
      expect(response.body.error).toBe(error);
      expect(response.headers).not.toHaveProperty('retry-after');
      expect(await auth.verifyToken('token')).toBeNull();
      const verdict = await auth.check('token');
      if (status === 403) {
        const first = letters.indexOf('L');
        expect(challenge(response).scope).toBe(`scope-${first}`);
        expect(verdict).toMatchObject({
          outcome: 'accept',
          auth: { clientId: `L${first}` },
          requiredScopes: [`scope-${first}`],
        });
      } else expect(verdict.outcome).toBe(letters.includes('R') ? 'reject' : 'foreign');
    }
  });

  test('D5 MA-4: an outage of the issuer of a JWT is 503, and a bad static key beside it stays 401', async () => {
    const down = await identityProvider();
    const token = await down.mint({ aud: RESOURCE });
    await down.close();
    const auth = multiAuth([jwt(down), keys('static')], { baseUrl: BASE });
    const refused = await call(auth, token);
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    expect((await call(auth, 'wrong-key-0123456789')).status).toBe(401);
    expect((await call(auth, KEY)).status).toBe(200);
  });

  test('D5: an outage of an introspection endpoint is 503 for opaque tokens and costs JWTs and static keys nothing', async () => {
    const auth = multiAuth([introspection(), jwt(), keys('static')], { baseUrl: BASE });
    opaque.intercept = (_req, res) => {
      res.writeHead(500).end();
      return true;
    };
    expect((await call(auth, 'opaque-token')).status).toBe(503);
    expect((await call(auth, await idp.mint({ aud: RESOURCE }))).status).toBe(200);
    expect((await call(auth, KEY)).status).toBe(200);
    opaque.intercept = undefined;
  });

  test('MA-3: whatever the number of sources, a refusal carries exactly one challenge', async () => {
    const auth = multiAuth([...'RFRF'].map(source));
    expect(challenge(await call(auth, 'token')).error).toBe('invalid_token');
    expect(challenge(await call(auth))).not.toHaveProperty('error');
  });
});

describe('composition of compositions (rule 10)', () => {
  const RULES: [string, number][] = [
    ['A', 200],
    ['L', 403],
    ['R', 401],
    ['F', 401],
    ['U', 503],
  ];
  const leaf = (letter: string, name: string): Auth => {
    if (letter === 'A') return vendor(accepted(name), { name }).source;
    if (letter === 'L') return vendor(accepted(name, 'read'), { name, requiredScopes: ['deep'] }).source;
    if (letter === 'F') return vendor(() => null, { name }).source;
    return vendor(() => Promise.reject(letter === 'U' ? new UnavailableError('down') : new Error('bad')), { name })
      .source;
  };

  test.each(RULES)('%s two levels down is still %i', async (letter, status) => {
    const auth = multiAuth(multiAuth([multiAuth([leaf('F', 'deepest'), leaf(letter, 'deep')])]));
    const response = await call(auth, 'token');
    expect(response.status).toBe(status);
    if (letter === 'L') expect(challenge(response).scope).toBe('deep');
  });

  test.each([
    ['U', 'R', 401],
    ['R', 'U', 401],
    ['U', 'F', 503],
    ['F', 'U', 503],
    ['L', 'U', 403],
    ['U', 'L', 403],
    ['U', 'A', 200],
    ['R', 'A', 200],
    ['A', 'U', 200],
    ['A', 'L', 200],
  ])(
    '%s in a nested composition and %s beside it answer %i, in the server position and in the list',
    async (inner, outer, status) => {
      const nested = () => multiAuth([leaf('F', 'inner-1'), leaf(inner, 'inner-2')]);
      for (const auth of [
        multiAuth(nested(), [leaf(outer, 'outer')]),
        multiAuth(null, [nested(), leaf(outer, 'outer')]),
      ])
        expect((await call(auth, 'token')).status).toBe(status);
    },
  );

  test('a shortfall in a nested composition is followed by an acceptance beside it', async () => {
    expect((await call(multiAuth(null, [multiAuth([leaf('L', 'inner')]), leaf('A', 'outer')]), 'token')).status).toBe(
      200,
    );
  });

  test('mine, maybe and foreign are asked through two levels: a nested JWT source keeps its tokens from every vendor', async () => {
    const [outside, inside] = [vendor(accepted('outside')), vendor(accepted('inside'))];
    const auth = multiAuth(null, [outside.source, multiAuth([inside.source, multiAuth([jwt()])])], { baseUrl: BASE });
    const answer = await call(auth, await idp.mint({ aud: RESOURCE }));
    expect([answer.status, answer.body.extra.source]).toEqual([200, 'jwt']);
    expect([...outside.asked, ...inside.asked]).toEqual([]);
    expect((await auth.verifyToken('opaque'))?.clientId).toBe('outside');
  });

  test('a JWT source outside keeps its tokens from a vendor in a nested composition', async () => {
    const inside = vendor(accepted('inside'));
    const auth = multiAuth(multiAuth([inside.source, keys('static')]), [jwt()], { baseUrl: BASE });
    expect((await call(auth, await idp.mint({ aud: RESOURCE }))).body.extra.source).toBe('jwt');
    expect(inside.asked).toEqual([]);
  });

  test('a base URL and an MCP path flow two levels down, to the audience, the document and the challenge', async () => {
    const server = remoteAuth({
      verifier: jwt(),
      authorizationServers: [idp.issuer],
      baseUrl: 'https://inner.example.com',
    });
    const auth = multiAuth(multiAuth(server, keys('static')), { baseUrl: BASE, mcpPath: '/deep' });
    expect(auth.resource).toBe(`${BASE}/deep`);
    expect((await call(auth, await idp.mint({ aud: `${BASE}/deep` }), '/deep')).status).toBe(200);
    const refused = await call(auth, await idp.mint({ aud: 'https://inner.example.com/mcp' }), '/deep');
    expect(refused.status).toBe(401);
    expect(challenge(refused).resource_metadata).toBe(`${BASE}/.well-known/oauth-protected-resource/deep`);
    expect((await call(auth, KEY, '/deep')).status).toBe(200);
  });

  test('the middle level of three is the nearest that overrides', async () => {
    const server = remoteAuth({
      verifier: jwt(),
      authorizationServers: [idp.issuer],
      baseUrl: 'https://inner.example.com',
    });
    const middle = multiAuth(server, keys('static'), {
      resourceBaseUrl: 'https://middle.example.com',
      requiredScopes: ['m'],
    });
    const auth = multiAuth(middle, vendor(() => null).source, { baseUrl: BASE });
    expect(auth.resource).toBe('https://middle.example.com/mcp');
    expect(auth.baseUrl).toBe(BASE);
    expect(auth.requiredScopes).toEqual(['m']);
    expect((await call(auth, await idp.mint({ aud: auth.resource as string, scope: 'm' }))).status).toBe(200);
    expect((await call(auth, await idp.mint({ aud: auth.resource as string }))).status).toBe(403);
  });
});
