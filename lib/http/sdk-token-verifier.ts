import type { AuthInfo } from '../core/auth-info.js';
import { OAuthError, type OAuthErrorCode, UnavailableError } from '../core/errors.js';
import type { Auth } from './auth.js';
import { requireInternals } from './internals.js';

type ErrorClass = new (message: string) => Error;

/**
 * The error classes of SDK v1, which its guard tells apart with `instanceof`. For each that is missing: our
 * `OAuthError`.
 */
export interface SdkErrorClasses {
  /** For a token that is refused. */
  readonly InvalidTokenError?: ErrorClass | undefined;
  /** For a token that lacks a scope. Default: `InvalidTokenError`. */
  readonly InsufficientScopeError?: ErrorClass | undefined;
  /** For a token that could not be checked. */
  readonly ServerError?: ErrorClass | undefined;
}

// The guards of both SDKs refuse a token that names no expiry; so long may a key pass that has none.
const NO_EXPIRY_SECONDS = 300;

/**
 * An `Auth` as the verifier that the official SDKs' own `requireBearerAuth` takes. For SDK v1 pass its error classes,
 * SDK v2 recognises ours. Scopes are judged too. A key without an expiry is said to end in 300 seconds, because both
 * SDKs refuse what never does; it is judged anew for every request.
 *
 * Its `verifyAccessToken` rejects with `invalid_token`, `insufficient_scope`, or `server_error` where nobody could
 * tell, as an `OAuthError` or one of the classes given; and with a ConfigError where no audience is known.
 *
 * @throws ConfigError for anything but an `Auth`
 *
 * @example
 * requireBearerAuth({ verifier: sdkTokenVerifier(auth) });                                   // SDK v2
 * requireBearerAuth({ verifier: sdkTokenVerifier(auth, { InvalidTokenError, InsufficientScopeError, ServerError }) });
 */
export function sdkTokenVerifier(auth: Auth, classes: SdkErrorClasses = {}): SdkVerifier {
  const { InvalidTokenError, InsufficientScopeError = InvalidTokenError, ServerError } = classes;
  const error = (code: OAuthErrorCode, Class: ErrorClass | undefined, text: string) =>
    Class === undefined ? new OAuthError(code, text) : new Class(text);
  const { judge } = requireInternals('sdkTokenVerifier', auth);
  return {
    async verifyAccessToken(token) {
      const judgement = await judge(token).catch(thrown => {
        if (!(thrown instanceof UnavailableError)) throw thrown;
        throw error('server_error', ServerError, 'The access token could not be checked right now');
      });
      switch (judgement.outcome) {
        case 'accept': {
          const { expiresAt = Math.floor(Date.now() / 1_000) + NO_EXPIRY_SECONDS } = judgement.auth;
          return { ...judgement.auth, expiresAt };
        }
        case 'insufficient_scope':
          throw error(
            'insufficient_scope',
            InsufficientScopeError,
            'The access token lacks a scope that this request needs',
          );
        case 'reject':
          throw error(
            'invalid_token',
            InvalidTokenError,
            'The access token is invalid, has expired or is not meant for this server',
          );
      }
    },
  };
}

/** What the SDKs call an `OAuthTokenVerifier`. */
export interface SdkVerifier {
  /** The caller; `expiresAt` is always there, in seconds since the epoch. */
  verifyAccessToken(token: string): Promise<AuthInfo & { expiresAt: number }>;
}
