export const DEFAULT_MCP_PATH = '/mcp';

const LITERAL_PATH = /^(\/|(\/[A-Za-z0-9._~-]+)+\/?)$/;

/** `/`, or segments of unreserved characters (RFC 3986 section 2.3), none of them a dot segment. */
export function isMcpPath(path: string): boolean {
  return LITERAL_PATH.test(path) && !path.split('/').some(segment => segment === '.' || segment === '..');
}

/**
 * A test whether a request path is one of the given paths or below it, as loosely as any router or proxy might read
 * it: without case, with repeated slashes, percent-encoding, backslashes and dot segments. What could be meant is
 * guarded: the reading as written and the decoded and resolved one both count. A dot ends a path as a slash does,
 * because Connect hands `/mcp.x` to what is mounted at `/mcp`.
 */
export function pathGuard(paths: readonly string[]): (path: string) => boolean {
  const guarded = [...new Set(paths.map(path => asWritten(decode(path))))];
  const covers = (path: string) =>
    guarded.some(base => base === '/' || (path.startsWith(base) && ['', '/', '.'].includes(path.charAt(base.length))));
  return path => {
    if (guarded.includes(path) || covers(asWritten(path))) return true;
    if (!/[%\\]|\/\./.test(path)) return false;
    const decoded = asWritten(decode(path));
    return covers(decoded) || covers(resolveDots(decoded));
  };
}

function asWritten(path: string): string {
  const slashed = path.toLowerCase().replace(/[/\\]+/g, '/');
  return slashed.length > 1 && slashed.endsWith('/') ? slashed.slice(0, -1) : slashed;
}

// Octet by octet: broken escapes stay as they are, and nothing throws.
function decode(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function resolveDots(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '.' && segment !== '') segments.push(segment);
  }
  return `/${segments.join('/')}`;
}
