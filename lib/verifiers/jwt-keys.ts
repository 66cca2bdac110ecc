import { createPublicKey, KeyObject, X509Certificate } from 'node:crypto';
import { types } from 'node:util';
import type { JWK } from 'jose';
import { kindOf, type Options } from '../core/options.js';
import { urlProblem } from '../oauth/url.js';
import { readSecret } from './jwt-secret.js';
import { ASYMMETRIC } from './keys/algorithms.js';
import { discoveredKeySets, type KeySets, oneKeySource, remoteKeySetAt, tenantKeySets } from './keys/key-sets.js';
import { fixedKeys } from './keys/key-source.js';
import type { RemoteKeySetOptions } from './keys/remote-key-set.js';
import { VerificationKey } from './keys/verification-key.js';

export const KEY_SOURCES = ['jwksUri', 'jwks', 'publicKey', 'secret'] as const;
const HTTPS_REMEDY = 'Give an absolute https URL (http only for localhost).';

/** The one key source that the options name, and the algorithms that it can verify. */
export function readKeys(
  options: Options,
  issuers: readonly string[] | undefined,
  remote: RemoteKeySetOptions,
): { keySets: KeySets; algorithms: readonly string[] } {
  const named = KEY_SOURCES.filter(source => options.has(source));
  if (named.length > 1)
    options.fail(named[1] as string, `contradicts ${named[0]}`, `Give exactly one of ${KEY_SOURCES.join(', ')}.`);
  switch (named[0]) {
    case 'jwksUri':
      return { keySets: readJwksUri(options, remote), algorithms: ASYMMETRIC };
    case 'jwks':
      return inline(readJwks(options), { ignoreKid: false });
    case 'publicKey':
      return inline([readPublicKey(options)], { ignoreKid: true });
    case 'secret':
      return inline([readSecret(options)], { ignoreKid: true });
    default:
      return { keySets: discovered(options, issuers, remote), algorithms: ASYMMETRIC };
  }
}

function inline(keys: readonly VerificationKey[], how: { readonly ignoreKid: boolean }) {
  const algorithms = [...new Set(keys.flatMap(key => key.algorithms))];
  return { keySets: oneKeySource(fixedKeys(keys, how)), algorithms };
}

function discovered(options: Options, issuers: readonly string[] | undefined, remote: RemoteKeySetOptions): KeySets {
  if (issuers === undefined)
    options.fail(
      'jwksUri',
      'is missing, and a predicate names no issuer to discover keys from',
      `Give one of ${KEY_SOURCES.join(', ')}.`,
    );
  for (const issuer of issuers) {
    const problem = urlProblem(issuer, { isIdentifier: true });
    if (problem !== null)
      options.fail(
        'issuer',
        `${problem}, so its keys cannot be discovered`,
        `${HTTPS_REMEDY} Or give one of ${KEY_SOURCES.join(', ')}.`,
      );
  }
  return discoveredKeySets(issuers, remote);
}

function readJwksUri(options: Options, remote: RemoteKeySetOptions): KeySets {
  if (typeof options.raw('jwksUri') === 'function')
    return tenantKeySets(options.function<(issuer: string) => string>('jwksUri') as (issuer: string) => string, remote);
  const url = options.string('jwksUri') as string;
  const problem = urlProblem(url);
  if (problem !== null) options.fail('jwksUri', problem, HTTPS_REMEDY);
  return oneKeySource(remoteKeySetAt(url, remote));
}

function readJwks(options: Options): readonly VerificationKey[] {
  const { keys } = (options.raw('jwks') ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys))
    options.fail(
      'jwks',
      'must be a JWK Set: an object with a list of keys',
      'Give { keys: [...] } (RFC 7517 section 5).',
    );
  if (keys.some(jwk => (jwk as JWK | null)?.kty === 'oct'))
    options.fail('jwks', 'holds a symmetric key', 'Give public keys here, and a shared secret with the secret option.');
  if (keys.some(jwk => (jwk as JWK | null)?.d !== undefined))
    options.fail(
      'jwks',
      'holds a private key',
      'Publish only the public members; the private key belongs to the issuer.',
    );
  const read = keys.map(jwk => VerificationKey.read(jwk)).filter(key => key !== null);
  if (read.length === 0)
    options.fail(
      'jwks',
      'holds no key that can verify a signature',
      'Give RSA (2048 bits or more), EC or Ed25519 public keys.',
    );
  return read;
}

function readPublicKey(options: Options): VerificationKey {
  const value = options.raw('publicKey');
  const remedy = 'Give a PEM text, a JWK or a KeyObject of an RSA (2048 bits or more), EC or Ed25519 public key.';
  let key: VerificationKey | null = null;
  try {
    key = VerificationKey.read(publicJwk(value));
  } catch {
    // The message of the parser may quote the key.
  }
  if (isPrivate(value))
    options.fail('publicKey', 'is a private key', 'Give the public half; the private key belongs to the issuer.');
  if (key === null) options.fail('publicKey', `is no usable public key, got ${kindOf(value)}`, remedy);
  return key;
}

function publicJwk(value: unknown): JWK | null {
  if (value instanceof KeyObject) return value.type === 'public' ? (value.export({ format: 'jwk' }) as JWK) : null;
  if (types.isCryptoKey(value))
    return value.type === 'public' ? (KeyObject.from(value).export({ format: 'jwk' }) as JWK) : null;
  if (typeof value === 'string' || Buffer.isBuffer(value)) {
    const pem = value.toString();
    const key = pem.includes('BEGIN CERTIFICATE') ? new X509Certificate(pem).publicKey : createPublicKey(pem);
    return key.export({ format: 'jwk' }) as JWK;
  }
  return value as JWK | null;
}

function isPrivate(value: unknown): boolean {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return /BEGIN [A-Z ]*PRIVATE KEY/.test(value.toString());
  return (
    (value as { type?: unknown; d?: unknown } | null)?.type === 'private' ||
    (value as { d?: unknown } | null)?.d !== undefined
  );
}
