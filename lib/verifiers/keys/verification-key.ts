import { createPublicKey, type JsonWebKey, webcrypto } from 'node:crypto';
import type { JWK } from 'jose';
import { importJWK } from 'jose/key/import';
import { algorithmsOf, isSameAlgorithm } from './algorithms.js';

type CryptoKey = webcrypto.CryptoKey;

let serials = 0;

/** One key that verifies signatures, imported once per algorithm. */
export class VerificationKey {
  /** Tells keys apart in caches. */
  readonly serial = ++serials;
  readonly kid: string | undefined;
  /** The material and everything that decides about its use, as text: equal text, equal key. */
  readonly identity: string;
  /** False once a refreshed set came without it: tokens that it verified are refused, cached ones too. */
  live = true;
  readonly #material: JWK;
  readonly #algorithms: readonly string[];
  readonly #imported = new Map<string, CryptoKey | Promise<CryptoKey>>();

  private constructor(material: JWK, algorithms: readonly string[], kid: string | undefined) {
    this.#material = material;
    this.#algorithms = algorithms;
    this.kid = kid;
    this.identity = JSON.stringify([material, algorithms, kid ?? null]);
  }

  /**
   * Reads a JWK (RFC 7517); `null` for one that cannot verify: private-use type, weak RSA, `use` or `key_ops` for
   * something else. Only public members are kept, and a symmetric key counts only where a secret was asked for.
   */
  static read(value: unknown, options: { readonly secret: boolean } = { secret: false }): VerificationKey | null {
    try {
      return VerificationKey.#read(value, options);
    } catch {
      // One key that nobody could have foreseen hides no other of its set.
      return null;
    }
  }

  static #read(value: unknown, options: { readonly secret: boolean }): VerificationKey | null {
    if (typeof value !== 'object' || value === null) return null;
    const jwk = value as JWK & Record<string, unknown>;
    if (jwk.use !== undefined && jwk.use !== 'sig') return null;
    if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))) return null;
    if (jwk.alg !== undefined && typeof jwk.alg !== 'string') return null;
    if ((jwk.kty === 'oct') !== options.secret) return null;
    const material = publicMembers(jwk);
    if (material === null) return null;
    if (!options.secret && !isPublicKey(material)) return null;
    const { alg } = jwk;
    const algorithms = algorithmsOf(jwk).filter(name => alg === undefined || isSameAlgorithm(name, alg));
    if (algorithms.length === 0) return null;
    return new VerificationKey(material, algorithms, typeof jwk.kid === 'string' ? jwk.kid : undefined);
  }

  get algorithms(): readonly string[] {
    return this.#algorithms;
  }

  /** The key itself once it is there; until then a promise, which rejects where the material is no key after all. */
  import(alg: string): CryptoKey | Promise<CryptoKey> {
    const known = this.#imported.get(alg);
    if (known !== undefined) return known;
    const importing =
      this.#material.kty === 'oct'
        ? importSecret(this.#material.k as string, alg)
        : (importJWK(this.#material, alg) as Promise<CryptoKey>);
    this.#imported.set(alg, importing);
    importing.then(
      key => this.#imported.set(alg, key),
      () => {},
    );
    return importing;
  }
}

// jose imports an HMAC key anew for every signature unless it is handed over as a CryptoKey.
function importSecret(k: string, alg: string): Promise<CryptoKey> {
  const algorithm = { name: 'HMAC', hash: `SHA-${alg.slice(2)}` };
  return webcrypto.subtle.importKey('raw', Buffer.from(k, 'base64url'), algorithm, false, ['verify']);
}

// A point that is on no curve, a key of the wrong length: better found here than at the first signature.
function isPublicKey(material: JWK): boolean {
  try {
    createPublicKey({ key: material as JsonWebKey, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  oct: ['k'],
};

function publicMembers(jwk: Readonly<Record<string, unknown>>): JWK | null {
  const { kty } = jwk;
  if (typeof kty !== 'string' || !Object.hasOwn(MEMBERS, kty)) return null;
  const members: Record<string, string> = { kty };
  for (const name of MEMBERS[kty] as readonly string[]) {
    const value = jwk[name];
    if (typeof value !== 'string' || value === '') return null;
    members[name] = value;
  }
  // RFC 7518 section 3.3: at least 2048 bits.
  if (members.kty === 'RSA' && Buffer.from(members.n as string, 'base64url').length < 256) return null;
  return members as JWK;
}
