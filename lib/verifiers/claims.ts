import type { Identity, Rejection } from '../core/auth-info.js';
import { excerpt } from '../core/events.js';
import { reject } from '../core/source.js';
import { grantedScopes } from '../oauth/scope.js';

export type Claims = Readonly<Record<string, unknown>>;

/** Above this a number of seconds is a number of milliseconds that somebody forgot to divide. */
export const MAX_EPOCH_SECONDS = 1e11;

/** `exp` and `nbf` of RFC 7519 section 4.1, with a tolerance for clocks that differ. `iat` says nothing about validity. */
export function judgeTimes(claims: Claims, nowMs: number, toleranceSeconds: number): Rejection | null {
  const now = Math.floor(nowMs / 1_000);
  const { exp, nbf } = claims;
  if (exp !== undefined) {
    if (!isEpochSeconds(exp))
      return reject('malformed', { detail: 'exp', expected: 'seconds since the epoch', received: excerpt(exp) });
    if (exp <= now - toleranceSeconds) return reject('expired', { expected: `exp after ${now}`, received: `${exp}` });
  }
  if (nbf !== undefined) {
    if (!isEpochSeconds(nbf))
      return reject('malformed', { detail: 'nbf', expected: 'seconds since the epoch', received: excerpt(nbf) });
    if (nbf > now + toleranceSeconds)
      return reject('not_yet_valid', { expected: `nbf until ${now}`, received: `${nbf}` });
  }
  return null;
}

export function isEpochSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value <= MAX_EPOCH_SECONDS;
}

/** Claims of a type that nobody may have meant: they are refused, not guessed at. */
export function judgeTypes(claims: Claims): Rejection | null {
  for (const name of ['sub', 'client_id', 'azp']) {
    const value = claims[name];
    if (value !== undefined && value !== null && typeof value !== 'string')
      return reject('malformed', { detail: name, expected: 'a string', received: excerpt(value) });
  }
  for (const name of ['scope', 'scp', 'permissions']) {
    const value = claims[name];
    if (value === undefined || value === null || typeof value === 'string') continue;
    if (!Array.isArray(value) || !value.every(scope => typeof scope === 'string'))
      return reject('malformed', { detail: name, expected: 'a string or a list of strings', received: excerpt(value) });
  }
  return null;
}

/**
 * A token bound to a key (RFC 9449, RFC 8705) is stolen when it comes as a bare bearer token, as far as anybody can
 * tell here: no proof is looked at.
 */
export function judgeConfirmation(claims: Claims): Rejection | null {
  const { cnf } = claims;
  if (typeof cnf !== 'object' || cnf === null) return null;
  return reject('confirmation', {
    expected: 'a bearer token',
    received: `cnf with ${excerpt(Object.keys(cnf).join(' '))}`,
  });
}

/** Who the claims name. Times and audience are not looked at here. */
export function identityOf(claims: Claims): Identity {
  const text = (name: string) => (typeof claims[name] === 'string' && claims[name] !== '' ? claims[name] : undefined);
  return {
    clientId: text('client_id') ?? text('azp') ?? text('sub'),
    scopes: grantedScopes(claims),
    expiresAt: typeof claims.exp === 'number' ? claims.exp : undefined,
    issuer: text('iss'),
    subject: text('sub'),
    claims,
  };
}
