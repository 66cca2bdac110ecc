import { afterEach, describe, expect, test } from '@jest/globals';
import { ConfigError, customVerifier, memoryStore, oauthProxy } from 'express-mcp-auth';
import { recordWarnings } from '../support/app.js';
import { thrown } from '../support/composition.js';

type Options = Record<string, unknown>;
const SECRET = 'a-secret-of-at-least-thirty-two-characters';
const endpoints = {
  authorizationEndpoint: 'https://login.example.com/authorize',
  tokenEndpoint: 'https://login.example.com/token',
};
const client = { clientId: 'app', clientSecret: 'the-upstream-secret' };
const verifier = customVerifier({ verify: () => null });
const make = (options: Options = {}, upstream: Options = {}) => {
  const all: Options = {
    baseUrl: 'https://mcp.example.com',
    verifier,
    secrets: SECRET,
    store: memoryStore(),
    ...options,
  };
  if (!('upstream' in options)) {
    const merged: Options = { ...client, ...endpoints, ...upstream };
    for (const name of Object.keys(merged)) if (merged[name] === '-') delete merged[name];
    all.upstream = merged;
  }
  for (const name of Object.keys(all)) if (all[name] === '-') delete all[name];
  return oauthProxy(all as unknown as Parameters<typeof oauthProxy>[0]);
};
/** `-` takes an option away. */
const GONE = '-';
const refusal = async (options: Options, upstream: Options = {}): Promise<ConfigError> => {
  const error = await thrown(() => make(options, upstream));
  expect(error).toBeInstanceOf(ConfigError);
  const { factory, reason, remedy, message } = error as ConfigError;
  expect(factory).toBe('oauthProxy');
  expect([reason, remedy]).toEqual([expect.stringMatching(/./), expect.stringMatching(/./)]);
  expect(message).toContain(reason);
  for (const secret of ['the-upstream-secret', SECRET, 'short-secret']) expect(message).not.toContain(secret);
  return error as ConfigError;
};

describe('options that are fine', () => {
  test.each<[string, Options, Options]>([
    ['the least', {}, {}],
    ['a base URL with a path', { baseUrl: 'https://mcp.example.com/a/b' }, {}],
    ['http on loopback', { baseUrl: 'http://127.0.0.1:3000' }, {}],
    ['http elsewhere, when that is said', { baseUrl: 'http://mcp.internal', dangerouslyAllowHttp: true }, {}],
    ['several secrets', { secrets: [SECRET, `${SECRET}-old`] }, {}],
    ['several client secrets', { secrets: GONE }, { clientSecret: ['new', 'old'] }],
    ['keys from the client secret', { secrets: GONE }, {}],
    ['a public client', {}, { clientSecret: GONE, clientAuthMethod: 'none' }],
    [
      'an issuer and no verifier',
      { verifier: GONE },
      { issuer: 'https://login.example.com', authorizationEndpoint: GONE, tokenEndpoint: GONE },
    ],
    ['rate limits off', { rateLimit: false }, {}],
    ['external consent where nobody registers', { consent: 'external', clients: { registration: false } }, {}],
    [
      'external consent with listed addresses',
      { consent: 'external', clients: { redirectUris: { only: ['https://a.example.com/cb'] } } },
      {},
    ],
    ['client documents off', { clients: { clientIdDocuments: false } }, {}],
    ['no reuse window', { tokens: { refreshReuseSeconds: 0 } }, {}],
  ])('%s', (_, options, upstream) => {
    expect(make(options, upstream)).toEqual(expect.any(Function));
  });

  test('scopes and defaults come from the verifier where none are given', () => {
    const auth = make({ verifier: customVerifier({ verify: () => null, requiredScopes: ['notes'] }) });
    expect(auth.requiredScopes).toEqual(['notes']);
    expect(auth.scopesSupported).toEqual(['notes']);
    expect([auth.name, auth.baseUrl, auth.resource]).toEqual([
      'oauthProxy',
      'https://mcp.example.com',
      'https://mcp.example.com/mcp',
    ]);
  });
});

describe('a ConfigError names the option', () => {
  test.each<[string, Options]>([
    ['baseUrl', { baseUrl: GONE }],
    ['baseUrl', { baseUrl: 'mcp.example.com' }],
    ['baseUrl', { baseUrl: 'http://mcp.example.com' }],
    ['baseUrl', { baseUrl: 'https://mcp.example.com?x=1' }],
    ['baseUrl', { baseUrl: 'https://mcp.example.com#x' }],
    ['baseUrl', { baseUrl: 'ftp://mcp.example.com', dangerouslyAllowHttp: true }],
    ['issuerUrl', { issuerUrl: 'https://mcp.example.com/#x' }],
    ['issuerUrl', { issuerUrl: 'http://mcp.example.com' }],
    ['mcpPath', { mcpPath: 'mcp' }],
    ['mcpPath', { mcpPath: '/mcp/:id' }],
    ['endpointPrefix', { endpointPrefix: 'oauth' }],
    ['endpointPrefix', { endpointPrefix: '/o auth' }],
    ['rateLimit.store', { rateLimit: { store: { nothing: 1 } } }],
    ['rateLimit.store', { rateLimit: { store: null } }],
    ['redirectPath', { redirectPath: 'callback' }],
    ['redirectPath', { redirectPath: '/callback?x=1' }],
    ['redirectPath', { redirectPath: '/a/*' }],
    ['upstream', { upstream: undefined }],
    ['upstream', { upstream: 'https://login.example.com' }],
    ['upstream', { upstream: null }],
    ['verifier', { verifier: GONE }],
    ['verifier', { verifier: () => null }],
    ['verifier', { verifier: { verifyAccessToken: () => null } }],
    ['revalidateSeconds', { revalidateSeconds: -1 }],
    ['revalidateSeconds', { revalidateSeconds: '60' }],
    ['revalidateGraceSeconds', { revalidateGraceSeconds: Number.NaN }],
    ['requiredScopes', { requiredScopes: ['a b'] }],
    ['requiredScopes', { requiredScopes: 'read' }],
    ['scopesSupported', { scopesSupported: ['"'] }],
    ['defaultScopes', { defaultScopes: [1] }],
    ['defaultResource', { defaultResource: 7 }],
    ['grantScopes', { grantScopes: ['read'] }],
    ['consent', { consent: 'never' }],
    ['consent', { consent: false }],
    ['consent', { consent: Object.create(null) }],
    ['consent', { consent: 'external' }],
    ['consent', { consent: 'external', clients: { registration: 'stored' } }],
    ['consentPage', { consentPage: '<html>' }],
    ['consentCsp', { consentCsp: true }],
    ['clients', { clients: [] }],
    ['clients.registration', { clients: { registration: 'open' } }],
    ['clients.registration', { clients: { registration: true } }],
    ['clients.clientIdDocuments', { clients: { clientIdDocuments: true } }],
    ['clients.knownClients', { clients: { knownClients: 'yes' } }],
    ['clients.allow', { clients: { allow: ['x'] } }],
    ['clients.redirectUris.allow', { clients: { redirectUris: { allow: ['https://*.*.example.com/'] } } }],
    ['clients.redirectUris.allow', { clients: { redirectUris: { allow: ['https://a*.example.com/'] } } }],
    ['clients.redirectUris.allow', { clients: { redirectUris: { allow: 'https://a.example.com' } } }],
    ['clients.redirectUris.only', { clients: { redirectUris: { only: ['javascript:alert(1)'] } } }],
    ['clients.redirectUris.ony', { clients: { redirectUris: { ony: [] } } }],
    ['clients.preRegistered', { clients: { preRegistered: {} } }],
    [
      'clients.preRegistered[0].client_id',
      { clients: { preRegistered: [{ redirect_uris: ['https://a.example.com'] }] } },
    ],
    [
      'clients.preRegistered[0].client_secret',
      {
        clients: {
          preRegistered: [{ client_id: 'a', client_secret: undefined, redirect_uris: ['https://a.example.com'] }],
        },
      },
    ],
    ['clients.preRegistered[0].clientId', { clients: { preRegistered: [{ clientId: 'a' }] } }],
    ['tokens', { tokens: 3_600 }],
    ['tokens.accessTtlSeconds', { tokens: { accessTtlSeconds: 0 } }],
    ['tokens.refreshTtlSeconds', { tokens: { refreshTtlSeconds: '30d' } }],
    ['tokens.codeTtlSeconds', { tokens: { codeTtlSeconds: 3_600 } }],
    ['tokens.transactionTtlSeconds', { tokens: { transactionTtlSeconds: 0 } }],
    ['tokens.refreshReuseSeconds', { tokens: { refreshReuseSeconds: -1 } }],
    ['tokens.accessTtl', { tokens: { accessTtl: 60 } }],
    ['identityAssertion', { identityAssertion: {} }],
    ['store', { store: {} }],
    ['store', { store: null }],
    ['store', { store: new Map() }],
    ['secrets', { secrets: 'short-secret' }],
    ['secrets', { secrets: [] }],
    ['secrets', { secrets: undefined }],
    ['secrets', { secrets: [SECRET, 'short-secret'] }],
    ['invalidGrantStatus', { invalidGrantStatus: 403 }],
    ['invalidGrantStatus', { invalidGrantStatus: '400' }],
    ['rateLimit', { rateLimit: true }],
    ['rateLimit.tokens', { rateLimit: { tokens: {} } }],
    ['rateLimit.token.limit', { rateLimit: { token: { limit: 0 } } }],
    ['rateLimit.token.windowSeconds', { rateLimit: { token: { windowSeconds: 'x' } } }],
    ['fetch', { fetch: 'node-fetch' }],
    ['now', { now: 0 }],
    ['authorizationServers', { authorizationServers: ['https://x.example.com'] }],
    ['clientSecret', { clientSecret: 'x' }],
    ['cors', { cors: 'yes' }],
    ['dangerouslyAllowHttp', { dangerouslyAllowHttp: 1 }],
  ])('%s: %j', async (option, options) => {
    // Nested options may be named by their whole path or by the last part.
    const error = await refusal(options);
    expect(option.endsWith(error.option.split('.').at(-1) ?? '')).toBe(true);
  });

  test.each<[string, Options]>([
    ['upstream.clientId', { clientId: GONE }],
    ['upstream.clientSecret', { clientSecret: undefined }],
    ['upstream.clientSecret', { clientSecret: '' }],
    ['upstream.clientSecret', { clientSecret: [] }],
    ['upstream.clientSecret', { clientSecret: GONE, clientAuthMethod: 'client_secret_post' }],
    ['upstream.issuer', { authorizationEndpoint: GONE }],
    ['upstream.issuer', { tokenEndpoint: GONE }],
    ['upstream.authorizationEndpoint', { issuer: 'https://login.example.com' }],
    ['upstream.authorizationEndpoint', { authorizationEndpoint: 'http://login.example.com/authorize' }],
    ['upstream.authorizationEndpoint', { authorizationEndpoint: 'https://login.example.com/authorize#x' }],
    ['upstream.tokenEndpoint', { tokenEndpoint: '/token' }],
    ['upstream.jwksUri', { jwksUri: 'not a url' }],
    ['upstream.revocationEndpoint', { revocationEndpoint: 'javascript:alert(1)' }],
    ['upstream.clientAuthMethod', { clientAuthMethod: 'private_key_jwt' }],
    ['upstream.clientAuthMethod', { clientAuthMethod: 'basic' }],
    ['upstream.scopes', { scopes: 'read' }],
    ['upstream.scopes', { scopes: ['a b'] }],
    ['upstream.pkce', { pkce: 'S256' }],
    ['upstream.resourceParam', { resourceParam: true }],
    ['upstream.resourceParam', { resourceParam: 'aud' }],
    ['upstream.timeoutMs', { timeoutMs: 0 }],
    ['upstream.authorizationParams', { authorizationParams: [] }],
    ['upstream.authorizationParams.x', { authorizationParams: { x: 1 } }],
    ['upstream.tokenParams.x', { tokenParams: { x: null } }],
    ['upstream.tokenUrl', { tokenUrl: 'https://login.example.com/token' }],
  ])('%s: %j', async (option, upstream) => {
    expect((await refusal({}, upstream)).option).toBe(option);
  });

  test.each([
    'login.example.com',
    'http://login.example.com',
    'https://login.example.com?tenant=1',
    'https://login.example.com/#x',
    'https://app:short-secret@login.example.com',
  ])('upstream.issuer: %s, with a remedy that speaks of the provider', async issuer => {
    const error = await refusal({}, { issuer, authorizationEndpoint: GONE, tokenEndpoint: GONE });
    expect(error.option).toBe('upstream.issuer');
    expect(error.remedy).toContain("the provider's issuer");
  });

  test.each([
    'response_type',
    'response_mode',
    'request',
    'request_uri',
    'client_id',
    'redirect_uri',
    'state',
    'scope',
    'nonce',
    'code_challenge',
    'code_challenge_method',
  ])('upstream.authorizationParams.%s: reserved', async name => {
    const error = await refusal({}, { authorizationParams: { [name]: 'x' } });
    expect(error.option).toBe(`upstream.authorizationParams.${name}`);
  });

  test.each(['grant_type', 'code', 'code_verifier', 'refresh_token', 'client_secret', 'token', 'token_type_hint'])(
    'upstream.tokenParams.%s: reserved',
    async name => {
      expect((await refusal({}, { tokenParams: { [name]: 'x' } })).option).toBe(`upstream.tokenParams.${name}`);
    },
  );

  test('the parameter that resourceParam sends is reserved then, and free otherwise', async () => {
    const authorizationParams = { audience: 'https://api.example.com' };
    expect((await refusal({}, { resourceParam: 'audience', authorizationParams })).option).toBe(
      'upstream.authorizationParams.audience',
    );
    expect(make({}, { authorizationParams })).toEqual(expect.any(Function));
  });

  test('no secret to derive keys from', async () => {
    const error = await refusal({ secrets: GONE }, { clientSecret: GONE, clientAuthMethod: 'none' });
    expect(error.option).toBe('secrets');
  });

  test('a misspelt option names the nearest one', async () => {
    expect((await refusal({ redirectpath: '/x' })).remedy).toContain('redirectPath');
    expect((await refusal({}, { authorisationEndpoint: 'x' })).remedy).toContain('authorizationEndpoint');
  });
});

describe('warnings', () => {
  const environment = process.env.NODE_ENV;
  afterEach(() => {
    process.env.NODE_ENV = environment;
  });
  const settle = () => new Promise(resolve => setImmediate(resolve));
  const seenWith = async (nodeEnv: string, options: Options) => {
    process.env.NODE_ENV = nodeEnv;
    const warnings = recordWarnings();
    make(options);
    make(options);
    await settle();
    warnings.stop();
    return warnings.seen;
  };

  test('in production: memory store, derived secrets, local rate limits; each with its remedy', async () => {
    const seen = await seenWith('production', { secrets: GONE, store: GONE });
    const codes = ['MCP_AUTH_DERIVED_SECRETS', 'MCP_AUTH_MEMORY_STORE', 'MCP_AUTH_LOCAL_RATE_LIMIT'];
    expect([...new Set(seen.map(each => each.code))].sort()).toEqual([...codes].sort());
    for (const { text } of seen) {
      expect(text).toMatch(/^oauthProxy: /);
      expect(text).not.toContain('the-upstream-secret');
    }
    const textOf = (code: string) => seen.find(each => each.code === code)?.text;
    expect(textOf('MCP_AUTH_MEMORY_STORE')).toMatch(/lmdbStore|redisStore|postgresStore/);
    expect(textOf('MCP_AUTH_DERIVED_SECRETS')).toMatch(/secrets/);
    expect(textOf('MCP_AUTH_LOCAL_RATE_LIMIT')).toMatch(/rateLimit/);
  });

  test('none in production when all three are set', async () => {
    expect(await seenWith('production', { rateLimit: false })).toEqual([]);
    expect(await seenWith('production', { rateLimit: { store: { increment: () => {} } } })).toEqual([]);
  });

  test.each(['development', 'test'])('none in %s', async nodeEnv => {
    expect(await seenWith(nodeEnv, { secrets: GONE, store: GONE })).toEqual([]);
  });
});
