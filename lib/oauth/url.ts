const LOOPBACK = /^(localhost|(.+\.)?localhost|127(\.\d{1,3}){3}|\[::1\])$/;

export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname.toLowerCase());
}

/**
 * What is wrong with a URL that users, tokens or credentials travel to, or `null`. It never repeats the URL itself.
 *
 * @param rules `isIdentifier` for a URL that others are built on, which can have neither query nor fragment
 */
export function urlProblem(value: string, { allowHttp = false, isIdentifier = false } = {}): string | null {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return 'is not an absolute URL';
  }
  if (!/^[\x21-\x7e]+$/.test(value) || /[\\"<>^`{|}]/.test(value))
    return 'holds characters that a URL may only hold percent-encoded';
  if (url.username !== '' || url.password !== '') return 'carries a user name or password';
  if (!/^https?:\/\/[^/]/i.test(value)) return 'is no http(s) URL';
  if (url.protocol !== 'https:' && !allowHttp && !isLoopback(url.hostname))
    return 'is http on a host that is not loopback';
  if (isIdentifier && /[?#]/.test(value)) return 'has a query or a fragment';
  return null;
}

/** Scheme and authority of a URL as written, and all that follows. */
export function splitOrigin(url: string): { origin: string; rest: string } {
  const [, origin = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/[^/?#\\]*)(.*)$/is.exec(url) ?? [];
  return { origin, rest };
}

/** The path of a URL as written, without query and fragment. */
export function pathOf(url: string): string {
  return splitOrigin(url).rest.replace(/[?#].*$/s, '');
}

// Segments of visible ASCII without % and \, none of which is empty or starts with a dot.
const PLAIN_TARGET = /^(?:\/(?![./])[!"$&-.0->@-[\]-~]*)+(?=\?|$)/;

/** Whether all parsers find the same path in a request target. */
export function isPlainTarget(target: string): boolean {
  return PLAIN_TARGET.test(target);
}

/**
 * The path that `new URL(req.url, base)` finds in a request target (WHATWG URL), which is how handlers without a router
 * look for it: `//host/path` and any scheme hide the path from a parser of paths. `null` where it finds none.
 */
export function whatwgPath(target: string): string | null {
  return URL.canParse(target, 'http://localhost') ? new URL(target, 'http://localhost').pathname : null;
}
