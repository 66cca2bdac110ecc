import {
  type CipherKey,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { randomBytes } from './random.js';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The keys of one purpose, derived from the operator's secrets: the first one seals and signs, all of them open and
 * verify, so that a secret can be replaced without logging anybody out.
 */
export interface KeyRing {
  /** AES-256-GCM, bound to `context`: a value moved to another place does not open. */
  seal(plain: Buffer | string, context: string): Buffer;
  /** `null` for anything that was not sealed here, under this purpose and context. */
  open(sealed: Buffer, context: string): Buffer | null;
  /** HMAC-SHA256 under the first key. */
  sign(text: string): Buffer;
  /** Whether one of the keys made this signature, compared in constant time. */
  verify(text: string, signature: Buffer): boolean;
  /** The signature of every key, the first key's first. */
  signatures(text: string): readonly Buffer[];
}

/** Derives a key ring for a purpose (HKDF, RFC 5869). Other purposes and other issuers get other keys. */
export type DeriveKeys = (purpose: string) => KeyRing;

export function keyDerivation(secrets: readonly string[], issuer: string): DeriveKeys {
  return purpose => {
    const info = `express-mcp-auth ${purpose} ${issuer}`;
    const derive = (secret: string, use: string) =>
      createSecretKey(Buffer.from(hkdfSync('sha256', secret, 'express-mcp-auth', `${use} ${info}`, 32)));
    return keyRing(secrets.map(secret => ({ seal: derive(secret, 'seal'), sign: derive(secret, 'sign') })));
  };
}

interface Keys {
  readonly seal: KeyObject;
  readonly sign: KeyObject;
}

function keyRing(keys: readonly Keys[]): KeyRing {
  const [first] = keys as [Keys, ...Keys[]];
  const signature = (key: Keys, text: string) => createHmac('sha256', key.sign).update(text).digest();
  return {
    seal: (plain, context) => sealWith(first.seal, plain, context),
    open(sealed, context) {
      for (const key of keys) {
        const plain = openWith(key.seal, sealed, context);
        if (plain !== null) return plain;
      }
      return null;
    },
    sign: text => signature(first, text),
    verify: (text, given) => keys.some(key => isEqual(signature(key, text), given)),
    signatures: text => keys.map(key => signature(key, text)),
  };
}

/** AES-256-GCM under one key, bound to `context`: the random IV, the text and the tag. */
export function sealWith(key: CipherKey, plain: Buffer | string, context: string): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** `null` for anything that was not sealed with this key and context. */
export function openWith(key: CipherKey, sealed: Buffer, context: string): Buffer | null {
  if (sealed.length < IV_BYTES + TAG_BYTES) return null;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return null;
  }
}

/** Compares two secrets in constant time; different lengths are unequal at once. */
export function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A random value of so many bytes, as base64url. */
export function randomToken(bytes = 32): string {
  return randomBytes(bytes).toString('base64url');
}
