import type { IncomingMessage } from 'node:http';
import { type Credential, readBearer } from '../oauth/bearer.js';
import type { FrameworkRequest } from './handler.js';

/** The credential of a request: a bearer token, none, a token in the query alone, or something malformed. */
export type Presented = Credential | { readonly kind: 'query' };

const MALFORMED: Presented = { kind: 'malformed' };
const QUERY: Presented = { kind: 'query' };

export function readCredentials(req: IncomingMessage): Presented {
  if (hasTwoAuthorizations(req.rawHeaders)) return MALFORMED;
  const credential = readBearer(req.headers.authorization);
  if (!hasQueryToken((req as FrameworkRequest).originalUrl ?? req.url)) return credential;
  return credential.kind === 'none' ? QUERY : MALFORMED;
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
