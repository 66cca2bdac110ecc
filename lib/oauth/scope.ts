import { memo } from '../core/memo.js';

/** RFC 6749 section 3.3: visible ASCII without `"` and `\`. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

export function isScopeToken(value: string): boolean {
  return SCOPE_TOKEN.test(value);
}

/** A `scope` value as a list: a string with any white space between its members, or a list. Duplicates collapse. */
export function parseScopes(value: unknown): readonly string[] {
  if (typeof value === 'string') return parseText(value);
  return Array.isArray(value) ? scopesOf(value) : NONE;
}

const NONE: readonly string[] = Object.freeze([]);

// The tokens of one client have one text.
const parseText = memo(text => scopesOf(text.split(/\s+/)));

function scopesOf(members: readonly unknown[]): readonly string[] {
  const scopes = new Set<string>();
  for (const member of members) if (typeof member === 'string' && isScopeToken(member)) scopes.add(member);
  return Object.freeze([...scopes]);
}

/** The scopes that a payload grants: the first of `scope`, `scp` and `permissions` that is present. */
export function grantedScopes(claims: Readonly<Record<string, unknown>>): readonly string[] {
  for (const name of ['scope', 'scp', 'permissions'])
    if (Object.hasOwn(claims, name) && claims[name] !== undefined && claims[name] !== null)
      return parseScopes(claims[name]);
  return parseScopes(undefined);
}

export function unique(scopes: readonly string[]): readonly string[] {
  return Object.freeze([...new Set(scopes)]);
}

/** `offline_access` is a wish to the authorization server, never a scope of a resource (MCP, scope selection). */
export function resourceScopes(scopes: readonly string[]): readonly string[] {
  return scopes.includes('offline_access') ? scopes.filter(scope => scope !== 'offline_access') : scopes;
}
