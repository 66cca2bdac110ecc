import type { CompositionOptions } from './composition/composition-options.js';
import { COMPOSITION_OPTIONS, readSettings } from './composition/options.js';
import { ConfigError } from './core/errors.js';
import { Options } from './core/options.js';
import type { Auth } from './http/auth.js';
import { readSources } from './http/auth-list.js';
import { createAuth } from './http/create-auth.js';
import { internalsOf } from './http/internals.js';

const FACTORY = 'multiAuth';

/** Options of `multiAuth`; each one not given is the server's. */
export interface MultiAuthOptions extends CompositionOptions {}

/**
 * Composes an OAuth server for people with token verifiers for machines. The first source that accepts a token and
 * whose scope rule holds wins; `req.auth.extra.source` says which one it was.
 *
 * @example
 * const auth = multiAuth(remoteAuth({ verifier, authorizationServers, baseUrl }), [jwtVerifier({ issuer })]);
 * app.use(auth);
 * app.all('/mcp', handler);
 *
 * @throws ConfigError for wrong or unknown options, without any source, and for a name that two sources share
 */
export function multiAuth(server: Auth | null, verifiers?: Auth | readonly Auth[], options?: MultiAuthOptions): Auth;
export function multiAuth(server: Auth, options?: MultiAuthOptions): Auth;
export function multiAuth(verifiers: readonly Auth[], options?: MultiAuthOptions): Auth;
export function multiAuth(
  first: Auth | null | readonly Auth[],
  second?: Auth | readonly Auth[] | MultiAuthOptions,
  third?: MultiAuthOptions,
): Auth {
  const secondIsList = Array.isArray(second) || internalsOf(second) !== undefined;
  if (Array.isArray(first) && secondIsList)
    throw new ConfigError(
      FACTORY,
      'verifiers',
      'are given twice',
      'Call multiAuth(verifiers, options) or multiAuth(server, verifiers, options).',
    );
  if (!secondIsList && second !== undefined && third !== undefined)
    throw new ConfigError(
      FACTORY,
      'verifiers',
      'must be an Auth or a list of them',
      'Call multiAuth(server, verifiers, options).',
    );
  const options = (secondIsList ? third : (second ?? third)) ?? {};
  const read = new Options(FACTORY, options, COMPOSITION_OPTIONS);

  const leading = first === null || first === undefined ? [] : readSources(FACTORY, 'server', first);
  const listed = secondIsList ? readSources(FACTORY, 'verifiers', second) : [];
  const [head] = leading;
  if (head === undefined && listed.length === 0)
    throw new ConfigError(
      FACTORY,
      'server',
      'and verifiers are both missing',
      'Give at least a server or one verifier.',
    );

  const isServer =
    !Array.isArray(first) && head !== undefined && (head.bind === undefined || head.authorizationServer !== undefined);
  return createAuth({
    factory: FACTORY,
    name: read.string('name'),
    settings: readSettings(read),
    ...(isServer && { server: head }),
    verifiers: isServer ? listed : [...leading, ...listed],
  });
}
