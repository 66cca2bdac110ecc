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
 * A key set per tenant. What is in the token chooses the URL, so both the sets and the fetches of URLs that have not
 * answered yet are bounded: a stranger with many tenant names can neither fill the memory nor push out the tenants that
 * are there, nor make this server knock everywhere.
 */
export function tenantKeySets(jwksUri: (issuer: string) => string, options: RemoteKeySetOptions): KeySets {
  // In the order of their last use.
  const loaded = new Map<string, RemoteKeySet>();
  // Asked for the first time now, or failed a moment ago. There are as many as the bucket lets through.
  const arriving = new Map<string, RemoteKeySet>();
  const newUrls = new TokenBucket(20, 1_000, options.now);

  const newcomer = (url: string): RemoteKeySet => {
    const set: RemoteKeySet = new RemoteKeySet(url, async () => url, options, {
      admit() {
        if (!newUrls.take())
          throw new UnavailableError('too many new tenants at once', { retryAfterSeconds: newUrls.retryAfterSeconds });
        for (const [other, { isBusy }] of arriving) if (!isBusy) arriving.delete(other);
        arriving.set(url, set);
      },
      loaded() {
        arriving.delete(url);
        drop(url);
        if (loaded.size >= MAX_TENANTS) drop(leastUsed());
        loaded.set(url, set);
      },
    });
    return set;
  };
  const leastUsed = () => [...loaded.keys()].find(url => !loaded.get(url)?.isBusy) ?? [...loaded.keys()][0];
  const drop = (url = '') => {
    loaded.get(url)?.close();
    loaded.delete(url);
  };

  return {
    of(issuer) {
      const url = jwksUri(issuer);
      disregard(url);
      if (typeof url !== 'string' || urlProblem(url) !== null) return undefined;
      const set = loaded.get(url);
      if (set === undefined) return arriving.get(url) ?? newcomer(url);
      loaded.delete(url);
      loaded.set(url, set);
      return set;
    },
    ready: async () => {},
    close: () => {
      for (const set of [...loaded.values(), ...arriving.values()]) set.close();
      loaded.clear();
      arriving.clear();
    },
  };
}
