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
 * Finds the key set of an issuer. A document counts only when it names exactly this issuer (RFC 8414 section 3.3), or
 * anybody who can serve a file there could bring keys.
 */
export function discoverKeySet(issuer: string, fetch: Fetch | undefined): Locate {
  return async signal => {
    const failures: string[] = [];
    for (const url of metadataUrls(issuer)) {
      try {
        const { status, json } = await fetchJson({ fetch, url, maxBytes: MAX_BYTES, signal });
        if (status !== 200) throw new AnswerError(`status ${status}`);
        return keySetOf(json, issuer);
      } catch (error) {
        if (signal.aborted) throw error;
        failures.push(`${url}: ${failureText(error)}`);
      }
    }
    throw new AnswerError(`no metadata of the issuer was found (${failures.join('; ')})`);
  };
}

function keySetOf(document: unknown, issuer: string): string {
  if (typeof document !== 'object' || document === null) throw new AnswerError('is no JSON object');
  const { issuer: named, jwks_uri: uri } = document as Record<string, unknown>;
  if (named !== issuer)
    throw new AnswerError(
      `names the issuer ${JSON.stringify(named)?.slice(0, 100)}, expected ${JSON.stringify(issuer)}`,
    );
  if (typeof uri !== 'string') throw new AnswerError('names no jwks_uri');
  const problem = urlProblem(uri);
  if (problem !== null) throw new AnswerError(`names a jwks_uri that ${problem}`);
  if (issuer.startsWith('https:') && !/^https:/i.test(uri)) throw new AnswerError('names a jwks_uri that is not https');
  return uri;
}
