import type { UpstreamTokens } from './grant.js';

export interface TokenLifetimes {
  /** `undefined`: as long as the upstream token. */
  readonly accessTtlSeconds: number | undefined;
  readonly refreshTtlSeconds: number;
  readonly codeTtlSeconds: number;
  readonly transactionTtlSeconds: number;
  readonly refreshReuseSeconds: number;
}

const DEFAULT_ACCESS_SECONDS = 3_600;

/** When an access token that is issued now expires. It never outlives an upstream token that nobody can refresh. */
export function accessExpiry(
  { accessTtlSeconds }: TokenLifetimes,
  upstream: UpstreamTokens | undefined,
  now: number,
): number {
  const upstreamEnd = upstream?.expiresAt;
  if (upstreamEnd === undefined) return now + (accessTtlSeconds ?? DEFAULT_ACCESS_SECONDS);
  const wanted = accessTtlSeconds === undefined ? upstreamEnd : now + accessTtlSeconds;
  return upstream?.refreshToken === undefined ? Math.min(wanted, upstreamEnd) : Math.max(wanted, now + 1);
}

/** When a refresh token that is issued now expires; `undefined` where there is nothing that could be refreshed. */
export function refreshExpiry(
  { refreshTtlSeconds }: TokenLifetimes,
  upstream: UpstreamTokens | undefined,
  now: number,
): number | undefined {
  if (upstream?.refreshToken === undefined && upstream?.expiresAt !== undefined) return undefined;
  return Math.min(now + refreshTtlSeconds, upstream?.refreshExpiresAt ?? Number.POSITIVE_INFINITY);
}

/** How long before its end an upstream token is renewed along with ours: half its lifetime, a minute at the most. */
export function renewalMargin({ lifetimeSeconds = 120 }: UpstreamTokens): number {
  return Math.min(60, lifetimeSeconds / 2);
}
