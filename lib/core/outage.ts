import { UnavailableError } from './errors.js';

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'ERR_NETWORK',
  'ABORT_ERR',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
  'ERR_JWKS_TIMEOUT',
  'ERR_JOSE_GENERIC',
]);
const FAILED_FETCH = /^(fetch failed|failed to fetch|network ?error|terminated|load failed)/i;

/**
 * What an error thrown by a source means: `true` for "could not tell" (an outage), `false` for "no".
 * An OAuth error code decides before anything below it: an `invalid_token` that wraps a network error is still a no.
 */
export function isOutage(error: unknown, depth = 0): boolean {
  if (error instanceof UnavailableError) return true;
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { name, message, code, errorCode, error: oauthCode, cause } = error as Record<string, unknown>;
  for (const candidate of [errorCode, oauthCode, code]) {
    if (candidate === 'server_error' || candidate === 'temporarily_unavailable') return true;
    if (candidate === 'invalid_token') return false;
  }
  if (name === 'AbortError' || name === 'TimeoutError') return true;
  if (typeof code === 'string') {
    if (NETWORK_CODES.has(code) || code.startsWith('UND_ERR_')) return true;
    if (code.startsWith('ERR_J')) return false;
  }
  if (error instanceof TypeError && typeof message === 'string' && FAILED_FETCH.test(message)) return true;
  return isOutage(cause, depth + 1);
}

/** The outage as one of ours, keeping a `Retry-After` that the source gave. */
export function asUnavailable(error: unknown): UnavailableError {
  return error instanceof UnavailableError ? error : new UnavailableError('a source could not tell', { cause: error });
}
