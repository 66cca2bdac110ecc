import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

// The key comes from the token itself: what is stored opens for nobody but who holds the spent token.
function keyOf(token: string): Buffer {
  return Buffer.from(hkdfSync('sha256', token, 'express-mcp-auth', 'replayed answer', 32));
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
