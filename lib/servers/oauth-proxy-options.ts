import type { ConsentMode, ConsentView } from '../authorization/authorization-server.js';
import type { Client } from '../clients/client.js';
import type { CompositionOptions } from '../composition/composition-options.js';
import type { Auth } from '../http/auth.js';
import type { Fetch } from '../net/fetch-json.js';
import type { Store } from '../store/store.js';
import type { GrantScopes, UpstreamAuthMethod } from './upstream/upstream-config.js';

/** The identity provider, and the app that was registered there by hand. */
export interface UpstreamOptions {
  readonly clientId: string;
  /** Left out for a public client. A list while it rotates: the first is sent, all open what they sealed. */
  readonly clientSecret?: string | readonly string[];
  /** Discovers everything else (RFC 8414, OpenID Connect Discovery). */
  readonly issuer?: string | undefined;
  readonly authorizationEndpoint?: string | undefined;
  readonly tokenEndpoint?: string | undefined;
  readonly revocationEndpoint?: string | undefined;
  /** The keys of ID tokens. Default: discovered. */
  readonly jwksUri?: string | undefined;
  /** Default `client_secret_basic`, and `none` without a secret. */
  readonly clientAuthMethod?: UpstreamAuthMethod | undefined;
  /** What the provider is asked for: a fixed list, or a translation. Default: what the client asked for. */
  readonly scopes?: readonly string[] | ((requested: readonly string[]) => readonly string[]) | undefined;
  /** Own PKCE (S256) on the way to the provider. Default true. */
  readonly pkce?: boolean | undefined;
  /** How the provider is told the resource, if at all. Default false. */
  readonly resourceParam?: 'resource' | 'audience' | false | undefined;
  readonly authorizationParams?: Readonly<Record<string, string>> | undefined;
  /** Sent with code, refresh and revocation alike. */
  readonly tokenParams?: Readonly<Record<string, string>> | undefined;
  /** Default 10 000. */
  readonly timeoutMs?: number | undefined;
}

/** A client that the operator knows, with the member names of RFC 7591 section 2. */
export interface PreRegisteredClient {
  readonly client_id: string;
  readonly client_secret?: string | undefined;
  readonly redirect_uris: readonly string[];
  readonly client_name?: string | undefined;
  readonly client_uri?: string | undefined;
  readonly token_endpoint_auth_method?: 'none' | 'client_secret_basic' | 'client_secret_post' | undefined;
  readonly application_type?: 'native' | 'web' | undefined;
  readonly scope?: string | undefined;
}

export interface ClientsOptions {
  /** Who may register: anybody, without a trace (`stateless`) or with a record (`stored`), or nobody. Default `stateless`. */
  readonly registration?: 'stateless' | 'stored' | false | undefined;
  /** Comes in a later version: only `false` is taken. */
  readonly clientIdDocuments?: false | undefined;
  readonly redirectUris?:
    | {
        /** Exact URIs, or patterns: `*` as the left-most host label, the port, or the last path segment. */
        readonly allow?: readonly string[] | undefined;
        /** Replaces all that is allowed otherwise. */
        readonly only?: readonly string[] | undefined;
      }
    | undefined;
  /** Trust the redirect URIs of well-known MCP clients. Default true. */
  readonly knownClients?: boolean | undefined;
  readonly preRegistered?: readonly PreRegisteredClient[] | undefined;
  /** Turns clients away, at authorize and token. The client has RFC 7591 member names and its `client_id`. */
  readonly allow?:
    | ((client: { readonly client_id: string } & Client['metadata']) => boolean | Promise<boolean>)
    | undefined;
}

/** How many requests an address may make in a time; each not given keeps its default. */
export interface RateLimit {
  readonly limit?: number | undefined;
  readonly windowSeconds?: number | undefined;
}

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

export interface OAuthProxyOptions extends Omit<CompositionOptions, 'authorizationServers'> {
  /** The public URL of the OAuth endpoints; may carry a path. https, or http on loopback. */
  readonly baseUrl: string;
  /** Allow http beyond loopback. Default false. */
  readonly dangerouslyAllowHttp?: boolean | undefined;
  /** The identifier of this authorization server, byte for byte. Default `baseUrl`. */
  readonly issuerUrl?: string | undefined;
  /** Moves the OAuth endpoints, but for the callback. Default none. */
  readonly endpointPrefix?: string | undefined;
  readonly upstream: UpstreamOptions;
  /** Says who an upstream access token belongs to. Default: the ID token of `upstream.issuer`. */
  readonly verifier?: Auth | undefined;
  /** How old the last check of an upstream token may be. Default 60; 0 asks for every request. */
  readonly revalidateSeconds?: number | undefined;
  /** How much older while the provider is out of reach. Default 600. */
  readonly revalidateGraceSeconds?: number | undefined;
  /** The scopes of a request that names none; always with `requiredScopes`. */
  readonly defaultScopes?: readonly string[] | undefined;
  /** The resource of a request that names none, where several compositions share the server. */
  readonly defaultResource?: string | undefined;
  /** What a person is granted when upstream scopes say nothing about ours. Default: `defaultScopes`. */
  readonly grantScopes?: GrantScopes | undefined;
  /** The one callback that is registered at the provider. Default `/auth/callback`. */
  readonly redirectPath?: string | undefined;
  /** Default `always`. */
  readonly consent?: ConsentMode | undefined;
  readonly consentPage?: ((view: ConsentView) => string | Promise<string>) | undefined;
  /** The Content-Security-Policy of the consent page, or `false` for none. */
  readonly consentCsp?: string | false | undefined;
  readonly clients?: ClientsOptions | undefined;
  /** Lifetimes in seconds: `accessTtlSeconds` (as upstream), `refreshTtlSeconds` (30 days), `codeTtlSeconds` (60), `transactionTtlSeconds` (600), `refreshReuseSeconds` (30). */
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
  /** At least 32 characters each; the first seals, all open. Default: derived from `upstream.clientSecret`. */
  readonly secrets?: string | readonly string[];
  /** The status of `invalid_grant`. Default 401, as MCP clients know it; 400 is what RFC 6749 says. */
  readonly invalidGrantStatus?: 400 | 401 | undefined;
  /** Limits per address and route; `false` turns them off. */
  readonly rateLimit?: false | RateLimitOptions | undefined;
  readonly fetch?: Fetch | undefined;
  /** The clock, in milliseconds like `Date.now`. */
  readonly now?: (() => number) | undefined;
}
