import { resourceScopes } from './scope.js';
import { splitOrigin } from './url.js';

/** The protected-resource metadata of RFC 9728 section 2, as far as this package fills it. */
export interface ResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly bearer_methods_supported: readonly ['header'];
  readonly resource_name?: string;
  readonly resource_documentation?: string;
}

export const RESOURCE_METADATA_PATH = '/.well-known/oauth-protected-resource';

/** The URL of the document: the well-known segment goes between host and path (RFC 9728 section 3.1). */
export function resourceMetadataUrl(resource: string): string {
  const { origin, rest } = splitOrigin(resource);
  return `${origin}${RESOURCE_METADATA_PATH}${rest === '/' ? '' : rest}`;
}

/** The document. Members without a value are left out: an empty `scopes_supported` sends clients round in circles. */
export function resourceMetadata(facts: {
  resource: string;
  authorizationServers: readonly string[];
  scopesSupported: readonly string[];
  resourceName?: string | undefined;
  resourceDocumentation?: string | undefined;
}): ResourceMetadata {
  const scopes = resourceScopes(facts.scopesSupported);
  return {
    resource: facts.resource,
    authorization_servers: facts.authorizationServers,
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    ...(facts.resourceName !== undefined && { resource_name: facts.resourceName }),
    ...(facts.resourceDocumentation !== undefined && { resource_documentation: facts.resourceDocumentation }),
  };
}
