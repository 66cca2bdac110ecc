import type { KeyObject, webcrypto } from 'node:crypto';
import type { JSONWebKeySet, JWK } from 'jose';
import type { Fetch } from '../net/fetch-json.js';

/** A signature algorithm that `jwtVerifier` knows (RFC 7518 section 3.1, RFC 8037, RFC 9864). Never `none`. */
export type JwtAlgorithm =
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'
  | 'Ed25519'
  | 'HS256'
  | 'HS384'
  | 'HS512';

/** Options of `jwtVerifier`. At most one of `jwksUri`, `jwks`, `publicKey` and `secret`; without any, keys are discovered. */
export interface JwtVerifierOptions {
  /**
   * Who may have signed: the exact `iss`, a list of them, or a predicate for tenant issuers. With a predicate the key
   * source must be named, as there is nothing to discover from.
   */
  readonly issuer: string | readonly string[] | ((issuer: string) => boolean);
  /** Whom tokens must be meant for. Default: the resource of the composition around it (RFC 8707). */
  readonly audience?: string | readonly string[] | undefined;
  /** Accept tokens that were meant for any other service. Default false. */
  readonly dangerouslyAcceptAnyAudience?: boolean | undefined;
  /** The remote key set, or a function from tenant issuer to it. Default: `jwks_uri` of the issuer's metadata. */
  readonly jwksUri?: string | ((issuer: string) => string) | undefined;
  /** A key set of public keys (RFC 7517 section 5). */
  readonly jwks?: JSONWebKeySet;
  /** One public key: PEM text, JWK or KeyObject. The `kid` of tokens does not matter then. */
  readonly publicKey?: string | Buffer | JWK | KeyObject | webcrypto.CryptoKey;
  /** The shared secret of HS* tokens, at least 32 bytes. */
  readonly secret?: string | Uint8Array | KeyObject;
  /** Allow-list. Default: all that fit the keys; HS* only ever with `secret`. */
  readonly algorithms?: readonly JwtAlgorithm[] | undefined;
  /** Scopes that tokens of this verifier need. Default: none of its own. */
  readonly requiredScopes?: readonly string[] | undefined;
  /** The name in `req.auth.extra.source`. Default `jwtVerifier`. */
  readonly name?: string | undefined;
  /** A further check of verified claims, for example of `azp`. Anything but `true` refuses; runs for cached tokens too. */
  readonly claims?: ((payload: Readonly<Record<string, unknown>>) => boolean) | undefined;
  /** The `typ` of the header, for example `at+jwt` (RFC 9068). Default: any. */
  readonly typ?: string | undefined;
  /** How far clocks may differ, for `exp` and `nbf`, in seconds. Default 5. */
  readonly clockToleranceSeconds?: number | undefined;
  /**
   * Remembers verified signatures; issuer, audience, times, claims and scopes are judged anew each time. `false` turns
   * it off. Default `{ maxEntries: 10_000, ttlSeconds: 60 }`.
   */
  readonly cache?:
    | false
    | { readonly maxEntries?: number | undefined; readonly ttlSeconds?: number | undefined }
    | undefined;
  /**
   * How remote key sets are kept: refreshed after `ttlSeconds` (600), usable for `staleSeconds` (3600) more while the
   * endpoint is out of reach; unknown keys cause at most `burst` (5) fetches and one more every `refillSeconds` (10);
   * a fetch takes at most `timeoutMs` (5000).
   */
  readonly jwksCache?:
    | {
        readonly ttlSeconds?: number | undefined;
        readonly staleSeconds?: number | undefined;
        readonly burst?: number | undefined;
        readonly refillSeconds?: number | undefined;
        readonly timeoutMs?: number | undefined;
      }
    | undefined;
  /** Default: the platform's. */
  readonly fetch?: Fetch | undefined;
  /** The clock, in milliseconds like `Date.now`. */
  readonly now?: (() => number) | undefined;
}
