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
  const canonical = new Set(resources.map(canonicalResource).filter(resource => resource !== null));
  return candidate => {
    if (exact.has(candidate)) return true;
    const other = candidate.length <= 2_048 ? canonicalResource(candidate) : null;
    return other !== null && canonical.has(other);
  };
}

function canonicalResource(resource: string): string | null {
  const { origin, rest } = splitOrigin(resource);
  // A backslash or a user name would be read in two ways by two parsers.
  if (origin === '' || /[\\@\s]/.test(origin) || rest.startsWith('\\') || !URL.canParse(origin)) return null;
  const { protocol, host } = new URL(origin);
  return `${protocol}//${host}${rest.replace(/\/$/, '')}`;
}
