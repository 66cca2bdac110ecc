/**
 * The options of a composition. Each one is the composition's own, else its server's; an empty list is a value,
 * `undefined` is not.
 */
export interface Settings {
  readonly baseUrl?: string | undefined;
  readonly resourceBaseUrl?: string | undefined;
  readonly mcpPath?: string | undefined;
  readonly legacyResources?: readonly string[] | undefined;
  readonly requiredScopes?: readonly string[] | undefined;
  readonly scopesSupported?: readonly string[] | undefined;
  readonly challengeScopes?: ChallengeScopes | undefined;
  readonly authorizationServers?: readonly string[] | undefined;
  readonly resourceName?: string | undefined;
  readonly resourceDocumentation?: string | undefined;
  readonly scopeSatisfies?: ScopeSatisfies | undefined;
  readonly cors?: boolean | undefined;
  readonly rootMetadata?: boolean | undefined;
}

/** Scopes as clients must ask for them: a list that stands for the required scopes, or a translation of them. */
export type ChallengeScopes = readonly string[] | ((required: readonly string[]) => readonly string[]);

/** Lets a broad scope imply a narrow one. */
export type ScopeSatisfies = (granted: readonly string[], required: string) => boolean;
