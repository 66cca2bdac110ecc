import { UnavailableError } from './errors.js';

// System calls, name look-ups and the failures of clients that a fetch or socket reports by code.
const NETWORK_CODES =
  /^(ECONN(REFUSED|RESET|ABORTED)|ENOT(FOUND|CONN)|E(SOCKET)?TIMEDOUT|ETIMEOUT|EPIPE|EPROTO|EHOST(UNREACH|DOWN)|ENET(UNREACH|DOWN|RESET)|EADDRNOTAVAIL|EAI_\w+|ESERVFAIL|ERR_NETWORK|ABORT_ERR|ERR_SOCKET_\w+|ERR_STREAM_PREMATURE_CLOSE|ERR_HTTP2_\w+|ERR_(TLS|SSL)_\w+|CERT_\w+|UNABLE_TO_\w+|SELF_SIGNED_\w+|DEPTH_ZERO_\w+|UND_ERR_\w+|ERR_JWKS_TIMEOUT|ERR_JOSE_GENERIC)$/;
const FAILED_FETCH = /^(fetch failed|failed to fetch|network ?error|terminated|load failed)/i;

/**
 * What an error thrown by a source means: `true` for "could not tell" (an outage), `false` for "no".
 * An OAuth error code decides before anything below it: an `invalid_token` that wraps a network error is still a no.
 */
export function isOutage(error: unknown): boolean {
  try {
    return judgeError(error, 0);
  } catch {
    // An object whose members throw when they are read says nothing.
    return false;
  }
}

function judgeError(error: unknown, depth: number): boolean {
  if (error instanceof UnavailableError) return true;
  if (typeof error !== 'object' || error === null || depth > 4) return false;
  const { name, message, code, errorCode, error: oauthCode, cause, errors } = error as Record<string, unknown>;
  for (const candidate of [errorCode, oauthCode, code]) {
    if (candidate === 'server_error' || candidate === 'temporarily_unavailable') return true;
    if (candidate === 'invalid_token') return false;
  }
  if (name === 'AbortError' || name === 'TimeoutError') return true;
  if (typeof code === 'string') {
    if (NETWORK_CODES.test(code)) return true;
    if (code.startsWith('ERR_J')) return false;
  }
  if (error instanceof TypeError && typeof message === 'string' && FAILED_FETCH.test(message)) return true;
  // Promise.any: whoever tried several ways could not tell only where none of them could.
  if (name === 'AggregateError' && Array.isArray(errors) && errors.length > 0)
    return errors.every(each => judgeError(each, depth + 1));
  return judgeError(cause, depth + 1);
}

/** The outage as one of ours, keeping a `Retry-After` that the source gave. */
export function asUnavailable(error: unknown): UnavailableError {
  return error instanceof UnavailableError ? error : new UnavailableError('a source could not tell', { cause: error });
}
