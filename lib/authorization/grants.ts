import type { Client } from '../clients/client.js';
import { UnavailableError } from '../core/errors.js';
import { publish } from '../core/events.js';
import type { KeyRing } from '../crypto/key-ring.js';
import { type Grant, lifetimeOf } from './grant.js';
import { renewalMargin, type TokenLifetimes } from './lifetimes.js';
import { OAuthFailure } from './oauth-failure.js';
import type { Opened, Records } from './records.js';
import { openAnswer, sealAnswer } from './replayed-answer.js';
import type { Resources } from './resources.js';
import type { Revalidation } from './revalidation.js';
import type { SignedIn, SignInLeg } from './sign-in.js';
import { isLately, isSpentLately, withSpent } from './spent-generations.js';
import { type TokenAnswer, withTokens } from './token-answer.js';
import { type CodeRequest, judgeCodeRequest, judgeRefreshRequest, type RefreshRequest } from './token-requests.js';
import { hashOf, isSameHash, mintCode, newGrantId, readAccessToken, readCode, readRefreshToken } from './tokens.js';
import type { AuthorizationRequest } from './transactions.js';
import type { UpstreamSession } from './upstream-session.js';

export interface GrantsParts {
  readonly records: Records<Grant>;
  readonly resources: Resources;
  readonly upstream: UpstreamSession;
  readonly revalidation: Revalidation;
  readonly leg: SignInLeg;
  readonly ring: KeyRing;
  readonly lifetimes: TokenLifetimes;
  readonly now: () => number;
}

const MAX_TRIES = 8;

/** Codes and tokens: each is one of the states of a grant, and every step from one to the next happens once. */
export class Grants {
  readonly #parts: GrantsParts;

  constructor(parts: GrantsParts) {
    this.#parts = parts;
  }

  /** Stores what a person granted, and answers the code for it. */
  async issueCode(request: AuthorizationRequest, redirectUri: string, signedIn: SignedIn): Promise<string> {
    const { lifetimes, records } = this.#parts;
    const now = this.#seconds();
    const id = newGrantId();
    const code = mintCode(id);
    const grant: Grant = {
      createdAt: now,
      clientId: request.clientId,
      redirectUri,
      resource: request.resource,
      scopes: signedIn.scopes,
      subject: signedIn.subject,
      issuer: signedIn.issuer,
      claims: signedIn.claims,
      codeHash: code.hash,
      codeChallenge: request.codeChallenge,
      codeExpiresAt: now + lifetimes.codeTtlSeconds,
      accessTokens: [],
      generation: 0,
      spent: [],
      upstream: signedIn.upstream,
      upstreamRefreshes: 0,
      checkedAt: now,
    };
    await records.add(id, grant, lifetimes.codeTtlSeconds);
    publish('code_issued', undefined, () => ({
      clientId: request.clientId,
      subject: signedIn.subject,
      scopes: signedIn.scopes,
    }));
    return code.token;
  }

  /** @throws OAuthFailure; a request that fails changes nothing, but for a late replay, which ends the grant it gave */
  async redeem(request: CodeRequest): Promise<TokenAnswer> {
    const { records, resources, lifetimes } = this.#parts;
    const claim = readCode(request.code);
    if (claim === null) throw refused();
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const opened = await records.get(claim.grantId);
      if (opened === null || !isSameHash(opened.value.codeHash, hashOf(request.code))) throw refused();
      const grant = opened.value;
      judgeCodeRequest(request, grant, resources);
      const now = this.#seconds();
      if (grant.redeemedAt !== undefined) {
        // A client that asked twice is refused; somebody who comes later with a used code has stolen it from somewhere.
        if (now - grant.redeemedAt > lifetimes.refreshReuseSeconds)
          await this.#end(claim.grantId, opened, 'code_replayed');
        throw refused();
      }
      if (grant.codeExpiresAt <= now) throw refused();
      const [next, answer] = withTokens(claim.grantId, { ...grant, redeemedAt: now }, grant.scopes, now, this.#parts);
      const replaced = await records.replace(claim.grantId, opened, next, lifetimeOf(next, now));
      if (replaced !== null) return this.#issued(next, answer, 'authorization_code');
    }
    throw contended();
  }

  /** @throws OAuthFailure, or UnavailableError while upstream is out of reach: the token stays good then */
  async refresh(request: RefreshRequest): Promise<TokenAnswer> {
    const { records, ring } = this.#parts;
    const claim = readRefreshToken(request.refreshToken, ring);
    if (claim === null) throw refused();
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const opened = await records.get(claim.grantId);
      if (opened === null || opened.value.clientId !== request.client.id) throw refused();
      const scopes = judgeRefreshRequest(request, opened.value, this.#parts.resources);
      if (claim.generation !== opened.value.generation) {
        const replayed = await this.#replay(claim.grantId, claim.generation, opened, request);
        if (replayed !== null) return replayed;
        throw refused();
      }
      if (!isSameHash(opened.value.refreshHash, hashOf(request.refreshToken))) throw refused();
      if ((opened.value.refreshExpiresAt ?? 0) <= this.#seconds()) throw refused();
      // Before anything is spent: what upstream cannot answer right now costs nobody a token.
      const current = await this.#upheld(claim.grantId, opened);
      if (current === null) throw refused();
      // Another replica has rotated meanwhile: the next round gives its answer again.
      if (current.value.generation !== claim.generation) continue;
      const answer = await this.#rotate(claim.grantId, current, request, scopes);
      if (answer !== null) return answer;
    }
    throw contended();
  }

  find(id: string): Promise<Opened<Grant> | null> {
    return this.#parts.records.get(id);
  }

  /** The grant and the scopes of a live access token, or `null`. One read. */
  async findAccess(
    token: string,
  ): Promise<{ id: string; opened: Opened<Grant>; scopes: readonly string[]; expiresAt: number } | null> {
    const claim = readAccessToken(token);
    const opened = claim && (await this.#parts.records.get(claim.grantId));
    if (claim === null || opened === null) return null;
    const hash = hashOf(token);
    const live = opened.value.accessTokens.find(candidate => isSameHash(candidate.hash, hash));
    return live === undefined ? null : { id: claim.grantId, opened, scopes: live.scopes, expiresAt: live.expiresAt };
  }

  /** RFC 7009: the refresh token ends the grant, an access token only itself. Others' tokens and unknown ones: nothing. */
  async revoke(token: string, client: Client): Promise<void> {
    const { records, ring } = this.#parts;
    const refresh = readRefreshToken(token, ring);
    if (refresh !== null) {
      const opened = await records.get(refresh.grantId);
      if (opened?.value.clientId === client.id) await this.#end(refresh.grantId, opened, 'client');
      return;
    }
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const found = await this.findAccess(token);
      if (found === null || found.opened.value.clientId !== client.id) return;
      const hash = hashOf(token);
      const grant = found.opened.value;
      const next = { ...grant, accessTokens: grant.accessTokens.filter(live => live.hash !== hash) };
      const left = lifetimeOf(next, this.#seconds());
      if (left <= 0) return this.#end(found.id, found.opened, 'client');
      if ((await records.replace(found.id, found.opened, next, left)) !== null) return;
    }
    throw contended();
  }

  /** The grant with live upstream tokens that upstream stands by, or `null` where it does not: then the grant has ended. */
  async #upheld(id: string, opened: Opened<Grant>): Promise<Opened<Grant> | null> {
    const alive = await this.#withFreshUpstream(id, opened);
    if (alive === null) return null;
    // Otherwise a client whose calls are refused would refresh, be refused, and refresh, for ever. How long an old answer
    // holds in an outage is for the guard to say.
    const upheld = await this.#parts.revalidation.check(id, alive, () => alive);
    const left = upheld === null ? await this.#parts.records.get(id) : null;
    if (left !== null) await this.#end(id, left, 'upstream');
    return upheld;
  }

  async #withFreshUpstream(id: string, opened: Opened<Grant>): Promise<Opened<Grant> | null> {
    const { upstream } = opened.value;
    if (upstream?.refreshToken === undefined || !this.#parts.upstream.isDue(opened, renewalMargin(upstream)))
      return opened;
    return this.#parts.upstream.refresh(id, opened);
  }

  async #rotate(
    id: string,
    opened: Opened<Grant>,
    request: RefreshRequest,
    scopes: readonly string[],
  ): Promise<TokenAnswer | null> {
    const now = this.#seconds();
    const { refreshReuseSeconds } = this.#parts.lifetimes;
    const grant = opened.value;
    const spent = withSpent(grant.spent, grant.generation, now, refreshReuseSeconds);
    // Other replicas learn from the record that upstream stood by it.
    const checkedAt = Math.floor(this.#parts.revalidation.goodAt(id, grant));
    const rotated = { ...grant, generation: grant.generation + 1, spent, checkedAt };
    const [fresh, answer] = withTokens(id, rotated, scopes, now, this.#parts);
    const lastAnswer = {
      spentHash: hashOf(request.refreshToken),
      sealed: sealAnswer(JSON.stringify(answer), request.refreshToken, id),
      at: now,
    };
    const next = { ...fresh, lastAnswer };
    const replaced = await this.#parts.records.replace(id, opened, next, lifetimeOf(next, now));
    return replaced === null ? null : this.#issued(next, answer, 'refresh_token');
  }

  // The same question by the same client within the window is a lost answer; later it is a theft, and the family dies.
  async #replay(
    id: string,
    generation: number,
    opened: Opened<Grant>,
    request: RefreshRequest,
  ): Promise<TokenAnswer | null> {
    const { refreshReuseSeconds } = this.#parts.lifetimes;
    const { lastAnswer, spent, clientId, subject } = opened.value;
    if (generation > opened.value.generation) return null;
    const now = this.#seconds();
    if (
      lastAnswer !== undefined &&
      isSameHash(lastAnswer.spentHash, hashOf(request.refreshToken)) &&
      isLately(lastAnswer.at, now, refreshReuseSeconds)
    ) {
      const answer = openAnswer(lastAnswer.sealed, request.refreshToken, id);
      if (answer !== null) return { ...(JSON.parse(answer) as TokenAnswer) };
    }
    if (!isSpentLately(spent, generation, now, refreshReuseSeconds)) {
      publish('refresh_reused', undefined, () => ({ clientId, subject }));
      await this.#end(id, opened, 'reuse');
    }
    return null;
  }

  #issued(grant: Grant, answer: TokenAnswer, grantType: string): TokenAnswer {
    publish('token_issued', undefined, () => ({
      clientId: grant.clientId,
      subject: grant.subject,
      grantType,
      scopes: answer.scope === '' ? [] : answer.scope.split(' '),
      resource: grant.resource,
    }));
    return answer;
  }

  // Local first: whatever upstream says, the grant is gone here.
  async #end(id: string, opened: Opened<Grant>, by: 'client' | 'reuse' | 'code_replayed' | 'upstream'): Promise<void> {
    const { clientId, subject } = opened.value;
    await this.#parts.records.delete(id);
    publish('grant_revoked', undefined, () => ({ clientId, subject, by }));
    const tokens = this.#parts.upstream.takeTokens(id, opened);
    if (tokens !== undefined) await this.#parts.leg.revoke(tokens).catch(() => {});
  }

  #seconds(): number {
    return Math.floor(this.#parts.now() / 1_000);
  }
}

function refused(): OAuthFailure {
  return new OAuthFailure(
    'invalid_grant',
    'The grant is unknown, was used already, has expired or was revoked. Ask the person to sign in again.',
  );
}

// Somebody else changed the record between every look and every write: nothing was done, and nothing is known to be wrong.
function contended(): UnavailableError {
  return new UnavailableError('the grant is being changed by others all the time', { retryAfterSeconds: 1 });
}
