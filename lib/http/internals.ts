import type { AuthInfo } from '../core/auth-info.js';
import { ConfigError } from '../core/errors.js';
import { kindOf } from '../core/options.js';
import type { Source } from '../core/source.js';
import type { Gate } from './guard.js';

/** What an `Auth` is made of, for the other factories of this package. */
export interface Internals {
  readonly source: Source;
  /** Judges the credentials of a request, for callers that answer it in their own way. */
  readonly gate: () => Gate;
  /** Judges a token, scopes included. Throws `UnavailableError` where nobody could tell. */
  readonly judge: (token: string) => Promise<Judgement>;
  /** Part of another composition now: what it holds is that one's to close, unless it is used by itself too. */
  readonly absorb: () => void;
}

export type Judgement =
  | { readonly outcome: 'accept' | 'insufficient_scope'; readonly auth: AuthInfo }
  | { readonly outcome: 'reject' };

const internals = new WeakMap<object, Internals>();

export function rememberInternals(auth: object, made: Internals): void {
  internals.set(auth, made);
}

/** `undefined` for anything that no factory of this package made. */
export function internalsOf(auth: unknown): Internals | undefined {
  return typeof auth === 'function' ? internals.get(auth) : undefined;
}

/** @throws ConfigError for anything but an `Auth` */
export function requireInternals(factory: string, auth: unknown): Internals {
  const found = internalsOf(auth);
  if (found === undefined)
    throw new ConfigError(
      factory,
      'auth',
      `must be an Auth, got ${kindOf(auth)}`,
      'Pass what multiAuth, remoteAuth or a verifier factory returned.',
    );
  return found;
}
