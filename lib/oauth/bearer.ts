/** What an `Authorization` header holds, as far as RFC 6750 is concerned. */
export type Credential = { readonly kind: 'none' | 'malformed' } | { readonly kind: 'bearer'; readonly token: string };

const NONE: Credential = Object.freeze({ kind: 'none' });
const MALFORMED: Credential = Object.freeze({ kind: 'malformed' });

// Visible ASCII without the quote and the comma. Wider than token68 of RFC 6750 section 2.1, so that static keys may
// hold any punctuation, and still one word that can hide neither a second credential nor a second header.
const ONE_WORD = /^[\x21\x23-\x2b\x2d-\x7e]+$/;

/** Whether a text could be the token of a header. */
export function isBearerWord(token: string): boolean {
  return ONE_WORD.test(token);
}

/**
 * Reads an `Authorization` header (RFC 6750 section 2.1, scheme compared without case). Another scheme and an empty
 * `Bearer` count as no credentials. Anything but one word after `Bearer` is malformed too: `isBearerWord` tells, and it
 * is left to the caller, who may have seen the word before.
 */
export function readBearer(header: string | undefined): Credential {
  if (header === undefined || header.length < 6 || header.slice(0, 6).toLowerCase() !== 'bearer') return NONE;
  if (header.length === 6) return NONE;
  let start = 6;
  while (header.charCodeAt(start) === 0x20) start++;
  if (start === header.length) return NONE;
  if (start === 6) return header.charCodeAt(6) === 0x09 ? MALFORMED : NONE;
  return { kind: 'bearer', token: header.slice(start) };
}
