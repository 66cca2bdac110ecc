import type { Settings } from '../core/settings.js';
import type { Source } from '../core/source.js';
import { DEFAULT_MCP_PATH } from '../oauth/mcp-path.js';
import { resourceUrl } from '../oauth/resource.js';
import { unique } from '../oauth/scope.js';

/**
 * Every option as it holds for a source: its own, else its server's. Only `legacyResources` stay with the resource that
 * they were given with: a token for a former name of one endpoint is none for another.
 */
export function effectiveSettings(source: Source): Settings {
  if (source.server === undefined) return source.settings;
  const below = effectiveSettings(source.server);
  const own = Object.entries(source.settings).filter(([, value]) => value !== undefined);
  const settings: Settings = { ...below, ...Object.fromEntries(own) };
  if (resourceOf(settings) === resourceOf(below)) return settings;
  return { ...settings, legacyResources: source.settings.legacyResources };
}

/** The resource by the rule of the design: own and server's `resourceBaseUrl`, own and server's `baseUrl`. */
export function resourceOf(settings: Settings): string | undefined {
  const base = settings.resourceBaseUrl ?? settings.baseUrl;
  return base === undefined ? undefined : resourceUrl(base, settings.mcpPath ?? DEFAULT_MCP_PATH);
}

/** The scopes required before a source is known: own list, else the server's, else all that the verifiers were given. */
export function declaredScopes(source: Source): readonly string[] {
  if (source.settings.requiredScopes !== undefined) return source.settings.requiredScopes;
  if (source.server !== undefined) return declaredScopes(source.server);
  return unique((source.verifiers ?? []).flatMap(declaredScopes));
}
