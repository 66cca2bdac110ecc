/**
 * A wrong, unknown or contradictory option. Thrown when a factory is called, or at the first use of an instance
 * whose audience is known to nobody. It never carries the value of a secret.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** The factory that refused, for example `jwtVerifier`. */
  readonly factory: string;
  /** The option it is about, for example `issuer` or `jwksCache.burst`. */
  readonly option: string;
  /** What was expected and what came. */
  readonly reason: string;
  /** What to change. */
  readonly remedy: string;

  constructor(factory: string, option: string, reason: string, remedy: string) {
    super(`${factory}: ${option} ${reason}. ${remedy}`);
    this.factory = factory;
    this.option = option;
    this.reason = reason;
    this.remedy = remedy;
  }
}

/**
 * The codes of an {@link OAuthError}: `invalid_request`, `invalid_token` and `insufficient_scope` of RFC 6750 section
 * 3.1, `server_error` and `temporarily_unavailable` of RFC 6749 section 4.1.2.1. `sdkTokenVerifier` throws
 * `invalid_token`, `insufficient_scope` and `server_error`. Thrown by a source, `server_error` and
 * `temporarily_unavailable` mean that it could not tell, the others refuse the token.
 */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'server_error'
  | 'temporarily_unavailable';

/**
 * The protocol says no. `code` and `message` are safe for strangers; `reason` and `cause` are for operators only.
 *
 * It carries the brand by which the official SDK v2 recognises its own `OAuthError`, so an SDK guard that runs one of
 * our sources answers 401 and not 500.
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  /** The `error` of the protocol. */
  readonly code: OAuthErrorCode;
  /** For operators; given as `details.reason`. */
  readonly reason?: string;

  /** @param description the message, which strangers may read */
  constructor(code: OAuthErrorCode, description: string, details: { reason?: string; cause?: unknown } = {}) {
    super(description, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.reason !== undefined) this.reason = details.reason;
    Object.defineProperty(this, Symbol.for('mcp.sdk.errorBrands'), { value: new Set(['mcp.OAuthError']) });
  }

  /** The body of RFC 6749 section 5.2. */
  toResponseObject(): { error: OAuthErrorCode; error_description: string } {
    return { error: this.code, error_description: this.message };
  }
}

/**
 * Nobody could tell whether the token is good: a key set, an introspection endpoint or a store is out of reach.
 * The guard answers 503 with `Retry-After`, never 401, so an outage logs nobody out. Throw it from a
 * `customVerifier` for the same effect.
 */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
  /** When a new attempt makes sense, in whole seconds, at least 1. Default 5. */
  readonly retryAfterSeconds: number;

  /** @param details `retryAfterSeconds` of more than a day counts as not given */
  constructor(message: string, details: { retryAfterSeconds?: number; cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const seconds = Math.ceil(details.retryAfterSeconds ?? 5);
    this.retryAfterSeconds = seconds >= 1 && seconds <= 86_400 ? seconds : 5;
  }
}
