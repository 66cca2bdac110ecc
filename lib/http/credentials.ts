import type { IncomingMessage } from 'node:http';
import type { Token } from '../core/token.js';
import { isBearerWord, readBearer } from '../oauth/bearer.js';
import type { FrameworkRequest } from './handler.js';

/** The credential of a request: a bearer token, none, a token in the query alone, or something malformed. */
export type Presented =
  | { readonly kind: 'none' | 'malformed' | 'query' }
  | { readonly kind: 'bearer'; readonly token: Token };

const MALFORMED: Presented = { kind: 'malformed' };
const QUERY: Presented = { kind: 'query' };

/**
 * @param recognize makes the token of a text, and knows those that were verified before
 */
export function readCredentials(req: IncomingMessage, recognize: (text: string) => Token): Presented {
  if (hasTwoAuthorizations(req.rawHeaders)) return MALFORMED;
  const credential = readBearer(req.headers.authorization);
  if (hasQueryToken((req as FrameworkRequest).originalUrl ?? req.url))
    return credential.kind === 'none' ? QUERY : MALFORMED;
  if (credential.kind !== 'bearer') return credential;
  const token = recognize(credential.token);
  return isOneWord(token) ? { kind: 'bearer', token } : MALFORMED;
}

// A token is as long as some hundred bytes, and each look at all of them takes its time: what was verified before, or
// has the shape of a JWT, is one word.
function isOneWord(token: Token): boolean {
  return token.isKnown || token.isCompactJws || isBearerWord(token.value);
}

// Node keeps the first of two Authorization headers and drops the other without a word; a proxy in front may have
// looked at the other one.
function hasTwoAuthorizations(rawHeaders: readonly string[] | undefined): boolean {
  if (rawHeaders === undefined) return false;
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++;
  }
  return count > 1;
}

// The name at the start of a parameter, each letter as it is or percent-encoded, with or without brackets behind it:
// what URLSearchParams would find, without taking apart a query that strangers may make as long as a header.
const QUERY_TOKEN = new RegExp(
  `(?:^\\?\\??|&)${[...'access_token'].map(encodedOrNot).join('')}(?:[=&.[]|${escapeOf('.')}|${escapeOf('[')}|$)`,
);

function encodedOrNot(letter: string): string {
  return `(?:${letter}|${escapeOf(letter)})`;
}

function escapeOf(character: string): string {
  const hex = character.charCodeAt(0).toString(16);
  return `%${hex.replace(/[a-f]/g, digit => `[${digit}${digit.toUpperCase()}]`)}`;
}

// RFC 6750 section 2.3 lets a token travel in the query; MCP forbids it, and a URL ends up in logs.
function hasQueryToken(url: string | undefined): boolean {
  const start = url?.indexOf('?') ?? -1;
  return url !== undefined && start !== -1 && QUERY_TOKEN.test(url.slice(start));
}
