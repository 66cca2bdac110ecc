import type { Options } from '../core/options.js';
import type { ChallengeScopes, ScopeSatisfies, Settings } from '../core/settings.js';
import { isMcpPath } from '../oauth/mcp-path.js';
import { isScopeToken } from '../oauth/scope.js';
import { urlProblem } from '../oauth/url.js';

/** The options of every composition; the docs of each are on `MultiAuthOptions`. */
export const COMPOSITION_OPTIONS = [
  'name',
  'baseUrl',
  'resourceBaseUrl',
  'mcpPath',
  'legacyResources',
  'requiredScopes',
  'scopesSupported',
  'challengeScopes',
  'authorizationServers',
  'resourceName',
  'resourceDocumentation',
  'scopeSatisfies',
  'cors',
  'rootMetadata',
] as const;

/** @param allowHttp the operator said `dangerouslyAllowHttp` */
export function readSettings(options: Options, allowHttp = false): Settings {
  return {
    baseUrl: publicUrl(options, 'baseUrl', allowHttp),
    resourceBaseUrl: publicUrl(options, 'resourceBaseUrl', allowHttp),
    mcpPath: readMcpPath(options),
    legacyResources: urls(options, 'legacyResources'),
    requiredScopes: readScopes(options, 'requiredScopes'),
    scopesSupported: readScopes(options, 'scopesSupported'),
    challengeScopes: readChallengeScopes(options),
    authorizationServers: issuers(options),
    resourceName: options.string('resourceName'),
    resourceDocumentation: readDocumentation(options),
    scopeSatisfies: options.function<ScopeSatisfies>('scopeSatisfies'),
    cors: options.boolean('cors'),
    rootMetadata: options.boolean('rootMetadata'),
  };
}

export function readScopes(options: Options, option: string): readonly string[] | undefined {
  const scopes = options.list(option);
  for (const scope of scopes ?? [])
    if (!isScopeToken(scope))
      options.fail(
        option,
        `holds ${JSON.stringify(scope)}, which is not one scope (RFC 6749 section 3.3)`,
        'List each scope by itself: visible ASCII without spaces, " and \\.',
      );
  return scopes && Object.freeze([...new Set(scopes)]);
}

function readChallengeScopes(options: Options): ChallengeScopes | undefined {
  return typeof options.raw('challengeScopes') === 'function'
    ? options.function('challengeScopes')
    : readScopes(options, 'challengeScopes');
}

function readMcpPath(options: Options): string | undefined {
  const path = options.string('mcpPath');
  if (path !== undefined && !isMcpPath(path))
    options.fail(
      'mcpPath',
      `is ${JSON.stringify(path)}, which is no literal path`,
      "Start it with '/' and use segments of letters, digits and -._~ only, for example '/mcp'.",
    );
  return path;
}

/** A URL of ours, byte for byte: https, or http on loopback, without query and fragment. */
export function publicUrl(options: Options, option: string, allowHttp = false): string | undefined {
  const value = options.string(option);
  if (value === undefined) return undefined;
  const problem = urlProblem(value, { allowHttp, isIdentifier: true });
  if (problem !== null)
    options.fail(
      option,
      problem,
      "Give the public https URL, for example 'https://mcp.example.com' (http only for localhost).",
    );
  return value;
}

function urls(options: Options, option: string): readonly string[] | undefined {
  const list = options.list(option);
  for (const value of list ?? [])
    if (!/^https?:\/\/[^/?#\\@\s]/i.test(value) || !URL.canParse(value) || value.includes('#'))
      options.fail(
        option,
        'holds something that is no http(s) URL without fragment',
        'List the resource URLs that were in use before.',
      );
  return list;
}

function issuers(options: Options): readonly string[] | undefined {
  const list = options.list('authorizationServers');
  if (list?.length === 0)
    options.fail(
      'authorizationServers',
      'is an empty list',
      'Name at least one issuer, exactly as its own metadata spells it.',
    );
  for (const issuer of list ?? []) {
    const problem = urlProblem(issuer, { isIdentifier: true });
    if (problem !== null)
      options.fail(
        'authorizationServers',
        `holds an issuer that ${problem}`,
        'Give issuers exactly as their metadata spells them (RFC 8414 section 2).',
      );
  }
  return list;
}

function readDocumentation(options: Options): string | undefined {
  const value = options.string('resourceDocumentation');
  if (value !== undefined && !(URL.canParse(value) && /^https?:\/\//i.test(value)))
    options.fail('resourceDocumentation', 'is no http(s) URL', 'Give the URL of a page for developers.');
  return value;
}
