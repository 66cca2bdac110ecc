import { JWSSignatureVerificationFailed } from 'jose/errors';
import { compactVerify } from 'jose/jws/compact/verify';
import type { Rejection } from '../core/auth-info.js';
import { excerpt } from '../core/events.js';
import { isPromise } from '../core/promise.js';
import { reject } from '../core/source.js';
import type { Recollection, Token, UnverifiedJwt } from '../core/token.js';
import { flatSizeOf } from './flat-claims.js';
import type { KeySource } from './keys/key-source.js';
import type { VerificationKey } from './keys/verification-key.js';
import { RecentTokens, type Remembered } from './recent-tokens.js';

/** A token without `kid` is tried with this many keys: each costs a signature check. */
const MAX_CANDIDATES = 4;
const MAX_REMEMBERED = 5_000;

/** A token that some keys have not signed. */
interface Failure extends Remembered {
  /** The serial numbers of the keys, the last tried at the end. */
  readonly keys: number[];
  /** What the token says, once it has come again; not where that may take much more room than the token. */
  readonly jwt: UnverifiedJwt | undefined;
}

const FAILURE_BYTES = 256;
const MAX_REMEMBERED_BYTES = 16 * 1_024 * 1_024;

/**
 * Finds the key that signed a token, or says why there is none. Throws `UnavailableError` where it could not tell.
 * Synchronous for a signature that is known to be bad, unless there may be newer keys to try.
 */
export type FindSigner = (
  token: Token,
  alg: string,
  kid: string | undefined,
  keys: KeySource,
) => Rejection | Promise<VerificationKey | Rejection>;

export function signatureCheck({ rememberFailures }: { readonly rememberFailures: boolean }): {
  readonly findSigner: FindSigner;
  /** What is remembered of a token whose signature was found bad. */
  readonly recall: (token: Token) => Recollection | undefined;
  /** Forgets the signatures that were found bad. */
  readonly forget: () => void;
} {
  // Bad signatures only, apart from the good ones so that garbage pushes nothing out.
  const failures = rememberFailures
    ? new RecentTokens<Failure>({ max: MAX_REMEMBERED, maxSize: MAX_REMEMBERED_BYTES })
    : undefined;
  const isKnownBad = (token: Token, key: VerificationKey) => failures?.get(token)?.keys.includes(key.serial) === true;

  const rememberBad = (token: Token, { serial }: VerificationKey): void => {
    const keys = failures?.get(token)?.keys;
    if (keys === undefined) {
      const failure = { owner: failures as object, tail: token.tail, keys: [serial], jwt: undefined };
      failures?.set(token, failure, FAILURE_BYTES);
    } else if (!keys.includes(serial) && keys.push(serial) > MAX_CANDIDATES) {
      keys.shift();
    }
  };

  // Most garbage comes once: what it says is read again, and kept, when it comes again.
  const recall = (token: Token): Recollection | undefined => {
    const failure = failures?.get(token);
    if (failure === undefined || hasParts(failure)) return failure;
    const { jwt } = token;
    const size = jwt === null ? undefined : sizeOfParts(jwt);
    if (jwt === null || size === undefined) return undefined;
    const whole = { ...failure, jwt };
    failures?.set(token, whole, FAILURE_BYTES + size);
    return whole;
  };

  const search = async (
    token: Token,
    alg: string,
    kid: string | undefined,
    keys: KeySource,
    { before, settling }: { readonly before: number; readonly settling: Promise<void> | undefined },
  ): Promise<VerificationKey | Rejection> => {
    // Every wait, and every function that waits for another one, is a cost of each token that comes for the first time.
    if (settling !== undefined) await settling;
    for (;;) {
      // All that is asked of one generation is asked at once: a refresh may end while a signature is checked.
      const searched = keys.generation;
      const candidates = keys.find(alg, kid);
      const isKnown = kid !== undefined && keys.has(kid);
      for (const key of candidates.slice(0, MAX_CANDIDATES)) {
        if (isKnownBad(token, key)) continue;
        try {
          const imported = key.import(alg);
          const material = isPromise(imported) ? await imported : imported;
          await compactVerify(token.value, material, { algorithms: [alg] });
          return key;
        } catch (error) {
          if (error instanceof JWSSignatureVerificationFailed) rememberBad(token, key);
        }
      }
      const why = kid !== undefined && !isKnown ? 'unknown_kid' : 'mismatch';
      if (await keys.renew(why, { before, searched })) continue;
      if (candidates.length > 0) return reject('signature');
      const received = `kid ${excerpt(kid ?? 'none')}, alg ${alg}`;
      return isKnown
        ? reject('algorithm', { expected: 'an algorithm that the key is for', received })
        : reject('unknown_key', { expected: 'a key of the issuer', received });
    }
  };

  const findSigner: FindSigner = (token, alg, kid, keys) => {
    const before = keys.generation;
    const settling = keys.settle();
    if (settling === undefined && failures?.get(token) !== undefined) {
      const candidates = keys.find(alg, kid).slice(0, MAX_CANDIDATES);
      // The same no as at the end of the search, which would have nothing to wait for.
      if (candidates.length > 0 && candidates.every(key => isKnownBad(token, key)) && !keys.mayRenew())
        return reject('signature');
    }
    return search(token, alg, kid, keys, { before, settling });
  };

  return { findSigner, recall, forget: () => failures?.clear() };
}

function hasParts(failure: Failure): failure is Failure & Recollection {
  return failure.jwt !== undefined;
}

function sizeOfParts({ header, payload }: UnverifiedJwt): number | undefined {
  const [first, second] = [flatSizeOf(header), flatSizeOf(payload)];
  return first === undefined || second === undefined ? undefined : first + second;
}
