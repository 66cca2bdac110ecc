import { LRUCache } from 'lru-cache';
import { UnavailableError } from '../core/errors.js';
import { deepFreeze } from '../core/freeze.js';
import type { Token } from '../core/token.js';
import { AnswerError, deadline, type Fetch, failureText, fetchJson } from '../net/fetch-json.js';
import type { Claims } from './claims.js';

export interface IntrospectionEndpoint {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly method: 'client_secret_basic' | 'client_secret_post';
  readonly cacheTtlSeconds: number;
  readonly maxCacheEntries: number;
  readonly timeoutMs: number;
  readonly fetch: Fetch | undefined;
  readonly now: () => number;
}

/** The answer of the endpoint for a token; at once where it is known. Throws `UnavailableError` where there is none. */
export type Introspect = (token: Token) => Claims | Promise<Claims>;

const MAX_UNDER_WAY = 50;
const MAX_WAITING = 1_000;
const FAILURES_TO_OPEN = 2;
const INACTIVE_SECONDS = 10;
const MAX_BYTES = 256 * 1_024;

/** Questions to an introspection endpoint (RFC 7662 section 2): remembered, never asked twice at once, bounded. */
export function introspectionClient(options: IntrospectionEndpoint): Introspect {
  const { cacheTtlSeconds, now } = options;
  const active = answerCache(options);
  // Kept apart, so that a flood of made-up tokens pushes out no answer about a good one.
  const inactive = answerCache(options);
  const underWay = new Map<string, Promise<Claims>>();
  const slots = slotsOf(MAX_UNDER_WAY, options.timeoutMs);
  const ask = questionOf(options);
  let failuresInARow = 0;
  let isProbing = false;

  const askOrGiveUp = async (token: Token): Promise<Claims> => {
    const isProbe = failuresInARow >= FAILURES_TO_OPEN;
    if (isProbe && isProbing) throw new UnavailableError('the introspection endpoint failed a moment ago');
    if (isProbe) isProbing = true;
    else await slots.take();
    try {
      // Whoever waited for a slot may find that the endpoint has gone meanwhile.
      if (!isProbe && failuresInARow >= FAILURES_TO_OPEN)
        throw new UnavailableError('the introspection endpoint failed a moment ago');
      const { claims, size } = await ask(token.value).catch(error => {
        failuresInARow++;
        throw error;
      });
      failuresInARow = 0;
      if (claims.active === true)
        active?.set(
          token.digest,
          { claims, goodUntil: goodUntilOf(claims, now() + cacheTtlSeconds * 1_000) },
          { size },
        );
      else
        inactive?.set(
          token.digest,
          { claims, goodUntil: now() + Math.min(cacheTtlSeconds, INACTIVE_SECONDS) * 1_000 },
          { size },
        );
      return claims;
    } finally {
      if (isProbe) isProbing = false;
      else slots.give();
    }
  };

  return token => {
    const known = active?.get(token.digest) ?? inactive?.get(token.digest);
    if (known !== undefined && now() < known.goodUntil) return known.claims;
    let question = underWay.get(token.digest);
    if (question === undefined) {
      question = askOrGiveUp(token).finally(() => underWay.delete(token.digest));
      underWay.set(token.digest, question);
    }
    return question;
  };
}

interface Remembered {
  readonly claims: Claims;
  readonly goodUntil: number;
}

function answerCache({
  cacheTtlSeconds,
  maxCacheEntries,
}: IntrospectionEndpoint): LRUCache<string, Remembered> | undefined {
  if (cacheTtlSeconds === 0 || maxCacheEntries === 0) return undefined;
  return new LRUCache({ max: maxCacheEntries, maxSize: maxCacheEntries * 4_096 });
}

// Never past exp: a token that was prolonged meanwhile is asked about again.
function goodUntilOf({ exp }: Claims, latest: number): number {
  return typeof exp === 'number' ? Math.min(latest, exp * 1_000) : latest;
}

function questionOf(options: IntrospectionEndpoint): (token: string) => Promise<{ claims: Claims; size: number }> {
  const { url, clientId, clientSecret, method, timeoutMs, fetch } = options;
  const isBasic = method === 'client_secret_basic';
  const headers: Record<string, string> = { 'Content-Type': 'application/x-www-form-urlencoded' };
  if (isBasic)
    headers.Authorization = `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(clientSecret)}`).toString('base64')}`;

  return async token => {
    const form = new URLSearchParams({ token, token_type_hint: 'access_token' });
    if (!isBasic) {
      form.set('client_id', clientId);
      form.set('client_secret', clientSecret);
    }
    const { signal, done } = deadline(timeoutMs);
    try {
      const { status, json } = await fetchJson({
        fetch,
        url,
        method: 'POST',
        headers,
        body: form.toString(),
        maxBytes: MAX_BYTES,
        signal,
      });
      if (status !== 200) throw new AnswerError(`expected status 200, got ${status}`);
      const claims = json as Record<string, unknown> | null;
      if (typeof claims !== 'object' || claims === null || typeof claims.active !== 'boolean')
        throw new AnswerError('expected an object with a boolean active');
      return { claims: deepFreeze(claims), size: JSON.stringify(claims).length };
    } catch (cause) {
      throw new UnavailableError(`the introspection endpoint gave no answer (${failureText(cause)})`, { cause });
    } finally {
      done();
    }
  };
}

// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
function formEncode(value: string): string {
  return new URLSearchParams({ '': value }).toString().slice(1);
}

/** At most so many at a time; who waits longer than the endpoint may take is told to come back. */
function slotsOf(size: number, timeoutMs: number) {
  let free = size;
  const waiting = new Set<() => void>();
  const busy = () =>
    new UnavailableError('too many questions to the introspection endpoint at once', { retryAfterSeconds: 1 });
  return {
    take(): Promise<void> {
      if (free > 0) {
        free--;
        return Promise.resolve();
      }
      if (waiting.size >= MAX_WAITING) return Promise.reject(busy());
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(enter);
          reject(busy());
        }, timeoutMs);
        timer.unref();
        const enter = () => {
          clearTimeout(timer);
          resolve();
        };
        waiting.add(enter);
      });
    },
    give(): void {
      const [next] = waiting;
      if (next === undefined) {
        free++;
        return;
      }
      waiting.delete(next);
      next();
    },
  };
}
