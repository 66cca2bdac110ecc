import { hash } from 'node:crypto';
import { isEqual, type KeyRing } from '../crypto/key-ring.js';
import { randomBytes } from '../crypto/random.js';

const ID_BYTES = 16;
const SECRET_BYTES = 32;
const TAG_BYTES = 16;
const ACCESS = 'mcp_at_';
const REFRESH = 'mcp_rt_';
const CODE = 'mcp_ac_';

/** Every token of ours starts with this; nobody else's is ever taken for one. */
export const TOKEN_PREFIX = 'mcp_';

/** An opaque token: the id of its grant and a 256-bit secret. Only the hash of the whole is stored. */
export interface MintedToken {
  readonly token: string;
  readonly hash: string;
}

export interface RefreshClaim {
  readonly grantId: string;
  /** How often the grant had been refreshed when the token was made, proven by the server's own signature. */
  readonly generation: number;
}

export function newGrantId(): string {
  return randomBytes(ID_BYTES).toString('base64url');
}

export function mintAccessToken(grantId: string): MintedToken {
  return mint(ACCESS, [Buffer.from(grantId, 'base64url'), randomBytes(SECRET_BYTES)]);
}

export function mintCode(grantId: string): MintedToken {
  return mint(CODE, [Buffer.from(grantId, 'base64url'), randomBytes(SECRET_BYTES)]);
}

/**
 * A refresh token also carries its generation, signed: a spent one is recognised by it, and a made-up one can never
 * pass for spent and end somebody's grant.
 */
export function mintRefreshToken(grantId: string, generation: number, ring: KeyRing): MintedToken {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(generation);
  const body = Buffer.concat([Buffer.from(grantId, 'base64url'), number, randomBytes(SECRET_BYTES)]);
  return mint(REFRESH, [body, ring.sign(body.toString('base64')).subarray(0, TAG_BYTES)]);
}

export function readAccessToken(token: string): { readonly grantId: string } | null {
  const bytes = read(ACCESS, token, ID_BYTES + SECRET_BYTES);
  return bytes && { grantId: idOf(bytes) };
}

export function readCode(token: string): { readonly grantId: string } | null {
  const bytes = read(CODE, token, ID_BYTES + SECRET_BYTES);
  return bytes && { grantId: idOf(bytes) };
}

export function readRefreshToken(token: string, ring: KeyRing): RefreshClaim | null {
  const bytes = read(REFRESH, token, ID_BYTES + 4 + SECRET_BYTES + TAG_BYTES);
  if (bytes === null) return null;
  const body = bytes.subarray(0, -TAG_BYTES);
  const tag = bytes.subarray(-TAG_BYTES);
  const isOurs = ring
    .signatures(body.toString('base64'))
    .some(signature => isEqual(signature.subarray(0, TAG_BYTES), tag));
  return isOurs ? { grantId: idOf(bytes), generation: bytes.readUInt32BE(ID_BYTES) } : null;
}

export function isRefreshTokenShaped(token: string): boolean {
  return token.startsWith(REFRESH);
}

export function hashOf(token: string): string {
  return hash('sha256', token, 'base64url');
}

/** Compares two hashes of tokens in constant time. */
export function isSameHash(a: string | undefined, b: string): boolean {
  return a !== undefined && isEqual(Buffer.from(a), Buffer.from(b));
}

function mint(prefix: string, parts: readonly Buffer[]): MintedToken {
  const token = prefix + Buffer.concat(parts).toString('base64url');
  return { token, hash: hashOf(token) };
}

// One spelling only: base64url leaves bits unused that a decoder would ignore.
function read(prefix: string, token: string, length: number): Buffer | null {
  if (!token.startsWith(prefix) || token.length > 256) return null;
  const text = token.slice(prefix.length);
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === length && bytes.toString('base64url') === text ? bytes : null;
}

function idOf(bytes: Buffer): string {
  return bytes.toString('base64url', 0, ID_BYTES);
}
