import type { ServedResource, Source } from '../core/source.js';
import type { Outline } from './plan.js';
import { effectiveSettings } from './settings.js';

/** The server of a composition that has endpoints, however deep. */
export function authorizationServerOf(source: Source): object | undefined {
  return source.authorizationServer ?? (source.server && authorizationServerOf(source.server));
}

/** What the authorization server of a composition must know of it, once it has a resource. */
export function servedResource({
  source,
  resource,
  requiredScopes,
  scopesSupported,
}: Outline): ServedResource | undefined {
  if (resource === undefined) return undefined;
  const { legacyResources = [], scopeSatisfies } = effectiveSettings(source);
  return { resource, legacyResources, requiredScopes, scopesSupported, scopeSatisfies };
}
