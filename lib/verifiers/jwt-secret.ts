import { createPublicKey, KeyObject, X509Certificate } from 'node:crypto';
import { kindOf, type Options } from '../core/options.js';
import { VerificationKey } from './keys/verification-key.js';

/** The shared secret of HS* tokens: long enough, and nothing that everybody knows. */
export function readSecret(options: Options): VerificationKey {
  const value = options.raw('secret');
  const bytes = secretBytes(value);
  if (bytes === null)
    options.fail(
      'secret',
      `must be a string, bytes or a secret KeyObject, got ${kindOf(value)}`,
      'Give the shared HMAC secret.',
    );
  // RFC 8725 section 3.5 and the key confusion of RS256 with HS256.
  if (bytes.length < 32)
    options.fail(
      'secret',
      `has ${bytes.length} bytes, expected at least 32`,
      'Use a random secret: node -e "console.log(crypto.randomBytes(48).toString(\'base64url\'))".',
    );
  if (isPublicKey(bytes))
    options.fail(
      'secret',
      'looks like a key pair or certificate',
      'Give a public key with the publicKey option; a shared secret is known to nobody else.',
    );
  return VerificationKey.read({ kty: 'oct', k: bytes.toString('base64url') }, { secret: true }) as VerificationKey;
}

function secretBytes(value: unknown): Buffer | null {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof KeyObject) return value.type === 'secret' ? value.export() : null;
  return value instanceof Uint8Array ? Buffer.from(value) : null;
}

/**
 * The public key of RS256 as the secret of HS256 is the oldest key confusion: everybody knows it. Keys and certificates
 * are recognised as PEM, JWK and DER, the three of them in base64 and hex too. A bare modulus or point looks like any
 * random bytes, so that one cannot be.
 */
function isPublicKey(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  const codings = [bytes, Buffer.from(text, 'base64'), Buffer.from(text.replace(/[\s:]/g, ''), 'hex')];
  return codings.some(coding => isText(coding) || isDer(coding));
}

function isText(bytes: Buffer): boolean {
  return /-----BEGIN|^\s*\{[\s\S]*"kty"/.test(bytes.toString('latin1'));
}

function isDer(der: Buffer): boolean {
  const readings = [
    () => createPublicKey({ key: der, format: 'der', type: 'spki' }),
    () => createPublicKey({ key: der, format: 'der', type: 'pkcs1' }),
    () => new X509Certificate(der),
  ];
  return readings.some(read => {
    try {
      read();
      return true;
    } catch {
      return false;
    }
  });
}
