import { isKnownRedirect } from './known-clients.js';
import { redirectPattern } from './redirect-pattern.js';
import { loopbackUri, redirectProblem } from './redirect-syntax.js';

export interface RedirectPolicyOptions {
  /** Exact URIs and patterns, as {@link redirectPattern} reads them, that are allowed too. */
  readonly allow?: readonly string[] | undefined;
  /** Replaces all that is allowed otherwise: https, loopback, known clients and `allow`. An empty list allows nothing. */
  readonly only?: readonly string[] | undefined;
  /** Whether the redirect URIs of well-known MCP clients are trusted. */
  readonly knownClients: boolean;
}

/** Where this server may send answers to. Asked at registration, authorize, consent and callback. */
export interface RedirectPolicy {
  /** `null` when the URI may be registered and used, else why not. */
  problem(uri: string): string | null;
  /** Whether anybody on the person's machine could be listening there (RFC 8252 section 8.3). */
  isLoopback(uri: string): boolean;
  /** Whether an error may be sent there before a person has decided: loopback, or a known client (RFC 9700 section 4.11.2). */
  isAutoRedirectable(uri: string): boolean;
}

/** @throws Error for an entry of `allow` or `only` that is no pattern */
export function redirectPolicy({ allow = [], only, knownClients }: RedirectPolicyOptions): RedirectPolicy {
  const allowed = allow.map(redirectPattern);
  const sole = only?.map(redirectPattern);
  const isLoopback = (uri: string) => loopbackUri(uri) !== null;
  const isKnown = (uri: string) => knownClients && isKnownRedirect(uri);
  return {
    problem(uri) {
      const problem = redirectProblem(uri);
      if (problem !== null) return problem;
      if (sole !== undefined)
        return sole.some(matches => matches(uri)) ? null : 'is not among the redirect URIs that this server allows';
      if (uri.startsWith('https:') || isLoopback(uri) || isKnown(uri)) return null;
      return allowed.some(matches => matches(uri)) ? null : 'has a private-use scheme that this server does not allow';
    },
    isLoopback,
    isAutoRedirectable: uri => isLoopback(uri) || isKnown(uri),
  };
}

/**
 * Whether a requested redirect URI is the registered one: byte for byte (RFC 9700 section 4.1.3), but for the port of
 * a loopback URI, which the client learns only when it starts to listen (RFC 8252 section 7.3).
 */
export function matchesRegistered(registered: string, requested: string): boolean {
  if (registered === requested) return true;
  const known = loopbackUri(registered);
  const asked = loopbackUri(requested);
  return known !== null && asked !== null && known.host === asked.host && known.rest === asked.rest;
}
