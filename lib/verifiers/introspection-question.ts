import { UnavailableError } from '../core/errors.js';
import { deepFreeze } from '../core/freeze.js';
import { AnswerError, deadline, type Fetch, failureText, fetchJson } from '../net/fetch-json.js';
import { basicAuthorization } from '../oauth/basic.js';
import type { Claims } from './claims.js';

export interface IntrospectionEndpoint {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly method: 'client_secret_basic' | 'client_secret_post';
  readonly timeoutMs: number;
  readonly fetch: Fetch | undefined;
}

export interface IntrospectionAnswer {
  readonly claims: Claims;
  /** Length of the answer as JSON. */
  readonly size: number;
}

export interface Questions {
  /** @throws UnavailableError for anything but an answer of RFC 7662 section 2.2 */
  ask(token: string): Promise<IntrospectionAnswer>;
  /** Ends those under way; none starts any more. */
  close(): void;
}

/** The endpoint is there and does not like this one token: too long for it, of odd characters. */
export class OddTokenError extends AnswerError {}

const ODD_TOKEN = [400, 413, 414, 422, 431];
const MAX_BYTES = 256 * 1_024;

/** Questions to an introspection endpoint (RFC 7662 section 2.1), each within a time limit. */
export function questionsTo(endpoint: IntrospectionEndpoint): Questions {
  const { url, clientId, clientSecret, method, timeoutMs, fetch } = endpoint;
  const isBasic = method === 'client_secret_basic';
  const headers: Record<string, string> = { 'Content-Type': 'application/x-www-form-urlencoded' };
  if (isBasic) headers.Authorization = basicAuthorization(clientId, clientSecret);
  const underWay = new Set<() => void>();
  let isClosed = false;

  const ask = async (token: string): Promise<IntrospectionAnswer> => {
    const form = new URLSearchParams({ token, token_type_hint: 'access_token' });
    if (!isBasic) {
      form.set('client_id', clientId);
      form.set('client_secret', clientSecret);
    }
    const { signal, abort, done } = deadline(timeoutMs);
    if (isClosed) abort();
    underWay.add(abort);
    try {
      const request = {
        fetch,
        url,
        method: 'POST',
        headers,
        body: form.toString(),
        maxBytes: MAX_BYTES,
        signal,
      } as const;
      signal.throwIfAborted();
      const { status, json } = await fetchJson(request);
      if (status !== 200) {
        const Failure = ODD_TOKEN.includes(status) ? OddTokenError : AnswerError;
        throw new Failure(`expected status 200, got ${status}`);
      }
      const claims = json as Record<string, unknown> | null;
      if (typeof claims !== 'object' || claims === null || typeof claims.active !== 'boolean')
        throw new AnswerError('expected an object with a boolean active');
      return { claims: deepFreeze(claims), size: JSON.stringify(claims).length };
    } catch (cause) {
      throw new UnavailableError(`the introspection endpoint gave no answer (${failureText(cause)})`, { cause });
    } finally {
      done();
      underWay.delete(abort);
    }
  };

  return {
    ask,
    close() {
      isClosed = true;
      for (const abort of underWay) abort();
    },
  };
}
