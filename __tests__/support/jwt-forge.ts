import { constants, createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto';

/** Writes JWTs by hand, on node:crypto alone, so that a test can write what no JWT library would. */

export const ASYMMETRIC = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;
export const SYMMETRIC = ['HS256', 'HS384', 'HS512'] as const;

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  /** The public JWK, without `kid`, `alg` and `use`. */
  readonly jwk: JsonWebKey & { kty: string };
  readonly pem: string;
}

const CURVES: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

function generate(alg: string): KeyPair {
  const { publicKey, privateKey } = CURVES[alg]
    ? generateKeyPairSync('ec', { namedCurve: CURVES[alg] })
    : alg.startsWith('Ed')
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('rsa', { modulusLength: alg === 'RSA-1024' ? 1024 : 2048 });
  return {
    publicKey,
    privateKey,
    jwk: publicKey.export({ format: 'jwk' }) as KeyPair['jwk'],
    pem: publicKey.export({ type: 'spki', format: 'pem' }) as string,
  };
}

const shared = new Map<string, KeyPair>();

/** The key pair of an algorithm; one RSA pair stands for all of RS* and PS*, another `owner` holds another pair. */
export function keyPair(alg: string, owner = 'idp'): KeyPair {
  const kind = /^[RP]S\d/.test(alg) ? 'RSA' : alg.startsWith('Ed') ? 'Ed25519' : alg;
  const name = `${owner}:${kind}`;
  const pair = shared.get(name) ?? generate(alg);
  shared.set(name, pair);
  return pair;
}

export type Signer = (input: string) => Uint8Array | string;

const sha = (alg: string): string => `sha${/\d{3}$/.exec(alg)?.[0] ?? '256'}`;

/** Signs as `alg` says; a string or bytes as key make an HMAC of it. */
export function signer(alg: string, key: KeyObject | string | Uint8Array): Signer {
  return input => {
    const data = Buffer.from(input);
    if (typeof key === 'string' || key instanceof Uint8Array) return createHmac(sha(alg), key).update(data).digest();
    if (alg.startsWith('Ed')) return sign(null, data, key);
    if (alg.startsWith('ES')) return sign(sha(alg), data, { key, dsaEncoding: 'ieee-p1363' });
    if (alg.startsWith('RS')) return sign(sha(alg), data, key);
    const saltLength = Number(alg.slice(2)) / 8;
    return sign(sha(alg), data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
  };
}

/** A string or bytes go in as they are, so that a header or payload can be any text at all. */
export function segment(value: unknown): string {
  const raw = typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value);
  return Buffer.from(raw).toString('base64url');
}

export function forge(header: unknown, payload: unknown, sign: Signer): string {
  const input = `${segment(header)}.${segment(payload)}`;
  return `${input}.${Buffer.from(sign(input)).toString('base64url')}`;
}

export const unsigned: Signer = () => '';

/** A clock for `now`, in milliseconds, that only moves when told to. */
export interface Clock {
  ms: number;
  readonly now: () => number;
  /** Seconds since the epoch, `offset` seconds from the clock's time. */
  at(offset?: number): number;
  advance(seconds: number): void;
}

export function clockAt(ms = Math.floor(Date.now() / 1000) * 1000): Clock {
  const clock: Clock = {
    ms,
    now: () => clock.ms,
    at: (offset = 0) => Math.floor(clock.ms / 1000) + offset,
    advance: seconds => {
      clock.ms += seconds * 1000;
    },
  };
  return clock;
}
