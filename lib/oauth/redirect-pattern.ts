import { loopbackUri, redirectProblem, type WebUri, webUri } from './redirect-syntax.js';

/** Whether a redirect URI is one of those that an operator meant. Linear in its length. */
export type RedirectMatcher = (uri: string) => boolean;

const PATTERN = /^(https?):\/\/(\[[^\]]*\]|[^/:?#[\]]+)(?::([^/?#]*))?(\/[^?#]*)?(\?.*)?$/i;
// Servers that know path parameters take `..;x` for a dot segment.
const DOT_SEGMENT = /\/\.{1,2}(?:[/;]|$)/;
// Encoded dots, slashes, backslashes, semicolons and percent signs, which one server on the way may decode and the next
// one resolve.
const HIDDEN_SEGMENT = /%(?:2[ef5]|3b|5c)/i;

/**
 * An operator's entry for redirect URIs: an exact URI, or a pattern in which `*` is the whole left-most label of the
 * host (one label), the port (any), or the whole last segment of the path (the rest of the path). A loopback URI
 * without a port means any port (RFC 8252 section 7.3).
 *
 * @throws Error whose message says what is wrong with the entry
 */
export function redirectPattern(pattern: string): RedirectMatcher {
  if (pattern.includes('*')) return wildcard(pattern);
  const problem = redirectProblem(pattern);
  if (problem !== null) throw new Error(problem);
  const loopback = loopbackUri(pattern);
  if (loopback === null || loopback.port !== undefined) return uri => uri === pattern;
  return uri => {
    const other = loopbackUri(uri);
    return other !== null && other.host === loopback.host && other.rest === loopback.rest;
  };
}

function wildcard(pattern: string): RedirectMatcher {
  const [, scheme, host, port, path, query] = PATTERN.exec(pattern) ?? [];
  if (scheme === undefined || host === undefined)
    throw new Error('holds a * and is no http(s) URL: a private-use scheme is only allowed as an exact URI');
  const matchesHost = hostMatcher(host);
  const matchesPort = portMatcher(port, `${scheme}://${host}`);
  const matchesPath = pathMatcher(path);
  if (query?.includes('*')) throw new Error('holds a * in the query');
  const sample = `${scheme}://${host.replace('*', 'a')}${port === undefined ? '' : `:${port === '*' ? 1 : port}`}`;
  const problem = redirectProblem(`${sample}${path?.replace(/\*$/, 'a') ?? ''}${query ?? ''}`);
  if (problem !== null) throw new Error(problem);

  const matches = (web: WebUri) =>
    web.scheme === scheme &&
    matchesHost(web.host.toLowerCase()) &&
    matchesPort(web.port) &&
    matchesPath(web.path) &&
    web.query === query;
  return uri => {
    if (redirectProblem(uri) !== null) return false;
    const web = webUri(uri);
    return web !== null && matches(web);
  };
}

function hostMatcher(host: string): RedirectMatcher {
  const lower = host.toLowerCase();
  if (!lower.includes('*')) return candidate => candidate === lower;
  const suffix = lower.slice(1);
  if (!lower.startsWith('*.') || suffix.includes('*'))
    throw new Error('holds a * in the host that is not its whole left-most label');
  if (!/^\.[^.]+\.[^.]/.test(suffix)) throw new Error('leaves no domain after the * of its host');
  return candidate => {
    const label = candidate.endsWith(suffix) ? candidate.slice(0, -suffix.length) : '';
    return label !== '' && !label.includes('.');
  };
}

function portMatcher(port: string | undefined, origin: string): (candidate: string | undefined) => boolean {
  if (port === '*' || (port === undefined && loopbackUri(origin) !== null)) return () => true;
  if (port?.includes('*')) throw new Error('holds a * in the port that is not all of it');
  return candidate => candidate === port;
}

function pathMatcher(path: string | undefined): (candidate: string | undefined) => boolean {
  if (path === undefined || !path.includes('*')) return candidate => candidate === path;
  const prefix = path.slice(0, -1);
  if (!path.endsWith('/*') || prefix.includes('*'))
    throw new Error('holds a * in the path that is not its whole last segment');
  if (DOT_SEGMENT.test(prefix) || HIDDEN_SEGMENT.test(prefix)) throw new Error('holds a dot segment in the path');
  return (candidate = '') =>
    candidate.startsWith(prefix) && !DOT_SEGMENT.test(candidate) && !HIDDEN_SEGMENT.test(candidate);
}
