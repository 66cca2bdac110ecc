import { randomToken } from '../crypto/key-ring.js';
import { readBasicCredentials } from './basic-credentials.js';
import type { Client } from './client.js';
import { MAX_SECRET_LENGTH, secretDigest, secretMatcher } from './client-secret.js';

/** What of a request says who the client is. */
export interface ClientCredentials {
  /** The `Authorization` header. Anything but Basic counts as absent. */
  readonly authorization: string | undefined;
  /** The parameters of the body, each a single string; an empty one counts as absent (RFC 6749 section 3.2). */
  readonly body: { get(name: string): string | null | undefined };
}

export type ClientRefusalReason =
  | 'several_methods'
  | 'client_id_missing'
  | 'client_id_mismatch'
  | 'malformed_credentials'
  | 'assertion_unsupported'
  | 'unknown_client'
  | 'secret_missing'
  | 'secret_unexpected'
  | 'secret_wrong';

export interface ClientRefusal {
  readonly error: 'invalid_client' | 'invalid_request';
  /** For the client: never which of unknown client and wrong secret it was. */
  readonly description: string;
  /** For operators. */
  readonly reason: ClientRefusalReason;
  /** Whether the answer needs `WWW-Authenticate: Basic` (RFC 6749 section 5.2). */
  readonly usedBasic: boolean;
}

export type ClientAuthentication = { readonly client: Client; readonly usedBasic: boolean } | ClientRefusal;

const MAX_ID_LENGTH = 2_048;
const NOBODY = secretMatcher([secretDigest(randomToken())]);

/**
 * Who calls the token or the revocation endpoint (RFC 6749 section 2.3): `none`, `client_secret_basic` or
 * `client_secret_post`. A client with a secret may send it either way, whatever it registered, as real ones do; a
 * client without one is refused when it sends one. Rejects only when `find` does.
 */
export async function authenticateClient(
  { authorization, body }: ClientCredentials,
  find: (id: string) => Client | null | Promise<Client | null>,
): Promise<ClientAuthentication> {
  const basic = readBasicCredentials(authorization);
  const usedBasic = basic !== undefined;
  const refuse = (error: ClientRefusal['error'], reason: ClientRefusalReason, description: string): ClientRefusal => ({
    error,
    description,
    reason,
    usedBasic,
  });
  const parameter = (name: string) => body.get(name) || undefined;

  const bodyId = parameter('client_id');
  const bodySecret = parameter('client_secret');
  const hasAssertion = parameter('client_assertion') !== undefined || parameter('client_assertion_type') !== undefined;
  if (Number(usedBasic) + Number(bodySecret !== undefined) + Number(hasAssertion) > 1)
    return refuse('invalid_request', 'several_methods', 'More than one way of client authentication was used.');
  if (hasAssertion) return refuse('invalid_client', 'assertion_unsupported', 'Client assertions are not supported.');
  if (basic === null) return refuse('invalid_client', 'malformed_credentials', 'The Basic credentials cannot be read.');
  if (basic !== undefined && bodyId !== undefined && !basic.ids.includes(bodyId))
    return refuse('invalid_request', 'client_id_mismatch', 'client_id is not the one of the Authorization header.');

  const ids = bodyId === undefined ? (basic?.ids ?? []) : [bodyId];
  if (ids.length === 0) return refuse('invalid_request', 'client_id_missing', 'client_id is missing.');
  const client = await firstFound(ids, find);
  const reason = refusalReason(client, (basic?.secrets ?? [bodySecret ?? '']).filter(isPresent));
  if (client === null || reason !== undefined)
    return refuse('invalid_client', reason ?? 'unknown_client', 'Unknown client, or client authentication failed.');
  return { client, usedBasic };
}

async function firstFound(ids: readonly string[], find: (id: string) => Client | null | Promise<Client | null>) {
  for (const id of ids) {
    const client = id.length > MAX_ID_LENGTH ? null : await find(id);
    if (client !== null) return client;
  }
  return null;
}

/** The same work for a client that nobody knows as for a wrong secret: the time says nothing about which it was. */
function refusalReason(client: Client | null, secrets: readonly string[]): ClientRefusalReason | undefined {
  const isSecret = client?.isSecret ?? NOBODY;
  const isRight = secrets.reduce((isFound, secret) => isSecret(withinLimit(secret)) || isFound, false);
  if (client === null) return 'unknown_client';
  const hasSecret = client.metadata.token_endpoint_auth_method !== 'none';
  if (!hasSecret) return secrets.length === 0 ? undefined : 'secret_unexpected';
  if (secrets.length === 0) return 'secret_missing';
  return isRight ? undefined : 'secret_wrong';
}

/** Nobody's secret is empty, so nobody pays for the digest of a long one. */
function withinLimit(secret: string): string {
  return secret.length > MAX_SECRET_LENGTH ? '' : secret;
}

function isPresent(secret: string): boolean {
  return secret !== '';
}
