import { deflateRawSync } from 'node:zlib';
import type { Client } from '../clients/client.js';
import { randomToken } from '../crypto/key-ring.js';
import { matchesRegistered } from '../oauth/redirect-uri.js';
import { OAuthFailure } from './oauth-failure.js';
import type { Params } from './params.js';
import type { Resources } from './resources.js';
import type { ScopeRules } from './scope-rules.js';
import type { AuthorizationRequest } from './transactions.js';

/** The parameters that are looked at; any other one is ignored, as RFC 6749 section 3.1 says. */
const PARAMETERS = [
  'response_type',
  'response_mode',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
  'resource',
  'request',
  'request_uri',
];
const MAX_STATE = 2_048;
/** What a transaction has room for: characters beyond ASCII take more of it. */
const MAX_PACKED_STATE = 3_072;
const S256_CHALLENGE = /^[A-Za-z0-9_-]{43}$/;

/**
 * The redirect URI that a request means: the named one if it is registered, the only one if none is named. `null`
 * means that there is nowhere to send an answer to (RFC 6749 section 4.1.2.1).
 */
export function redirectOf(
  params: Params,
  client: Client,
): { readonly uri: string; readonly redirect: AuthorizationRequest['redirect'] } | null {
  const { redirect_uris: registered } = client.metadata;
  const named = params.get('redirect_uri');
  if (named === undefined) {
    const [only, ...others] = registered;
    return only === undefined || others.length > 0 ? null : { uri: only, redirect: { index: 0 } };
  }
  const exact = registered.indexOf(named);
  if (exact !== -1) return { uri: named, redirect: { index: exact } };
  const index = registered.findIndex(uri => matchesRegistered(uri, named));
  return index === -1 ? null : { uri: named, redirect: { index, port: portOf(named) } };
}

/** The redirect URI of a request that was found good before, or `null` when the client no longer has it. */
export function redirectUriOf({ redirect }: Pick<AuthorizationRequest, 'redirect'>, client: Client): string | null {
  const registered = client.metadata.redirect_uris[redirect.index];
  if (registered === undefined) return null;
  if (redirect.port === undefined) return registered;
  const uri = registered.replace(LOOPBACK_AUTHORITY, `$1${redirect.port}`);
  return matchesRegistered(registered, uri) ? uri : null;
}

// RFC 8252 section 7.3: only the port of a loopback redirect URI varies.
const LOOPBACK_AUTHORITY = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::\d*)?/;

function portOf(uri: string): string {
  return LOOPBACK_AUTHORITY.exec(uri)?.[0].slice((LOOPBACK_AUTHORITY.exec(uri)?.[1] ?? '').length) ?? '';
}

export interface RequestContext {
  readonly client: Client;
  readonly redirect: AuthorizationRequest['redirect'];
  readonly resources: Resources;
  readonly scopes: ScopeRules;
  readonly transactionTtlSeconds: number;
  readonly now: () => number;
}

/** Checks everything but client and redirect URI. @throws OAuthFailure that may be told to the client */
export function readAuthorizationRequest(params: Params, context: RequestContext): AuthorizationRequest {
  const repeated = params.repeatedAmong(PARAMETERS);
  if (repeated !== undefined)
    throw new OAuthFailure('invalid_request', `The parameter ${repeated} came more than once.`);
  if (params.get('request') !== undefined)
    throw new OAuthFailure('request_not_supported', 'Request objects are not supported.');
  if (params.get('request_uri') !== undefined)
    throw new OAuthFailure('request_uri_not_supported', 'request_uri is not supported.');
  const state = params.get('state');
  if (state !== undefined && isTooLong(state))
    throw new OAuthFailure('invalid_request', `The state is longer than ${MAX_STATE} characters.`);
  // What cannot be read cannot be given back byte for byte.
  if (state?.includes('\ufffd')) throw new OAuthFailure('invalid_request', 'The state is not UTF-8.');
  const responseType = params.get('response_type');
  if (responseType === undefined) throw new OAuthFailure('invalid_request', 'response_type is missing.');
  if (responseType !== 'code')
    throw new OAuthFailure('unsupported_response_type', 'Only the response_type code is supported.');
  if ((params.get('response_mode') ?? 'query') !== 'query')
    throw new OAuthFailure('invalid_request', 'Only the response_mode query is supported.');
  const codeChallenge = readChallenge(params);
  const served = context.resources.resolve(params.get('resource'));
  return {
    id: randomToken(),
    clientId: context.client.id,
    redirect: context.redirect,
    ...(state !== undefined && { state }),
    scopes: context.scopes.ofRequest(params.get('scope'), served, context.client),
    resource: served.resource,
    codeChallenge,
    expiresAt: Math.floor(context.now() / 1_000) + context.transactionTtlSeconds,
  };
}

// Ordinary ones have room as they are; only of the others is it worth the time to see how small they get.
function isTooLong(state: string): boolean {
  if (state.length > MAX_STATE) return true;
  return Buffer.byteLength(state) > MAX_PACKED_STATE && deflateRawSync(state).length > MAX_PACKED_STATE;
}

// RFC 7636 section 4.4.1; a missing method would mean "plain", which protects nothing.
function readChallenge(params: Params): string {
  const challenge = params.get('code_challenge');
  if (challenge === undefined)
    throw new OAuthFailure('invalid_request', 'code_challenge is missing: PKCE with S256 is required.');
  if (params.get('code_challenge_method') !== 'S256')
    throw new OAuthFailure('invalid_request', 'code_challenge_method must be S256.');
  if (!S256_CHALLENGE.test(challenge))
    throw new OAuthFailure('invalid_request', 'code_challenge must be the 43 characters of a base64url SHA-256.');
  return challenge;
}
