/**
 * Who is calling. The shape that both official MCP SDKs read from `req.auth`; every request gets its own object.
 */
export interface AuthInfo {
  /** The bearer token as it came. */
  token: string;
  /** The OAuth client; the source's name when the token names none. */
  clientId: string;
  /** What was granted; empty where the token names no scope. */
  scopes: string[];
  /** Seconds since the epoch; absent for a credential that does not expire. */
  expiresAt?: number;
  /** The MCP endpoint the token is good for, whenever it is known. */
  resource?: URL;
  /** Where the protected-resource metadata (RFC 9728) is served, when it is. */
  resourceMetadataUrl?: string;
  /** Where the caller comes from, and everything the token says. */
  extra: AuthInfoExtra;
}

/**
 * `AuthInfo.extra`: where the caller comes from. A `customVerifier` or passport strategy may add members of its own.
 */
export interface AuthInfoExtra {
  /** The name of the source that accepted the token. */
  source: string;
  /** Who vouches for the subject: the `iss` of a token, for example. */
  issuer?: string | undefined;
  /** Unique within source and issuer. */
  subject?: string | undefined;
  /** Everything the token says, deeply frozen and shared between requests. */
  claims: Readonly<Record<string, unknown>>;
  [member: string]: unknown;
}

/** What a source knows of a token it accepts; the composition makes an {@link AuthInfo} of it for each request. */
export interface Identity {
  readonly clientId?: string | undefined;
  readonly scopes: readonly string[];
  readonly expiresAt?: number | undefined;
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Members of `extra` beside ours. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

/** Why a token was refused. Stable strings for operators: they reach events, never a response. */
export type Reason =
  | 'no_credentials'
  | 'bad_credentials'
  | 'foreign'
  | 'malformed'
  | 'algorithm'
  | 'type'
  | 'critical'
  | 'issuer'
  | 'audience'
  | 'expired'
  | 'not_yet_valid'
  | 'unknown_key'
  | 'signature'
  | 'claims'
  | 'confirmation'
  | 'inactive'
  | 'revoked'
  | 'resource'
  | 'refused'
  | 'error';

/** A refusal, with what was expected and what came where that helps. Never the token. */
export interface Rejection {
  readonly outcome: 'reject';
  readonly reason: Reason;
  /** Which part of the token it is about, or a word more. */
  readonly detail?: string;
  /** What would have been right. */
  readonly expected?: string;
  /** What the token says instead, cut to a length that a log line can take. */
  readonly received?: string;
}

/**
 * What `check()` answers: `accept`, `foreign` for a token that no source knows, or `reject` with a reason for
 * operators. It throws `UnavailableError` where nobody could tell.
 */
export type Verdict =
  | {
      readonly outcome: 'accept';
      readonly auth: AuthInfo;
      /** The scopes that the guard will ask for. */
      readonly requiredScopes?: readonly string[];
    }
  | { readonly outcome: 'foreign' }
  | Rejection;
