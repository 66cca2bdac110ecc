import { LRUCache } from 'lru-cache';
import type { Identity, Rejection } from '../core/auth-info.js';
import type { UnavailableError } from '../core/errors.js';
import { publish } from '../core/events.js';
import { asUnavailable, isOutage } from '../core/outage.js';
import type { Answer, Claim } from '../core/source.js';
import { MAX_TOKEN_LENGTH, Token, type UnverifiedJwt } from '../core/token.js';
import type { Leaf } from './plan.js';

/** What a composition makes of a token, scopes included. */
export type Ruling =
  | { readonly outcome: 'accept' | 'insufficient_scope'; readonly leaf: Leaf; readonly identity: Identity }
  | { readonly outcome: 'reject'; readonly rejections: readonly NamedRejection[] }
  | { readonly outcome: 'unavailable'; readonly error: UnavailableError };

export interface NamedRejection extends Omit<Rejection, 'outcome'> {
  readonly source?: string;
}

/**
 * Judges tokens by section 3 of the design: who is asked is decided without I/O; the first source that accepts and
 * whose scope rule holds wins; an outage never turns into a no. Synchronous when everything it needs is in memory.
 */
export type Judge = (value: string, extraScopes: readonly string[], request?: object) => Ruling | Promise<Ruling>;

export function judgeOf(leaves: readonly Leaf[]): Judge {
  // Parts of accepted tokens only, so that a flood of made-up ones pushes nothing out.
  const accepted = new LRUCache<string, UnverifiedJwt>({ max: 10_000, maxSize: 32 * 1_024 * 1_024 });

  return (value, extraScopes, request) => {
    if (value.length > MAX_TOKEN_LENGTH) return tooLong(value.length);
    const token = new Token(value);
    const known = accepted.get(token.digest);
    if (known !== undefined) token.remember(known);

    const claims = leaves.map(leaf => leaf.bound.claim(token));
    const level: Claim = claims.includes('mine') ? 'mine' : 'maybe';
    const rejections: NamedRejection[] = [];
    let shortfall: Ruling | undefined;
    let outage: UnavailableError | undefined;

    const consider = (leaf: Leaf, answer: Answer): Ruling | undefined => {
      if (answer.outcome === 'reject') {
        const { outcome: _, ...rejection } = answer;
        rejections.push({ source: leaf.name, ...rejection });
      } else if (answer.outcome === 'accept') {
        if (known === undefined && token.jwt !== null)
          accepted.set(token.digest, token.jwt, { size: 2 * value.length });
        if (holdsAll(leaf, answer.identity.scopes, extraScopes))
          return { outcome: 'accept', leaf, identity: answer.identity };
        shortfall ??= { outcome: 'insufficient_scope', leaf, identity: answer.identity };
      }
      return undefined;
    };

    const considerError = (leaf: Leaf, thrown: unknown): void => {
      if (isOutage(thrown)) {
        const error = asUnavailable(thrown);
        if (outage === undefined || error.retryAfterSeconds > outage.retryAfterSeconds) outage = error;
        publish('unavailable', request, () => ({
          source: leaf.name,
          message: describeError(thrown, value),
          retryAfterSeconds: error.retryAfterSeconds,
        }));
      } else {
        const rejection = { source: leaf.name, reason: 'error', detail: describeError(thrown, value) } as const;
        rejections.push(rejection);
        publish('rejected', request, () => ({ ...rejection }));
      }
    };

    const conclude = (): Ruling => {
      if (shortfall !== undefined) return shortfall;
      if (rejections.length > 0) return { outcome: 'reject', rejections };
      if (outage !== undefined) return { outcome: 'unavailable', error: outage };
      return { outcome: 'reject', rejections: [{ reason: 'foreign', ...shapeOf(token) }] };
    };

    const ask = (first: number): Ruling | Promise<Ruling> => {
      for (let index = first; index < leaves.length; index++) {
        if (claims[index] !== level) continue;
        const leaf = leaves[index] as Leaf;
        try {
          const answer = leaf.bound.verify(token, level);
          if (isPromise(answer))
            return answer.then(
              settled => consider(leaf, settled) ?? ask(index + 1),
              thrown => {
                considerError(leaf, thrown);
                return ask(index + 1);
              },
            );
          const ruling = consider(leaf, answer);
          if (ruling !== undefined) return ruling;
        } catch (thrown) {
          considerError(leaf, thrown);
        }
      }
      return conclude();
    };
    return ask(0);
  };
}

/** Whether a token with these scopes may pass, the leaf's rule and the extra scopes taken together. */
export function holdsAll(leaf: Leaf, granted: readonly string[], extraScopes: readonly string[]): boolean {
  return holds(leaf, granted, leaf.requiredScopes) && holds(leaf, granted, extraScopes);
}

/** Whether the granted scopes cover a list of required ones. Fails closed when the operator's function throws. */
export function holds({ scopeSatisfies }: Leaf, granted: readonly string[], required: readonly string[]): boolean {
  if (scopeSatisfies === undefined) return required.every(scope => granted.includes(scope));
  try {
    return required.every(scope => scopeSatisfies(granted, scope) === true);
  } catch {
    return false;
  }
}

function isPromise(value: Answer | Promise<Answer>): value is Promise<Answer> {
  return typeof (value as Promise<Answer>).then === 'function';
}

function tooLong(length: number): Ruling {
  const expected = `at most ${MAX_TOKEN_LENGTH} characters`;
  return { outcome: 'reject', rejections: [{ reason: 'malformed', expected, received: `${length}` }] };
}

function shapeOf(token: Token): { detail?: string } {
  return token.value.split('.').length === 5
    ? { detail: 'an encrypted token (JWE): the identity provider was probably asked for no audience' }
    : {};
}

// A verifier may quote the token in its message; what we publish never does.
function describeError(thrown: unknown, token: string): string {
  if (!(thrown instanceof Error)) return 'something that is no Error was thrown';
  try {
    const text = `${thrown.name}: ${thrown.message}`;
    return (token === '' ? text : text.replaceAll(token, '[token]')).slice(0, 200);
  } catch {
    return 'an Error that cannot be read was thrown';
  }
}
