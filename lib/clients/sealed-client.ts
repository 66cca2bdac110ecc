import { deepFreeze } from '../core/freeze.js';
import { Recent } from '../core/recent.js';
import type { DeriveKeys } from '../crypto/key-ring.js';
import type { ClientMetadata } from '../oauth/client-metadata.js';
import type { Client, IssuedClient } from './client.js';
import { secretDigest, secretMatcher } from './client-secret.js';
import { CURRENT_DICTIONARY, dictionaries } from './sealed-dictionary.js';
import { deflater, packRegistration, unpackRegistration } from './sealed-metadata.js';

const MAX_ID_LENGTH = 1_024;

export interface SealedClients {
  /** A new client, or `null` when its id would be longer than 1,024 characters. */
  issue(metadata: ClientMetadata): IssuedClient | null;
  /** `null` for anything that was not issued here, under a key that is still known. */
  find(id: string): Client | null;
}

/**
 * Registration without a record (RFC 7591 appendix A.5.2): the client id is the sealed metadata, so it survives a
 * restart, is known to every replica, and a flood of registrations costs nothing. The secret is an HMAC of the id.
 */
export function sealedClients(derive: DeriveKeys, now: () => number): SealedClients {
  const ring = derive('client');
  const deflate = deflater(dictionaries.get(CURRENT_DICTIONARY) as Buffer);
  // Opened ids only, so that made-up ones push nothing out.
  const opened = new Recent<Client>({ maxSize: 8 * 1_024 * 1_024 });

  const open = (id: string): Client | null => {
    if (id.length > MAX_ID_LENGTH) return null;
    const bytes = Buffer.from(id, 'base64url');
    // Foreign characters and the unused bits of the last one are skipped over: one client has one id.
    if (bytes.toString('base64url') !== id) return null;
    const [version = 0] = bytes;
    const dictionary = dictionaries.get(version);
    const packed = dictionary === undefined ? null : ring.open(bytes.subarray(1), contextOf(version));
    if (packed === null || dictionary === undefined) return null;
    const { metadata, issuedAt } = deepFreeze(unpackRegistration(packed, dictionary));
    return { id, origin: 'stateless', metadata, issuedAt, isSecret: isSecretOf(id, metadata) };
  };

  // Whichever key sealed the id: after a rotation the secrets of older ids still count.
  const isSecretOf = (id: string, metadata: ClientMetadata): Client['isSecret'] => {
    if (metadata.token_endpoint_auth_method === 'none') return () => false;
    return candidate =>
      secretMatcher(ring.signatures(id).map(signature => secretDigest(asSecret(signature))))(candidate);
  };

  return {
    issue(metadata) {
      const issuedAt = Math.floor(now() / 1_000);
      const sealed = ring.seal(packRegistration({ metadata, issuedAt }, deflate), contextOf(CURRENT_DICTIONARY));
      const id = Buffer.concat([Buffer.of(CURRENT_DICTIONARY), sealed]).toString('base64url');
      if (id.length > MAX_ID_LENGTH) return null;
      if (metadata.token_endpoint_auth_method === 'none') return { id, issuedAt };
      return { id, issuedAt, secret: asSecret(ring.sign(id)) };
    },
    find(id) {
      const known = opened.get(id);
      if (known !== undefined) return known;
      const client = open(id);
      if (client !== null) opened.set(id, client, sizeOf(client));
      return client;
    },
  };
}

function contextOf(version: number): string {
  return `client id ${version}`;
}

function asSecret(signature: Buffer): string {
  return signature.toString('base64url');
}

function sizeOf({ id, metadata }: Client): number {
  return 1_024 + id.length + JSON.stringify(metadata).length;
}
