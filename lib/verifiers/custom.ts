import { readScopes } from '../composition/options.js';
import type { Identity } from '../core/auth-info.js';
import { excerpt } from '../core/events.js';
import { deepFreeze } from '../core/freeze.js';
import { kindOf, Options } from '../core/options.js';
import { isPromise, isTrue } from '../core/promise.js';
import { type Answer, type Binding, type Claim, FOREIGN, reject } from '../core/source.js';
import type { Token } from '../core/token.js';
import type { Auth } from '../http/auth.js';
import { createAuth } from '../http/create-auth.js';
import { parseScopes } from '../oauth/scope.js';
import { isEpochSeconds } from './claims.js';

const FACTORY = 'customVerifier';

/**
 * What a verify function answers: the shape of an `AuthInfo`, or as much of it as it knows. An answer that names nobody
 * (no token, client, subject, scope or claim) and one that says no (`active: false`, `valid: false`, an `error`) are
 * refusals.
 */
export interface CustomIdentity {
  /** The OAuth client. Default: the name of the verifier. */
  readonly clientId?: string | undefined;
  /** What was granted. Default: none. */
  readonly scopes?: readonly string[] | undefined;
  /** Seconds since the epoch; enforced. */
  readonly expiresAt?: number | undefined;
  /** The resource the token is for; any other than ours is refused. */
  readonly resource?: URL | string | undefined;
  /** Who it is, unique within source and issuer. Default: `extra.subject`. */
  readonly subject?: string | undefined;
  /** Who vouches for the subject. Default: `extra.issuer`. */
  readonly issuer?: string | undefined;
  /** Everything the token says; kept as a deep copy. Default: `extra.claims`. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  /** Further members for `req.auth.extra`; ours win. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

type Verify = (token: string) => CustomIdentity | null | undefined | Promise<CustomIdentity | null | undefined>;

/** A verifier of an MCP SDK, v1 or v2. */
export interface SdkTokenVerifier {
  /** What it answers is read as a {@link CustomIdentity}, what it throws as what a verify function throws. */
  // biome-ignore lint/suspicious/noExplicitAny: v1 and v2 declare different shapes, both are read as CustomIdentity
  verifyAccessToken(token: string): Promise<any>;
}

/** Options of `customVerifier`. */
export interface CustomVerifierOptions {
  /** Answers who holds the token, or `null` for one that is not its own. Throwing `UnavailableError` means it could not tell. */
  readonly verify: Verify | SdkTokenVerifier;
  /** Whether a token is this verifier's, without I/O. Without it every token that nobody else claims is asked about. */
  readonly accepts?: ((token: string) => boolean) | undefined;
  /** Scopes that tokens of this verifier need. Default: none of its own. */
  readonly requiredScopes?: readonly string[] | undefined;
  /** The name in `req.auth.extra.source`. Default `customVerifier`. */
  readonly name?: string | undefined;
  /** The clock, in milliseconds like `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/**
 * Makes a source of a function, or of a verifier written for an MCP SDK. What it throws is sorted: outages are 503,
 * everything else is a refusal.
 *
 * @example
 * customVerifier({
 *   accepts: token => token.startsWith('ak_'),
 *   verify: async token => (await lookUp(token)) ?? null, // { clientId, scopes, ... }
 * });
 *
 * @throws ConfigError for wrong or unknown options
 */
export function customVerifier(options: CustomVerifierOptions | SdkTokenVerifier): Auth {
  const given = isSdkVerifier(options) ? { verify: options } : options;
  const read = new Options(FACTORY, given, ['verify', 'accepts', 'requiredScopes', 'name', 'now']);
  const now = read.function<() => number>('now') ?? Date.now;
  const verify = readVerify(read);
  const claim = claimOf(read.function<(token: string) => boolean>('accepts'));
  return createAuth({
    factory: FACTORY,
    name: read.string('name'),
    settings: { requiredScopes: readScopes(read, 'requiredScopes') },
    bind: binding => ({
      claim,
      verify: ({ value }) => {
        const result = verify(value);
        return isPromise(result)
          ? Promise.resolve(result).then(later => judgeAnswer(later, binding, now()))
          : judgeAnswer(result, binding, now());
      },
    }),
  });
}

/** An `accepts` option as a claim; one that throws recognises nothing. */
export function claimOf(accepts: ((token: string) => boolean) | undefined): (token: Token) => Claim {
  if (accepts === undefined) return () => 'maybe';
  return ({ value }) => {
    try {
      return isTrue(accepts(value)) ? 'mine' : 'foreign';
    } catch {
      return 'foreign';
    }
  };
}

/** What a verify function answered, which may be anything: only what says who it is and does not say no lets anybody in. */
function judgeAnswer(result: unknown, binding: Binding, nowMs: number): Answer {
  if (result === null || result === undefined) return FOREIGN;
  const no = refusalIn(result as object);
  if (no !== undefined) return reject('refused', { detail: `the answer of verify has ${no}` });
  if (!namesSomebody(result as object))
    return reject('malformed', { expected: 'an AuthInfo or null', received: kindOf(result) });
  return judgeIdentity(result as CustomIdentity, binding, nowMs);
}

/** Judges what somebody else found out about a token: expiry and resource are enforced, nothing is taken on trust. */
export function judgeIdentity(found: CustomIdentity, binding: Binding, nowMs: number): Answer {
  const { clientId, scopes, expiresAt, resource, subject, issuer, claims, extra } = found;
  if (expiresAt !== undefined && expiresAt !== null) {
    if (!isEpochSeconds(expiresAt))
      return reject('malformed', {
        detail: 'expiresAt',
        expected: 'seconds since the epoch',
        received: String(expiresAt).slice(0, 40),
      });
    if (expiresAt <= Math.floor(nowMs / 1_000)) return reject('expired', { received: `${expiresAt}` });
  }
  if (
    resource !== undefined &&
    resource !== null &&
    binding.resource !== undefined &&
    !binding.isResource(String(resource))
  )
    return reject('resource', { expected: binding.resource, received: excerpt(String(resource)) });
  if (scopes !== undefined && scopes !== null && !Array.isArray(scopes))
    return reject('malformed', { detail: 'scopes', expected: 'a list', received: kindOf(scopes) });
  const beside = typeof extra === 'object' && extra !== null ? extra : {};
  const identity: Identity = {
    clientId: textOf(clientId),
    scopes: parseScopes(scopes ?? []),
    expiresAt: expiresAt ?? undefined,
    issuer: textOf(issuer) ?? textOf(beside.issuer),
    subject: textOf(subject) ?? textOf(beside.subject),
    claims: copyOf(claims ?? beside.claims),
    extra: beside,
  };
  return { outcome: 'accept', identity };
}

// The body of an introspection endpoint or a vendor's API, handed on as it came.
function refusalIn(answer: { active?: unknown; valid?: unknown; error?: unknown }): string | undefined {
  if (answer.active === false) return 'active: false';
  if (answer.valid === false) return 'valid: false';
  return typeof answer.error === 'string' ? 'an error' : undefined;
}

// An error document, a response, a list, an empty table: whatever names nobody lets nobody in.
function namesSomebody(answer: CustomIdentity & { readonly token?: unknown }): boolean {
  if (typeof answer !== 'object' || Array.isArray(answer)) return false;
  const { token, clientId, subject, scopes, claims } = answer;
  return (
    [token, clientId, subject].some(name => textOf(name) !== undefined) ||
    (Array.isArray(scopes) && scopes.length > 0) ||
    (typeof claims === 'object' && claims !== null && !Array.isArray(claims) && Object.keys(claims).length > 0)
  );
}

function readVerify(read: Options): Verify {
  const verify = read.raw('verify');
  if (isSdkVerifier(verify)) return token => verify.verifyAccessToken(token) as Promise<CustomIdentity | null>;
  if (typeof verify !== 'function')
    read.fail(
      'verify',
      `must be a function or an object with verifyAccessToken, got ${kindOf(verify)}`,
      'Give (token) => ({ clientId, scopes }) or null.',
    );
  return verify as Verify;
}

function isSdkVerifier(value: unknown): value is SdkTokenVerifier {
  return (
    typeof value === 'object' && value !== null && typeof (value as SdkTokenVerifier).verifyAccessToken === 'function'
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

// Claims are shared and frozen; what the verifier keeps must neither be frozen nor change ours. Only what JSON could
// say is copied: a claim is data.
function copyOf(claims: unknown): Readonly<Record<string, unknown>> {
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return Object.freeze({});
  try {
    return deepFreeze(structuredClone(claims) as Record<string, unknown>);
  } catch {
    return deepFreeze(JSON.parse(JSON.stringify(claims)) as Record<string, unknown>);
  }
}
