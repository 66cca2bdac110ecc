import { setTimeout as sleep } from 'node:timers/promises';
import { UnavailableError } from '../core/errors.js';
import { publish } from '../core/events.js';
import { randomToken } from '../crypto/key-ring.js';
import { type Grant, lifetimeOf, type UpstreamTokens } from './grant.js';
import type { Opened, Records } from './records.js';
import { type SignInLeg, UpstreamRefusal } from './sign-in.js';

const LEASE_MARGIN_MS = 5_000;
const POLL_MS = 50;
const MAX_REPLACES = 20;

/**
 * Keeps the upstream tokens of grants fresh. A refresh is asked for once, whatever the number of requests and
 * replicas: providers that rotate would take a second question for a theft and end the session.
 */
export class UpstreamSession {
  readonly #grants: Records<Grant>;
  readonly #leg: SignInLeg;
  readonly #now: () => number;
  readonly #running = new Map<string, Promise<Opened<Grant> | null>>();

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
    let running = this.#running.get(id);
    if (running === undefined) {
      running = this.#refresh(id, before).finally(() => this.#running.delete(id));
      this.#running.set(id, running);
    }
    return running;
  }

  async #refresh(id: string, before: Opened<Grant>): Promise<Opened<Grant> | null> {
    const stale = before.value.upstreamRefreshes;
    const lease = { id: randomToken(12), until: this.#now() + this.#leg.timeoutMs + LEASE_MARGIN_MS };
    const attempts = Math.ceil((this.#leg.timeoutMs + LEASE_MARGIN_MS) / POLL_MS);
    let current: Opened<Grant> | null = before;
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (current === null) return null;
      if (current.value.upstreamRefreshes !== stale) return current;
      const held: Grant['lease'] = current.value.lease;
      if (held === undefined || held.until <= this.#now()) {
        const leased = await this.#replace(id, current, { ...current.value, lease });
        if (leased !== null) return this.#ask(id, leased);
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

  async #ask(id: string, leased: Opened<Grant>): Promise<Opened<Grant> | null> {
    const tokens = leased.value.upstream as UpstreamTokens;
    let fresh: UpstreamTokens;
    try {
      fresh = await this.#leg.refresh(tokens, leased.value.subject);
    } catch (error) {
      if (error instanceof UpstreamRefusal) {
        const { clientId, subject } = leased.value;
        await this.#grants.delete(id);
        publish('grant_revoked', undefined, () => ({ clientId, subject, by: 'upstream' }));
        return null;
      }
      await this.#apply(id, leased, grant => ({ ...grant, lease: undefined })).catch(() => null);
      throw error;
    }
    const checkedAt = Math.floor(this.#now() / 1_000);
    return this.#apply(id, leased, grant => ({
      ...grant,
      upstream: fresh,
      upstreamRefreshes: grant.upstreamRefreshes + 1,
      checkedAt,
      lease: undefined,
    }));
  }

  // The answer of upstream is there once: whatever happened to the record meanwhile, it is put in, and never asked for again.
  async #apply(id: string, start: Opened<Grant>, change: (grant: Grant) => Grant): Promise<Opened<Grant> | null> {
    let current: Opened<Grant> | null = start;
    for (let attempt = 0; attempt < MAX_REPLACES && current !== null; attempt++) {
      const replaced = await this.#replace(id, current, change(current.value));
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
