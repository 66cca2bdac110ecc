import { readScopes } from '../composition/options.js';
import { nodeEnv } from '../core/environment.js';
import { Options } from '../core/options.js';
import type { Auth } from '../http/auth.js';
import { createAuth } from '../http/create-auth.js';

const FACTORY = 'debugVerifier';

/** Options of `debugVerifier`. */
export interface DebugVerifierOptions {
  /** The name in `req.auth.extra.source`. Default `debugVerifier`. */
  readonly name?: string | undefined;
  /** The client of every token. Default `debug-client`. */
  readonly clientId?: string | undefined;
  /** The scopes of every token. Default none. */
  readonly scopes?: readonly string[] | undefined;
  /** Scopes that tokens of this verifier need; its tokens have those of `scopes`. Default: none of its own. */
  readonly requiredScopes?: readonly string[] | undefined;
}

/**
 * Accepts any token, for development.
 *
 * @throws ConfigError for wrong or unknown options, and unless `NODE_ENV` is `development` or `test`
 */
export function debugVerifier(options: DebugVerifierOptions = {}): Auth {
  const read = new Options(FACTORY, options, ['name', 'clientId', 'scopes', 'requiredScopes']);
  const environment = nodeEnv();
  if (environment !== 'development' && environment !== 'test')
    read.fail(
      'NODE_ENV',
      `is ${environment === undefined ? 'not set' : JSON.stringify(environment)}, and a verifier that accepts every token starts only in development and test`,
      'Set NODE_ENV=development, or use another verifier.',
    );
  const clientId = read.string('clientId') ?? 'debug-client';
  const scopes = readScopes(read, 'scopes') ?? [];
  const claims = Object.freeze({});
  return createAuth({
    factory: FACTORY,
    name: read.string('name'),
    settings: { requiredScopes: readScopes(read, 'requiredScopes') },
    bind: () => ({
      claim: () => 'maybe',
      verify: () => ({ outcome: 'accept', identity: { clientId, scopes, claims } }),
    }),
  });
}
