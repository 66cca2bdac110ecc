import { disregard } from '../core/promise.js';
import type { ChallengeScopes, ScopeSatisfies } from '../core/settings.js';
import type { BoundSource, Source } from '../core/source.js';
import { stock } from '../core/stock.js';
import { DEFAULT_MCP_PATH } from '../oauth/mcp-path.js';
import { resourceMatcher } from '../oauth/resource.js';
import { resourceMetadataUrl } from '../oauth/resource-metadata.js';
import { isScopeToken, unique } from '../oauth/scope.js';
import { nameSources } from './names.js';
import { declaredScopes, effectiveSettings, resourceOf } from './settings.js';

/** Whose list of required scopes an accepted token is held to. */
export type RuleOwner = 'composition' | 'source' | 'server';

/** One verifier in its place: everything that depends on the composition around it is settled here, once. */
export interface Leaf {
  readonly name: string;
  readonly source: Source;
  readonly bound: BoundSource;
  /** Makes a `URL` of its resource for one request. */
  readonly newResource: (() => URL) | undefined;
  readonly requiredScopes: readonly string[];
  /** `undefined` where nobody gave a list. */
  readonly ruleOwner: RuleOwner | undefined;
  readonly scopeSatisfies: ScopeSatisfies | undefined;
}

/** What can be known of a composition before anything is bound. */
export interface Outline {
  readonly source: Source;
  readonly names: ReadonlyMap<Source, string>;
  readonly baseUrl: string | undefined;
  readonly resource: string | undefined;
  readonly mcpPath: string;
  readonly hasExplicitMcpPath: boolean;
  readonly requiredScopes: readonly string[];
  readonly scopesSupported: readonly string[];
  readonly authorizationServers: readonly string[];
  readonly resourceName: string | undefined;
  readonly resourceDocumentation: string | undefined;
  readonly cors: boolean;
  readonly rootMetadata: boolean;
  /** Only where the document is served: a challenge never points into the void. */
  readonly resourceMetadataUrl: string | undefined;
  readonly challengeScopes: (required: readonly string[]) => readonly string[];
}

export function outline(source: Source): Outline {
  const settings = effectiveSettings(source);
  const resource = resourceOf(settings);
  const requiredScopes = declaredScopes(source);
  const authorizationServers = settings.authorizationServers ?? [];
  const hasDocuments = resource !== undefined && authorizationServers.length > 0;
  return {
    source,
    names: nameSources(source),
    baseUrl: settings.baseUrl,
    resource,
    mcpPath: settings.mcpPath ?? DEFAULT_MCP_PATH,
    hasExplicitMcpPath: settings.mcpPath !== undefined,
    requiredScopes,
    scopesSupported: settings.scopesSupported ?? requiredScopes,
    authorizationServers,
    resourceName: settings.resourceName,
    resourceDocumentation: settings.resourceDocumentation,
    cors: settings.cors ?? true,
    rootMetadata: settings.rootMetadata ?? true,
    resourceMetadataUrl: hasDocuments ? resourceMetadataUrl(resource) : undefined,
    challengeScopes: translator(source),
  };
}

/**
 * Binds every verifier of a composition, its nested ones included.
 *
 * @throws ConfigError for a verifier that needs an audience where none is known
 */
export function bindLeaves({ source: root, names }: Outline): readonly Leaf[] {
  const leaves: Leaf[] = [];
  const visit = (source: Source, around: Surroundings) => {
    const settings = effectiveSettings(source);
    const resource = around.resource ?? resourceOf(settings);
    const isOwnResource = resource === resourceOf(settings);
    const legacyResources = around.legacyResources ?? (isOwnResource ? settings.legacyResources : undefined);
    const scopeSatisfies = around.scopeSatisfies ?? settings.scopeSatisfies;
    if (source.bind !== undefined) {
      const name = names.get(source) as string;
      const isResource = resource === undefined ? () => false : resourceMatcher([resource, ...(legacyResources ?? [])]);
      const bound = source.bind({ name, resource, isResource });
      const newResource = resource === undefined ? undefined : stock(() => new URL(resource));
      leaves.push({ name, source, bound, newResource, scopeSatisfies, ...scopeRule(source, around) });
      return;
    }
    const inside = {
      resource,
      legacyResources,
      scopeSatisfies,
      override: around.override ?? source.settings.requiredScopes,
    };
    const beside = source.scopesWithoutRule === 'none' ? [] : around.fallback;
    // A server keeps its own rules for the tokens that it accepts itself; its list is for those of the verifiers.
    if (source.server !== undefined) visit(source.server, { ...inside, fallback: beside });
    const fallback = source.server === undefined ? beside : declaredScopes(source.server);
    for (const verifier of source.verifiers ?? []) visit(verifier, { ...inside, fallback });
  };
  visit(root, {});
  return leaves;
}

interface Surroundings {
  readonly resource?: string | undefined;
  readonly legacyResources?: readonly string[] | undefined;
  readonly scopeSatisfies?: ScopeSatisfies | undefined;
  /** The list of a composition around: it stands above the verifier's own, the empty list too. */
  readonly override?: readonly string[] | undefined;
  /** The server's list: it stands in where the verifier was given none. */
  readonly fallback?: readonly string[] | undefined;
}

function scopeRule(source: Source, { override, fallback }: Surroundings): Pick<Leaf, 'requiredScopes' | 'ruleOwner'> {
  if (override !== undefined) return { requiredScopes: override, ruleOwner: 'composition' };
  const own = source.settings.requiredScopes;
  if (own !== undefined) return { requiredScopes: own, ruleOwner: 'source' };
  return { requiredScopes: fallback ?? [], ruleOwner: fallback && 'server' };
}

/** The composition's own translation of required scopes into those to ask for, else the server's, else the only verifier's. */
function translator(source: Source): (required: readonly string[]) => readonly string[] {
  const own = source.settings.challengeScopes;
  if (own !== undefined) return required => translate(own, declaredScopes(source), required);
  if (source.server !== undefined) return translator(source.server);
  const [only, ...others] = source.verifiers ?? [];
  return only !== undefined && others.length === 0 ? translator(only) : required => required;
}

function translate(own: ChallengeScopes, level: readonly string[], required: readonly string[]): readonly string[] {
  if (typeof own === 'function') {
    try {
      const scopes: unknown = own(required);
      disregard(scopes);
      return Array.isArray(scopes) ? unique(scopes.filter(isScope)) : required;
    } catch {
      return required;
    }
  }
  // The list stands for the scopes of its level; once one of them is no longer asked for, it stands for nothing.
  if (!level.every(scope => required.includes(scope))) return required;
  return unique([...own, ...required.filter(scope => !level.includes(scope))]);
}

function isScope(value: unknown): value is string {
  return typeof value === 'string' && isScopeToken(value);
}
