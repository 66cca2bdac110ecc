import { runInThisContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type Auth,
  customVerifier,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
} from 'express-mcp-auth';
import { BASE, call, challenge } from '../support/composition.js';
import { drain } from '../support/introspection-server.js';
import { judge } from '../support/jwt-judge.js';
import { type SigningKey, seconds, signingKey } from '../support/keys.js';
import { closeAll, proxyApp } from '../support/proxy-app.js';

const ISSUER = 'https://idp.example.com';
const KEY = 'predicates-key-0123456789';
const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown) => void unhandled.push(reason);
/** Jest hands tests a copy of `process`; rejections are reported on the real one. */
const realProcess = runInThisContext('process') as NodeJS.Process;
let others: NodeJS.UnhandledRejectionListener[];

beforeEach(() => {
  unhandled.length = 0;
  others = realProcess.listeners('unhandledRejection');
  realProcess.removeAllListeners('unhandledRejection');
  realProcess.on('unhandledRejection', onUnhandled);
});
afterEach(() => {
  realProcess.off('unhandledRejection', onUnhandled);
  for (const other of others) realProcess.on('unhandledRejection', other);
});

/** An `async` function where a plain one is wanted, whose work then fails. */
const asyncByMistake = (async () => {
  throw new Error('the database is down');
}) as unknown as () => never;
/** The same mistake without a failure: a promise is no `true`. */
const promiseOfTrue = (async () => true) as unknown as () => never;

const jwt = (key: SigningKey, options: Partial<Parameters<typeof jwtVerifier>[0]>) =>
  jwtVerifier({ issuer: ISSUER, audience: 'api', jwks: { keys: [key.publicJwk] }, ...options });
const keys = () => staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes: ['admin'] } });

describe.each([
  ['rejects', asyncByMistake],
  ['holds true', promiseOfTrue],
])('a predicate that returns a promise that %s by mistake is not true, and ends no process', (_how, predicate) => {
  const cases: Record<string, (key: SigningKey) => Auth> = {
    'claims of jwtVerifier': key => jwt(key, { claims: predicate }),
    'issuer of jwtVerifier': key => jwt(key, { issuer: predicate }),
    'accepts of customVerifier': () => customVerifier({ accepts: predicate, verify: token => ({ clientId: token }) }),
    'accepts of introspectionVerifier': () =>
      introspectionVerifier({
        introspectionUrl: `${ISSUER}/introspect`,
        clientId: 'c',
        clientSecret: 's',
        audience: 'api',
        accepts: predicate,
        fetch: () => Promise.reject(new Error('nothing is asked')),
      }),
    'jwksUri of jwtVerifier': () =>
      jwtVerifier({ issuer: iss => iss === ISSUER, audience: 'api', jwksUri: predicate, fetch: predicate }),
  };

  test.each(Object.keys(cases))('%s', async name => {
    const key = await signingKey();
    const auth = (cases[name] as (key: SigningKey) => Auth)(key);
    const token = await key.sign({ iss: ISSUER, aud: 'api', exp: seconds(60), sub: 'ana' });
    expect(await judge(auth, token)).toMatch(/^(claims|foreign|unknown_key)$/);
    await drain();
    expect(unhandled).toEqual([]);
  });

  test('scopeSatisfies, where an authorization server asks it', async () => {
    const world = await proxyApp({ options: { scopeSatisfies: predicate } });
    const client = await world.client();
    expect((await client.connect({})).location?.searchParams.get('error')).toBe('access_denied');
    await drain();
    expect(unhandled).toEqual([]);
    await closeAll();
  });

  test('scopeSatisfies', async () => {
    const auth = multiAuth([keys()], { requiredScopes: ['read'], scopeSatisfies: predicate });
    expect((await call(auth, KEY)).status).toBe(403);
    expect(await auth.verifyToken(KEY)).toBeNull();
    await drain();
    expect(unhandled).toEqual([]);
  });

  test('challengeScopes: the required scopes are asked for', async () => {
    const auth = remoteAuth({
      verifier: keys(),
      authorizationServers: [ISSUER],
      baseUrl: BASE,
      requiredScopes: ['read'],
      challengeScopes: predicate,
    });
    expect(challenge(await call(auth)).scope).toBe('read');
    await drain();
    expect(unhandled).toEqual([]);
  });
});

describe('a global Promise that was replaced after the package was loaded', () => {
  const original = globalThis.Promise;
  afterEach(() => {
    globalThis.Promise = original;
  });

  test('changes nothing for JWTs, introspection and custom verifiers', async () => {
    const key = await signingKey();
    const token = await key.sign({ iss: ISSUER, aud: 'api', exp: seconds(60), sub: 'ana' });
    const opaque = introspectionVerifier({
      introspectionUrl: `${ISSUER}/introspect`,
      clientId: 'c',
      clientSecret: 's',
      audience: 'api',
      fetch: async () => Response.json({ active: true, aud: 'api' }),
    });
    const down = introspectionVerifier({
      introspectionUrl: `${ISSUER}/introspect`,
      clientId: 'c',
      clientSecret: 's',
      audience: 'api',
      fetch: async () => new Response(null, { status: 503 }),
    });
    const vendor = customVerifier({ verify: async clientId => ({ clientId }) });
    globalThis.Promise = class Instrumented<T> extends original<T> {} as PromiseConstructor;
    expect((await call(jwt(key, {}), token)).status).toBe(200);
    expect((await call(opaque, 'opaque')).status).toBe(200);
    expect((await call(vendor, 'vendor')).status).toBe(200);
    expect((await call(down, 'opaque')).status).toBe(503);
  });
});
