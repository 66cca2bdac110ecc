import { hash } from 'node:crypto';
import { isEqual } from '../crypto/key-ring.js';

/** A longer secret is nobody's. */
export const MAX_SECRET_LENGTH = 512;

/** SHA-256 of a client secret: what is kept and compared, so that neither a store nor the time tells the secret. */
export function secretDigest(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** Compares a secret with the digests of the right ones, in constant time. */
export function secretMatcher(digests: readonly Buffer[]): (candidate: string) => boolean {
  return candidate => {
    const digest = secretDigest(candidate);
    // Every digest, whatever the one before said.
    return digests.reduce((isFound, known) => isEqual(known, digest) || isFound, false);
  };
}
