import type { VerificationKey } from './verification-key.js';

/** The generations of keys that a token met. */
export interface Generations {
  /** The one that was there when it came. */
  readonly before: number;
  /** The one that was searched for its key. */
  readonly searched: number;
}

/** Where the keys of an issuer come from. Fixed keys never change; a remote set refreshes itself. */
export interface KeySource {
  /** How many times the keys were fetched. */
  readonly generation: number;
  /**
   * Sees to it that a set is there that may answer. `undefined` when it is there already, which is nearly always.
   *
   * @throws UnavailableError (or a rejection) when there is none
   */
  settle(): Promise<void> | undefined;
  /** The keys that a header may mean; without `kid` all that fit the algorithm. */
  find(alg: string, kid: string | undefined): readonly VerificationKey[];
  /** Whether a key of this name is known, whatever it is for. */
  has(kid: string): boolean;
  /**
   * Called when no key of a generation fitted. True when a newer one is there, so that looking again makes sense: it
   * fetches one unless the searched generation is newer than the token.
   *
   * @param why `unknown_kid` throws UnavailableError where no fetch is allowed or possible; `mismatch` answers false
   */
  renew(why: 'unknown_kid' | 'mismatch', generations: Generations): Promise<boolean>;
  /** Whether `renew` could come to newer keys after a mismatch now. Only a look: it starts and uses up nothing. */
  mayRenew(): boolean;
  ready(): Promise<void>;
  close(): void;
}

export function matching(
  keys: readonly VerificationKey[],
  alg: string,
  kid: string | undefined,
): readonly VerificationKey[] {
  return keys.filter(key => (kid === undefined || key.kid === kid) && key.algorithms.includes(alg));
}

/** Keys that were given with the options. */
export function fixedKeys(keys: readonly VerificationKey[], options: { readonly ignoreKid: boolean }): KeySource {
  return {
    generation: 0,
    settle: () => undefined,
    find: (alg, kid) => matching(keys, alg, options.ignoreKid ? undefined : kid),
    has: kid => options.ignoreKid || keys.some(key => key.kid === kid),
    renew: async () => false,
    mayRenew: () => false,
    ready: async () => {},
    close: () => {},
  };
}
