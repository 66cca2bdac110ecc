const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
const EC = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' } as const;
const ED = ['EdDSA', 'Ed25519'] as const;

/** HMAC algorithms: only ever with a secret, or a public key would be one that everybody knows (RFC 8725 section 3.2). */
export const HMAC = ['HS256', 'HS384', 'HS512'] as const;

export const ASYMMETRIC: readonly string[] = [...RSA, ...Object.values(EC), ...ED];

/** The algorithms that a key of this type can verify; none for types that we do not know. */
export function algorithmsOf(jwk: { readonly kty?: unknown; readonly crv?: unknown }): readonly string[] {
  switch (jwk.kty) {
    case 'RSA':
      return RSA;
    case 'EC':
      return Object.hasOwn(EC, String(jwk.crv)) ? [EC[jwk.crv as keyof typeof EC]] : [];
    case 'OKP':
      return jwk.crv === 'Ed25519' ? ED : [];
    case 'oct':
      return HMAC;
    default:
      return [];
  }
}

/** Whether a key whose JWK names an algorithm may be used for another one: only for the two names of Ed25519 (RFC 9864). */
export function isSameAlgorithm(a: string, b: string): boolean {
  return a === b || ((ED as readonly string[]).includes(a) && (ED as readonly string[]).includes(b));
}
