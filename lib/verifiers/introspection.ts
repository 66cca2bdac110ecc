import { readScopes } from '../composition/options.js';
import type { Rejection } from '../core/auth-info.js';
import { excerpt } from '../core/events.js';
import { Options } from '../core/options.js';
import { isPromise } from '../core/promise.js';
import { type Answer, type Binding, type Claim, FOREIGN, reject } from '../core/source.js';
import type { Token } from '../core/token.js';
import type { Auth } from '../http/auth.js';
import { createAuth } from '../http/create-auth.js';
import type { Fetch } from '../net/fetch-json.js';
import { urlProblem } from '../oauth/url.js';
import { type AudienceCheck, bindAudience, readAudience } from './audience.js';
import { type Claims, identityOf, judgeConfirmation, judgeTimes, judgeTypes } from './claims.js';
import { claimOf } from './custom.js';
import { introspectionClient } from './introspection-client.js';

const FACTORY = 'introspectionVerifier';
const CLOCK_TOLERANCE_SECONDS = 5;

/** Options of `introspectionVerifier`. */
export interface IntrospectionVerifierOptions {
  /** The introspection endpoint: https, or http on loopback. */
  readonly introspectionUrl: string;
  /** The ID of this server at the endpoint. */
  readonly clientId: string;
  /** Its secret there. Present but `undefined` is an error: an environment variable that is not set. */
  readonly clientSecret: string;
  /** How they are sent (RFC 6749 section 2.3.1). Default `client_secret_basic`. */
  readonly clientAuthMethod?: 'client_secret_basic' | 'client_secret_post' | undefined;
  /** Whom tokens must be meant for. Default: the resource of the composition around it. */
  readonly audience?: string | readonly string[] | undefined;
  /** Accept tokens that were meant for any other service. Default false. */
  readonly dangerouslyAcceptAnyAudience?: boolean | undefined;
  /**
   * The issuer: answers that name another are refused and, without `accepts`, JWT-shaped tokens of others not asked
   * about.
   */
  readonly issuer?: string | undefined;
  /** Scopes that tokens of this verifier need. Default: none of its own. */
  readonly requiredScopes?: readonly string[] | undefined;
  /** How long an active answer is kept, never past `exp`; an inactive one 10 seconds at most. 0: not at all. Default 30. */
  readonly cacheTtlSeconds?: number | undefined;
  /** How many answers are kept at most. Default 10 000. */
  readonly maxCacheEntries?: number | undefined;
  /** How long an answer may take before the endpoint counts as out of reach. Default 5000. */
  readonly timeoutMs?: number | undefined;
  /**
   * Which tokens to ask about at all; one that it accepts and that is inactive is refused, not somebody else's. Give
   * it wherever tokens can be told apart, for example by a prefix.
   */
  readonly accepts?: ((token: string) => boolean) | undefined;
  /** The name in `req.auth.extra.source`. Default `introspectionVerifier`. */
  readonly name?: string | undefined;
  /** Default: the platform's. */
  readonly fetch?: Fetch | undefined;
  /** The clock, in milliseconds like `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/**
 * Asks the authorization server about each token (RFC 7662). Anything but a clear answer is an outage, never a no:
 * a rotated client secret logs nobody out.
 *
 * @throws ConfigError for wrong, unknown or missing options
 */
export function introspectionVerifier(options: IntrospectionVerifierOptions): Auth {
  const read = new Options(FACTORY, options, [
    'introspectionUrl',
    'clientId',
    'clientSecret',
    'clientAuthMethod',
    'audience',
    'dangerouslyAcceptAnyAudience',
    'issuer',
    'requiredScopes',
    'cacheTtlSeconds',
    'maxCacheEntries',
    'timeoutMs',
    'accepts',
    'name',
    'fetch',
    'now',
  ]);
  const now = read.function<() => number>('now') ?? Date.now;
  const issuer = read.string('issuer');
  const audienceRule = readAudience(read);
  const client = introspectionClient({
    url: readUrl(read),
    clientId: required(read, 'clientId'),
    clientSecret: required(read, 'clientSecret'),
    method: read.oneOf('clientAuthMethod', ['client_secret_basic', 'client_secret_post']) ?? 'client_secret_basic',
    cacheTtlSeconds: read.number('cacheTtlSeconds', { min: 0, max: 86_400, fallback: 30 }),
    maxCacheEntries: Math.floor(read.number('maxCacheEntries', { min: 0, max: 10_000_000, fallback: 10_000 })),
    timeoutMs: read.number('timeoutMs', { min: 1, max: 120_000, fallback: 5_000 }),
    fetch: read.function<Fetch>('fetch'),
    now,
  });
  const claim = readClaim(read, issuer);

  const bind = (binding: Binding) => {
    const audience = bindAudience(FACTORY, audienceRule, binding);
    const judge = (claims: Claims, level: Claim): Answer => {
      if (claims.active !== true) return level === 'mine' ? reject('inactive') : FOREIGN;
      const refusal =
        judgeTimes(claims, now(), CLOCK_TOLERANCE_SECONDS) ??
        judgeIssuer(claims, issuer) ??
        judgeAudience(claims, audience) ??
        judgeUse(claims) ??
        judgeTypes(claims) ??
        judgeConfirmation(claims);
      return refusal ?? { outcome: 'accept', identity: identityOf(claims) };
    };
    return {
      claim,
      verify: (token: Token, level: Claim): Answer | Promise<Answer> => {
        const answer = client.introspect(token);
        return isPromise(answer) ? answer.then(claims => judge(claims, level)) : judge(answer, level);
      },
    };
  };

  return createAuth({
    factory: FACTORY,
    name: read.string('name'),
    settings: { requiredScopes: readScopes(read, 'requiredScopes') },
    bind,
    close: () => client.close(),
  });
}

function readClaim(read: Options, issuer: string | undefined): (token: Token) => Claim {
  const accepts = read.function<(token: string) => boolean>('accepts');
  if (accepts !== undefined || issuer === undefined) return claimOf(accepts);
  return ({ jwt }) => (jwt === null ? 'maybe' : jwt.payload.iss === issuer ? 'mine' : 'foreign');
}

function readUrl(read: Options): string {
  const url = required(read, 'introspectionUrl');
  const problem = urlProblem(url);
  if (problem !== null)
    read.fail(
      'introspectionUrl',
      problem,
      'Give an absolute https URL (http only for localhost): the client secret travels there.',
    );
  return url;
}

function required(read: Options, option: string): string {
  return read.string(option) ?? read.fail(option, 'is missing', 'It is required.');
}

function judgeIssuer(claims: Claims, issuer: string | undefined): Rejection | null {
  if (issuer === undefined || claims.iss === undefined || claims.iss === issuer) return null;
  return reject('issuer', { expected: issuer, received: excerpt(claims.iss) });
}

function judgeAudience(claims: Claims, audience: AudienceCheck): Rejection | null {
  return audience.accepts(claims.aud)
    ? null
    : reject('audience', { expected: audience.expected, received: excerpt(claims.aud ?? 'none') });
}

// An authorization server that knows the token may know it as a refresh token; that is no access token.
function judgeUse(claims: Claims): Rejection | null {
  for (const name of ['token_type', 'token_use', 'typ']) {
    const use = claims[name];
    if (typeof use === 'string' && /^(refresh|offline|id|refresh_token|id_token|dpop|mac)$/i.test(use))
      return reject('type', { detail: name, expected: 'a bearer access token', received: excerpt(use) });
  }
  return null;
}
