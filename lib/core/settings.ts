/**
 * The options of a composition. Each one is the composition's own, else its server's; an empty list is a value,
 * `undefined` is not.
 */
export interface Settings {
  /** The public URL of this app, byte for byte: https, or http on loopback. May carry a path. */
  readonly baseUrl?: string | undefined;
  /** The public URL below which the MCP endpoint lives. Default `baseUrl`. */
  readonly resourceBaseUrl?: string | undefined;
  /** The path of the MCP endpoint: a literal path; `/` guards everything. Default `/mcp`. */
  readonly mcpPath?: string | undefined;
  /** Former URLs of the MCP endpoint that tokens may still name. */
  readonly legacyResources?: readonly string[] | undefined;
  /** The scopes that every token needs. The empty list clears what verifiers and server ask for. */
  readonly requiredScopes?: readonly string[] | undefined;
  /** What the metadata says there is. Default: what is required. */
  readonly scopesSupported?: readonly string[] | undefined;
  /** The scopes that clients must ask for, where the authorization server calls the required ones by other names. */
  readonly challengeScopes?: ChallengeScopes | undefined;
  /** Issuers of the authorization servers, byte for byte; with a base URL the metadata is served (RFC 9728). */
  readonly authorizationServers?: readonly string[] | undefined;
  /** A name of this server for people, in the metadata. */
  readonly resourceName?: string | undefined;
  /** The URL of a page for developers, in the metadata. */
  readonly resourceDocumentation?: string | undefined;
  /** Lets a broad scope imply a narrow one. Default: exact match. */
  readonly scopeSatisfies?: ScopeSatisfies | undefined;
  /** CORS for any origin, without credentials. Default true. */
  readonly cors?: boolean | undefined;
  /** Serve the metadata without the inserted path too; with several resources on one app set it on one. Default true. */
  readonly rootMetadata?: boolean | undefined;
}

/** Scopes as clients must ask for them: a list that stands for the required scopes, or a translation of them. */
export type ChallengeScopes = readonly string[] | ((required: readonly string[]) => readonly string[]);

/** Lets a broad scope imply a narrow one. */
export type ScopeSatisfies = (granted: readonly string[], required: string) => boolean;
