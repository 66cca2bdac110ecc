import { hash } from 'node:crypto';
import { deepFreeze } from './freeze.js';
import { memo } from './memo.js';

/** The parts of a compact JWS (RFC 7515 section 3.1), read but not verified: they may only ever refuse a token. */
export interface UnverifiedJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** What somebody remembers of a token whose signature was judged before. */
export interface Recollection {
  readonly jwt: UnverifiedJwt;
  readonly owner: object;
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
  #recollection: Recollection | undefined;

  constructor(value: string) {
    this.value = value;
  }

  /**
   * SHA-256 of the whole token, the key of every cache: cheaper than the token as a key, keeps tokens out of the heap,
   * and the time of a look-up says nothing about the secret, but for the few bits of its tail.
   */
  get digest(): string {
    this.#digest ??= sha256(this.value);
    return this.#digest;
  }

  /** A number below 65,536 from its last characters, which few of many tokens share: no more of a secret than that. */
  get tail(): number {
    const { value } = this;
    const end = value.length - 2;
    return (
      ((value.charCodeAt(end - 3) & 63) << 10) ^
      ((value.charCodeAt(end - 2) & 63) << 5) ^
      (value.charCodeAt(end - 1) & 63)
    );
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

  /** Whether an equal token was judged by its signature before, so that its shape needs no second look. */
  get isKnown(): boolean {
    return this.#recollection !== undefined;
  }

  /** What was handed over of it, which its owner need not look up again. */
  get recollection(): Recollection | undefined {
    return this.#recollection;
  }

  /** Hands over what is remembered of an equal token. */
  remember(recollection: Recollection): void {
    this.#jwt = recollection.jwt;
    this.#recollection = recollection;
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

// The tokens of one key have one header.
const readHeader = memo<Readonly<Record<string, unknown>> | null>(part => deepFreeze(readPart(part)));

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
