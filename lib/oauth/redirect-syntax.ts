const MAX_LENGTH = 2_048;

/** Schemes whose target is code, a local file or another program: never redirected to, whatever an operator allows. */
const DANGEROUS = new Set([
  'about',
  'blob',
  'data',
  'file',
  'filesystem',
  'ftp',
  'intent',
  'jar',
  'javascript',
  'vbscript',
  'view-source',
  'ws',
  'wss',
]);

const URI_CHARACTERS = /^[\x21-\x7e]*$/;
const UNENCODABLE = /[\\"<>^`{|}]/;
const SCHEME = /^([a-z][a-z0-9+.-]*):/i;
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/([^/?]*)/i;
const WEB = /^(https?):\/\/(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([1-9]\d{0,4}))?(\/[^?]*)?(\?.*)?$/i;
const LOOPBACK = /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::([1-9]\d{0,4}))?((?:[/?].*)?)$/;

/** A web redirect URI in its parts as written; what is not there is `undefined`. */
export interface WebUri {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: string | undefined;
  readonly path: string | undefined;
  /** With its question mark. */
  readonly query: string | undefined;
}

/** `null` for anything but a well-formed http(s) URI without user name and fragment. */
export function webUri(uri: string): WebUri | null {
  const [, scheme, host, port, path, query] = WEB.exec(uri) ?? [];
  if (scheme === undefined || host === undefined || !uri.startsWith(`${scheme.toLowerCase()}:`)) return null;
  return { scheme: scheme as WebUri['scheme'], host, port, path, query };
}

/** Host, port and all that follows of `http` on 127.0.0.1, [::1] or localhost, literally (RFC 8252 section 7.3). */
export function loopbackUri(uri: string): { host: string; port: string | undefined; rest: string } | null {
  // On the raw text: a URL parser reads 127.1 and 2130706433 as 127.0.0.1 too.
  const [, host, port, rest] = LOOPBACK.exec(uri) ?? [];
  if (host === undefined || rest === undefined || Number(port ?? 1) > 65_535) return null;
  return { host, port, rest };
}

/**
 * What is wrong with a redirect URI whoever registers it, or `null`. It looks at the raw text before any URL parser
 * does, so that no two parsers can disagree about it, and never repeats it. Linear in its length.
 */
export function redirectProblem(uri: string): string | null {
  if (uri.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  if (!URI_CHARACTERS.test(uri) || UNENCODABLE.test(uri))
    return 'holds white space, a control character, a backslash or another character that a URI holds percent-encoded';
  if (uri.includes('#')) return 'carries a fragment';
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined) return 'is not an absolute URI';
  if (DANGEROUS.has(scheme)) return 'has a scheme that is never redirected to';
  if (AUTHORITY.exec(uri)?.[1]?.includes('@')) return 'carries a user name or password';
  if (scheme !== 'http' && scheme !== 'https') return null;
  const web = webUri(uri);
  // A host that a browser would rewrite (127.1, 0x7f.1, ::0:1) is not the host that a person reads.
  if (web === null || hostnameOf(uri) !== web.host.toLowerCase()) return 'is not a well-formed http(s) URL';
  if (web.scheme === 'http' && loopbackUri(uri) === null)
    return 'is http on a host that is not 127.0.0.1, [::1] or localhost';
  return null;
}

/** What a browser makes of the host; `null` where it can make nothing of the whole. */
function hostnameOf(uri: string): string | null {
  try {
    return new URL(uri).hostname;
  } catch {
    return null;
  }
}
