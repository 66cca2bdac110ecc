import type { ServedResource } from '../core/source.js';
import { isScopeToken, unique } from '../oauth/scope.js';
import { OAuthFailure } from './oauth-failure.js';
import type { Resources } from './resources.js';

/** Clients send these to everybody; where they mean nothing they are dropped and not held against the client. */
const IDENTITY_SCOPES = new Set(['openid', 'profile', 'email', 'offline_access']);

export interface ScopeRules {
  /** Everything that can be asked for here. */
  readonly supported: readonly string[];
  readonly defaults: readonly string[];
  /** The scopes of an authorization request for a resource. @throws OAuthFailure `invalid_scope` */
  ofRequest(raw: string | undefined, served: ServedResource): readonly string[];
}

export function scopeRules(
  own: { readonly supported: readonly string[]; readonly defaults: readonly string[] },
  resources: Resources,
): ScopeRules {
  return {
    get supported() {
      return unique([...own.supported, ...own.defaults, ...resources.scopes]);
    },
    defaults: own.defaults,
    ofRequest(raw, served) {
      // Without what the resource requires the token would always be refused there, and the client sent round in circles.
      if (raw === undefined) return unique([...own.defaults, ...served.requiredScopes]);
      const { supported } = this;
      const wanted: string[] = [];
      for (const scope of raw.split(/\s+/)) {
        if (scope === '') continue;
        if (isScopeToken(scope) && supported.includes(scope)) wanted.push(scope);
        else if (!IDENTITY_SCOPES.has(scope))
          throw new OAuthFailure('invalid_scope', 'A scope was asked for that this server does not have.', {
            reason: `asked for ${JSON.stringify(scope.slice(0, 100))}, supported: ${supported.join(' ')}`,
          });
      }
      return unique([...wanted, ...served.requiredScopes]);
    },
  };
}
