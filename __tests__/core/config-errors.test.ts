import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import {
  type Auth,
  ConfigError,
  customVerifier,
  debugVerifier,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
} from 'express-mcp-auth';
import { BASE, thrown } from '../support/composition.js';

const KEY = 'config-key-0123456789abcdef';
const ISSUER = 'https://login.example.com';
const SECRET = 'a-client-secret-that-must-not-be-printed';
const HMAC = 'an-hmac-secret-of-thirty-two-bytes-or-more';
const table = { [KEY]: { clientId: 'ci' } };

type Options = Record<string, unknown>;
/** Each factory with good options, to which a test adds wrong ones. */
const factories: Record<string, (options: Options) => unknown> = {
  jwtVerifier: options => jwtVerifier({ issuer: ISSUER, ...options } as never),
  staticTokenVerifier: options => staticTokenVerifier(table, options as never),
  introspectionVerifier: options =>
    introspectionVerifier({
      introspectionUrl: `${ISSUER}/introspect`,
      clientId: 'rs',
      clientSecret: SECRET,
      ...options,
    } as never),
  customVerifier: options => customVerifier({ verify: () => null, ...options } as never),
  debugVerifier: options => debugVerifier(options as never),
  remoteAuth: options =>
    remoteAuth({
      verifier: staticTokenVerifier(table),
      authorizationServers: [ISSUER],
      baseUrl: BASE,
      ...options,
    } as never),
  multiAuth: options => multiAuth([staticTokenVerifier(table)], options as never),
};
const make = (factory: string, options: Options) => (factories[factory] as (options: Options) => unknown)(options);

/** The ConfigError of a call, after a look at its shape. */
async function refusal(work: () => unknown): Promise<ConfigError> {
  const error = await thrown(work);
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toBeInstanceOf(Error);
  const { name, message, factory, option, reason, remedy } = error as ConfigError;
  expect(name).toBe('ConfigError');
  for (const text of [factory, option, reason, remedy]) expect(text).toEqual(expect.stringMatching(/./));
  for (const text of [factory, option, reason]) expect(message).toContain(text);
  return error as ConfigError;
}

describe('an unknown option is refused with the nearest known name', () => {
  test.each(Object.keys(factories))('%s is made with good options', factory => {
    expect(make(factory, {})).toEqual(expect.any(Function));
  });

  test.each([
    ['jwtVerifier', 'isuer', 'issuer'],
    ['jwtVerifier', 'audiences', 'audience'],
    ['jwtVerifier', 'jwksUrl', 'jwksUri'],
    ['jwtVerifier', 'algorithm', 'algorithms'],
    ['jwtVerifier', 'requiredScope', 'requiredScopes'],
    ['jwtVerifier', 'clockTolerance', 'clockToleranceSeconds'],
    ['staticTokenVerifier', 'requiredscopes', 'requiredScopes'],
    ['staticTokenVerifier', 'nmae', 'name'],
    ['introspectionVerifier', 'introspectionURL', 'introspectionUrl'],
    ['introspectionVerifier', 'client_id', 'clientId'],
    ['introspectionVerifier', 'cacheTTLSeconds', 'cacheTtlSeconds'],
    ['introspectionVerifier', 'timeout', 'timeoutMs'],
    ['customVerifier', 'accept', 'accepts'],
    ['customVerifier', 'required_scopes', 'requiredScopes'],
    ['debugVerifier', 'scope', 'scopes'],
    ['debugVerifier', 'clientID', 'clientId'],
    ['remoteAuth', 'authorizationServer', 'authorizationServers'],
    ['remoteAuth', 'verifiers', 'verifier'],
    ['remoteAuth', 'scopeSupported', 'scopesSupported'],
    ['remoteAuth', 'resourceBaseURL', 'resourceBaseUrl'],
    ['multiAuth', 'requiredScope', 'requiredScopes'],
    ['multiAuth', 'baseURL', 'baseUrl'],
    ['multiAuth', 'mcpPaths', 'mcpPath'],
    ['multiAuth', 'challengeScope', 'challengeScopes'],
    ['multiAuth', 'scopeSatisfy', 'scopeSatisfies'],
    ['multiAuth', 'legacyResource', 'legacyResources'],
  ])('%s: %s is answered with %s', async (factory, wrong, right) => {
    const error = await refusal(() => make(factory, { [wrong]: 'the-value-4711' }));
    expect(error.factory).toBe(factory);
    expect(error.option).toBe(wrong);
    expect(`${error.reason} ${error.remedy}`).toMatch(new RegExp(`\\b${right}\\b`));
    expect(inspect(error)).not.toContain('4711');
  });

  test.each(Object.keys(factories))(
    '%s refuses a name that is like no other, __proto__ of a parsed object and an unknown undefined',
    async factory => {
      expect((await refusal(() => make(factory, { zzzzzzzzzzzzzzzz: 1 }))).option).toBe('zzzzzzzzzzzzzzzz');
      expect((await refusal(() => make(factory, { qqqqqqqqqqqqqqqq: undefined }))).factory).toBe(factory);
    },
  );

  test.each([
    'sk-live-4711-hush-hush',
    'hush4711hush4711',
    'deadbeefdeadbeefdeadbeef0',
    'correct-horse-battery-hush',
    'x'.repeat(41),
    'hush hush',
    'hush.hush',
    'jwksUri-and-hush-hush',
    '',
  ])('an unknown key that may be a secret is never quoted: %j', async secret => {
    for (const factory of Object.keys(factories)) {
      const error = await refusal(() => make(factory, { [secret]: { clientId: 'ci' } }));
      expect([error.factory, error.option]).toEqual([factory, 'options']);
      expect(error.remedy).toContain('The options are ');
      if (secret !== '') expect(inspect(error)).not.toContain(secret);
      expect(inspect(error)).not.toMatch(/hush|4711|deadbeef|xxx/);
    }
    const nested = await refusal(() => make('jwtVerifier', { cache: { [secret]: 1 } }));
    expect(nested.option).toBe('cache');
    if (secret !== '') expect(inspect(nested)).not.toContain(secret);
  });

  test('D1: the table of static keys in the place of options is told where it belongs', async () => {
    const tokens = { 'ci-token-4711-hush-hush': { clientId: 'ci' } };
    const error = await refusal(() => multiAuth(make('staticTokenVerifier', {}) as Auth, tokens as never));
    expect(error.message).toContain('staticTokenVerifier');
    expect(inspect(error)).not.toContain('hush');
  });

  test.each([
    ['cache', 'maxEntrys', 'maxEntries'],
    ['cache', 'ttl', 'ttlSeconds'],
    ['jwksCache', 'staleSecond', 'staleSeconds'],
    ['jwksCache', 'timeout', 'timeoutMs'],
  ])('jwtVerifier: %s.%s is answered with %s', async (option, wrong, right) => {
    const error = await refusal(() => make('jwtVerifier', { [option]: { [wrong]: 1 } }));
    expect(error.option).toContain(wrong);
    expect(`${error.reason} ${error.remedy}`).toContain(right);
  });

  test.each(Object.keys(factories))('%s refuses options that are no object', async factory => {
    const call: Record<string, (options: never) => unknown> = {
      jwtVerifier,
      introspectionVerifier,
      customVerifier,
      debugVerifier,
      remoteAuth,
      staticTokenVerifier: (options: never) => staticTokenVerifier(table, options),
      multiAuth: (options: never) => multiAuth(staticTokenVerifier(table), [], options),
    };
    for (const bad of ['options', 42, factory === 'multiAuth' ? true : null]) {
      expect(await thrown(() => (call[factory] as (options: never) => unknown)(bad as never))).toBeInstanceOf(
        ConfigError,
      );
    }
  });
});

describe('a wrong value is refused when the factory is called', () => {
  const scopes: [string, unknown][] = ['read', ['read', 1], [''], ['a b'], ['a"b'], ['a\r\nb'], ['ü'], {}, 42].map(
    value => ['requiredScopes', value],
  );
  const shared = [...scopes, ['name', ''], ['name', 42]] as [string, unknown][];
  const composition: [string, unknown][] = [
    ['baseUrl', 'mcp.example.com'],
    ['baseUrl', 42],
    ['baseUrl', 'http://mcp.example.com'],
    ['baseUrl', `${BASE}/#x`],
    ['baseUrl', `${BASE}/?a=b`],
    ['resourceBaseUrl', '/relative'],
    ['resourceBaseUrl', `${BASE}/#x`],
    ['mcpPath', '/mcp/:id'],
    ['mcpPath', '/mcp*'],
    ['mcpPath', '/m cp'],
    ['mcpPath', '/m%63p'],
    ['mcpPath', '/mcp?x'],
    ['mcpPath', '/mcp#x'],
    ['mcpPath', '/(mcp)'],
    ['mcpPath', '/a//b'],
    ['mcpPath', ''],
    ['mcpPath', 42],
    ['legacyResources', 'https://old.example.com/mcp'],
    ['legacyResources', ['old']],
    ['scopesSupported', 'read'],
    ['scopesSupported', ['a b']],
    ['challengeScopes', 'read'],
    ['challengeScopes', ['a"b']],
    ['scopeSatisfies', true],
    ['authorizationServers', ISSUER],
    ['authorizationServers', ['login']],
    ['resourceName', 42],
    ['resourceDocumentation', 42],
    ['cors', 'yes'],
    ['rootMetadata', 'no'],
  ];
  const cases: Record<string, [string, unknown][]> = {
    jwtVerifier: [
      ...shared,
      ['issuer', undefined],
      ['issuer', ''],
      ['issuer', []],
      ['issuer', 42],
      ['audience', ''],
      ['audience', []],
      ['audience', 42],
      ['jwksUri', 'keys'],
      ['jwksUri', 'http://login.example.com/keys'],
      ['jwks', {}],
      ['jwks', { keys: 'none' }],
      ['publicKey', 'no PEM'],
      ['secret', 'short'],
      ['algorithms', 'RS256'],
      ['algorithms', []],
      ['algorithms', ['none']],
      ['algorithms', ['RS257']],
      ['algorithms', ['HS256']],
      ['claims', {}],
      ['typ', 42],
      ['clockToleranceSeconds', -1],
      ['clockToleranceSeconds', Number.NaN],
      ['clockToleranceSeconds', '5'],
      ['cache', true],
      ['cache', { maxEntries: -1 }],
      ['cache', { ttlSeconds: Number.NaN }],
      ['jwksCache', { timeoutMs: 0 }],
      ['jwksCache', { burst: '5' }],
      ['fetch', 'fetch'],
      ['now', 0],
      ['dangerouslyAcceptAnyAudience', 'yes'],
    ],
    staticTokenVerifier: shared,
    introspectionVerifier: [
      ...shared,
      ['introspectionUrl', undefined],
      ['introspectionUrl', 'introspect'],
      ['introspectionUrl', 'http://login.example.com/introspect'],
      ['clientId', undefined],
      ['clientId', ''],
      ['clientSecret', ''],
      ['clientSecret', undefined],
      ['clientAuthMethod', 'private_key_jwt'],
      ['audience', 42],
      ['issuer', 42],
      ['cacheTtlSeconds', -1],
      ['cacheTtlSeconds', Number.NaN],
      ['maxCacheEntries', -1],
      ['timeoutMs', 0],
      ['timeoutMs', '5000'],
      ['accepts', 'op_'],
      ['fetch', {}],
      ['now', {}],
    ],
    customVerifier: [...shared, ['verify', undefined], ['verify', 'token'], ['verify', {}], ['accepts', 'sk_']],
    debugVerifier: [...shared, ['clientId', 42], ['scopes', 'read']],
    remoteAuth: [
      ...shared,
      ...composition,
      ['verifier', undefined],
      ['baseUrl', undefined],
      ['authorizationServers', []],
    ],
    multiAuth: [...shared, ...composition],
  };
  const rows = Object.entries(cases).flatMap(([factory, list]) =>
    list.map(([option, value]) => [factory, option, value] as const),
  );

  test.each(rows)('%s: %s: %p', async (factory, option, value) => {
    const error = await refusal(() => make(factory, { [option]: value }));
    expect([error.factory, error.option.split(/[.[]/)[0]]).toEqual([factory, option]);
    expect(inspect(error)).not.toContain(SECRET);
  });
});

describe('undefined: as if absent, except where an unset environment variable would open a door', () => {
  test.each([
    [
      'jwtVerifier',
      [
        'audience',
        'jwksUri',
        'algorithms',
        'requiredScopes',
        'name',
        'claims',
        'typ',
        'cache',
        'jwksCache',
        'fetch',
        'now',
      ],
    ],
    ['staticTokenVerifier', ['name', 'requiredScopes']],
    [
      'introspectionVerifier',
      [
        'clientAuthMethod',
        'audience',
        'issuer',
        'requiredScopes',
        'cacheTtlSeconds',
        'timeoutMs',
        'accepts',
        'fetch',
        'now',
      ],
    ],
    ['customVerifier', ['name', 'accepts', 'requiredScopes']],
    ['debugVerifier', ['name', 'clientId', 'scopes', 'requiredScopes']],
    [
      'remoteAuth',
      [
        'resourceBaseUrl',
        'mcpPath',
        'requiredScopes',
        'scopesSupported',
        'challengeScopes',
        'resourceName',
        'cors',
        'rootMetadata',
        'name',
      ],
    ],
    [
      'multiAuth',
      [
        'baseUrl',
        'mcpPath',
        'legacyResources',
        'requiredScopes',
        'challengeScopes',
        'authorizationServers',
        'scopeSatisfies',
        'cors',
      ],
    ],
  ])('%s takes undefined for %p', (factory, options) => {
    expect(
      make(factory as string, Object.fromEntries((options as string[]).map(option => [option, undefined]))),
    ).toEqual(expect.any(Function));
  });

  test.each([
    ['jwtVerifier', 'secret', {}],
    ['jwtVerifier', 'publicKey', {}],
    ['jwtVerifier', 'jwks', {}],
    ['jwtVerifier', 'secret', { jwksUri: `${ISSUER}/keys` }],
    ['jwtVerifier', 'publicKey', { jwksUri: `${ISSUER}/keys` }],
    ['introspectionVerifier', 'clientSecret', {}],
  ])('%s refuses %s: undefined, with %p', async (factory, option, rest) => {
    const error = await refusal(() => make(factory, { ...rest, [option]: undefined }));
    expect([error.factory, error.option]).toEqual([factory, option]);
  });
});

describe('contradictions', () => {
  test.each([
    ['two key sources', 'jwtVerifier', { jwksUri: `${ISSUER}/keys`, secret: HMAC }],
    ['three key sources', 'jwtVerifier', { jwksUri: `${ISSUER}/keys`, secret: HMAC, jwks: { keys: [] } }],
    ['an issuer predicate without a key source', 'jwtVerifier', { issuer: () => true }],
    ['an audience and any audience', 'jwtVerifier', { audience: 'api', dangerouslyAcceptAnyAudience: true }],
    ['a secret with an asymmetric algorithm', 'jwtVerifier', { secret: HMAC, algorithms: ['RS256'] }],
    [
      'a remote key set with a symmetric algorithm',
      'jwtVerifier',
      { jwksUri: `${ISSUER}/keys`, algorithms: ['HS256'] },
    ],
  ])('%s is a ConfigError', async (_, factory, options) => {
    const error = await refusal(() => make(factory, options));
    expect(error.factory).toBe(factory);
    expect(inspect(error)).not.toContain(HMAC);
  });
});

describe('attack 65: no error prints a secret', () => {
  const secret = 'S3CRET-4711-S3CRET-4711-S3CRET-4711-S3CRET';
  const short = 'S3CRET-4711';
  const rows: [string, () => unknown][] = [
    ['a short HMAC secret', () => make('jwtVerifier', { secret: short })],
    ['a secret of the wrong type', () => make('jwtVerifier', { secret: { value: secret } })],
    ['a secret beside another key source', () => make('jwtVerifier', { secret, jwksUri: `${ISSUER}/keys` })],
    ['a secret given as a public key', () => make('jwtVerifier', { publicKey: secret })],
    ['a secret given as a key set', () => make('jwtVerifier', { jwks: secret })],
    ['a secret in an inline key set', () => make('jwtVerifier', { jwks: { keys: [{ kty: 'oct', k: secret }, 4711] } })],
    ['a secret beside an unknown option', () => make('jwtVerifier', { secret, isuer: 'x' })],
    ['a secret under a misspelt name', () => make('jwtVerifier', { secrett: secret })],
    ['a secret in an algorithm list', () => make('jwtVerifier', { secret, algorithms: ['RS256'] })],
    ['a client secret under a misspelt name', () => make('introspectionVerifier', { clientSecrets: secret })],
    [
      'a client secret beside a bad URL',
      () => make('introspectionVerifier', { clientSecret: secret, introspectionUrl: 'no URL' }),
    ],
    ['a client secret of the wrong type', () => make('introspectionVerifier', { clientSecret: [secret] })],
    [
      'a password in an introspection URL',
      () => make('introspectionVerifier', { introspectionUrl: `http://user:${secret}@login.example.com/` }),
    ],
    ['a password in a base URL', () => make('multiAuth', { baseUrl: `http://user:${secret}@mcp.example.com/` })],
    ['a static key with a newline', () => staticTokenVerifier({ [`${secret}\n`]: { clientId: 'ci' } })],
    ['a static key with a bad entry', () => staticTokenVerifier({ [secret]: {} as never })],
    [
      'a static key with an entry of the wrong type',
      () => staticTokenVerifier({ [secret]: { clientId: 'ci', scopes: 'x' as never } }),
    ],
    [
      'a static key beside a wrong option',
      () => staticTokenVerifier({ [secret]: { clientId: 'ci' } }, { nmae: 'x' } as never),
    ],
    ['static tokens given as a list', () => staticTokenVerifier([secret] as never)],
    [
      'a static table inside a broken composition',
      () => multiAuth(null, [staticTokenVerifier({ [secret]: { clientId: 'ci' } }), secret as never]),
    ],
    ['a key given as a name that is wrong', () => make('customVerifier', { accepts: secret })],
  ];

  test.each(rows)('%s', async (_, work) => {
    const error = await refusal(work);
    const printed =
      inspect(error, { depth: 8, showHidden: true }) + JSON.stringify(error) + String(error) + String(error.stack);
    // The stack names this file and the row, never the value.
    expect(printed).not.toContain(short);
  });
});
