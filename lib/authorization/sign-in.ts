import type { UpstreamTokens } from './grant.js';
import type { Transaction } from './transactions.js';

/** Who came back from the sign-in, and what was granted. */
export interface SignedIn {
  readonly subject: string;
  readonly issuer?: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Of the scopes that the person consented to, those that are granted. */
  readonly scopes: readonly string[];
  readonly upstream?: UpstreamTokens | undefined;
}

/**
 * How people sign in: at an identity provider upstream, or in the app itself. The authorization server around it
 * knows nothing else about it.
 */
export interface SignInLeg {
  /** What must be remembered until the browser comes back, made before anything is stored. */
  prepare(): Promise<Readonly<Record<string, string>>>;
  /** Where the browser is sent; the same answer for the same transaction. */
  locate(transaction: Transaction): Promise<string>;
  /**
   * Judges what the browser brought back.
   *
   * @throws OAuthFailure for what the client is told; UnavailableError where the provider is out of reach
   */
  finish(transaction: Transaction, answer: URLSearchParams): Promise<SignedIn>;
  /** @throws UpstreamRefusal when the provider ended the session; UnavailableError for every other failure */
  refresh(tokens: UpstreamTokens, subject: string): Promise<UpstreamTokens>;
  /** Whether the provider still stands by an access token. @throws UnavailableError where it could not tell */
  isStillGood(tokens: UpstreamTokens): Promise<boolean>;
  /** How old the last check may be, and how much older while the provider is out of reach; `undefined`: never asked. */
  readonly revalidation: { readonly seconds: number; readonly graceSeconds: number } | undefined;
  /** Ends the session at the provider; failures are the provider's affair. */
  revoke(tokens: UpstreamTokens): Promise<void>;
  /** How long a refresh may take at the most, in milliseconds. */
  readonly timeoutMs: number;
}

/** The provider ended the session: the grant ends with it. */
export class UpstreamRefusal extends Error {
  override readonly name = 'UpstreamRefusal';
}
