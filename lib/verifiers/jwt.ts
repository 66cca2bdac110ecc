import type { Identity, Rejection } from '../core/auth-info.js';
import { excerpt } from '../core/events.js';
import { deepFreeze } from '../core/freeze.js';
import { isPromise, isTrue } from '../core/promise.js';
import { type Answer, type Binding, type BoundSource, reject } from '../core/source.js';
import type { Recollection, Token, UnverifiedJwt } from '../core/token.js';
import type { Auth } from '../http/auth.js';
import { createAuth } from '../http/create-auth.js';
import { bindAudience } from './audience.js';
import { type Claims, identityOf, judgeConfirmation, judgeTimes, judgeTypes } from './claims.js';
import { type JwtConfig, readJwtOptions } from './jwt-config.js';
import type { JwtVerifierOptions } from './jwt-options.js';
import { signatureCheck } from './jwt-signature.js';
import type { KeySource } from './keys/key-source.js';
import type { VerificationKey } from './keys/verification-key.js';
import { RecentTokens, type Remembered } from './recent-tokens.js';

/** What a verified signature proves. Everything else is judged anew on every use, for every composition. */
interface SignatureFacts extends Remembered, Recollection {
  readonly identity: Identity;
  readonly key: VerificationKey;
  readonly from: number;
  readonly until: number;
}

/**
 * Verifies JWTs of one issuer or several (RFC 7519, RFC 8725, RFC 9068). All that is cheap is looked at before the
 * signature; unverified claims only ever refuse. No network I/O before the first token or `ready()`.
 *
 * @example
 * jwtVerifier({ issuer: 'https://login.example.com', audience: 'https://mcp.example.com/mcp' });
 *
 * @throws ConfigError for wrong, unknown or contradictory options
 */
export function jwtVerifier(options: JwtVerifierOptions): Auth {
  return verifierOf(readJwtOptions(options));
}

/** The verifier of options that were read before, for who needs their keys for something else too. */
export function verifierOf(config: JwtConfig): Auth {
  const judgeForm = formJudge(config);
  const signatures = signatureCheck({ rememberFailures: config.cache !== null });
  const verified =
    config.cache === null
      ? undefined
      : new RecentTokens<SignatureFacts>({
          max: config.cache.maxEntries,
          maxSize: config.cache.maxEntries * 4_096,
        });

  const bind = (binding: Binding): BoundSource => {
    const judgeUse = useJudge(config, binding);

    const accept = (identity: Identity): Answer =>
      config.claims === undefined || isTrue(config.claims(identity.claims))
        ? { outcome: 'accept', identity }
        : reject('claims');

    const conclude = (token: Token, jwt: UnverifiedJwt, signer: VerificationKey | Rejection): Answer => {
      if ('outcome' in signer) return signer;
      const identity = identityOf(deepFreeze(jwt.payload));
      if (config.cache !== null && verified !== undefined) {
        const from = config.now();
        const until = from + config.cache.ttlSeconds * 1_000;
        const facts = { owner: verified, tail: token.tail, jwt, identity, key: signer, from, until };
        // As long as its text, and twice that for what is made of it: the issuer wrote it.
        verified.set(token, facts, 3 * token.value.length);
      }
      return accept(identity);
    };
    const verifySignature = (token: Token, jwt: UnverifiedJwt, keys: KeySource): Answer | Promise<Answer> => {
      const { alg, kid } = jwt.header as { alg: string; kid?: string };
      const signer = signatures.findSigner(token, alg, kid, keys);
      return isPromise(signer) ? signer.then(found => conclude(token, jwt, found)) : signer;
    };

    return {
      recall: token => verified?.get(token) ?? signatures.recall(token),
      claim: ({ jwt }) => (jwt !== null && isOurs(jwt.payload.iss, config) ? 'mine' : 'foreign'),
      verify: token => {
        const jwt = token.jwt as UnverifiedJwt;
        const now = config.now();
        const facts = token.isKnown ? verified?.get(token) : undefined;
        // Before `from` the clock has stepped back, and nobody knows how old the facts are.
        const isKnown = facts !== undefined && facts.from <= now && now < facts.until;
        // What header and types decide was decided before the signature was found good.
        const refusal = (isKnown ? null : judgeForm(jwt)) ?? judgeUse(jwt.payload, now);
        if (refusal !== null) return refusal;
        const keys = config.keySets.of(jwt.payload.iss as string);
        if (keys === undefined) return reject('unknown_key', { detail: 'no key set for this issuer' });
        if (!isKnown) return verifySignature(token, jwt, keys);
        const settled = keys.settle();
        if (settled === undefined) return facts.key.live ? accept(facts.identity) : verifySignature(token, jwt, keys);
        return settled.then(() => (facts.key.live ? accept(facts.identity) : verifySignature(token, jwt, keys)));
      },
    };
  };

  return createAuth({
    factory: 'jwtVerifier',
    name: config.name,
    settings: { requiredScopes: config.requiredScopes },
    bind,
    ready: () => config.keySets.ready(),
    close: () => {
      config.keySets.close();
      verified?.clear();
      signatures.forget();
    },
  });
}

function isOurs(issuer: unknown, { isIssuer }: JwtConfig): boolean {
  try {
    return typeof issuer === 'string' && isIssuer(issuer);
  } catch {
    return false;
  }
}

/** Header and types of claims, before any cryptography: a bad token costs microseconds. */
function formJudge({ algorithms, typ: wanted }: JwtConfig): (jwt: UnverifiedJwt) => Rejection | null {
  const typ = wanted && normalizeTyp(wanted);
  const allowed = [...algorithms].join(' ');

  return ({ header, payload }) => {
    const { alg, kid } = header;
    if (typeof alg !== 'string' || !algorithms.has(alg))
      return reject('algorithm', { expected: allowed, received: excerpt(alg ?? 'none') });
    if (typ !== undefined && normalizeTyp(header.typ) !== typ)
      return reject('type', { expected: typ, received: excerpt(header.typ ?? 'none') });
    // RFC 7515 section 4.1.11: no extension is understood here.
    if (header.crit !== undefined) return reject('critical', { received: excerpt(header.crit) });
    if (kid !== undefined && typeof kid !== 'string')
      return reject('malformed', { detail: 'kid', received: excerpt(kid) });
    if (payload.exp === undefined)
      return reject('malformed', { detail: 'exp', expected: 'seconds since the epoch', received: 'none' });
    return judgeTypes(payload) ?? judgeConfirmation(payload);
  };
}

/** Whether the token is for this issuer, this composition and this moment: looked at on every use. */
function useJudge(config: JwtConfig, binding: Binding): (payload: Claims, now: number) => Rejection | null {
  const audience = bindAudience('jwtVerifier', config.audience, binding);
  return (payload, now) => {
    if (!isOurs(payload.iss, config))
      return reject('issuer', { expected: config.issuerText, received: excerpt(payload.iss) });
    if (!audience.accepts(payload.aud))
      return reject('audience', { expected: audience.expected, received: excerpt(payload.aud ?? 'none') });
    return judgeTimes(payload, now, config.clockToleranceSeconds);
  };
}

// RFC 7515 section 4.1.9: the prefix "application/" may be left out; media types have no case.
function normalizeTyp(typ: unknown): string | undefined {
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined;
}
