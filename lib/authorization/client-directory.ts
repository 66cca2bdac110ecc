import type { Client, IssuedClient } from '../clients/client.js';
import type { SealedClients } from '../clients/sealed-client.js';
import type { StoredClients } from '../clients/stored-clients.js';
import { type ClientMetadata, readRegistration } from '../oauth/client-metadata.js';
import type { ClientDirectory, RedirectRules, Registration } from './authorization-server.js';

/** Asked about clients with their RFC 7591 members and their id. */
export type AllowClient = (client: { readonly client_id: string } & ClientMetadata) => unknown;

export interface ClientDirectoryParts {
  readonly registration: 'stateless' | 'stored' | false;
  readonly sealed: SealedClients;
  readonly stored: StoredClients;
  readonly preRegistered: { find(id: string): Client | null };
  readonly redirects: RedirectRules;
  readonly supportedScopes: () => readonly string[];
  readonly allow: AllowClient | undefined;
  /** The id of the app that was registered at the identity provider. */
  readonly upstreamClientId: string | undefined;
}

/** Everybody who may be a client: known to the operator, sealed into their own id, or stored. */
export function clientDirectory(parts: ClientDirectoryParts): ClientDirectory {
  const { registration, sealed, stored, preRegistered, redirects, supportedScopes, allow } = parts;

  const issue = async (metadata: ClientMetadata): Promise<IssuedClient | null> =>
    registration === 'stored' ? stored.issue(metadata) : sealed.issue(metadata);

  const register = async (body: unknown): Promise<Registration> => {
    const read = readRegistration(body, { policy: redirects, supportedScopes: supportedScopes() });
    if ('error' in read) return read;
    const issued = await issue(read.metadata);
    if (issued === null)
      return {
        error: 'invalid_client_metadata',
        description: 'The metadata is too long: register fewer or shorter redirect URIs.',
      };
    return {
      client: { id: issued.id, metadata: read.metadata },
      answer: {
        ...read.echo,
        client_id: issued.id,
        client_id_issued_at: issued.issuedAt,
        // RFC 7591 section 3.2.1: required with a secret; 0 means that it does not expire.
        ...(issued.secret !== undefined && { client_secret: issued.secret, client_secret_expires_at: 0 }),
      },
    };
  };

  const directory: ClientDirectory = {
    async find(id) {
      const known = preRegistered.find(id);
      if (known !== null || registration === false) return known;
      return registration === 'stored' ? stored.find(id) : sealed.find(id);
    },
    hintAbout: id =>
      id === parts.upstreamClientId
        ? 'This is the client ID of the identity provider behind this server. Leave the client ID empty in your application: it gets one of its own.'
        : undefined,
    async isAllowed({ id, metadata }) {
      return allow === undefined || (await allow({ ...metadata, client_id: id })) === true;
    },
    register: registration === false ? undefined : register,
    async signedIn({ id, origin }) {
      if (origin === 'stored') await stored.renew(id);
    },
    async refreshed({ id, origin }) {
      if (origin === 'stored') await stored.renewWhenHalfGone(id);
    },
  };
  return directory;
}
