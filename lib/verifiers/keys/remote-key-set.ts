import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { TokenBucket } from '../../core/token-bucket.js';
import { AnswerError, deadline, type Fetch, failureText, fetchJson } from '../../net/fetch-json.js';
import { type Generations, type KeySource, matching } from './key-source.js';
import { VerificationKey } from './verification-key.js';

export interface RemoteKeySetOptions {
  readonly ttlSeconds: number;
  readonly staleSeconds: number;
  readonly burst: number;
  readonly refillSeconds: number;
  readonly timeoutMs: number;
  readonly fetch: Fetch | undefined;
  readonly now: () => number;
}

/** Finds the address of the key set; asked again after a failure. */
export type Locate = (signal: AbortSignal) => Promise<string>;

/** What a set has to ask and to tell whoever keeps it, until its first success. */
export interface Keeper {
  /** Called before each fetch; throws where it may not happen now. */
  admit(): void;
  loaded(): void;
}

const BACK_OFF_MS = 1_000;
const GRACE_MS = 250;
const YOUNG_MS = 1_000;
const MAX_BYTES = 512 * 1_024;

/**
 * A key set at a URL (RFC 7517 section 5), by the rules of section 6 of the design: one fetch at a time, a short wait
 * for a refresh and then the old set, a pause after a failure, a bucket for keys that nobody knows.
 */
export class RemoteKeySet implements KeySource {
  generation = 0;
  readonly #name: string;
  readonly #locate: Locate;
  readonly #options: RemoteKeySetOptions;
  readonly #bucket: TokenBucket;
  readonly #keeper: Keeper | undefined;
  #url: string | undefined;
  #keys: readonly VerificationKey[] = [];
  #fetchedAt: number | undefined;
  #failedAt: number | undefined;
  #running: { readonly done: Promise<void>; grace: Promise<void> | undefined; readonly abort: () => void } | undefined;

  /**
   * @param name what events call the set until its URL is known
   */
  constructor(name: string, locate: Locate, options: RemoteKeySetOptions, keeper?: Keeper) {
    this.#name = name;
    this.#locate = locate;
    this.#options = options;
    this.#keeper = keeper;
    this.#bucket = new TokenBucket(options.burst, options.refillSeconds * 1_000, options.now);
  }

  /** Whether a fetch is under way, or failed so recently that none may start. */
  get isBusy(): boolean {
    return this.#running !== undefined || this.#isBackingOff();
  }

  settle(): Promise<void> | undefined {
    const { ttlSeconds, staleSeconds } = this.#options;
    const age = this.#age();
    if (age < ttlSeconds * 1_000) return undefined;
    if (age >= (ttlSeconds + staleSeconds) * 1_000) return this.#fetch();
    if (this.#running === undefined) {
      if (this.#isBackingOff()) return undefined;
      void this.#fetch().catch(() => {});
    }
    // Everybody who comes within the first moments of a refresh waits for it; later ones are not delayed.
    return this.#running?.grace;
  }

  find(alg: string, kid: string | undefined): readonly VerificationKey[] {
    return matching(this.#keys, alg, kid);
  }

  has(kid: string): boolean {
    return this.#keys.some(key => key.kid === kid);
  }

  async renew(why: 'unknown_kid' | 'mismatch', { before, searched }: Generations): Promise<boolean> {
    if (this.generation > searched) return true;
    if (searched > before) return false;
    if (why === 'unknown_kid') {
      if (this.#running === undefined && !this.#isBackingOff()) this.#takeOrFail();
      await this.#fetch();
      return true;
    }
    if (!this.mayRenew()) return false;
    if (this.#running === undefined) this.#bucket.take();
    return this.#fetch().then(
      () => true,
      () => false,
    );
  }

  mayRenew(): boolean {
    if (this.#running !== undefined) return true;
    return this.#age() > YOUNG_MS && !this.#isBackingOff() && this.#bucket.hasToken;
  }

  async ready(): Promise<void> {
    if (this.#age() >= this.#options.ttlSeconds * 1_000) await this.#fetch();
  }

  close(): void {
    this.#running?.abort();
    for (const key of this.#keys) key.live = false;
    this.#keys = [];
    this.#fetchedAt = undefined;
  }

  /**
   * Milliseconds since the last success. When the clock has stepped back nobody knows: the set counts as due for a
   * refresh then, and as one that was due at this moment from then on.
   */
  #age(): number {
    if (this.#fetchedAt === undefined) return Number.POSITIVE_INFINITY;
    const now = this.#options.now();
    if (now < this.#fetchedAt) this.#fetchedAt = now - this.#options.ttlSeconds * 1_000;
    return now - this.#fetchedAt;
  }

  #takeOrFail(): void {
    if (!this.#bucket.take())
      throw new UnavailableError('unknown signing key, and the key set was fetched too often to ask again now', {
        retryAfterSeconds: this.#bucket.retryAfterSeconds,
      });
  }

  #isBackingOff(): boolean {
    if (this.#failedAt === undefined) return false;
    const since = this.#options.now() - this.#failedAt;
    return since >= 0 && since < BACK_OFF_MS;
  }

  /** Joins the fetch under way or starts one. */
  #fetch(): Promise<void> {
    if (this.#running !== undefined) return this.#running.done;
    if (this.#isBackingOff())
      return Promise.reject(
        new UnavailableError('the key set could not be fetched a moment ago', { retryAfterSeconds: 1 }),
      );
    try {
      if (this.#fetchedAt === undefined) this.#keeper?.admit();
    } catch (error) {
      return Promise.reject(error);
    }
    const limit = deadline(this.#options.timeoutMs);
    const done = this.#load(limit.signal).finally(() => {
      limit.done();
      this.#running = undefined;
    });
    const running = { done, abort: limit.abort, grace: undefined as Promise<void> | undefined };
    running.grace = graceOf(done).finally(() => {
      running.grace = undefined;
    });
    this.#running = running;
    return done;
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { fetch, now } = this.#options;
    try {
      this.#url ??= await this.#locate(signal);
      const { status, json } = await fetchJson({ fetch, url: this.#url, maxBytes: MAX_BYTES, signal });
      if (status !== 200) throw new AnswerError(`expected status 200, got ${status}`);
      const { keys } = (json ?? {}) as { keys?: unknown };
      if (!Array.isArray(keys)) throw new AnswerError('expected an object with a list of keys');
      this.#install(keys);
      if (this.#fetchedAt === undefined) this.#keeper?.loaded();
      this.#fetchedAt = now();
      this.#failedAt = undefined;
      this.generation++;
      const { url, count } = { url: this.#url, count: this.#keys.length };
      publish('keys_fetched', undefined, () => ({ url: withoutQuery(url), keys: count }));
    } catch (cause) {
      this.#failedAt = now();
      const url = this.#url ?? this.#name;
      this.#url = undefined;
      publish('keys_failed', undefined, () => ({ url: withoutQuery(url), message: failureText(cause) }));
      throw new UnavailableError('the key set could not be fetched', { retryAfterSeconds: 1, cause });
    }
  }

  // A key that came again keeps its record, and with it the tokens that it has verified.
  #install(jwks: readonly unknown[]): void {
    const before = new Map(this.#keys.map(key => [key.identity, key]));
    const after = new Map<string, VerificationKey>();
    for (const jwk of jwks) {
      const key = VerificationKey.read(jwk);
      if (key !== null) after.set(key.identity, before.get(key.identity) ?? key);
    }
    for (const [identity, key] of before) if (!after.has(identity)) key.live = false;
    this.#keys = [...after.values()];
  }
}

// The query may hold the key of an API.
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '');
}

function graceOf(done: Promise<void>): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, GRACE_MS);
    timer.unref();
    done
      .catch(() => {})
      .finally(() => {
        clearTimeout(timer);
        resolve();
      });
  });
}
