import type { Identity } from '../core/auth-info.js';
import { type Answer, type Binding, type BoundSource, FOREIGN, reject } from '../core/source.js';
import type { Grant } from './grant.js';
import type { Grants } from './grants.js';
import type { Opened } from './records.js';
import type { SignInLeg } from './sign-in.js';
import { isRefreshTokenShaped, readAccessToken, TOKEN_PREFIX } from './tokens.js';
import type { UpstreamSession } from './upstream-session.js';

export interface AccessTokenParts {
  readonly grants: Grants;
  readonly upstream: UpstreamSession;
  readonly leg: SignInLeg;
  readonly now: () => number;
}

/** Verifies the tokens of an authorization server in front of its own resources: one read, and the sign-in stands. */
export interface AccessTokens {
  bind(binding: Binding): BoundSource;
  /** The live upstream token of a caller, refreshed when it has expired; `null` where there is none. */
  upstreamToken(identity: Identity): Promise<string | null>;
}

export function accessTokens({ grants, upstream, leg, now }: AccessTokenParts): AccessTokens {
  // The grant behind an identity is nobody's business but ours.
  const grantOf = new WeakMap<Identity, string>();
  const checkedAt = new LastChecks();

  /** The grant with a live upstream token, or `null` when upstream has ended the session. */
  const keepAlive = async (id: string, opened: Opened<Grant>): Promise<Opened<Grant> | null> => {
    if (!upstream.isDue(opened)) return opened;
    if (opened.value.upstream?.refreshToken === undefined) return null;
    return upstream.refresh(id, opened);
  };

  const revalidate = async (id: string, opened: Opened<Grant>): Promise<Opened<Grant> | null> => {
    const { upstream: tokens } = opened.value;
    if (leg.revalidation === undefined || tokens === undefined) return opened;
    const { seconds, graceSeconds } = leg.revalidation;
    const age = now() / 1_000 - checkedAt.of(id, opened.value);
    if (age >= 0 && age < seconds) return opened;
    try {
      if (await leg.isStillGood(tokens)) {
        checkedAt.set(id, now() / 1_000);
        return opened;
      }
    } catch (error) {
      if (age >= 0 && age < seconds + graceSeconds) return opened;
      throw error;
    }
    // Upstream may have rotated the token under us: one refresh, then its no is final.
    if (tokens.refreshToken === undefined) return null;
    const fresh = await upstream.refresh(id, opened);
    if (fresh?.value.upstream === undefined || !(await leg.isStillGood(fresh.value.upstream))) return null;
    checkedAt.set(id, now() / 1_000);
    return fresh;
  };

  const verify = async (token: string, binding: Binding): Promise<Answer> => {
    if (isRefreshTokenShaped(token))
      return reject('type', { expected: 'an access token', received: 'a refresh token' });
    if (readAccessToken(token) === null) return FOREIGN;
    const found = await grants.findAccess(token);
    if (found === null) return reject('revoked');
    const { id, scopes, expiresAt } = found;
    if (expiresAt <= Math.floor(now() / 1_000)) return reject('expired', { received: `${expiresAt}` });
    const { resource } = found.opened.value;
    if (!binding.isResource(resource))
      return reject('resource', { expected: binding.resource ?? 'none', received: resource });
    const alive = await keepAlive(id, found.opened);
    const opened = alive && (await revalidate(id, alive));
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

/** When upstream was last asked about a grant, in this process; before that, what the grant says. Bounded. */
class LastChecks {
  readonly #at = new Map<string, number>();

  of(id: string, grant: Grant): number {
    return Math.max(this.#at.get(id) ?? 0, grant.checkedAt);
  }

  set(id: string, at: number): void {
    this.#at.delete(id);
    this.#at.set(id, at);
    const [oldest] = this.#at.keys();
    if (this.#at.size > 10_000 && oldest !== undefined) this.#at.delete(oldest);
  }
}
