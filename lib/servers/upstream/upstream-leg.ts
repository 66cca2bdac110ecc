import { createHash } from 'node:crypto';
import type { UpstreamTokens } from '../../authorization/grant.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import { coversRequired, type Resources } from '../../authorization/resources.js';
import { type SignedIn, type SignInLeg, UpstreamRefusal } from '../../authorization/sign-in.js';
import type { Transaction } from '../../authorization/transactions.js';
import type { Verdict } from '../../core/auth-info.js';
import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { isEqual, randomToken } from '../../crypto/key-ring.js';
import { grantedOf, requestedUpstream } from './granted-scopes.js';
import { TokenEndpoint, type UpstreamAnswer, UpstreamError } from './token-endpoint.js';
import type { UpstreamConfig } from './upstream-config.js';

type Acceptance = Extract<Verdict, { outcome: 'accept' }>;

// What a provider may say that means something to the client; anything else is our affair.
const FORWARDED = new Set(['access_denied', 'temporarily_unavailable', 'server_error']);

// How providers say that the person must sign in again: RFC 6749, GitHub, OpenID Connect Core section 3.1.2.6.
const SESSION_ENDED = new Set([
  'invalid_grant',
  'bad_refresh_token',
  'interaction_required',
  'login_required',
  'consent_required',
]);

/** The sign-in at an identity provider: one fixed callback, own PKCE and `state`, whatever the client sent. */
export function upstreamLeg(config: UpstreamConfig, resources: Resources): SignInLeg {
  const tokenEndpoint = new TokenEndpoint(config);
  const seconds = () => Math.floor(config.now() / 1_000);

  return {
    timeoutMs: config.timeoutMs,
    revalidation: config.revalidation,

    async prepare() {
      return {
        ...(config.pkce && { codeVerifier: randomToken() }),
        ...(config.verifies === 'id_token' && { nonce: randomToken() }),
      };
    },

    async locate(transaction) {
      const { authorizationEndpoint } = await config.endpoints();
      const url = new URL(authorizationEndpoint);
      // A copy: the parameters of a URL write all of it anew with every change.
      const query = new URLSearchParams(url.search);
      for (const [name, value] of Object.entries(authorizationParams(config, transaction))) query.set(name, value);
      url.search = query.toString();
      return url.href;
    },

    async finish(transaction, answer) {
      await judgeAnswer(config, answer);
      const tokens = await tokenEndpoint
        .exchangeCode(answer, transaction.id, transaction.memory.codeVerifier)
        .catch(error => {
          if (!(error instanceof UpstreamError)) throw error;
          throw new OAuthFailure(
            error.code === 'invalid_grant' ? 'access_denied' : 'server_error',
            'The identity provider refused the sign-in.',
            {
              reason: error.message,
              ...(error.code === 'invalid_client' && {
                remedy:
                  "Check upstream.clientId and clientSecret; a provider that does not decode Basic credentials needs upstream.clientAuthMethod: 'client_secret_post'.",
              }),
            },
          );
        });
      const person = await identify(config, tokens, transaction.memory.nonce);
      const { issuer, subject = subjectOf(person.auth.extra.claims), claims } = person.auth.extra;
      if (subject === undefined)
        throw new OAuthFailure('access_denied', 'The identity provider does not say who signed in.', {
          remedy: 'Let the verifier answer a subject.',
        });
      const reported = tokens.notes.scope;
      const scopes = await grantedOf(
        config,
        { subject, claims, scopes: person.auth.scopes },
        transaction.scopes,
        reported,
      );
      refuseUseless(resources, transaction, scopes);
      return {
        subject,
        issuer,
        claims,
        scopes,
        upstream: upstreamTokens(tokens, undefined, seconds()),
      } satisfies SignedIn;
    },

    async refresh(tokens, subject) {
      if (tokens.refreshToken === undefined) throw new UpstreamRefusal('there is no upstream refresh token');
      const fresh = await tokenEndpoint.refresh(tokens.refreshToken).catch(error => {
        if (error instanceof UpstreamError && SESSION_ENDED.has(error.code)) throw new UpstreamRefusal(error.message);
        // A botched rotation of the client secret must not log everybody out.
        throw error instanceof UpstreamError ? unavailable(error) : error;
      });
      if (fresh.notes.idToken !== undefined) await judgeSamePerson(config, fresh.notes.idToken, subject);
      return upstreamTokens(fresh, tokens, seconds());
    },

    async isStillGood(tokens) {
      if (config.verifies === 'id_token') return true;
      return (await config.verifier.check(tokens.accessToken)).outcome === 'accept';
    },

    async revoke({ accessToken, refreshToken }) {
      if (refreshToken !== undefined) await tokenEndpoint.revoke(refreshToken, 'refresh_token');
      else await tokenEndpoint.revoke(accessToken, 'access_token');
    },
  };
}

function authorizationParams(config: UpstreamConfig, transaction: Transaction): Record<string, string> {
  const { codeVerifier, nonce } = transaction.memory;
  const scope = requestedUpstream(config, transaction.scopes).join(' ');
  return {
    ...config.authorizationParams,
    response_type: 'code',
    client_id: config.clientId,
    redirect_uri: config.redirectUri,
    state: transaction.id,
    ...(scope !== '' && { scope }),
    ...(codeVerifier !== undefined && {
      code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
      code_challenge_method: 'S256',
    }),
    ...(nonce !== undefined && { nonce }),
    ...(config.resourceParam !== false && { [config.resourceParam]: transaction.resource }),
  };
}

/** An error of the provider, or an answer that is not the provider's (RFC 9207). */
async function judgeAnswer(config: UpstreamConfig, answer: URLSearchParams): Promise<void> {
  const { issuer, promisesIss } = await config.endpoints();
  const named = answer.get('iss');
  if (issuer !== undefined && named !== issuer && (named !== null || promisesIss))
    throw new OAuthFailure('server_error', 'The answer did not come from the identity provider.');
  // Nothing is known to compare it with.
  if (issuer === undefined) answer.delete('iss');
  const error = answer.get('error');
  if (error === null && answer.get('code') !== null) return;
  publish('upstream_failed', undefined, () => ({
    leg: 'authorize',
    message: `error ${(error ?? 'none, and no code').slice(0, 64)}`,
  }));
  const code = error !== null && FORWARDED.has(error) ? (error as 'access_denied') : 'server_error';
  throw new OAuthFailure(
    code,
    code === 'access_denied' ? 'The sign-in was denied.' : 'The identity provider could not finish the sign-in.',
  );
}

/** Whose the tokens are. A provider that cannot be asked is an outage, and not a refusal. */
async function identify(
  config: UpstreamConfig,
  tokens: UpstreamAnswer,
  nonce: string | undefined,
): Promise<Acceptance> {
  const token = config.verifies === 'id_token' ? tokens.notes.idToken : tokens.accessToken;
  const refuse = (): never => {
    throw new OAuthFailure('access_denied', 'The identity provider did not prove who signed in.', {
      reason:
        config.verifies === 'id_token'
          ? 'the ID token is missing or was refused'
          : 'the verifier did not accept the upstream access token',
      remedy:
        'See the rejected event of the verifier; a customVerifier that answers null says that the token is not its own.',
    });
  };
  if (token === undefined) return refuse();
  const verdict = await config.verifier.check(token);
  if (verdict.outcome !== 'accept') return refuse();
  const { claims } = verdict.auth.extra;
  if (nonce !== undefined && !isEqual(Buffer.from(String(claims.nonce)), Buffer.from(nonce))) return refuse();
  // OpenID Connect Core section 3.1.3.7: with several audiences the token says which of them it was made for.
  if (config.verifies === 'id_token' && claims.azp !== undefined && claims.azp !== config.clientId) return refuse();
  return verdict;
}

// Tokens of somebody else are not stored.
async function judgeSamePerson({ isSamePerson }: UpstreamConfig, idToken: string, subject: string): Promise<void> {
  if (isSamePerson === undefined || (await isSamePerson(idToken, subject))) return;
  publish('upstream_failed', undefined, () => ({
    leg: 'refresh',
    message: 'the ID token is bad, or names another person',
  }));
  throw new UnavailableError('the identity provider answered a refresh with a wrong ID token');
}

function subjectOf(claims: Readonly<Record<string, unknown>>): string | undefined {
  return typeof claims.sub === 'string' && claims.sub !== '' ? claims.sub : undefined;
}

// A token that the guard would always refuse sends clients round in circles; better to say so once, to the operator.
function refuseUseless(resources: Resources, transaction: Transaction, scopes: readonly string[]): void {
  const served = resources.find(transaction.resource);
  if (served === undefined || coversRequired(served, scopes)) return;
  throw new OAuthFailure('access_denied', 'The scopes that were granted are not enough for this server.', {
    reason: `granted "${scopes.join(' ')}", required "${served.requiredScopes.join(' ')}"`,
    remedy: 'Map the scopes with upstream.scopes, or decide what people are granted with grantScopes.',
  });
}

/** Members that the provider leaves out never overwrite what it gave before. */
function upstreamTokens(answer: UpstreamAnswer, before: UpstreamTokens | undefined, now: number): UpstreamTokens {
  const { accessToken, refreshToken = before?.refreshToken, expiresIn, notes } = answer;
  const refreshExpiresAt =
    notes.refreshExpiresIn === undefined ? before?.refreshExpiresAt : now + notes.refreshExpiresIn;
  const lifetimeSeconds = expiresIn ?? before?.lifetimeSeconds;
  return {
    accessToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(lifetimeSeconds !== undefined && { lifetimeSeconds, expiresAt: now + lifetimeSeconds }),
    ...(refreshExpiresAt !== undefined && { refreshExpiresAt }),
  };
}

function unavailable(cause: UpstreamError): Error {
  return new UnavailableError('the identity provider refused this server itself', { cause });
}
