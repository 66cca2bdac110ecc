import { createHmac } from 'node:crypto';
import { openWith, sealWith } from '../crypto/key-ring.js';

// The key comes from the token itself, which holds 256 random bits, so one HMAC derives it: what is stored opens for nobody but who holds the spent token.
function keyOf(token: string): Buffer {
  return createHmac('sha256', token).update('express-mcp-auth replayed answer').digest();
}

export function sealAnswer(answer: string, token: string, grantId: string): string {
  return sealWith(keyOf(token), answer, grantId).toString('base64url');
}

export function openAnswer(sealed: string, token: string, grantId: string): string | null {
  return openWith(keyOf(token), Buffer.from(sealed, 'base64url'), grantId)?.toString() ?? null;
}
