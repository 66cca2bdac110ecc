import type { AuthInfoExtra } from '../../core/auth-info.js';
import type { Auth } from '../../http/auth.js';
import type { Fetch } from '../../net/fetch-json.js';
import type { IsSamePerson } from './refreshed-id-token.js';
import type { ResolveEndpoints } from './upstream-endpoints.js';

export type UpstreamAuthMethod = 'client_secret_basic' | 'client_secret_post' | 'none';

/** What a person is granted: of what was consented to, and of what upstream reported where its scopes mean ours, never more than this answers. */
export type GrantScopes = (
  identity: { readonly subject: string; readonly claims: AuthInfoExtra['claims']; readonly scopes: readonly string[] },
  requested: readonly string[],
) => readonly string[] | Promise<readonly string[]>;

/** The identity provider of one server, checked and complete. */
export interface UpstreamConfig {
  readonly endpoints: ResolveEndpoints;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly clientAuthMethod: UpstreamAuthMethod;
  readonly scopes: readonly string[] | ((requested: readonly string[]) => readonly string[]) | undefined;
  readonly pkce: boolean;
  readonly resourceParam: 'resource' | 'audience' | false;
  readonly authorizationParams: Readonly<Record<string, string>>;
  readonly tokenParams: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly redirectUri: string;
  /** Says whose an upstream token is: of the ID token in `id_token` mode, of the access token else. */
  readonly verifier: Auth;
  readonly verifies: 'id_token' | 'access_token';
  /** Judges the ID token of a refresh answer, where ID tokens say who signed in. */
  readonly isSamePerson: IsSamePerson | undefined;
  readonly grantScopes: GrantScopes | undefined;
  readonly defaultScopes: readonly string[];
  readonly revalidation: { readonly seconds: number; readonly graceSeconds: number } | undefined;
  readonly fetch: Fetch | undefined;
  readonly now: () => number;
}
