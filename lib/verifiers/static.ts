import { readScopes } from '../composition/options.js';
import type { Identity } from '../core/auth-info.js';
import { nodeEnv } from '../core/environment.js';
import { ConfigError } from '../core/errors.js';
import { deepFreeze } from '../core/freeze.js';
import { isJsonValue } from '../core/json-value.js';
import { kindOf, Options } from '../core/options.js';
import { reject } from '../core/source.js';
import { sha256 } from '../core/token.js';
import { warnings } from '../core/warnings.js';
import type { Auth } from '../http/auth.js';
import { createAuth } from '../http/create-auth.js';
import { isBearerWord } from '../oauth/bearer.js';
import { MAX_EPOCH_SECONDS } from './claims.js';

const FACTORY = 'staticTokenVerifier';
const MIN_LENGTH = 16;

/** Who holds a static key. */
export interface StaticToken {
  /** What `req.auth.clientId` shows. */
  readonly clientId: string;
  /** What the key may do. Default: nothing that needs a scope. */
  readonly scopes?: readonly string[] | undefined;
  /** What `req.auth.extra.subject` shows, unique among these keys. Default: none. */
  readonly subject?: string | undefined;
  /** Seconds since the epoch. Default: never. */
  readonly expiresAt?: number | undefined;
  /** What `req.auth.extra.claims` shows: what JSON can say. Default: an empty object. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** Options of `staticTokenVerifier`. */
export interface StaticTokenVerifierOptions {
  /** Scopes that these keys need. Default: none of their own. */
  readonly requiredScopes?: readonly string[] | undefined;
  /** The name in `req.auth.extra.source`. Default `staticTokenVerifier`. */
  readonly name?: string | undefined;
  /** The clock, in milliseconds like `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/**
 * Accepts fixed keys, for CI jobs and scripts. The table is read once and kept as SHA-256 hashes; an unknown key is
 * foreign, so other sources are asked about it.
 *
 * @param tokens from key to who holds it
 *
 * @example
 * staticTokenVerifier({ [process.env.CI_TOKEN!]: { clientId: 'ci', scopes: ['read'] } });
 *
 * @throws ConfigError for wrong or unknown options and entries, and for a key that is empty, blank, `undefined` or
 * `null`, that no header could carry, or that has less than 16 characters in production (elsewhere that is a warning)
 */
export function staticTokenVerifier(
  tokens: Readonly<Record<string, StaticToken>>,
  options: StaticTokenVerifierOptions = {},
): Auth {
  const read = new Options(FACTORY, options, ['requiredScopes', 'name', 'now']);
  const requiredScopes = readScopes(read, 'requiredScopes');
  const name = read.string('name');
  const now = read.function<() => number>('now') ?? Date.now;
  const table = readTable(tokens);

  return createAuth({
    factory: FACTORY,
    name,
    settings: { requiredScopes },
    bind: () => ({
      claim: token => (table.has(token.digest) ? 'mine' : 'foreign'),
      verify: token => {
        const identity = table.get(token.digest) as Identity;
        if (identity.expiresAt !== undefined && identity.expiresAt <= Math.floor(now() / 1_000))
          return reject('expired', { received: `${identity.expiresAt}` });
        return { outcome: 'accept', identity };
      },
    }),
  });
}

// A Map by hash: no key of the table can be mistaken for a member of an object, and a look-up takes the same time
// however much of a key was guessed.
function readTable(tokens: unknown): ReadonlyMap<string, Identity> {
  if (Object.prototype.toString.call(tokens) !== '[object Object]')
    throw new ConfigError(
      FACTORY,
      'tokens',
      `must be an object from key to client, got ${kindOf(tokens)}`,
      "Give { [process.env.CI_TOKEN]: { clientId: 'ci' } }.",
    );
  const warn = warnings();
  const entries = Object.entries(tokens as Record<string, unknown>).map(([key, entry], index): [string, Identity] => {
    checkKey(key, `tokens[${index}]`, warn);
    return [sha256(key), readEntry(entry, `tokens[${index}]`)];
  });
  return new Map(entries);
}

function checkKey(key: string, where: string, warn: ReturnType<typeof warnings>): void {
  const fail = (reason: string, remedy: string): never => {
    throw new ConfigError(FACTORY, where, reason, remedy);
  };
  if (key.trim() === '' || key === 'undefined' || key === 'null')
    fail('has a key that is empty, blank, undefined or null', 'Check that the environment variable behind it is set.');
  if (key === '__proto__') fail('has the key __proto__', 'Choose a random key.');
  if (!isBearerWord(key))
    fail(
      'has a key that no Authorization header can carry: a space, a line break, a quote, a comma or a letter beyond ASCII',
      'Trim what was read from a file; use letters, digits and -._~+/.',
    );
  if (key.length >= MIN_LENGTH) return;
  const text = `has a key of ${key.length} characters, expected at least ${MIN_LENGTH}`;
  const remedy = 'Make one with: node -e "console.log(crypto.randomBytes(32).toString(\'base64url\'))".';
  if (nodeEnv() === 'production') fail(text, remedy);
  warn('MCP_AUTH_SHORT_KEY', () => `${FACTORY}: ${where} ${text}. This is refused in production. ${remedy}`);
}

function readEntry(entry: unknown, where: string): Identity {
  if (typeof entry !== 'object' || entry === null)
    throw new ConfigError(
      FACTORY,
      where,
      `must be an object, got ${kindOf(entry)}`,
      "Give { clientId: 'ci', scopes: ['read'] }.",
    );
  const read = new Options(FACTORY, entry, ['clientId', 'scopes', 'subject', 'expiresAt', 'claims'], where);
  const clientId = read.string('clientId');
  if (clientId === undefined) read.fail('clientId', 'is missing', 'Name who holds the key.');
  const claims = read.raw('claims') ?? {};
  if (typeof claims !== 'object' || Array.isArray(claims))
    read.fail('claims', `must be an object, got ${kindOf(claims)}`, 'Give an object.');
  if (!isJsonValue(claims))
    read.fail(
      'claims',
      'holds something that JSON cannot say',
      'Use plain objects, lists, texts, numbers and booleans.',
    );
  const expiresAt = read.has('expiresAt')
    ? read.number('expiresAt', { min: 0, max: MAX_EPOCH_SECONDS, fallback: 0 })
    : undefined;
  return deepFreeze({
    clientId,
    scopes: readScopes(read, 'scopes') ?? [],
    subject: read.string('subject'),
    expiresAt,
    claims: structuredClone(claims) as Record<string, unknown>,
  });
}
