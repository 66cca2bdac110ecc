import { scryptSync } from 'node:crypto';
import { nodeEnv } from '../core/environment.js';
import type { Options } from '../core/options.js';
import type { warnings } from '../core/warnings.js';
import { memoryStore } from '../store/memory.js';
import type { Store } from '../store/store.js';

/** The `secrets` option, or what is derived from the credentials of the app at the provider. */
export function readSecrets(
  options: Options,
  app: { readonly clientId: string; readonly clientSecrets: readonly string[] },
  warn: ReturnType<typeof warnings>,
): readonly string[] {
  const secrets = options.oneOrMore('secrets');
  for (const secret of secrets ?? [])
    if (secret.length < 32)
      options.fail(
        'secrets',
        `holds one of ${secret.length} characters, expected at least 32`,
        'Make one with: node -e "console.log(crypto.randomBytes(48).toString(\'base64url\'))".',
      );
  if (secrets !== undefined) return secrets;
  if (app.clientSecrets.length === 0)
    options.fail(
      'secrets',
      'is missing, and there is no upstream.clientSecret to derive keys from',
      'Give a random string of at least 32 characters.',
    );
  if (nodeEnv() === 'production')
    warn(
      'MCP_AUTH_DERIVED_SECRETS',
      () =>
        `oauthProxy: the keys are derived from upstream.clientSecret, so replacing it logs everybody out, and who guesses it can check the guess. Set the secrets option to a random string of its own.`,
    );
  return app.clientSecrets.map(secret => `upstream client secret ${stretched(secret, app.clientId)}`);
}

const GUESSABLE = 32;
const known = new Map<string, string>();

// Every client gets something signed with these keys, so it can try secrets in its own time. One that a provider made
// is out of reach; one that a person chose need not be, so trying it is made slow (RFC 7914).
function stretched(secret: string, clientId: string): string {
  if (secret.length >= GUESSABLE) return secret;
  const id = `${clientId} ${secret}`;
  const before = known.get(id);
  if (before !== undefined) return before;
  const key = scryptSync(secret, `express-mcp-auth ${clientId}`, 32, { N: 2 ** 15, r: 8, maxmem: 2 ** 26 }).toString(
    'base64url',
  );
  known.set(id, key);
  return key;
}

/** The `store` option, or memory. */
export function readStore(options: Options, now: () => number, warn: ReturnType<typeof warnings>): Store {
  const store = options.raw('store') as Store | undefined;
  if (store === undefined) {
    if (nodeEnv() === 'production')
      warn(
        'MCP_AUTH_MEMORY_STORE',
        () =>
          `oauthProxy: sign-ins are kept in the memory of this process: a restart ends them, and other replicas do not know them. Set the store option to lmdbStore, redisStore or postgresStore.`,
      );
    return memoryStore({ now });
  }
  for (const method of ['get', 'set', 'add', 'take', 'replace', 'delete'] as const)
    if (typeof store?.[method] !== 'function')
      options.fail(
        'store',
        `has no method ${method}`,
        'Pass a store of this package, or one that passes storeContract.',
      );
  return store;
}
