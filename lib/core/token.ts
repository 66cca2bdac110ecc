import { hash } from 'node:crypto';
import { deepFreeze } from './freeze.js';

/** The parts of a compact JWS (RFC 7515 section 3.1), read but not verified: they may only ever refuse a token. */
export interface UnverifiedJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

// What is in no part of a compact JWS. To look for one such character takes half the time of matching them all.
const FOREIGN = /[^\w.-]/;

/** Larger tokens are refused before anything looks at them. */
export const MAX_TOKEN_LENGTH = 16_384;

/** One presented credential. What several sources need of it is computed once. */
export class Token {
  readonly value: string;
  #digest: string | undefined;
  #isCompactJws: boolean | undefined;
  #jwt: UnverifiedJwt | null | undefined;
  #isKnown = false;

  constructor(value: string) {
    this.value = value;
  }

  /**
   * SHA-256 of the whole token, the key of every cache: cheaper than the token as a key, keeps tokens out of the heap,
   * and the time of a look-up says nothing about the secret.
   */
  get digest(): string {
    this.#digest ??= sha256(this.value);
    return this.#digest;
  }

  /** Whether it has the two dots of a compact JWS: without them there is nothing to remember of it. */
  get hasTwoDots(): boolean {
    const dot = this.value.indexOf('.');
    return dot !== -1 && this.value.indexOf('.', dot + 1) !== -1;
  }

  /** Whether it has the shape of a compact JWS. */
  get isCompactJws(): boolean {
    this.#isCompactJws ??= isCompactJws(this.value);
    return this.#isCompactJws;
  }

  /** The token as a JWT, or `null` for any other shape. */
  get jwt(): UnverifiedJwt | null {
    if (this.#jwt === undefined) this.#jwt = this.isCompactJws ? readJwt(this.value) : null;
    return this.#jwt;
  }

  /** Whether an equal token was verified before, so that its shape needs no second look. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** Hands over the parts of an equal token that was verified before. */
  remember(jwt: UnverifiedJwt): void {
    this.#jwt = jwt;
    this.#isKnown = true;
  }
}

// RFC 8725 section 3.14 (bis): compact serialisation only. A token without a signature is still a JWT, so that its
// issuer can refuse it by its algorithm.
function isCompactJws(value: string): boolean {
  const first = value.indexOf('.');
  const second = value.indexOf('.', first + 1);
  return first > 0 && second > first + 1 && !value.includes('.', second + 1) && !FOREIGN.test(value);
}

export function sha256(text: string): string {
  return hash('sha256', text, 'binary');
}

function readJwt(value: string): UnverifiedJwt | null {
  const dot = value.indexOf('.');
  const header = readHeader(value.slice(0, dot));
  if (header === null) return null;
  const payload = readPart(value.slice(dot + 1, value.lastIndexOf('.')));
  return payload === null ? null : { header, payload };
}

// The tokens of one key have one header. Strangers can empty this memory, and never fill it.
const MAX_HEADERS = 100;
const MAX_HEADER_LENGTH = 512;
const headers = new Map<string, Readonly<Record<string, unknown>>>();

function readHeader(part: string): Readonly<Record<string, unknown>> | null {
  const known = headers.get(part);
  if (known !== undefined) return known;
  const header = readPart(part);
  if (header === null || part.length > MAX_HEADER_LENGTH) return header;
  if (headers.size >= MAX_HEADERS) headers.clear();
  headers.set(part, deepFreeze(header));
  return header;
}

// One for all: a buffer for each token is memory to make and to collect. No token that is read is longer.
const scratch = Buffer.allocUnsafeSlow(MAX_TOKEN_LENGTH);

function readPart(part: string): Record<string, unknown> | null {
  try {
    const json: unknown = JSON.parse(scratch.toString('utf8', 0, scratch.write(part, 'base64url')));
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
