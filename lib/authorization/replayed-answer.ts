import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { randomBytes } from '../crypto/random.js';

// The key comes from the token itself, which holds 256 random bits, so one HMAC derives it: what is stored opens for nobody but who holds the spent token.
function keyOf(token: string): Buffer {
  return createHmac('sha256', token).update('express-mcp-auth replayed answer').digest();
}

export function sealAnswer(answer: string, token: string, grantId: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', keyOf(token), iv).setAAD(Buffer.from(grantId));
  return Buffer.concat([iv, cipher.update(answer), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

export function openAnswer(sealed: string, token: string, grantId: string): string | null {
  try {
    const bytes = Buffer.from(sealed, 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', keyOf(token), bytes.subarray(0, 12), { authTagLength: 16 });
    decipher.setAAD(Buffer.from(grantId)).setAuthTag(bytes.subarray(-16));
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString();
  } catch {
    return null;
  }
}
