import { AnswerError, type Fetch, failureText, fetchJson } from '../../net/fetch-json.js';
import { splitOrigin, urlProblem } from '../../oauth/url.js';
import type { Locate } from './remote-key-set.js';

const MAX_BYTES = 256 * 1_024;

/**
 * Where an issuer publishes its metadata: RFC 8414 section 3.1 first, then OpenID Connect with the well-known segment
 * in both places that are in use.
 */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, rest } = splitOrigin(issuer);
  const path = rest.replace(/\/$/, '');
  const urls = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/openid-configuration${path}`,
  ];
  return [...new Set(urls)];
}

/**
 * The metadata of an issuer. A document counts only when it names exactly this issuer (RFC 8414 section 3.3), or
 * anybody who can serve a file there could speak for it; and only with the members that are needed.
 */
export async function discoverIssuer<T>(
  issuer: string,
  { fetch, signal, read }: { fetch: Fetch | undefined; signal: AbortSignal; read: (document: Document) => T },
): Promise<T> {
  const failures: string[] = [];
  for (const url of metadataUrls(issuer)) {
    try {
      const { status, json } = await fetchJson({ fetch, url, maxBytes: MAX_BYTES, signal });
      if (status !== 200) throw new AnswerError(`status ${status}`);
      return read(documentOf(json, issuer));
    } catch (error) {
      if (signal.aborted) throw error;
      failures.push(`${url}: ${failureText(error)}`);
    }
  }
  throw new AnswerError(`no metadata of the issuer was found (${failures.join('; ')})`);
}

/** The metadata document of an issuer (RFC 8414 section 2). */
export type Document = Readonly<Record<string, unknown>>;

/** Finds the key set of an issuer. */
export function discoverKeySet(issuer: string, fetch: Fetch | undefined): Locate {
  return signal => discoverIssuer(issuer, { fetch, signal, read: document => urlMember(document, 'jwks_uri', issuer) });
}

/** A URL that a document names; https unless the issuer itself is on loopback. @throws AnswerError */
export function urlMember(document: Document, member: string, issuer: string): string {
  const url = document[member];
  if (typeof url !== 'string') throw new AnswerError(`names no ${member}`);
  const problem = urlProblem(url);
  if (problem !== null) throw new AnswerError(`names a ${member} that ${problem}`);
  if (issuer.startsWith('https:') && !/^https:/i.test(url))
    throw new AnswerError(`names a ${member} that is not https`);
  return url;
}

function documentOf(json: unknown, issuer: string): Document {
  if (typeof json !== 'object' || json === null) throw new AnswerError('is no JSON object');
  const named = (json as Document).issuer;
  if (named !== issuer)
    throw new AnswerError(
      `names the issuer ${JSON.stringify(named)?.slice(0, 100)}, expected ${JSON.stringify(issuer)}`,
    );
  return json as Document;
}
