export type ClientAuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post';

/** The registered members of a client that are used (RFC 7591 section 2). */
export interface ClientMetadata {
  readonly redirect_uris: readonly string[];
  readonly token_endpoint_auth_method: ClientAuthMethod;
  readonly client_name?: string;
  readonly client_uri?: string;
  readonly application_type?: 'native' | 'web';
  readonly scope?: string;
}

/** How a client came to be known here; anybody can bring about the first two. */
export type ClientOrigin = 'stateless' | 'stored' | 'preRegistered';

/** An OAuth client of this server. */
export interface Client {
  readonly id: string;
  readonly origin: ClientOrigin;
  readonly metadata: ClientMetadata;
  /** When it was registered, in seconds since the epoch. */
  readonly issuedAt: number | undefined;
  /** Whether this is the client's secret; false for a client that has none. Constant time. */
  readonly isSecret: (candidate: string) => boolean;
}
