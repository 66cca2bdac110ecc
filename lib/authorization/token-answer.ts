import type { KeyRing } from '../crypto/key-ring.js';
import { type Grant, withAccessToken } from './grant.js';
import { accessExpiry, refreshExpiry, type TokenLifetimes } from './lifetimes.js';
import { mintAccessToken, mintRefreshToken } from './tokens.js';

/** The answer of the token endpoint (RFC 6749 section 5.1). */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly refresh_token?: string;
  readonly scope: string;
}

/** The grant with new tokens, and the answer that hands them out. */
export function withTokens(
  id: string,
  grant: Grant,
  scopes: readonly string[],
  now: number,
  { lifetimes, ring }: { readonly lifetimes: TokenLifetimes; readonly ring: KeyRing },
): [Grant, TokenAnswer] {
  const access = mintAccessToken(id);
  const expiresAt = Math.floor(accessExpiry(lifetimes, grant.upstream, now));
  const refreshExpiresAt = refreshExpiry(lifetimes, grant.upstream, now);
  const refresh =
    refreshExpiresAt === undefined || refreshExpiresAt <= now
      ? undefined
      : mintRefreshToken(id, grant.generation, ring);
  const accessTokens = withAccessToken(grant, { hash: access.hash, expiresAt, scopes }, now);
  const next: Grant = {
    ...grant,
    accessTokens,
    refreshHash: refresh?.hash,
    refreshExpiresAt: refresh && refreshExpiresAt,
  };
  const answer: TokenAnswer = {
    access_token: access.token,
    token_type: 'Bearer',
    expires_in: Math.max(0, expiresAt - now),
    ...(refresh !== undefined && { refresh_token: refresh.token }),
    scope: scopes.join(' '),
  };
  return [next, answer];
}
