import { createHash } from 'node:crypto';
import type { Client } from '../clients/client.js';
import type { DeriveKeys } from '../crypto/key-ring.js';
import { unique } from '../oauth/scope.js';
import type { AuthorizationRequest } from './transactions.js';

const MAX_REMEMBERED = 25;
const LIFETIME_SECONDS = 365 * 86_400;

/**
 * Consents that a browser carries in a sealed cookie. What is remembered is exactly what the page showed: the client
 * with its metadata, where it is sent, the scopes and the resource.
 */
export interface RememberedConsents {
  includes(cookie: string, consent: string): boolean;
  /** The cookie with one consent more; the oldest fall out. */
  with(cookie: string | undefined, consent: string): string;
  /** The cookie without one consent. */
  without(cookie: string, consent: string): string;
  consentOf(client: Client, redirectUri: string, request: Pick<AuthorizationRequest, 'scopes' | 'resource'>): string;
  readonly lifetimeSeconds: number;
}

export function rememberedConsents(derive: DeriveKeys, now: () => number): RememberedConsents {
  const ring = derive('remembered consents');
  const read = (cookie: string): [string, number][] => {
    const plain = ring.open(Buffer.from(cookie, 'base64url'), 'cookie');
    if (plain === null) return [];
    const entries = JSON.parse(plain.toString()) as [string, number][];
    return entries.filter(([, at]) => at + LIFETIME_SECONDS > now() / 1_000);
  };
  return {
    lifetimeSeconds: LIFETIME_SECONDS,
    includes: (cookie, consent) => read(cookie).some(([known]) => known === consent),
    with(cookie, consent) {
      const others = (cookie === undefined ? [] : read(cookie)).filter(([known]) => known !== consent);
      const entries = [[consent, Math.floor(now() / 1_000)], ...others].slice(0, MAX_REMEMBERED);
      return ring.seal(JSON.stringify(entries), 'cookie').toString('base64url');
    },
    without(cookie, consent) {
      const entries = read(cookie).filter(([known]) => known !== consent);
      return ring.seal(JSON.stringify(entries), 'cookie').toString('base64url');
    },
    consentOf(client, redirectUri, { scopes, resource }) {
      const { redirect_uris: uris, ...shown } = client.metadata;
      const identity = client.origin === 'preRegistered' ? client.id : '';
      const facts = [
        identity,
        Object.entries(shown).sort(),
        [...uris].sort(),
        redirectUri,
        [...unique(scopes)].sort(),
        resource,
      ];
      return createHash('sha256').update(JSON.stringify(facts)).digest('base64url').slice(0, 22);
    },
  };
}

/** Anybody on the machine can be a loopback client, and any program can take a private scheme. */
export function mayBeRemembered(redirectUri: string, isLoopback: (uri: string) => boolean): boolean {
  return redirectUri.startsWith('https://') && !isLoopback(redirectUri);
}
