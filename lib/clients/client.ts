import type { ClientMetadata } from '../oauth/client-metadata.js';

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

/** A new registration as the client learns about it. */
export interface IssuedClient {
  readonly id: string;
  /** Told once; absent for a client that authenticates with `none`. */
  readonly secret?: string;
  /** In seconds since the epoch. */
  readonly issuedAt: number;
}
