import { JWSSignatureVerificationFailed } from 'jose/errors';
import { compactVerify } from 'jose/jws/compact/verify';
import { LRUCache } from 'lru-cache';
import type { Rejection } from '../core/auth-info.js';
import { excerpt } from '../core/events.js';
import { reject } from '../core/source.js';
import type { Token } from '../core/token.js';
import type { KeySource } from './keys/key-source.js';
import type { VerificationKey } from './keys/verification-key.js';

/** A token without `kid` is tried with this many keys: each costs a signature check. */
const MAX_CANDIDATES = 4;
const MAX_REMEMBERED = 5_000;

/** Finds the key that signed a token, or says why there is none. Throws `UnavailableError` where it could not tell. */
export type FindSigner = (
  token: Token,
  alg: string,
  kid: string | undefined,
  keys: KeySource,
) => Promise<VerificationKey | Rejection>;

export function signatureCheck({ rememberFailures }: { readonly rememberFailures: boolean }): {
  readonly findSigner: FindSigner;
  /** Forgets the signatures that were found bad. */
  readonly forget: () => void;
} {
  // Bad signatures only, by token and key, apart from the good ones so that garbage pushes nothing out.
  const failures = rememberFailures ? new LRUCache<string, true>({ max: MAX_REMEMBERED }) : undefined;

  const holds = async (token: Token, key: VerificationKey, alg: string): Promise<boolean> => {
    const id = `${token.digest}.${key.serial}`;
    if (failures?.has(id)) return false;
    try {
      await compactVerify(token.value, await key.import(alg), { algorithms: [alg] });
      return true;
    } catch (error) {
      if (error instanceof JWSSignatureVerificationFailed) failures?.set(id, true);
      return false;
    }
  };

  const signerAmong = async (candidates: readonly VerificationKey[], token: Token, alg: string) => {
    for (const key of candidates.slice(0, MAX_CANDIDATES)) if (await holds(token, key, alg)) return key;
    return undefined;
  };

  const findSigner: FindSigner = async (token, alg, kid, keys) => {
    const before = keys.generation;
    await keys.settle();
    for (;;) {
      // All that is asked of one generation is asked at once: a refresh may end while a signature is checked.
      const searched = keys.generation;
      const candidates = keys.find(alg, kid);
      const isKnown = kid !== undefined && keys.has(kid);
      const signer = await signerAmong(candidates, token, alg);
      if (signer !== undefined) return signer;
      const why = kid !== undefined && !isKnown ? 'unknown_kid' : 'mismatch';
      if (await keys.renew(why, { before, searched })) continue;
      if (candidates.length > 0) return reject('signature');
      const received = `kid ${excerpt(kid ?? 'none')}, alg ${alg}`;
      return isKnown
        ? reject('algorithm', { expected: 'an algorithm that the key is for', received })
        : reject('unknown_key', { expected: 'a key of the issuer', received });
    }
  };

  return { findSigner, forget: () => failures?.clear() };
}
