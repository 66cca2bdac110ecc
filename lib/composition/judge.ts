import type { Identity, Rejection } from '../core/auth-info.js';
import { errorText } from '../core/error-text.js';
import type { UnavailableError } from '../core/errors.js';
import { excerpt, publish } from '../core/events.js';
import { asUnavailable, isOutage } from '../core/outage.js';
import { isPromise, isTrue } from '../core/promise.js';
import type { Answer, BoundSource, Claim } from '../core/source.js';
import { MAX_TOKEN_LENGTH, type Recollection, Token } from '../core/token.js';
import type { Leaf } from './plan.js';

/** What a composition makes of a token, scopes included. */
export type Ruling =
  | { readonly outcome: 'accept' | 'insufficient_scope'; readonly leaf: Leaf; readonly identity: Identity }
  | { readonly outcome: 'reject'; readonly rejections: readonly NamedRejection[] }
  | { readonly outcome: 'unavailable'; readonly error: UnavailableError };

export interface NamedRejection extends Omit<Rejection, 'outcome'> {
  readonly source?: string;
}

/** Judges tokens by section 3 of the design. */
export interface Judge {
  /** The token of a text, with what a source remembers of an equal one that it has verified. */
  recognize(text: string): Token;
  /**
   * Who is asked is decided without I/O; the first source that accepts and whose scope rule holds wins; an outage never
   * turns into a no. Synchronous when everything it needs is in memory.
   */
  rule(token: Token, extraScopes: readonly string[], request?: object): Ruling | Promise<Ruling>;
}

export function judgeOf(leaves: readonly Leaf[]): Judge {
  const recall = recallOf(leaves);
  return {
    recognize(text) {
      const token = new Token(text);
      if (text.length > MAX_TOKEN_LENGTH || !token.hasTwoDots) return token;
      const known = recall(token);
      if (known !== undefined) token.remember(known);
      return token;
    },
    rule(token, extraScopes, request) {
      const { length } = token.value;
      return length > MAX_TOKEN_LENGTH ? tooLong(length) : new Hearing(leaves, token, extraScopes, request).ask(0);
    },
  };
}

/** Asks the sources what they remember of a token, first the one that remembered the last: it often knows the next too. */
function recallOf(leaves: readonly Leaf[]): (token: Token) => Recollection | undefined {
  const sources = leaves.map(leaf => leaf.bound).filter(bound => bound.recall !== undefined);
  return token => {
    for (let index = 0; index < sources.length; index++) {
      const source = sources[index] as BoundSource;
      const known = source.recall?.(token);
      if (known === undefined) continue;
      if (index > 0) [sources[0], sources[index]] = [source, sources[0] as BoundSource];
      return known;
    }
    return undefined;
  };
}

/** One token before the sources of a composition. */
class Hearing {
  readonly #leaves: readonly Leaf[];
  readonly #token: Token;
  readonly #extraScopes: readonly string[];
  readonly #request: object | undefined;
  readonly #claims: readonly Claim[];
  readonly #level: Claim;
  #rejections: NamedRejection[] | undefined;
  #shortfall: Ruling | undefined;
  #outage: UnavailableError | undefined;

  constructor(leaves: readonly Leaf[], token: Token, extraScopes: readonly string[], request: object | undefined) {
    this.#leaves = leaves;
    this.#token = token;
    this.#extraScopes = extraScopes;
    this.#request = request;
    const claims: Claim[] = [];
    let level: Claim = 'maybe';
    for (const leaf of leaves) {
      const claim = leaf.bound.claim(token);
      if (claim === 'mine') level = claim;
      claims.push(claim);
    }
    this.#claims = claims;
    this.#level = level;
  }

  /** Asks the sources in order, from the one with this index on. */
  ask(first: number): Ruling | Promise<Ruling> {
    for (let index = first; index < this.#leaves.length; index++) {
      if (this.#claims[index] !== this.#level) continue;
      const leaf = this.#leaves[index] as Leaf;
      try {
        const answer = leaf.bound.verify(this.#token, this.#level);
        if (isPromise(answer)) return this.#askLater(leaf, answer, index + 1);
        const ruling = this.#consider(leaf, answer);
        if (ruling !== undefined) return ruling;
      } catch (thrown) {
        this.#considerError(leaf, thrown);
      }
    }
    return this.#conclude();
  }

  async #askLater(leaf: Leaf, answer: Promise<Answer>, next: number): Promise<Ruling> {
    try {
      const ruling = this.#consider(leaf, await answer);
      if (ruling !== undefined) return ruling;
    } catch (thrown) {
      this.#considerError(leaf, thrown);
    }
    return this.ask(next);
  }

  #consider(leaf: Leaf, answer: Answer): Ruling | undefined {
    switch (answer.outcome) {
      case 'accept':
        if (holdsAll(leaf, answer.identity.scopes, this.#extraScopes))
          return { outcome: 'accept', leaf, identity: answer.identity };
        this.#shortfall ??= { outcome: 'insufficient_scope', leaf, identity: answer.identity };
        return undefined;
      case 'reject': {
        const { outcome: _, ...rejection } = answer;
        this.#reject({ source: leaf.name, ...rejection });
        return undefined;
      }
      case 'foreign':
        return undefined;
    }
  }

  #considerError(leaf: Leaf, thrown: unknown): void {
    // Our own errors show their message, and the operator may have thrown one of them with the token in it.
    const text = excerpt(errorText(thrown).replaceAll(this.#token.value, '[token]'));
    if (!isOutage(thrown)) {
      const rejection = { source: leaf.name, reason: 'error', detail: text } as const;
      this.#reject(rejection);
      publish('rejected', this.#request, () => ({ ...rejection }));
      return;
    }
    const error = asUnavailable(thrown);
    if (this.#outage === undefined || error.retryAfterSeconds > this.#outage.retryAfterSeconds) this.#outage = error;
    const { retryAfterSeconds } = error;
    publish('unavailable', this.#request, () => ({ source: leaf.name, message: text, retryAfterSeconds }));
  }

  #reject(rejection: NamedRejection): void {
    this.#rejections ??= [];
    this.#rejections.push(rejection);
  }

  #conclude(): Ruling {
    if (this.#shortfall !== undefined) return this.#shortfall;
    if (this.#rejections !== undefined) return { outcome: 'reject', rejections: this.#rejections };
    if (this.#outage !== undefined) return { outcome: 'unavailable', error: this.#outage };
    return { outcome: 'reject', rejections: [{ reason: 'foreign', ...shapeOf(this.#token) }] };
  }
}

/** Whether a token with these scopes may pass, the leaf's rule and the extra scopes taken together. */
export function holdsAll(leaf: Leaf, granted: readonly string[], extraScopes: readonly string[]): boolean {
  return holds(leaf, granted, leaf.requiredScopes) && holds(leaf, granted, extraScopes);
}

/** Whether the granted scopes cover a list of required ones. Fails closed when the operator's function throws. */
export function holds(
  { scopeSatisfies }: Pick<Leaf, 'scopeSatisfies'>,
  granted: readonly string[],
  required: readonly string[],
): boolean {
  if (scopeSatisfies === undefined) return required.every(scope => granted.includes(scope));
  try {
    return required.every(scope => isTrue(scopeSatisfies(granted, scope)));
  } catch {
    return false;
  }
}

function tooLong(length: number): Ruling {
  const expected = `at most ${MAX_TOKEN_LENGTH} characters`;
  return { outcome: 'reject', rejections: [{ reason: 'malformed', expected, received: `${length}` }] };
}

// What helps to see why nobody knew the token: whose it says it is, or that it cannot be read here.
function shapeOf(token: Token): { detail?: string; received?: string } {
  if (token.jwt !== null) return { received: `iss ${excerpt(token.jwt.payload.iss ?? 'none')}` };
  return token.hasTwoDots && token.value.split('.').length === 5
    ? { detail: 'an encrypted token (JWE): the identity provider was probably asked for no audience' }
    : {};
}
