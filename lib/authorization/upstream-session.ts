import { setTimeout as sleep } from 'node:timers/promises';
import { UnavailableError } from '../core/errors.js';
import { publish } from '../core/events.js';
import { Recent } from '../core/recent.js';
import { randomToken } from '../crypto/key-ring.js';
import { type Grant, lifetimeOf, type UpstreamTokens } from './grant.js';
import type { Opened, Records } from './records.js';
import { type SignInLeg, UpstreamRefusal } from './sign-in.js';

const LEASE_MARGIN_MS = 5_000;
const POLL_MS = 50;
const MAX_REPLACES = 20;
const MAX_UNSAVED = 1_000;

type Lease = NonNullable<Grant['lease']>;

/**
 * Keeps the upstream tokens of grants fresh. A refresh is asked for once, whatever the number of requests and
 * replicas: providers that rotate would take a second question for a theft and end the session.
 */
export class UpstreamSession {
  readonly #grants: Records<Grant>;
  readonly #leg: SignInLeg;
  readonly #now: () => number;
  readonly #running = new Map<string, Promise<Opened<Grant> | null>>();
  // Answers that the store has not taken yet, by question: upstream gives each of them once.
  readonly #unsaved = new Recent<UpstreamTokens>({ max: MAX_UNSAVED });

  constructor(grants: Records<Grant>, leg: SignInLeg, now: () => number) {
    this.#grants = grants;
    this.#leg = leg;
    this.#now = now;
  }

  /** Whether the upstream access token has expired, or will within so many seconds. */
  isDue({ value: { upstream } }: Opened<Grant>, marginSeconds = 0): boolean {
    return upstream?.expiresAt !== undefined && upstream.expiresAt - marginSeconds <= this.#now() / 1_000;
  }

  /**
   * The grant with upstream tokens newer than those it was read with, or `null` when upstream ended the session and
   * the grant with it.
   *
   * @throws UnavailableError when upstream could not be asked; the grant stays as it was
   */
  refresh(id: string, before: Opened<Grant>): Promise<Opened<Grant> | null> {
    const question = questionOf(id, before);
    let running = this.#running.get(question);
    if (running === undefined) {
      running = this.#refresh(id, before).finally(() => this.#running.delete(question));
      this.#running.set(question, running);
    }
    return running;
  }

  /** The upstream tokens of a grant that ends, for their revocation: the newest, whether or not the store has them. */
  takeTokens(id: string, ending: Opened<Grant>): UpstreamTokens | undefined {
    const question = questionOf(id, ending);
    const unsaved = this.#unsaved.get(question);
    this.#unsaved.delete(question);
    return unsaved ?? ending.value.upstream;
  }

  async #refresh(id: string, before: Opened<Grant>): Promise<Opened<Grant> | null> {
    const patienceMs = this.#leg.timeoutMs + LEASE_MARGIN_MS;
    let current: Opened<Grant> | null = before;
    for (let waited = 0; waited < patienceMs; waited += POLL_MS) {
      if (current === null) return null;
      if (!isSameQuestion(current, before)) return current;
      const unsaved = this.#unsaved.get(questionOf(id, before));
      if (unsaved !== undefined) return this.#save(id, current, unsaved);
      const held: Grant['lease'] = current.value.lease;
      if (held === undefined || held.until <= this.#now()) {
        // Stamped now, after the waiting: a lease that is over when it is taken keeps nobody away.
        const lease = { id: randomToken(12), until: this.#now() + patienceMs };
        const leased = await this.#replace(id, current, { ...current.value, lease });
        if (leased !== null) return this.#ask(id, leased, lease);
      } else {
        // Another replica is asking. Nothing keeps the process alive for it.
        await sleep(POLL_MS, undefined, { ref: false });
      }
      current = await this.#grants.get(id);
    }
    throw new UnavailableError('another replica has not finished refreshing the upstream token', {
      retryAfterSeconds: 1,
    });
  }

  async #ask(id: string, leased: Opened<Grant>, lease: Lease): Promise<Opened<Grant> | null> {
    let fresh: UpstreamTokens;
    try {
      fresh = await this.#leg.refresh(leased.value.upstream as UpstreamTokens, leased.value.subject);
    } catch (error) {
      if (error instanceof UpstreamRefusal) return this.#end(id, leased, lease);
      await this.#apply(id, leased, grant => (isHeld(grant, lease) ? { ...grant, lease: undefined } : grant)).catch(
        () => null,
      );
      throw error;
    }
    this.#unsaved.set(questionOf(id, leased), fresh);
    // The first failed write must not cost the session: as long as nobody else may ask, it is tried again.
    let left = lease.until - this.#now();
    for (let pauseMs = POLL_MS; ; pauseMs *= 2) {
      try {
        return await this.#save(id, leased, fresh);
      } catch (error) {
        left -= pauseMs;
        if (left <= 0) throw error;
        await sleep(pauseMs, undefined, { ref: false });
      }
    }
  }

  async #save(id: string, leased: Opened<Grant>, fresh: UpstreamTokens): Promise<Opened<Grant> | null> {
    const saved = await this.#apply(id, leased, grant => ({
      ...grant,
      upstream: fresh,
      upstreamRefreshes: grant.upstreamRefreshes + 1,
      // Whoever holds it now asks the same question, which has its answer.
      lease: undefined,
    }));
    this.#unsaved.delete(questionOf(id, leased));
    // Revoked while upstream answered: nobody else knows of these tokens, or will ever end them.
    if (saved === null) await this.#leg.revoke(fresh).catch(() => {});
    return saved;
  }

  /**
   * The provider refused what it was asked with. That ends the grant unless somebody has newer tokens or is asking for
   * them: to a provider that rotates, the slower of two questions is a theft, and no word about the faster one's tokens.
   */
  async #end(id: string, leased: Opened<Grant>, lease: Lease): Promise<Opened<Grant> | null> {
    const current = await this.#grants.get(id);
    if (current === null || !isSameQuestion(current, leased)) return current;
    if (!isHeld(current.value, lease))
      throw new UnavailableError('another replica is refreshing the upstream token', { retryAfterSeconds: 1 });
    const { clientId, subject } = current.value;
    await this.#grants.delete(id);
    publish('grant_revoked', undefined, () => ({ clientId, subject, by: 'upstream' }));
    return null;
  }

  // The answer of upstream is there once: whatever else of the record changed meanwhile, it is put in, and never asked for
  // again. Where somebody else has put one in, that one counts.
  async #apply(id: string, leased: Opened<Grant>, change: (grant: Grant) => Grant): Promise<Opened<Grant> | null> {
    let current: Opened<Grant> | null = leased;
    for (let attempt = 0; attempt < MAX_REPLACES && current !== null; attempt++) {
      if (!isSameQuestion(current, leased)) return current;
      const next = change(current.value);
      if (next === current.value) return current;
      const replaced = await this.#replace(id, current, next);
      if (replaced !== null) return replaced;
      current = await this.#grants.get(id);
    }
    if (current === null) return null;
    throw new UnavailableError('the grant is changing too fast', { retryAfterSeconds: 1 });
  }

  #replace(id: string, before: Opened<Grant>, grant: Grant): Promise<Opened<Grant> | null> {
    return this.#grants.replace(id, before, grant, lifetimeOf(grant, this.#now() / 1_000));
  }
}

/** What upstream is asked with: these tokens of this grant. */
function questionOf(id: string, { value }: Opened<Grant>): string {
  return `${id} ${value.upstreamRefreshes}`;
}

function isSameQuestion(a: Opened<Grant>, b: Opened<Grant>): boolean {
  return a.value.upstreamRefreshes === b.value.upstreamRefreshes;
}

function isHeld({ lease: held }: Grant, lease: Lease): boolean {
  return held?.id === lease.id;
}
