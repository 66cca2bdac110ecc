import { UnavailableError } from '../core/errors.js';
import { Recent } from '../core/recent.js';
import type { Token } from '../core/token.js';
import type { Claims } from './claims.js';
import { type IntrospectionEndpoint, OddTokenError, questionsTo } from './introspection-question.js';
import { Slots } from './slots.js';

export interface IntrospectionOptions extends IntrospectionEndpoint {
  readonly cacheTtlSeconds: number;
  readonly maxCacheEntries: number;
  readonly now: () => number;
}

export interface IntrospectionClient {
  /** The answer for a token; at once where it is known. Throws `UnavailableError` where there is none. */
  introspect(token: Token): Claims | Promise<Claims>;
  /** Ends what is under way and forgets what was answered. */
  close(): void;
}

const MAX_UNDER_WAY = 50;
const MAX_WAITING = 1_000;
const FAILURES_TO_OPEN = 2;
const INACTIVE_SECONDS = 10;

/** An introspection endpoint (RFC 7662) whose answers are remembered; `close()` starts anew. */
export function introspectionClient(options: IntrospectionOptions): IntrospectionClient {
  let session = sessionOf(options);
  return {
    introspect: token => session.introspect(token),
    close() {
      session.close();
      session = sessionOf(options);
    },
  };
}

/** Never asks twice at once about a token, bounds what is under way, and leaves an endpoint alone that fails. */
function sessionOf(options: IntrospectionOptions): IntrospectionClient {
  const answers = answersOf(options);
  const questions = questionsTo(options);
  const underWay = new Map<string, Promise<Claims>>();
  const slots = new Slots(MAX_UNDER_WAY, {
    maxWaiting: MAX_WAITING,
    timeoutMs: options.timeoutMs,
    busy: () =>
      new UnavailableError('too many questions to the introspection endpoint at once', { retryAfterSeconds: 1 }),
  });
  let failuresInARow = 0;
  let isProbing = false;

  const ask = async (token: Token): Promise<Claims> => {
    try {
      const { claims, size } = await questions.ask(token.value);
      failuresInARow = 0;
      answers.set(token.digest, claims, size);
      return claims;
    } catch (error) {
      // A token that the endpoint does not like shows that it is there: strangers send such tokens, and nobody else is
      // to wait for them.
      failuresInARow = (error as Error).cause instanceof OddTokenError ? 0 : failuresInARow + 1;
      throw error;
    }
  };

  const askOrGiveUp = async (token: Token): Promise<Claims> => {
    const isProbe = failuresInARow >= FAILURES_TO_OPEN;
    if (isProbe && isProbing) throw new UnavailableError('the introspection endpoint failed a moment ago');
    if (isProbe) isProbing = true;
    else await slots.take();
    try {
      // Whoever waited for a slot may find that the endpoint has gone meanwhile.
      if (!isProbe && failuresInARow >= FAILURES_TO_OPEN)
        throw new UnavailableError('the introspection endpoint failed a moment ago');
      return await ask(token);
    } finally {
      if (isProbe) isProbing = false;
      else slots.give();
    }
  };

  return {
    introspect(token) {
      const known = answers.get(token.digest);
      if (known !== undefined) return known;
      let question = underWay.get(token.digest);
      if (question === undefined) {
        question = askOrGiveUp(token).finally(() => underWay.delete(token.digest));
        underWay.set(token.digest, question);
      }
      return question;
    },
    close() {
      slots.close();
      questions.close();
    },
  };
}

interface Remembered {
  readonly claims: Claims;
  readonly from: number;
  readonly until: number;
}

/** The answers that are still good. */
function answersOf({ cacheTtlSeconds, maxCacheEntries, now }: IntrospectionOptions) {
  const isOff = cacheTtlSeconds === 0 || maxCacheEntries === 0;
  const cache = () => new Recent<Remembered>({ max: maxCacheEntries, maxSize: maxCacheEntries * 4_096 });
  // Kept apart, so that a flood of made-up tokens pushes out no answer about a good one.
  const [active, inactive] = isOff ? [] : [cache(), cache()];
  const fresh = (remembered: Remembered | undefined): Claims | undefined => {
    if (remembered === undefined) return undefined;
    const time = now();
    // Before `from` the clock has stepped back, and nobody knows how old the answer is.
    return remembered.from <= time && time < remembered.until ? remembered.claims : undefined;
  };

  return {
    get: (digest: string): Claims | undefined => fresh(active?.get(digest)) ?? fresh(inactive?.get(digest)),
    set(digest: string, claims: Claims, size: number): void {
      const isActive = claims.active === true;
      const seconds = isActive ? cacheTtlSeconds : Math.min(cacheTtlSeconds, INACTIVE_SECONDS);
      const from = now();
      const until = from + seconds * 1_000;
      (isActive ? inactive : active)?.delete(digest);
      (isActive ? active : inactive)?.set(
        digest,
        { claims, from, until: isActive ? endOf(claims, until) : until },
        size,
      );
    },
  };
}

// Never past exp: a token that was prolonged meanwhile is asked about again.
function endOf({ exp }: Claims, latest: number): number {
  return typeof exp === 'number' ? Math.min(latest, exp * 1_000) : latest;
}
