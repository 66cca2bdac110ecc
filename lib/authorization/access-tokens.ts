import type { Identity } from '../core/auth-info.js';
import { type Answer, type Binding, type BoundSource, FOREIGN, reject } from '../core/source.js';
import type { Grant } from './grant.js';
import type { Grants } from './grants.js';
import type { Opened } from './records.js';
import type { Revalidation } from './revalidation.js';
import { isRefreshTokenShaped, readAccessToken, TOKEN_PREFIX } from './tokens.js';
import type { UpstreamSession } from './upstream-session.js';

export interface AccessTokenParts {
  readonly grants: Grants;
  readonly upstream: UpstreamSession;
  readonly revalidation: Revalidation;
  readonly now: () => number;
}

/** Verifies the tokens of an authorization server in front of its own resources: one read, and the sign-in stands. */
export interface AccessTokens {
  bind(binding: Binding): BoundSource;
  /** The live upstream token of a caller, refreshed when it has expired; `null` where there is none. */
  upstreamToken(identity: Identity): Promise<string | null>;
}

export function accessTokens({ grants, upstream, revalidation, now }: AccessTokenParts): AccessTokens {
  // The grant behind an identity is nobody's business but ours.
  const grantOf = new WeakMap<Identity, string>();

  /** The grant with a live upstream token, or `null` when upstream has ended the session. */
  const keepAlive = async (id: string, opened: Opened<Grant>): Promise<Opened<Grant> | null> => {
    if (!upstream.isDue(opened)) return opened;
    if (opened.value.upstream?.refreshToken === undefined) return null;
    return upstream.refresh(id, opened);
  };

  const revalidated = (id: string, alive: Opened<Grant>): Promise<Opened<Grant> | null> =>
    revalidation.check(id, alive, (isRecent, error) => {
      if (isRecent) return alive;
      throw error;
    });

  const verify = async (token: string, binding: Binding): Promise<Answer> => {
    if (isRefreshTokenShaped(token))
      return reject('type', { expected: 'an access token', received: 'a refresh token' });
    const found = await grants.findAccess(token);
    if (found === null) return readAccessToken(token) === null ? FOREIGN : reject('revoked');
    const { id, scopes, expiresAt } = found;
    if (expiresAt <= Math.floor(now() / 1_000)) return reject('expired', { received: `${expiresAt}` });
    const { resource } = found.opened.value;
    if (!binding.isResource(resource))
      return reject('resource', { expected: binding.resource ?? 'none', received: resource });
    // Nearly always there is nothing to keep alive or to ask, and a promise for it would cost every call.
    const alive = upstream.isDue(found.opened) ? await keepAlive(id, found.opened) : found.opened;
    const opened = alive && revalidation.isNeeded ? await revalidated(id, alive) : alive;
    if (opened === null) return reject('revoked', { detail: 'the identity provider no longer stands by the sign-in' });
    const { clientId, subject, issuer, claims } = opened.value;
    const identity: Identity = { clientId, scopes, expiresAt, issuer, subject, claims };
    grantOf.set(identity, id);
    return { outcome: 'accept', identity };
  };

  return {
    bind: binding => ({
      claim: ({ value }) => (value.startsWith(TOKEN_PREFIX) ? 'mine' : 'foreign'),
      verify: ({ value }) => verify(value, binding),
    }),
    async upstreamToken(identity) {
      const id = grantOf.get(identity);
      const opened = id === undefined ? null : await grants.find(id);
      if (id === undefined || opened === null) return null;
      if (opened.value.upstream === undefined) return null;
      const alive = await keepAlive(id, opened);
      return alive?.value.upstream?.accessToken ?? null;
    },
  };
}
