import type { ConsentMode, ConsentView } from '../authorization/authorization-server.js';
import type { Client } from '../clients/client.js';
import type { PreRegisteredClient } from '../clients/pre-registered.js';
import type { CompositionOptions } from '../composition/composition-options.js';
import type { Auth } from '../http/auth.js';
import type { Fetch } from '../net/fetch-json.js';
import type { Store } from '../store/store.js';
import type { GrantScopes, UpstreamAuthMethod } from './upstream/upstream-config.js';

/** The identity provider, and the app that was registered there by hand: `issuer`, or both endpoints by themselves. */
export interface UpstreamOptions {
  /** The ID of that app. Its one redirect URI there is `baseUrl` with `redirectPath`. */
  readonly clientId: string;
  /** Left out for a public client. A list while it rotates: the first is sent, all open what they sealed. */
  readonly clientSecret?: string | readonly string[];
  /** Byte for byte as the provider's metadata spells it. Discovers the rest (RFC 8414, OpenID Connect Discovery). */
  readonly issuer?: string | undefined;
  /** In place of `issuer`, together with `tokenEndpoint`; a `verifier` is required then. */
  readonly authorizationEndpoint?: string | undefined;
  /** In place of `issuer`, together with `authorizationEndpoint`. */
  readonly tokenEndpoint?: string | undefined;
  /** Where the provider's tokens are revoked (RFC 7009). Default: discovered; where there is none, they run out. */
  readonly revocationEndpoint?: string | undefined;
  /** The keys of ID tokens. Default: discovered. */
  readonly jwksUri?: string | undefined;
  /** Default `client_secret_basic`, and `none` without a secret. */
  readonly clientAuthMethod?: UpstreamAuthMethod | undefined;
  /**
   * What the provider is asked for: a fixed list, or a translation of what was consented to. Default: that itself.
   * `openid` is added where the ID token says who signed in.
   */
  readonly scopes?: readonly string[] | ((requested: readonly string[]) => readonly string[]) | undefined;
  /** Own PKCE (S256) on the way to the provider. Default true. */
  readonly pkce?: boolean | undefined;
  /** How the provider is told the resource, if at all. Default false. */
  readonly resourceParam?: 'resource' | 'audience' | false | undefined;
  /** Further parameters of the authorization request; those that this server sends itself are refused. */
  readonly authorizationParams?: Readonly<Record<string, string>> | undefined;
  /** Further parameters of code, refresh and revocation alike; those that this server sends itself are refused. */
  readonly tokenParams?: Readonly<Record<string, string>> | undefined;
  /** How long discovery, or one question to the provider, may take. Default 10 000. */
  readonly timeoutMs?: number | undefined;
}

/** Which OAuth clients there are: those that register themselves (RFC 7591), and those that the operator knows. */
export interface ClientsOptions {
  /** Who may register: anybody, without a trace (`stateless`) or with a record (`stored`), or nobody. Default `stateless`. */
  readonly registration?: 'stateless' | 'stored' | false | undefined;
  /** Comes in a later version: only `false` is taken. */
  readonly clientIdDocuments?: false | undefined;
  /** Where answers may go. Default: https anywhere, http on loopback with any port, and the known clients. */
  readonly redirectUris?:
    | {
        /** Exact URIs, or patterns: `*` as the left-most host label, the port, or the last path segment. */
        readonly allow?: readonly string[] | undefined;
        /** Replaces all that is allowed otherwise; the empty list allows none. */
        readonly only?: readonly string[] | undefined;
      }
    | undefined;
  /** Trust the redirect URIs of well-known MCP clients. Default true. */
  readonly knownClients?: boolean | undefined;
  /** Clients that need not register. Default none. */
  readonly preRegistered?: readonly PreRegisteredClient[] | undefined;
  /**
   * Turns clients away, at authorize, at the approval, at token and at revocation; anything but `true` does. The client
   * has RFC 7591 member names and its `client_id`. Default: all may.
   */
  readonly allow?:
    | ((client: { readonly client_id: string } & Client['metadata']) => boolean | Promise<boolean>)
    | undefined;
}

/** How many requests an address may make in a time; each not given keeps its default. */
export interface RateLimit {
  /** Requests, at least 1. */
  readonly limit?: number | undefined;
  /** The time they are counted in, from 1 to 86,400. */
  readonly windowSeconds?: number | undefined;
}

/**
 * How many requests an address may make to each endpoint before it gets 429 with `Retry-After`. IPv6 addresses count
 * by their /64. Behind a proxy that Express was not told of (`trust proxy`) callers share an address, and the limits
 * are ten times as high.
 */
export interface RateLimitOptions {
  /** Default 600 in 10 minutes, 60 where registrations are stored. */
  readonly register?: RateLimit | undefined;
  /** Default 120 a minute. */
  readonly authorize?: RateLimit | undefined;
  /** Default 120 a minute. */
  readonly consent?: RateLimit | undefined;
  /** Default 120 a minute. */
  readonly callback?: RateLimit | undefined;
  /** Default 300 a minute. */
  readonly token?: RateLimit | undefined;
  /** Default 300 a minute. */
  readonly revoke?: RateLimit | undefined;
  /**
   * A store of express-rate-limit, where replicas count together: one for all routes. While it fails they answer 503.
   * Default: the memory of this process.
   */
  readonly store?: object | undefined;
}

/**
 * Options of `oauthProxy`, beside those of every composition. Of these `requiredScopes` and `scopesSupported` are
 * those of the `verifier` unless given.
 */
export interface OAuthProxyOptions extends Omit<CompositionOptions, 'authorizationServers'> {
  /** The public URL of the OAuth endpoints; may carry a path. https, or http on loopback. */
  readonly baseUrl: string;
  /** Allow http beyond loopback. Default false. */
  readonly dangerouslyAllowHttp?: boolean | undefined;
  /** The identifier of this authorization server, byte for byte. Default `baseUrl`. */
  readonly issuerUrl?: string | undefined;
  /** Moves the OAuth endpoints, but for the callback. Default none. */
  readonly endpointPrefix?: string | undefined;
  /** The identity provider that people sign in at. */
  readonly upstream: UpstreamOptions;
  /**
   * Says whose an upstream access token is: a `subject`, or a claim `sub`. Default: the ID token of `upstream.issuer`.
   * Required with explicit endpoints.
   */
  readonly verifier?: Auth | undefined;
  /** How old the last check of an upstream token by the `verifier` may be. Default 60; 0 asks for every request. */
  readonly revalidateSeconds?: number | undefined;
  /** How much older while the provider is out of reach, never past the token's own end. Default 600. */
  readonly revalidateGraceSeconds?: number | undefined;
  /** The scopes of a request that names none; always with what is required. Default: what is required. */
  readonly defaultScopes?: readonly string[] | undefined;
  /** The resource of a request that names none, where several compositions share the server. Default: none, a refusal. */
  readonly defaultResource?: string | undefined;
  /**
   * What a person is granted at most, of what was consented to. Where `upstream.scopes` is a fixed list, or answers an
   * empty one for a scope, the provider says nothing about our scopes: there this decides, by default `defaultScopes`.
   * Otherwise what the provider reports decides, and this can only narrow it. An answer that is no list ends the sign-in.
   */
  readonly grantScopes?: GrantScopes | undefined;
  /** The one callback that is registered at the provider. Default `/auth/callback`. */
  readonly redirectPath?: string | undefined;
  /**
   * When people are asked. Default `always`; `external` only where strangers cannot register, or with
   * `redirectUris.only`.
   */
  readonly consent?: ConsentMode | undefined;
  /** Makes the HTML of the consent page; what it is given is unescaped text. Default: a page of ours. */
  readonly consentPage?: ((view: ConsentView) => string | Promise<string>) | undefined;
  /**
   * The Content-Security-Policy of the consent page, or `false` to leave that header to the app. Default: our page
   * has its own style and nothing else; one of `consentPage` has styles, pictures and fonts of this origin, but no
   * script. Leave `form-action` out: Chrome holds the redirects after the form against it.
   */
  readonly consentCsp?: string | false | undefined;
  /** Who may be a client. */
  readonly clients?: ClientsOptions | undefined;
  /**
   * Lifetimes in seconds: `accessTtlSeconds` (as the upstream token, 3600 where that names no end; never beyond it
   * where nobody can refresh it), `refreshTtlSeconds` (30 days, anew with each refresh, never beyond the end that
   * upstream names), `codeTtlSeconds` (60), `transactionTtlSeconds` (600: a consent page, and the sign-in behind it),
   * and `refreshReuseSeconds` (30: how long the same old refresh token gets the same answer again).
   */
  readonly tokens?:
    | {
        readonly accessTtlSeconds?: number | undefined;
        readonly refreshTtlSeconds?: number | undefined;
        readonly codeTtlSeconds?: number | undefined;
        readonly transactionTtlSeconds?: number | undefined;
        readonly refreshReuseSeconds?: number | undefined;
      }
    | undefined;
  /** Default: memory of this process, with a warning in production. */
  readonly store?: Store | undefined;
  /** At least 32 characters each; the first seals, all open. Default: derived from `upstream.clientSecret` (HKDF, RFC 5869; scrypt first where that is shorter). */
  readonly secrets?: string | readonly string[];
  /** The status of `invalid_grant`. Default 401, as MCP clients know it; 400 is what RFC 6749 says. */
  readonly invalidGrantStatus?: 400 | 401 | undefined;
  /** Limits per address and route; `false` turns them off. */
  readonly rateLimit?: false | RateLimitOptions | undefined;
  /** How the provider is asked; a `verifier` that is passed in has one of its own. Default: the platform's. */
  readonly fetch?: Fetch | undefined;
  /** The clock, in milliseconds like `Date.now`. */
  readonly now?: (() => number) | undefined;
}
