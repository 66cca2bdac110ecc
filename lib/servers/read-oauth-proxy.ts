import type { ConsentRules, ConsentView, Endpoints } from '../authorization/authorization-server.js';
import type { TokenLifetimes } from '../authorization/lifetimes.js';
import { COMPOSITION_OPTIONS, publicUrl, readScopes, readSettings } from '../composition/options.js';
import { Options } from '../core/options.js';
import { warnings } from '../core/warnings.js';
import type { Fetch } from '../net/fetch-json.js';
import { isMcpPath } from '../oauth/mcp-path.js';
import { pathOf } from '../oauth/url.js';
import { LATER } from './later.js';
import { readClients } from './read-clients.js';
import { readRateLimits } from './read-rate-limits.js';
import { readSecrets, readStore } from './read-storage.js';
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
    secrets: readSecrets(options, upstream, warn),
    store: readStore(options, now, warn),
    invalidGrantStatus: options.oneOf('invalidGrantStatus', [400, 401]) ?? 401,
    rateLimits: readRateLimits(options, clients.registration, warn),
    now,
  };
}

function readEndpoints(options: Options, baseUrl: string): Endpoints {
  const prefix = path(options, 'endpointPrefix') ?? '';
  const at = (name: string) => `${prefix === '/' ? '' : prefix}/${name}`;
  const callback = path(options, 'redirectPath') ?? '/auth/callback';
  const paths = {
    authorize: at('authorize'),
    consent: at('consent'),
    callback,
    token: at('token'),
    register: at('register'),
    revoke: at('revoke'),
    jwks: at('jwks'),
  };
  if (new Set(Object.values(paths)).size < Object.keys(paths).length)
    options.fail(
      'redirectPath',
      `is ${JSON.stringify(callback)}, where another endpoint is`,
      'Choose a path of its own.',
    );
  return { baseUrl: baseUrl.replace(/\/$/, ''), basePath: pathOf(baseUrl).replace(/\/$/, ''), paths };
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
  const mode = options.oneOf('consent', ['always', 'remember', 'external', 'dangerouslySkip']) ?? 'always';
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
    mode,
    page: options.function<(view: ConsentView) => string | Promise<string>>('consentPage'),
    csp,
  };
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
