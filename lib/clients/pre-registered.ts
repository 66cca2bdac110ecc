import { ConfigError } from '../core/errors.js';
import { deepFreeze } from '../core/freeze.js';
import { kindOf, Options } from '../core/options.js';
import type { ClientAuthMethod, ClientMetadata } from '../oauth/client-metadata.js';
import { redirectProblem } from '../oauth/redirect-syntax.js';
import { isScopeToken } from '../oauth/scope.js';
import type { Client } from './client.js';
import { MAX_SECRET_LENGTH, secretDigest, secretMatcher } from './client-secret.js';

/** A client that the operator knows, with the member names of RFC 7591 section 2. */
export interface PreRegisteredClient {
  /** At most 2,048 characters of printable ASCII. */
  readonly client_id: string;
  /** At most 512 characters. Required for the two secret methods, forbidden for `none`. */
  readonly client_secret?: string | undefined;
  /** Exact; at least one for a client without a secret. `clients.redirectUris` does not apply: this is the operator's word. */
  readonly redirect_uris?: readonly string[] | undefined;
  /** Default `client_secret_basic` with a secret, `none` without one. */
  readonly token_endpoint_auth_method?: ClientAuthMethod | undefined;
  /** The name on the consent page. */
  readonly client_name?: string | undefined;
  /** The home page, an http(s) URL, which the consent page shows. */
  readonly client_uri?: string | undefined;
  /** `web` holds the redirect URIs to https. Default: not said. */
  readonly application_type?: 'native' | 'web' | undefined;
  /** All that it may ask for, with one space between scopes. Default: whatever this server supports. */
  readonly scope?: string | undefined;
  /** Must hold `authorization_code`, may hold `refresh_token`; limits nothing. */
  readonly grant_types?: readonly string[] | undefined;
  /** Only `code`. */
  readonly response_types?: readonly string[] | undefined;
}

const MEMBERS = [
  'client_id',
  'client_secret',
  'redirect_uris',
  'token_endpoint_auth_method',
  'client_name',
  'client_uri',
  'application_type',
  'scope',
  'grant_types',
  'response_types',
];
const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const;
// RFC 6749 appendix A.1.
const CLIENT_ID = /^[\x20-\x7e]{1,2048}$/;

/**
 * The clients of an option, by id.
 *
 * @param factory who is configured, and `option` where, for the errors
 * @throws ConfigError
 */
export function preRegisteredClients(
  factory: string,
  given: unknown,
  option = 'clients.preRegistered',
): ReadonlyMap<string, Client> {
  if (given === undefined) return new Map();
  if (!Array.isArray(given))
    throw new ConfigError(factory, option, `must be a list of clients, got ${kindOf(given)}`, 'Put it in [ ].');
  const clients = new Map<string, Client>();
  for (const [index, entry] of given.entries()) {
    const read = new Options(factory, entry, MEMBERS, `${option}[${index}]`);
    const client = readClient(read);
    if (clients.has(client.id))
      read.fail('client_id', 'is the id of two clients', 'Give each client an id of its own.');
    clients.set(client.id, client);
  }
  return clients;
}

function readClient(read: Options): Client {
  const id = read.string('client_id');
  if (id === undefined) read.fail('client_id', 'is missing', 'Name the client.');
  if (!CLIENT_ID.test(id))
    read.fail('client_id', 'holds more than 2,048 characters, or others than printable ASCII', 'Choose another id.');
  const secret = readSecret(read);
  const metadata = deepFreeze(readMetadata(read, secret !== undefined));
  const digests = secret === undefined ? [] : [secretDigest(secret)];
  return { id, origin: 'preRegistered', metadata, issuedAt: undefined, isSecret: secretMatcher(digests) };
}

function readSecret(read: Options): string | undefined {
  const secret = read.string('client_secret');
  if (secret !== undefined && secret.length > MAX_SECRET_LENGTH)
    read.fail('client_secret', `is longer than ${MAX_SECRET_LENGTH} characters`, 'Choose a shorter one.');
  return secret;
}

function readMetadata(read: Options, hasSecret: boolean): ClientMetadata {
  const method = readAuthMethod(read, hasSecret);
  const applicationType = read.oneOf('application_type', ['native', 'web']);
  readTypes(read, 'grant_types', ['authorization_code', 'refresh_token']);
  readTypes(read, 'response_types', ['code']);
  const name = read.string('client_name');
  const uri = readClientUri(read);
  const scope = readScope(read);
  return {
    redirect_uris: readRedirectUris(read, hasSecret, applicationType),
    token_endpoint_auth_method: method,
    ...(name !== undefined && { client_name: name }),
    ...(uri !== undefined && { client_uri: uri }),
    ...(applicationType !== undefined && { application_type: applicationType }),
    ...(scope !== undefined && { scope }),
  };
}

function readAuthMethod(read: Options, hasSecret: boolean): ClientAuthMethod {
  const option = 'token_endpoint_auth_method';
  const method = read.oneOf(option, AUTH_METHODS) ?? (hasSecret ? 'client_secret_basic' : 'none');
  if (method === 'none' && hasSecret)
    read.fail(option, 'is none beside a client_secret', 'Remove one of the two: a public client has no secret.');
  if (method !== 'none' && !hasSecret) read.fail(option, `is ${method} without a client_secret`, 'Give the secret.');
  return method;
}

function readRedirectUris(read: Options, hasSecret: boolean, type: ClientMetadata['application_type']) {
  const uris = read.list('redirect_uris') ?? [];
  if (uris.length === 0 && !hasSecret)
    read.fail('redirect_uris', 'is missing', 'A client without a secret needs at least one.');
  for (const [index, uri] of uris.entries()) {
    const problem = redirectProblem(uri);
    if (problem !== null) read.fail(`redirect_uris[${index}]`, problem, 'Give the exact URI.');
    if (type === 'web' && !uri.startsWith('https:'))
      read.fail(`redirect_uris[${index}]`, 'is not https', 'Leave application_type out, or use https.');
  }
  return [...new Set(uris)];
}

function readClientUri(read: Options): string | undefined {
  const uri = read.string('client_uri');
  if (uri !== undefined && !(/^https?:\/\//i.test(uri) && URL.canParse(uri)))
    read.fail('client_uri', 'is no http(s) URL', 'Give the home page of the client.');
  return uri;
}

function readScope(read: Options): string | undefined {
  const scope = read.string('scope');
  if (scope !== undefined && !scope.split(' ').every(isScopeToken))
    read.fail('scope', 'is no list of scopes with one space between them', 'See RFC 6749 section 3.3.');
  return scope;
}

function readTypes(read: Options, option: string, known: readonly string[]): void {
  const types = read.list(option);
  const foreign = types?.find(type => !known.includes(type));
  if (foreign !== undefined)
    read.fail(option, 'holds a type that this server does not have', `It may hold ${known.join(' and ')}.`);
  const [required = ''] = known;
  if (types !== undefined && !types.includes(required)) read.fail(option, `does not hold ${required}`, 'Add it.');
}
