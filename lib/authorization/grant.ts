import type { SpentGenerations } from './spent-generations.js';

/** What the upstream provider gave for one person. Times are seconds since the epoch. */
export interface UpstreamTokens {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  readonly expiresAt?: number | undefined;
  /** How long the access token was good for when it came. */
  readonly lifetimeSeconds?: number | undefined;
  readonly refreshExpiresAt?: number | undefined;
}

export interface LiveAccessToken {
  readonly hash: string;
  readonly expiresAt: number;
  readonly scopes: readonly string[];
}

/**
 * Everything about one consent of one person for one client, in one record: every change of it is one compare-and-set,
 * and revoking is deleting it. Times are seconds since the epoch.
 */
export interface Grant {
  readonly createdAt: number;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly subject: string;
  readonly issuer?: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly codeHash: string;
  readonly codeChallenge: string;
  readonly codeExpiresAt: number;
  /** When the code was redeemed; until then the grant lives as long as the code. */
  readonly redeemedAt?: number | undefined;
  readonly accessTokens: readonly LiveAccessToken[];
  readonly generation: number;
  readonly refreshHash?: string | undefined;
  readonly refreshExpiresAt?: number | undefined;
  readonly spent: SpentGenerations;
  /** The last answer to a refresh, sealed under a key that only the token that asked for it yields. */
  readonly lastAnswer?: { readonly spentHash: string; readonly sealed: string; readonly at: number } | undefined;
  readonly upstream?: UpstreamTokens | undefined;
  /** How often the upstream tokens were refreshed: a provider may give the same ones again. */
  readonly upstreamRefreshes: number;
  /** When upstream last stood by the person, as far as whoever wrote the record knew. */
  readonly checkedAt: number;
  /** Who is refreshing upstream right now; `until` in milliseconds since the epoch. */
  readonly lease?: { readonly id: string; readonly until: number } | undefined;
}

const MAX_ACCESS_TOKENS = 4;

/** The newest four that have not expired: calls in flight survive a refresh, and the record stays small. */
export function withAccessToken(grant: Grant, token: LiveAccessToken, now: number): readonly LiveAccessToken[] {
  return [token, ...grant.accessTokens.filter(live => live.expiresAt > now)].slice(0, MAX_ACCESS_TOKENS);
}

/** How long the record must be kept: the code's time until it is redeemed, then its longest token's. */
export function lifetimeOf(grant: Grant, now: number): number {
  if (grant.redeemedAt === undefined) return grant.codeExpiresAt - now;
  const ends = grant.accessTokens.map(token => token.expiresAt);
  return Math.max(grant.refreshHash === undefined ? 0 : (grant.refreshExpiresAt ?? 0), ...ends) - now;
}
