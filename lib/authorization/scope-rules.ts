import type { Client } from '../clients/client.js';
import { excerpt } from '../core/events.js';
import type { ServedResource } from '../core/source.js';
import { isScopeToken, unique } from '../oauth/scope.js';
import { OAuthFailure } from './oauth-failure.js';
import type { Resources } from './resources.js';

/** Clients send these to everybody; where they mean nothing they are dropped and not held against the client. */
const IDENTITY_SCOPES = new Set(['openid', 'profile', 'email', 'offline_access']);

export interface ScopeRules {
  /** Everything that can be asked for here. */
  readonly supported: readonly string[];
  /** The scopes of a client's authorization request for a resource. @throws OAuthFailure `invalid_scope` */
  ofRequest(raw: string | undefined, served: ServedResource, client: Client): readonly string[];
}

export function scopeRules(
  own: { readonly supported: readonly string[]; readonly defaults: readonly string[] },
  resources: Resources,
): ScopeRules {
  return {
    get supported() {
      return unique([...own.supported, ...own.defaults, ...resources.scopes]);
    },
    ofRequest(raw, served, client) {
      const limit = limitOf(client);
      const isAllowed = (scope: string) => limit?.includes(scope) ?? true;
      const wanted =
        raw === undefined
          ? own.defaults.filter(isAllowed)
          : known(raw, this).filter(scope => isAllowed(scope) || !IDENTITY_SCOPES.has(scope));
      // Without what the resource requires the token would always be refused there, and the client sent round in circles.
      const scopes = unique([...wanted, ...served.requiredScopes]);
      const beyond = limit && scopes.find(scope => !limit.includes(scope));
      if (beyond !== undefined)
        throw new OAuthFailure('invalid_scope', 'This client may not have a scope that is asked for or required.', {
          reason: `${excerpt(beyond)} is not in the scope that the client was registered with: ${limit?.join(' ')}`,
        });
      return scopes;
    },
  };
}

// What a client registers itself is its wish; what the operator wrote beside its id is a limit.
function limitOf({ origin, metadata }: Client): readonly string[] | undefined {
  return origin === 'preRegistered' ? metadata.scope?.split(' ') : undefined;
}

function known(raw: string, { supported }: ScopeRules): readonly string[] {
  const wanted: string[] = [];
  for (const scope of raw.split(/\s+/)) {
    if (scope === '') continue;
    if (isScopeToken(scope) && supported.includes(scope)) wanted.push(scope);
    else if (!IDENTITY_SCOPES.has(scope))
      throw new OAuthFailure('invalid_scope', 'A scope was asked for that this server does not have.', {
        reason: `asked for ${excerpt(scope)}, supported: ${supported.join(' ')}`,
      });
  }
  return wanted;
}
