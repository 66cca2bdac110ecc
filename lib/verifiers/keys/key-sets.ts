import { UnavailableError } from '../../core/errors.js';
import { disregard } from '../../core/promise.js';
import { TokenBucket } from '../../core/token-bucket.js';
import { urlProblem } from '../../oauth/url.js';
import { discoverKeySet } from './discovery.js';
import type { KeySource } from './key-source.js';
import { RemoteKeySet, type RemoteKeySetOptions } from './remote-key-set.js';

/** The keys of each issuer of one verifier. */
export interface KeySets {
  /** `undefined` for an issuer that has no keys here. */
  of(issuer: string): KeySource | undefined;
  ready(): Promise<void>;
  close(): void;
}

/** One authority: whatever the issuer, these are the keys. */
export function oneKeySource(source: KeySource): KeySets {
  return { of: () => source, ready: () => source.ready(), close: () => source.close() };
}

export function remoteKeySetAt(url: string, options: RemoteKeySetOptions): KeySource {
  return new RemoteKeySet(url, async () => url, options);
}

/** Each issuer with the keys that its own metadata names: they verify nobody else's tokens. */
export function discoveredKeySets(issuers: readonly string[], options: RemoteKeySetOptions): KeySets {
  const sets = new Map(
    issuers.map(issuer => [issuer, new RemoteKeySet(issuer, discoverKeySet(issuer, options.fetch), options)]),
  );
  return {
    of: issuer => sets.get(issuer),
    ready: async () => void (await Promise.all([...sets.values()].map(set => set.ready()))),
    close: () => {
      for (const set of sets.values()) set.close();
    },
  };
}

const MAX_TENANTS = 100;

/**
 * A key set per tenant. What is in the token chooses the URL, so both the sets and the first fetches are bounded:
 * a stranger with many tenant names can neither fill the memory nor make this server knock everywhere.
 */
export function tenantKeySets(jwksUri: (issuer: string) => string, options: RemoteKeySetOptions): KeySets {
  const sets = new Map<string, RemoteKeySet>();
  const newUrls = new TokenBucket(20, 1_000, options.now);
  const admit = () => {
    if (!newUrls.take())
      throw new UnavailableError('too many new tenants at once', { retryAfterSeconds: newUrls.retryAfterSeconds });
  };
  const evictOne = () => {
    const [url, set] = [...sets].find(([, candidate]) => !candidate.isLoaded) ?? [...sets][0] ?? [];
    set?.close();
    if (url !== undefined) sets.delete(url);
  };

  return {
    of(issuer) {
      const url = jwksUri(issuer);
      disregard(url);
      if (typeof url !== 'string' || urlProblem(url) !== null) return undefined;
      let set = sets.get(url);
      if (set === undefined) {
        if (sets.size >= MAX_TENANTS) evictOne();
        set = new RemoteKeySet(url, async () => url, options, admit);
      } else {
        sets.delete(url);
      }
      sets.set(url, set);
      return set;
    },
    ready: async () => {},
    close: () => {
      for (const set of sets.values()) set.close();
      sets.clear();
    },
  };
}
