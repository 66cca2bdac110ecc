import type { Identity, Rejection } from './auth-info.js';
import type { ScopeSatisfies, Settings } from './settings.js';
import type { Recollection, Token } from './token.js';

/** How sure a source is, without any I/O, that a token is its own. */
export type Claim = 'mine' | 'maybe' | 'foreign';

export interface Acceptance {
  readonly outcome: 'accept';
  readonly identity: Identity;
}

export type Answer = Acceptance | Foreign | Rejection;
export interface Foreign {
  readonly outcome: 'foreign';
}
export const FOREIGN: Foreign = Object.freeze({ outcome: 'foreign' });

export function reject(reason: Rejection['reason'], details: Omit<Rejection, 'outcome' | 'reason'> = {}): Rejection {
  return { outcome: 'reject', reason, ...details };
}

/** What a verifier is told about the composition that it works in. Settled once, never changed. */
export interface Binding {
  /** The name of the source in this composition. */
  readonly name: string;
  /** The public URL of the MCP endpoint, where it is known. */
  readonly resource: string | undefined;
  /** True for the bound resource and its legacy names, compared as section 1 of the design says. */
  readonly isResource: (candidate: string) => boolean;
}

/** A verifier inside one composition. */
export interface BoundSource {
  /** What it remembers of a token whose signature it has found good or bad before, which saves reading it again. */
  recall?(token: Token): Recollection | undefined;
  /** Whose token is this? Looks at prefix, shape and unverified issuer only: no I/O, never throws. */
  claim(token: Token): Claim;
  /** Judges the token. Throws or rejects where it could not tell. Synchronous when everything is in memory. */
  verify(token: Token, claim: Claim): Answer | Promise<Answer>;
}

/** What an authorization server must know of a composition that it serves. */
export interface ServedResource {
  readonly resource: string;
  readonly legacyResources: readonly string[];
  readonly requiredScopes: readonly string[];
  readonly scopesSupported: readonly string[];
  readonly scopeSatisfies: ScopeSatisfies | undefined;
}

/**
 * Anything that can say whose token this is. A verifier has `bind`; a composition has a `server` and `verifiers`.
 * Sources are immutable: all that a composition adds lives in its own plan.
 */
export interface Source {
  /** The name of the factory, which is the default name too. */
  readonly factory: string;
  /** The name that the operator gave. */
  readonly name: string | undefined;
  /** The options that flow down from a composition, as this source was given them. */
  readonly settings: Settings;
  /** Scopes of a verifier without a list of its own are asked of the server; `remoteAuth` asks for none instead. */
  readonly scopesWithoutRule?: 'none';
  readonly server?: Source;
  readonly verifiers?: readonly Source[];
  readonly bind?: (binding: Binding) => BoundSource;
  /** The endpoints and documents that it owns, for `http/`, which alone knows what it is. */
  readonly authorizationServer?: object;
  /** Takes a composition with its resource in, and lets go of it. */
  readonly join?: (user: object, served: ServedResource) => void;
  readonly leave?: (user: object) => void;
  /** The live upstream token of a caller that this source accepted, or `null` where it has none. */
  readonly upstreamToken?: (identity: Identity) => Promise<string | null>;
  /** Prefetches what `verify` will need. */
  readonly ready?: () => Promise<void>;
  /** Lets go of sockets and memory. Called once nobody uses the source any more. */
  readonly close?: () => void | Promise<void>;
}
