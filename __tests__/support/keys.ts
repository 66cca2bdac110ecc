import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

export interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly publicJwk: JWK;
  readonly privateKey: CryptoKey;
  /** Signs a payload as it is; header members can be overridden, `kid: undefined` leaves it out. */
  sign(payload: JWTPayload, header?: Record<string, unknown>): Promise<string>;
}

let count = 0;

export async function signingKey(alg = 'ES256', kid = `key-${++count}`): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const publicJwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
  const sign = (payload: JWTPayload, header: Record<string, unknown> = {}) => {
    const members = { alg, kid, ...header } as Record<string, unknown> & { alg: string };
    for (const name of Object.keys(members)) if (members[name] === undefined) delete members[name];
    return new SignJWT(payload).setProtectedHeader(members).sign(privateKey);
  };
  return { alg, kid, publicJwk, privateKey, sign };
}

/** Seconds since the epoch, `offset` seconds from now. */
export const seconds = (offset = 0, now = Date.now()): number => Math.floor(now / 1000) + offset;
