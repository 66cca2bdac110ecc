import type { AllowClient } from '../authorization/client-directory.js';
import { preRegisteredClients } from '../clients/pre-registered.js';
import type { Options } from '../core/options.js';
import { type RedirectPolicy, type RedirectPolicyOptions, redirectPolicy } from '../oauth/redirect-uri.js';
import { LATER } from './later.js';

/** The `clients` option, checked and complete. */
export function readClients(options: Options) {
  const clients = options.nested('clients', [
    'registration',
    'clientIdDocuments',
    'redirectUris',
    'knownClients',
    'preRegistered',
    'allow',
  ]);
  const registration = clients.oneOf('registration', ['stateless', 'stored', false]) ?? 'stateless';
  if (clients.boolean('clientIdDocuments') === true) clients.fail('clientIdDocuments', LATER, 'Leave it out for now.');
  const uris = clients.nested('redirectUris', ['allow', 'only']);
  const patterns = {
    allow: uris.list('allow'),
    only: uris.list('only'),
    knownClients: clients.boolean('knownClients') ?? true,
  };
  const preRegistered = preRegisteredClients('oauthProxy', clients.raw('preRegistered'));
  return {
    registration,
    preRegistered,
    allow: clients.function<AllowClient>('allow'),
    hasOnly: patterns.only !== undefined,
    redirects: readRedirects(uris, patterns),
  };
}

function readRedirects(uris: Options, patterns: RedirectPolicyOptions): RedirectPolicy {
  try {
    return redirectPolicy(patterns);
  } catch (error) {
    const option = patterns.only === undefined ? 'allow' : 'only';
    uris.fail(
      option,
      error instanceof Error ? error.message : 'holds no redirect URI',
      "Give exact URIs, or a '*' for the left-most host label, the port or the last path segment.",
    );
  }
}
