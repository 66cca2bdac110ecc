import type { Client } from '../clients/client.js';
import type { ConsentForms } from './consent-forms.js';
import type { Grants } from './grants.js';
import type { TokenLifetimes } from './lifetimes.js';
import type { RememberedConsents } from './remembered-consents.js';
import type { Resources } from './resources.js';
import type { ScopeRules } from './scope-rules.js';
import type { SignInLeg } from './sign-in.js';
import type { Transactions } from './transactions.js';

/**
 * When a person is asked on the consent page: `always`; `remember`, not again in the same browser for a year, unless
 * client, redirect URI, scopes or resource have changed, the address is on loopback or has a private scheme, or another
 * site has sent the browser; `external`, never, because the provider asks each time and names the client;
 * `dangerouslySkip`, never, so that where registration is open any website that a signed-in person visits may obtain a
 * token.
 */
export type ConsentMode = 'always' | 'remember' | 'external' | 'dangerouslySkip';

/**
 * What a custom consent page is given: unescaped text, all of it. The page is a form that posts `fields` to `action`,
 * URL-encoded, with `decision` beside them: `approve` or `deny`.
 */
export interface ConsentView {
  /** As registered; nobody has checked name and URI of a client that registered itself. */
  readonly client: { readonly id: string; readonly name?: string | undefined; readonly uri?: string | undefined };
  /** Where the browser goes in the end: host and port, with the scheme in front where that is not http(s). */
  readonly redirectHost: string;
  /** What is asked for, and what the resource requires beside that. */
  readonly scopes: readonly string[];
  /**
   * This server: `resourceName`, else `name`, else the host of `baseUrl`; and `baseUrl`, without a slash at its end.
   */
  readonly server: { readonly name: string; readonly url: string };
  /** The URL of the MCP endpoint that the tokens will be for. */
  readonly resource: string;
  /** Sentences to show, for example that any program on this computer could be the client. */
  readonly warnings: readonly string[];
  /** The absolute URL that the form posts to. */
  readonly action: string;
  /** Name and value of the hidden fields; `csrf` is bound to the browser that was sent this page. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface ConsentRules {
  readonly mode: ConsentMode;
  readonly page: ((view: ConsentView) => string | Promise<string>) | undefined;
  readonly csp: string | false | undefined;
}

/** Where redirect URIs may point to; asked at registration, authorize, consent and callback. */
export interface RedirectRules {
  /** `null` when the URI may be used, else why not. */
  problem(uri: string): string | null;
  isLoopback(uri: string): boolean;
  /** Whether an error may be sent there before a person has decided: loopback, or a client on the maintained list. */
  isAutoRedirectable(uri: string): boolean;
}

export type Registration =
  | { readonly client: Pick<Client, 'id' | 'metadata'>; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly error: 'invalid_redirect_uri' | 'invalid_client_metadata'; readonly description: string };

export interface ClientDirectory {
  /** `null` for an id that is nobody's. */
  find(id: string): Promise<Client | null>;
  /** A sentence for people about an id that is nobody's here, for example because it is the provider's. */
  hintAbout(id: string): string | undefined;
  /** The operator's policy, asked at authorize and token. */
  isAllowed(client: Client): Promise<boolean>;
  /** `undefined` where strangers cannot register. */
  readonly register: ((body: unknown) => Promise<Registration>) | undefined;
  /** Keep a stored client alive. */
  signedIn(client: Client): Promise<void>;
  refreshed(client: Client): Promise<void>;
}

/** The endpoints, as public URLs and as paths below the base URL. */
export interface Endpoints {
  readonly baseUrl: string;
  /** The path of `baseUrl`, which a proxy in front may have taken off. */
  readonly basePath: string;
  readonly paths: Readonly<
    Record<'authorize' | 'consent' | 'callback' | 'token' | 'register' | 'revoke' | 'jwks', string>
  >;
}

export type RateLimitName = 'register' | 'authorize' | 'consent' | 'callback' | 'token' | 'revoke';

export interface RateLimits {
  readonly limits: Readonly<Record<RateLimitName, { readonly limit: number; readonly windowSeconds: number }>>;
  readonly store: unknown;
}

/** One authorization server: everything its endpoints work with, whoever signs people in. */
export interface AuthorizationServer {
  readonly name: string;
  readonly issuer: string;
  readonly endpoints: Endpoints;
  readonly clients: ClientDirectory;
  readonly redirects: RedirectRules;
  readonly resources: Resources;
  readonly scopes: ScopeRules;
  readonly forms: ConsentForms;
  readonly remembered: RememberedConsents;
  readonly transactions: Transactions;
  readonly grants: Grants;
  readonly leg: SignInLeg;
  readonly consent: ConsentRules;
  readonly lifetimes: TokenLifetimes;
  readonly invalidGrantStatus: 400 | 401;
  readonly rateLimits: RateLimits | undefined;
  readonly now: () => number;
}
