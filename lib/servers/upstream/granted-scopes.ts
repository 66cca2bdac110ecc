import { ConfigError } from '../../core/errors.js';
import { kindOf } from '../../core/options.js';
import { parseScopes, unique } from '../../oauth/scope.js';
import type { GrantScopes, UpstreamConfig } from './upstream-config.js';

/** The scopes that the provider is asked for, for what the person consented to. */
export function requestedUpstream(
  { scopes, verifies }: UpstreamConfig,
  consented: readonly string[],
): readonly string[] {
  const asked = scopes === undefined ? consented : typeof scopes === 'function' ? scopes(consented) : scopes;
  return verifies === 'id_token' ? unique(['openid', ...asked]) : unique(asked);
}

/**
 * What is granted of what was consented to, and never more.
 *
 * @param reported the `scope` of the provider's answer; absent means as requested (RFC 6749 section 5.1)
 */
export async function grantedOf(
  config: UpstreamConfig,
  identity: Parameters<GrantScopes>[0],
  consented: readonly string[],
  reported: string | undefined,
): Promise<readonly string[]> {
  const { scopes, grantScopes, defaultScopes } = config;
  // A fixed list says nothing about our scopes; then the operator does, or the defaults do and nothing more.
  if (Array.isArray(scopes)) {
    const granted = grantScopes === undefined ? defaultScopes : await decide(grantScopes, identity, consented);
    return consented.filter(scope => granted.includes(scope));
  }
  const upstream = reported === undefined ? requestedUpstream(config, consented) : parseScopes(reported);
  const translate = typeof scopes === 'function' ? scopes : (list: readonly string[]) => list;
  const byUpstream = consented.filter(scope => {
    const asked = translate([scope]);
    // Nothing that a person could lack upstream stands for this scope: again the operator decides, or the defaults do.
    if (asked.length === 0) return grantScopes !== undefined || defaultScopes.includes(scope);
    return asked.every(one => upstream.includes(one));
  });
  if (grantScopes === undefined) return byUpstream;
  const granted = await decide(grantScopes, identity, consented);
  return byUpstream.filter(scope => granted.includes(scope));
}

// A string would grant every scope that is a part of it.
async function decide(
  grantScopes: GrantScopes,
  ...[identity, consented]: Parameters<GrantScopes>
): Promise<readonly string[]> {
  const granted: unknown = await grantScopes(identity, consented);
  if (!Array.isArray(granted))
    throw new ConfigError(
      'oauthProxy',
      'grantScopes',
      `must answer a list of scopes, got ${kindOf(granted)}`,
      'Return an array of strings.',
    );
  return granted as readonly string[];
}
