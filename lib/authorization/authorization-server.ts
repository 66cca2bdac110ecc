import type { Client } from '../clients/client.js';
import type { ConsentForms } from './consent-forms.js';
import type { Grants } from './grants.js';
import type { TokenLifetimes } from './lifetimes.js';
import type { RememberedConsents } from './remembered-consents.js';
import type { Resources } from './resources.js';
import type { ScopeRules } from './scope-rules.js';
import type { SignInLeg } from './sign-in.js';
import type { Transactions } from './transactions.js';

export type ConsentMode = 'always' | 'remember' | 'external' | 'dangerouslySkip';

/** What a custom consent page is given: unescaped text, all of it. */
export interface ConsentView {
  readonly client: { readonly id: string; readonly name?: string | undefined; readonly uri?: string | undefined };
  readonly redirectHost: string;
  readonly scopes: readonly string[];
  readonly server: { readonly name: string; readonly url: string };
  readonly resource: string;
  readonly warnings: readonly string[];
  readonly action: string;
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
  | { readonly client: Client; readonly answer: Readonly<Record<string, unknown>> }
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
