import type { RedirectPolicy } from './redirect-uri.js';
import { parseScopes } from './scope.js';

export type ClientAuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post';

/** The registered members of a client that are used (RFC 7591 section 2). */
export interface ClientMetadata {
  readonly redirect_uris: readonly string[];
  readonly token_endpoint_auth_method: ClientAuthMethod;
  readonly client_name?: string;
  readonly client_uri?: string;
  readonly application_type?: 'native' | 'web';
  /** Of pre-registered clients only: what a client registers limits nothing that it may ask for later. */
  readonly scope?: string;
}

export interface RegistrationRules {
  readonly policy: Pick<RedirectPolicy, 'problem'>;
  /** Everything that can be asked for here; other scopes are dropped. */
  readonly supportedScopes: readonly string[];
}

export type RegistrationError = 'invalid_redirect_uri' | 'invalid_client_metadata';

/** `echo` is what the answer repeats: all that was registered, with what was put in place of what was asked for. */
export type ReadRegistration =
  | { readonly metadata: ClientMetadata; readonly echo: Readonly<Record<string, unknown>> }
  | { readonly error: RegistrationError; readonly description: string };

const MAX_REDIRECT_URIS = 10;
const MAX_NAME = 200;
const MAX_CLIENT_URI = 255;
const GRANT_TYPES = ['authorization_code', 'refresh_token'];
const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'];
// Control, format (bidi overrides, zero widths), surrogate and private characters, and line separators: a name made of
// them looks like another one on the consent page.
const DECEPTIVE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** A refusal on its way out of the reader. */
class Refused {
  readonly error: RegistrationError;
  readonly description: string;
  constructor(error: RegistrationError, description: string) {
    this.error = error;
    this.description = description;
  }
}

/**
 * Reads a client registration request (RFC 7591 section 3.1). Only known members are looked at, each on its own, so
 * nothing else of the body gets further; `null` and the empty string count as absent.
 */
export function readRegistration(body: unknown, rules: RegistrationRules): ReadRegistration {
  try {
    return read(new Members(body), rules);
  } catch (refused) {
    if (refused instanceof Refused) return { error: refused.error, description: `${refused.description}.` };
    throw refused;
  }
}

function read(members: Members, { policy, supportedScopes }: RegistrationRules): ReadRegistration {
  const redirectUris = readRedirectUris(members.get('redirect_uris'), policy);
  const applicationType = readApplicationType(members.string('application_type'), redirectUris);
  const grantTypes = readTypes(members.get('grant_types'), 'grant_types', GRANT_TYPES);
  const responseTypes = readTypes(members.get('response_types'), 'response_types', ['code']);
  const name = readName(members.string('client_name'));
  const uri = readClientUri(members.string('client_uri'));
  if (members.get('jwks') !== undefined) fail('jwks is not supported: register with none or a client secret');
  const metadata: ClientMetadata = {
    redirect_uris: redirectUris,
    token_endpoint_auth_method: readAuthMethod(members.string('token_endpoint_auth_method')),
    ...(name !== undefined && { client_name: name }),
    ...(uri !== undefined && { client_uri: uri }),
    ...(applicationType !== undefined && { application_type: applicationType }),
  };
  const scope = parseScopes(members.get('scope')).filter(value => supportedScopes.includes(value));
  return {
    metadata,
    echo: {
      ...metadata,
      grant_types: grantTypes,
      response_types: responseTypes,
      ...(scope.length > 0 && { scope: scope.join(' ') }),
    },
  };
}

function readRedirectUris(value: unknown, policy: RegistrationRules['policy']): readonly string[] {
  const refuse = (description: string): never => {
    throw new Refused('invalid_redirect_uri', description);
  };
  if (!Array.isArray(value) || value.length === 0) return refuse('redirect_uris must be a list of at least one URI');
  if (value.length > MAX_REDIRECT_URIS) return refuse(`redirect_uris may hold at most ${MAX_REDIRECT_URIS} URIs`);
  for (const [index, uri] of value.entries()) {
    const problem = typeof uri === 'string' ? policy.problem(uri) : 'is not a string';
    if (problem !== null) refuse(`redirect_uris[${index}] ${problem}`);
  }
  return [...new Set(value as string[])];
}

// OpenID Connect Registration section 2: a web client lives on https.
function readApplicationType(type: string | undefined, redirectUris: readonly string[]): 'native' | 'web' | undefined {
  if (type === 'web' && !redirectUris.every(uri => uri.startsWith('https:')))
    throw new Refused('invalid_redirect_uri', 'redirect_uris of a client with application_type web must be https');
  return type === 'web' || type === 'native' ? type : undefined;
}

/** What is left of a list of types once the unknown ones are gone; the first of `known` is the default, and a must. */
function readTypes(value: unknown, member: string, known: readonly string[]): readonly string[] {
  const [required = ''] = known;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return [required];
  if (!Array.isArray(value)) fail(`${member} must be a list of strings`);
  const kept = known.filter(type => (value as unknown[]).includes(type));
  if (!kept.includes(required)) fail(`${member} must hold ${required}`);
  return kept;
}

function readAuthMethod(method = 'client_secret_basic'): ClientAuthMethod {
  if (method === 'private_key_jwt')
    fail('token_endpoint_auth_method private_key_jwt is not supported yet: use none or a client secret');
  if (!AUTH_METHODS.includes(method))
    fail('token_endpoint_auth_method must be none, client_secret_basic or client_secret_post');
  return method as ClientAuthMethod;
}

function readName(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  // Before the text is looked at: it may be as long as the body.
  if (given.length > 16 * MAX_NAME) fail(`client_name is longer than ${MAX_NAME} characters`);
  const name = given.replace(/\s/g, ' ').replace(DECEPTIVE, '').replace(/ +/g, ' ').trim();
  if ([...name].length > MAX_NAME) fail(`client_name is longer than ${MAX_NAME} characters`);
  return name === '' ? undefined : name;
}

/** It is shown as a link: anything but a plain http(s) URL is left out, and the registration goes on without it. */
function readClientUri(uri: string | undefined): string | undefined {
  if (uri === undefined || uri.length > MAX_CLIENT_URI || !/^https?:\/\/[\x21-\x7e]+$/i.test(uri)) return undefined;
  if (/[\\"<>^`{|}]/.test(uri)) return undefined;
  try {
    const { username, password } = new URL(uri);
    return username === '' && password === '' ? uri : undefined;
  } catch {
    return undefined;
  }
}

function fail(description: string): never {
  throw new Refused('invalid_client_metadata', description);
}

/** The own members of a JSON object. */
class Members {
  readonly #body: object;

  constructor(body: unknown) {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      fail('the request body must be a JSON object');
    this.#body = body;
  }

  get(member: string): unknown {
    // Own members only: an inherited one is somebody's attempt at the prototype.
    const value = Object.hasOwn(this.#body, member) ? (this.#body as Record<string, unknown>)[member] : undefined;
    return value === null || value === '' ? undefined : value;
  }

  string(member: string): string | undefined {
    const value = this.get(member);
    if (value !== undefined && typeof value !== 'string') fail(`${member} must be a string`);
    return value as string | undefined;
  }
}
