import { readScopes } from '../composition/options.js';
import { Options } from '../core/options.js';
import { isTrue } from '../core/promise.js';
import type { Fetch } from '../net/fetch-json.js';
import { readAudience } from './audience.js';
import { KEY_SOURCES, readKeys } from './jwt-keys.js';
import { ASYMMETRIC, HMAC } from './keys/algorithms.js';
import type { RemoteKeySetOptions } from './keys/remote-key-set.js';

const FACTORY = 'jwtVerifier';
const OPTIONS = [
  'issuer',
  'audience',
  'dangerouslyAcceptAnyAudience',
  ...KEY_SOURCES,
  'algorithms',
  'requiredScopes',
  'name',
  'claims',
  'typ',
  'clockToleranceSeconds',
  'cache',
  'jwksCache',
  'fetch',
  'now',
];

export type IsIssuer = (issuer: string) => boolean;

/** The options of one verifier, checked and complete. */
export type JwtConfig = ReturnType<typeof readJwtOptions>;

export function readJwtOptions(given: unknown) {
  const options = new Options(FACTORY, given, OPTIONS);
  const now = options.function<() => number>('now') ?? Date.now;
  const fetch = options.function<Fetch>('fetch');
  const { issuers, isIssuer } = readIssuer(options);
  const remote = readJwksCache(options, fetch, now);
  const { keySets, algorithms } = readKeys(options, issuers, remote);
  return {
    name: options.string('name'),
    isIssuer,
    issuerText: issuers?.join(' ') ?? 'an issuer that the issuer option accepts',
    audience: readAudience(options),
    keySets,
    algorithms: readAlgorithms(options, algorithms),
    requiredScopes: readScopes(options, 'requiredScopes'),
    claims: options.function<(payload: Readonly<Record<string, unknown>>) => boolean>('claims'),
    typ: options.string('typ'),
    clockToleranceSeconds: options.number('clockToleranceSeconds', { min: 0, max: 3_600, fallback: 5 }),
    cache: readCache(options),
    now,
  };
}

function readIssuer(options: Options): { issuers: readonly string[] | undefined; isIssuer: IsIssuer } {
  if (!options.has('issuer'))
    options.fail('issuer', 'is missing', 'Name the issuer exactly as it stands in the iss claim of its tokens.');
  if (typeof options.raw('issuer') === 'function') {
    const predicate = options.function<(issuer: string) => unknown>('issuer') as (issuer: string) => unknown;
    return { issuers: undefined, isIssuer: issuer => isTrue(predicate(issuer)) };
  }
  const issuers = options.oneOrMore('issuer') as readonly string[];
  const known = new Set(issuers);
  return { issuers, isIssuer: issuer => known.has(issuer) };
}

function readAlgorithms(options: Options, possible: readonly string[]): ReadonlySet<string> {
  const algorithms = options.list('algorithms');
  if (algorithms === undefined) return new Set(possible);
  if (algorithms.length === 0)
    options.fail('algorithms', 'is an empty list', 'Leave it out to allow all that fit the key.');
  for (const alg of algorithms) {
    if (possible.includes(alg)) continue;
    const isKnown = ASYMMETRIC.includes(alg) || (HMAC as readonly string[]).includes(alg);
    options.fail(
      'algorithms',
      `holds ${JSON.stringify(alg)}, which ${isKnown ? 'does not fit the key' : 'is no algorithm that is accepted here'}`,
      `Choose from ${possible.join(', ')}.`,
    );
  }
  return new Set(algorithms);
}

function readCache(options: Options): { maxEntries: number; ttlSeconds: number } | null {
  if (options.raw('cache') === false) return null;
  const cache = options.nested('cache', ['maxEntries', 'ttlSeconds']);
  const maxEntries = Math.floor(cache.number('maxEntries', { min: 0, max: 10_000_000, fallback: 10_000 }));
  const ttlSeconds = cache.number('ttlSeconds', { min: 0, max: 86_400, fallback: 60 });
  return maxEntries === 0 || ttlSeconds === 0 ? null : { maxEntries, ttlSeconds };
}

function readJwksCache(options: Options, fetch: Fetch | undefined, now: () => number): RemoteKeySetOptions {
  const cache = options.nested('jwksCache', ['ttlSeconds', 'staleSeconds', 'burst', 'refillSeconds', 'timeoutMs']);
  return {
    ttlSeconds: cache.number('ttlSeconds', { min: 1, max: 86_400, fallback: 600 }),
    staleSeconds: cache.number('staleSeconds', { min: 0, max: 7 * 86_400, fallback: 3_600 }),
    burst: Math.floor(cache.number('burst', { min: 1, max: 1_000, fallback: 5 })),
    refillSeconds: cache.number('refillSeconds', { min: 0.1, max: 86_400, fallback: 10 }),
    timeoutMs: cache.number('timeoutMs', { min: 1, max: 120_000, fallback: 5_000 }),
    fetch,
    now,
  };
}
