import type {
  ConsentMode,
  ConsentRules,
  ConsentView,
  Endpoints,
  RateLimitName,
  RateLimits,
} from '../authorization/authorization-server.js';
import type { AllowClient } from '../authorization/client-directory.js';
import type { TokenLifetimes } from '../authorization/lifetimes.js';
import { preRegisteredClients } from '../clients/pre-registered.js';
import { COMPOSITION_OPTIONS, publicUrl, readScopes, readSettings } from '../composition/options.js';
import { nodeEnv } from '../core/environment.js';
import { kindOf, Options } from '../core/options.js';
import { warnings } from '../core/warnings.js';
import type { Fetch } from '../net/fetch-json.js';
import { isMcpPath } from '../oauth/mcp-path.js';
import { redirectPolicy } from '../oauth/redirect-uri.js';
import { pathOf } from '../oauth/url.js';
import { memoryStore } from '../store/memory.js';
import type { Store } from '../store/store.js';
import { readUpstream } from './read-upstream.js';
import type { GrantScopes } from './upstream/upstream-config.js';

const FACTORY = 'oauthProxy';
const OWN_OPTIONS = [
  'issuerUrl',
  'dangerouslyAllowHttp',
  'endpointPrefix',
  'upstream',
  'verifier',
  'revalidateSeconds',
  'revalidateGraceSeconds',
  'defaultScopes',
  'defaultResource',
  'grantScopes',
  'redirectPath',
  'consent',
  'consentPage',
  'consentCsp',
  'clients',
  'tokens',
  'identityAssertion',
  'store',
  'secrets',
  'invalidGrantStatus',
  'rateLimit',
  'fetch',
  'now',
];
const LATER = 'comes in a later version';
const DAY = 86_400;

export type OAuthProxyConfig = ReturnType<typeof readOAuthProxy>;

/** The options of one proxy, checked and complete. */
export function readOAuthProxy(given: unknown) {
  const known = [...COMPOSITION_OPTIONS.filter(option => option !== 'authorizationServers'), ...OWN_OPTIONS];
  const options = new Options(FACTORY, given, known);
  const warn = warnings();
  if (options.has('identityAssertion')) options.fail('identityAssertion', LATER, 'Leave it out for now.');
  const allowHttp = options.boolean('dangerouslyAllowHttp') ?? false;
  const baseUrl =
    publicUrl(options, 'baseUrl', allowHttp) ??
    options.fail('baseUrl', 'is missing', 'Give the public URL of this app.');
  const issuer = publicUrl(options, 'issuerUrl', allowHttp) ?? baseUrl;
  const endpoints = readEndpoints(options, baseUrl);
  const fetch = options.function<Fetch>('fetch');
  const now = options.function<() => number>('now') ?? Date.now;
  const upstream = readUpstream(options, { redirectUri: endpoints.baseUrl + endpoints.paths.callback, fetch, now });
  const requiredScopes = readScopes(options, 'requiredScopes') ?? upstream.verifier.requiredScopes;
  const clients = readClients(options);
  return {
    name: options.string('name'),
    displayName: options.string('resourceName') ?? options.string('name') ?? new URL(baseUrl).host,
    settings: { ...readSettings(options, allowHttp), requiredScopes, authorizationServers: [issuer] },
    issuer,
    endpoints,
    upstream,
    revalidation: {
      seconds: options.number('revalidateSeconds', { min: 0, max: DAY, fallback: 60 }),
      graceSeconds: options.number('revalidateGraceSeconds', { min: 0, max: 30 * DAY, fallback: 600 }),
    },
    scopes: {
      supported: [...(readScopes(options, 'scopesSupported') ?? upstream.verifier.scopesSupported), ...requiredScopes],
      defaults: [...new Set([...(readScopes(options, 'defaultScopes') ?? []), ...requiredScopes])],
    },
    defaultResource: options.string('defaultResource'),
    grantScopes: options.function<GrantScopes>('grantScopes'),
    consent: readConsent(options, clients),
    clients,
    lifetimes: readLifetimes(options),
    secrets: readSecrets(options, upstream.clientSecrets, warn),
    store: readStore(options, now, warn),
    invalidGrantStatus: readInvalidGrantStatus(options),
    rateLimits: readRateLimits(options, clients.registration, warn),
    now,
  };
}

function readEndpoints(options: Options, baseUrl: string): Endpoints {
  const prefix = path(options, 'endpointPrefix') ?? '';
  const at = (name: string) => `${prefix === '/' ? '' : prefix}/${name}`;
  return {
    baseUrl: baseUrl.replace(/\/$/, ''),
    basePath: pathOf(baseUrl).replace(/\/$/, ''),
    paths: {
      authorize: at('authorize'),
      consent: at('consent'),
      callback: path(options, 'redirectPath') ?? '/auth/callback',
      token: at('token'),
      register: at('register'),
      revoke: at('revoke'),
      jwks: at('jwks'),
    },
  };
}

function path(options: Options, option: string): string | undefined {
  const value = options.string(option);
  if (value !== undefined && !isMcpPath(value))
    options.fail(
      option,
      `is ${JSON.stringify(value)}, which is no literal path`,
      "Start it with '/' and use segments of letters, digits and -._~ only.",
    );
  return value?.replace(/(.)\/$/, '$1');
}

function readConsent(options: Options, clients: { registration: unknown; hasOnly: boolean }): ConsentRules {
  const mode = options.string('consent') ?? 'always';
  if (!['always', 'remember', 'external', 'dangerouslySkip'].includes(mode))
    options.fail('consent', `is ${JSON.stringify(mode)}`, 'Choose always, remember, external or dangerouslySkip.');
  // Somebody could register a client of their own and send a person through: the provider would name this app, not theirs.
  if (mode === 'external' && clients.registration !== false && !clients.hasOnly)
    options.fail(
      'consent',
      'is external, but strangers can register clients that the provider never names',
      'Set clients.registration to false, or list the redirect URIs with clients.redirectUris.only.',
    );
  const csp = options.raw('consentCsp') === false ? false : options.string('consentCsp');
  if (typeof csp === 'string' && !/^[\x20-\x7e]+$/.test(csp))
    options.fail('consentCsp', 'holds characters that no header can carry', 'Write the policy in one line of ASCII.');
  return {
    mode: mode as ConsentMode,
    page: options.function<(view: ConsentView) => string | Promise<string>>('consentPage'),
    csp,
  };
}

function readClients(options: Options) {
  const clients = options.nested('clients', [
    'registration',
    'clientIdDocuments',
    'redirectUris',
    'knownClients',
    'preRegistered',
    'allow',
  ]);
  const registration = clients.raw('registration') ?? 'stateless';
  if (registration !== 'stateless' && registration !== 'stored' && registration !== false)
    clients.fail(
      'registration',
      `must be 'stateless', 'stored' or false, got ${kindOf(registration)}`,
      'Choose one of them.',
    );
  if (clients.boolean('clientIdDocuments') === true) clients.fail('clientIdDocuments', LATER, 'Leave it out for now.');
  const uris = clients.nested('redirectUris', ['allow', 'only']);
  const patterns = {
    allow: uris.list('allow'),
    only: uris.list('only'),
    knownClients: clients.boolean('knownClients') ?? true,
  };
  const preRegistered = preRegisteredClients(FACTORY, clients.raw('preRegistered'));
  return {
    registration: registration as 'stateless' | 'stored' | false,
    preRegistered,
    allow: clients.function<AllowClient>('allow'),
    hasOnly: patterns.only !== undefined,
    redirects: readRedirects(uris, patterns),
  };
}

function readRedirects(uris: Options, patterns: Parameters<typeof redirectPolicy>[0]) {
  try {
    return redirectPolicy(patterns);
  } catch (error) {
    const option = patterns.only === undefined ? 'allow' : 'only';
    uris.fail(
      option,
      error instanceof Error ? error.message : 'holds no redirect URI',
      "Give exact URIs, or a '*' for the left-most host label, the port or the last path segment.",
    );
  }
}

function readLifetimes(options: Options): TokenLifetimes {
  const tokens = options.nested('tokens', [
    'accessTtlSeconds',
    'refreshTtlSeconds',
    'codeTtlSeconds',
    'transactionTtlSeconds',
    'refreshReuseSeconds',
  ]);
  return {
    accessTtlSeconds: tokens.has('accessTtlSeconds')
      ? tokens.number('accessTtlSeconds', { min: 1, max: 365 * DAY, fallback: 0 })
      : undefined,
    refreshTtlSeconds: tokens.number('refreshTtlSeconds', { min: 1, max: 3_650 * DAY, fallback: 30 * DAY }),
    codeTtlSeconds: tokens.number('codeTtlSeconds', { min: 1, max: 600, fallback: 60 }),
    transactionTtlSeconds: tokens.number('transactionTtlSeconds', { min: 10, max: DAY, fallback: 600 }),
    refreshReuseSeconds: tokens.number('refreshReuseSeconds', { min: 0, max: 3_600, fallback: 30 }),
  };
}

function readSecrets(
  options: Options,
  clientSecrets: readonly string[],
  warn: ReturnType<typeof warnings>,
): readonly string[] {
  const secrets = options.oneOrMore('secrets');
  for (const secret of secrets ?? [])
    if (secret.length < 32)
      options.fail(
        'secrets',
        `holds one of ${secret.length} characters, expected at least 32`,
        'Make one with: node -e "console.log(crypto.randomBytes(48).toString(\'base64url\'))".',
      );
  if (secrets !== undefined) return secrets;
  if (clientSecrets.length === 0)
    options.fail(
      'secrets',
      'is missing, and there is no upstream.clientSecret to derive keys from',
      'Give a random string of at least 32 characters.',
    );
  if (nodeEnv() === 'production')
    warn(
      'MCP_AUTH_DERIVED_SECRETS',
      () =>
        `${FACTORY}: the keys are derived from upstream.clientSecret, so replacing it logs everybody out. Set the secrets option to a random string of its own.`,
    );
  return clientSecrets.map(secret => `upstream client secret ${secret}`);
}

function readStore(options: Options, now: () => number, warn: ReturnType<typeof warnings>): Store {
  const store = options.raw('store') as Store | undefined;
  if (store === undefined) {
    if (nodeEnv() === 'production')
      warn(
        'MCP_AUTH_MEMORY_STORE',
        () =>
          `${FACTORY}: sign-ins are kept in the memory of this process: a restart ends them, and other replicas do not know them. Set the store option to lmdbStore, redisStore or postgresStore.`,
      );
    return memoryStore({ now });
  }
  for (const method of ['get', 'set', 'add', 'take', 'replace', 'delete'] as const)
    if (typeof store?.[method] !== 'function')
      options.fail(
        'store',
        `has no method ${method}`,
        'Pass a store of this package, or one that passes storeContract.',
      );
  return store;
}

function readInvalidGrantStatus(options: Options): 400 | 401 {
  const status = options.raw('invalidGrantStatus') ?? 401;
  if (status !== 400 && status !== 401)
    options.fail('invalidGrantStatus', 'must be 400 or 401', '401 is what MCP clients know, 400 what RFC 6749 says.');
  return status;
}

function readRateLimits(
  options: Options,
  registration: unknown,
  warn: ReturnType<typeof warnings>,
): RateLimits | undefined {
  if (options.raw('rateLimit') === false) return undefined;
  const given = options.nested('rateLimit', [
    'register',
    'authorize',
    'consent',
    'callback',
    'token',
    'revoke',
    'store',
  ]);
  const defaults: Record<RateLimitName, { limit: number; windowSeconds: number }> = {
    register: { limit: registration === 'stored' ? 60 : 600, windowSeconds: 600 },
    authorize: { limit: 120, windowSeconds: 60 },
    consent: { limit: 120, windowSeconds: 60 },
    callback: { limit: 120, windowSeconds: 60 },
    token: { limit: 300, windowSeconds: 60 },
    revoke: { limit: 300, windowSeconds: 60 },
  };
  const limits = Object.entries(defaults).map(([name, fallback]) => {
    const own = given.nested(name, ['limit', 'windowSeconds']);
    const limit = own.number('limit', { min: 1, fallback: fallback.limit });
    return [
      name,
      { limit, windowSeconds: own.number('windowSeconds', { min: 1, max: DAY, fallback: fallback.windowSeconds }) },
    ] as const;
  });
  if (!given.has('store') && nodeEnv() === 'production')
    warn(
      'MCP_AUTH_LOCAL_RATE_LIMIT',
      () =>
        `${FACTORY}: rate limits count in this process only. With several replicas set rateLimit.store to a store of express-rate-limit, or rateLimit: false behind a gateway that limits.`,
    );
  return { limits: Object.fromEntries(limits) as RateLimits['limits'], store: given.raw('store') };
}
