import { memo } from '../core/memo.js';
import { splitOrigin } from './url.js';

/**
 * The public URL of the MCP endpoint, byte for byte as configured but for the slash between the two parts.
 * The path `/` adds nothing.
 */
export function resourceUrl(base: string, mcpPath: string): string {
  return mcpPath === '/' ? base : base.replace(/\/$/, '') + mcpPath;
}

/**
 * A comparison with fixed resources: scheme, host and port as parsed, the rest byte for byte but for one trailing
 * slash. So `https://h` and `https://h/` are one resource, which is how MCP clients send it.
 */
export function resourceMatcher(resources: readonly string[]): (candidate: string) => boolean {
  const exact = new Set(resources);
  const originsByRest = new Map<string, Set<string | null>>();
  for (const resource of resources) {
    const { origin, rest } = splitResource(resource);
    originsByRest.set(rest, (originsByRest.get(rest) ?? new Set()).add(canonicalOrigin(origin)));
  }
  return candidate => {
    if (exact.has(candidate)) return true;
    if (candidate.length > 2_048) return false;
    // Strangers choose candidates, and a URL takes long to parse: only where the rest fits, and the same one once.
    const { origin, rest } = splitResource(candidate);
    const origins = originsByRest.get(rest);
    const canonical = origins && canonicalOrigin(origin);
    return canonical !== null && canonical !== undefined && origins?.has(canonical) === true;
  };
}

function splitResource(resource: string): { origin: string; rest: string } {
  const { origin, rest } = splitOrigin(resource);
  return { origin, rest: rest.replace(/\/$/, '') };
}

const canonicalOrigin = memo((origin): string | null => {
  // A backslash or a user name would be read in two ways by two parsers.
  if (origin === '' || /[\\@\s]/.test(origin) || !URL.canParse(origin)) return null;
  const { protocol, host } = new URL(origin);
  return `${protocol}//${host}`;
});
