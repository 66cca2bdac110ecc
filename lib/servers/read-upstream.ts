import { readScopes } from '../composition/options.js';
import { kindOf, type Options } from '../core/options.js';
import type { Auth } from '../http/auth.js';
import { internalsOf } from '../http/internals.js';
import type { Fetch } from '../net/fetch-json.js';
import { urlProblem } from '../oauth/url.js';
import { verifierOf } from '../verifiers/jwt.js';
import { readJwtOptions } from '../verifiers/jwt-config.js';
import { refreshedIdToken } from './upstream/refreshed-id-token.js';
import type { UpstreamAuthMethod, UpstreamConfig } from './upstream/upstream-config.js';
import { discoveredEndpoints, fixedEndpoints, type ResolveEndpoints } from './upstream/upstream-endpoints.js';

const OPTIONS = [
  'clientId',
  'clientSecret',
  'issuer',
  'authorizationEndpoint',
  'tokenEndpoint',
  'revocationEndpoint',
  'jwksUri',
  'clientAuthMethod',
  'scopes',
  'pkce',
  'resourceParam',
  'authorizationParams',
  'tokenParams',
  'timeoutMs',
];
/** What this server sends itself; an extra parameter of that name would replace its protection. */
const RESERVED = [
  'response_type',
  'response_mode',
  'request',
  'request_uri',
  'client_id',
  'client_secret',
  'redirect_uri',
  'state',
  'scope',
  'nonce',
  'code',
  'code_challenge',
  'code_challenge_method',
  'code_verifier',
  'grant_type',
  'refresh_token',
  'token',
  'token_type_hint',
  'client_assertion',
  'client_assertion_type',
];
const ISSUER_REMEDY =
  "Give the provider's issuer exactly as its metadata spells it, for example 'https://login.example.com'.";
const URL_REMEDY = 'Give an absolute https URL (http only for localhost).';

export interface UpstreamContext {
  readonly redirectUri: string;
  readonly fetch: Fetch | undefined;
  readonly now: () => number;
}

export type ReadUpstream = Omit<UpstreamConfig, 'grantScopes' | 'defaultScopes' | 'revalidation'> & {
  /** All that the operator gave; what was sealed under one of them opens. */
  readonly clientSecrets: readonly string[];
};

/** The `upstream` and `verifier` options, checked and complete. */
export function readUpstream(options: Options, { redirectUri, fetch, now }: UpstreamContext): ReadUpstream {
  if (!options.has('upstream'))
    options.fail('upstream', 'is missing', 'Name the identity provider and the app registered there.');
  const upstream = options.nested('upstream', OPTIONS);
  const clientId =
    upstream.string('clientId') ??
    upstream.fail('clientId', 'is missing', 'It is the ID of the app registered at the provider.');
  const clientSecrets = upstream.oneOrMore('clientSecret') ?? [];
  const jwksUri = endpoint(upstream, 'jwksUri');
  const timeoutMs = upstream.number('timeoutMs', { min: 1, max: 120_000, fallback: 10_000 });
  const issuer = issuerOf(upstream);
  const verifier = readVerifier(options);
  return {
    endpoints: readEndpoints(upstream, { issuer, timeoutMs, fetch, now }),
    clientId,
    clientSecret: clientSecrets[0],
    clientSecrets,
    clientAuthMethod: readAuthMethod(upstream, clientSecrets),
    scopes: typeof upstream.raw('scopes') === 'function' ? upstream.function('scopes') : readScopes(upstream, 'scopes'),
    pkce: upstream.boolean('pkce') ?? true,
    resourceParam: upstream.oneOf('resourceParam', ['resource', 'audience', false]) ?? false,
    authorizationParams: readParams(upstream, 'authorizationParams'),
    tokenParams: readParams(upstream, 'tokenParams'),
    timeoutMs,
    redirectUri,
    ...(verifier === undefined
      ? readIdTokens(options, { issuer, jwksUri, clientId, fetch, now })
      : { verifier, verifies: 'access_token' as const, isSamePerson: undefined }),
    fetch,
    now,
  };
}

function issuerOf(upstream: Options): string | undefined {
  const issuer = upstream.string('issuer');
  const problem = issuer === undefined ? null : urlProblem(issuer, { isIdentifier: true });
  if (problem !== null) upstream.fail('issuer', problem, ISSUER_REMEDY);
  const explicit = upstream.has('authorizationEndpoint') || upstream.has('tokenEndpoint');
  if (issuer === undefined && !(upstream.has('authorizationEndpoint') && upstream.has('tokenEndpoint')))
    upstream.fail('issuer', 'is missing', 'Give issuer, or both authorizationEndpoint and tokenEndpoint.');
  if (issuer !== undefined && explicit)
    upstream.fail(
      'authorizationEndpoint',
      'and tokenEndpoint contradict issuer, which discovers them',
      'Give one of the two.',
    );
  return issuer;
}

function readEndpoints(
  upstream: Options,
  context: {
    readonly issuer: string | undefined;
    readonly timeoutMs: number;
    readonly fetch: Fetch | undefined;
    readonly now: () => number;
  },
): ResolveEndpoints {
  const { issuer } = context;
  const revocationEndpoint = endpoint(upstream, 'revocationEndpoint');
  if (issuer !== undefined) return discoveredEndpoints({ ...context, issuer, revocationEndpoint });
  return fixedEndpoints({
    issuer: undefined,
    authorizationEndpoint: endpoint(upstream, 'authorizationEndpoint') as string,
    tokenEndpoint: endpoint(upstream, 'tokenEndpoint') as string,
    revocationEndpoint,
    promisesIss: false,
  });
}

function endpoint(upstream: Options, option: string): string | undefined {
  const url = upstream.string(option);
  const problem = url === undefined ? null : (urlProblem(url) ?? (url.includes('#') ? 'has a fragment' : null));
  if (problem !== null) upstream.fail(option, problem, URL_REMEDY);
  return url;
}

function readAuthMethod(upstream: Options, secrets: readonly string[]): UpstreamAuthMethod {
  if (upstream.raw('clientAuthMethod') === 'private_key_jwt')
    upstream.fail(
      'clientAuthMethod',
      'is private_key_jwt, which comes in a later version',
      'Use client_secret_basic or client_secret_post for now.',
    );
  const method =
    upstream.oneOf('clientAuthMethod', ['client_secret_basic', 'client_secret_post', 'none']) ??
    (secrets.length === 0 ? 'none' : 'client_secret_basic');
  if (method !== 'none' && secrets.length === 0)
    upstream.fail('clientSecret', 'is missing', `${method} needs one; a public client has clientAuthMethod none.`);
  return method;
}

function readParams(upstream: Options, option: string): Readonly<Record<string, string>> {
  const given = upstream.raw(option) ?? {};
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    upstream.fail(option, `must be an object of strings, got ${kindOf(given)}`, "Give { name: 'value' }.");
  const resourceParam = upstream.raw('resourceParam');
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== 'string')
      upstream.fail(`${option}.${name}`, `must be a string, got ${kindOf(value)}`, 'Give a string.');
    if (RESERVED.includes(name) || name === resourceParam)
      upstream.fail(`${option}.${name}`, 'is a parameter that this server sends itself', 'Remove it.');
  }
  return { ...(given as Record<string, string>) };
}

function readVerifier(options: Options): Auth | undefined {
  const verifier = options.raw('verifier');
  if (verifier === undefined) return undefined;
  if (internalsOf(verifier) === undefined)
    options.fail('verifier', `must be an Auth, got ${kindOf(verifier)}`, 'Pass what a verifier factory returned.');
  return verifier as Auth;
}

/** The ID token says who signed in; it is a token for us as a client, so the audience is our ID there. */
function readIdTokens(
  options: Options,
  {
    issuer,
    jwksUri,
    clientId,
    fetch,
    now,
  }: {
    issuer: string | undefined;
    jwksUri: string | undefined;
    clientId: string;
    fetch: Fetch | undefined;
    now: () => number;
  },
): Pick<UpstreamConfig, 'verifier' | 'verifies' | 'isSamePerson'> {
  if (issuer === undefined)
    options.fail(
      'verifier',
      'is missing, and without upstream.issuer there is no ID token to tell who signed in',
      'Say who an upstream token belongs to, for example with customVerifier({ verify }).',
    );
  const config = readJwtOptions({
    issuer,
    audience: clientId,
    ...(jwksUri !== undefined && { jwksUri }),
    fetch,
    now,
    name: 'id_token',
  });
  return { verifier: verifierOf(config), verifies: 'id_token', isSamePerson: refreshedIdToken(config, clientId) };
}
