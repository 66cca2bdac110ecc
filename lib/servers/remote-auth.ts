import type { CompositionOptions } from '../composition/composition-options.js';
import { COMPOSITION_OPTIONS, readSettings } from '../composition/options.js';
import { Options } from '../core/options.js';
import type { Auth } from '../http/auth.js';
import { readSources } from '../http/auth-list.js';
import { createAuth } from '../http/create-auth.js';

const FACTORY = 'remoteAuth';

/** Options of `remoteAuth`, beside those of every composition. */
export interface RemoteAuthOptions extends CompositionOptions {
  /** What verifies the tokens of the authorization servers: one verifier or a list. */
  readonly verifier: Auth | readonly Auth[];
  /** The issuers that clients may turn to, byte for byte; the first one is what most clients use. */
  readonly authorizationServers: readonly string[];
  /** The public URL of this app, byte for byte: https, or http on loopback. The MCP endpoint is `mcpPath` below it. */
  readonly baseUrl: string;
}

/**
 * A server whose authorization server lives elsewhere: it verifies tokens and publishes protected-resource metadata
 * (RFC 9728), nothing else. Required scopes are its own, else for each token those of the verifier that accepts it.
 *
 * @example
 * app.use(remoteAuth({ baseUrl, authorizationServers: [issuer], verifier: jwtVerifier({ issuer }) }));
 * app.all('/mcp', handler);
 *
 * @throws ConfigError for wrong, unknown or missing options
 */
export function remoteAuth(options: RemoteAuthOptions): Auth {
  const read = new Options(FACTORY, options, ['verifier', ...COMPOSITION_OPTIONS]);
  for (const option of ['verifier', 'authorizationServers', 'baseUrl'])
    if (!read.has(option)) read.fail(option, 'is missing', 'It is required.');
  const verifiers = readSources(FACTORY, 'verifier', read.raw('verifier'));
  if (verifiers.length === 0) read.fail('verifier', 'is an empty list', 'Give at least one verifier.');
  return createAuth({
    factory: FACTORY,
    name: read.string('name'),
    settings: readSettings(read),
    scopesWithoutRule: 'none',
    verifiers,
  });
}
