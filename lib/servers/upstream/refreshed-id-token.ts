import { UnavailableError } from '../../core/errors.js';
import { Token } from '../../core/token.js';
import type { JwtConfig } from '../../verifiers/jwt-config.js';
import { signatureCheck } from '../../verifiers/jwt-signature.js';

/** Whether the ID token of a refresh answer is the provider's, for this app, and of the same person. */
export type IsSamePerson = (idToken: string, subject: string) => Promise<boolean>;

// Within the margin that the lease of a refresh has for what comes after the answer.
const KEYS_MS = 2_000;

/**
 * OpenID Connect Core section 12.2: a refresh never changes issuer, audience or subject. The tokens beside the ID token
 * are given once, so only a lie may cost them: its expiry ends no session, and while the keys are out of reach the
 * connection that it came over vouches for it (section 3.1.3.7, item 6).
 */
export function refreshedIdToken(
  { isIssuer, algorithms, keySets }: Pick<JwtConfig, 'isIssuer' | 'algorithms' | 'keySets'>,
  clientId: string,
): IsSamePerson {
  const { findSigner } = signatureCheck({ rememberFailures: false });

  return async (idToken, subject) => {
    const token = new Token(idToken);
    if (token.jwt === null) return false;
    const { alg, kid } = token.jwt.header;
    const { iss, aud, sub } = token.jwt.payload;
    if (typeof iss !== 'string' || !isIssuer(iss) || sub !== subject) return false;
    if (![aud].flat().includes(clientId)) return false;
    if (typeof alg !== 'string' || !algorithms.has(alg) || (kid !== undefined && typeof kid !== 'string')) return false;
    const keys = keySets.of(iss);
    if (keys === undefined) return false;
    const late = new Promise<'unknown'>(resolve => void setTimeout(resolve, KEYS_MS, 'unknown').unref());
    const signer = await Promise.race([findSigner(token, alg, kid, keys), late]).catch(error => {
      if (error instanceof UnavailableError) return 'unknown' as const;
      throw error;
    });
    return signer === 'unknown' || !('outcome' in signer);
  };
}
