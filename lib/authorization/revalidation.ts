import { Recent } from '../core/recent.js';
import type { Grant } from './grant.js';
import type { Opened } from './records.js';
import type { SignInLeg } from './sign-in.js';
import type { UpstreamSession } from './upstream-session.js';

/** What upstream said last; of a no, when the upstream tokens were last refreshed for its sake. */
type LastAnswer = { readonly goodAt: number } | { readonly refreshedAt: number; readonly refreshes: number };

const MAX_ANSWERS = 10_000;
const REFRESH_PAUSE_SECONDS = 60;

/** Whether upstream still stands by people who signed in: what it said to this process, and before that, what the grant says. */
export class Revalidation {
  readonly #leg: SignInLeg;
  readonly #upstream: UpstreamSession;
  readonly #now: () => number;
  readonly #answers = new Recent<LastAnswer>({ max: MAX_ANSWERS });

  constructor(leg: SignInLeg, upstream: UpstreamSession, now: () => number) {
    this.#leg = leg;
    this.#upstream = upstream;
    this.#now = now;
  }

  /** Whether there is anybody to ask. */
  get isNeeded(): boolean {
    return this.#leg.revalidation !== undefined;
  }

  /**
   * The grant, with newer upstream tokens where it took those to find out, or `null` when upstream no longer stands by
   * it. Nobody is asked while the last yes is young.
   *
   * @param unsure says what holds where nobody could be asked; `isRecent`: the last answer was a yes, within the grace
   * @throws UnavailableError where a no could not be followed by a refresh of the upstream tokens
   */
  async check(
    id: string,
    opened: Opened<Grant>,
    unsure: (isRecent: boolean, error: unknown) => Opened<Grant>,
  ): Promise<Opened<Grant> | null> {
    const { upstream: tokens } = opened.value;
    if (this.#leg.revalidation === undefined || tokens === undefined) return opened;
    const { seconds, graceSeconds } = this.#leg.revalidation;
    if (this.#saidYesWithin(seconds, id, opened.value)) return opened;
    try {
      if (await this.#leg.isStillGood(tokens)) return this.#yes(id, opened);
    } catch (error) {
      return unsure(this.#saidYesWithin(seconds + graceSeconds, id, opened.value), error);
    }
    const last = this.#refreshed(id);
    this.#answers.set(id, last);
    // Upstream may have rotated the token under us: one refresh, then its no is final. Whoever goes on calling with a
    // refused token must not have us ask for tokens again and again.
    const isNewest = opened.value.upstreamRefreshes >= last.refreshes;
    if (tokens.refreshToken === undefined || (isNewest && this.#isWithin(REFRESH_PAUSE_SECONDS, last.refreshedAt)))
      return null;
    const fresh = await this.#upstream.refresh(id, opened);
    if (fresh?.value.upstream === undefined) return null;
    this.#answers.set(id, { refreshedAt: this.#seconds(), refreshes: fresh.value.upstreamRefreshes });
    return (await this.#leg.isStillGood(fresh.value.upstream)) ? this.#yes(id, fresh) : null;
  }

  /** When upstream last stood by the grant, as far as this process knows. */
  goodAt(id: string, { checkedAt }: Grant): number {
    const last = this.#answers.get(id);
    return last !== undefined && 'goodAt' in last ? Math.max(last.goodAt, checkedAt) : checkedAt;
  }

  #yes(id: string, opened: Opened<Grant>): Opened<Grant> {
    this.#answers.set(id, { goodAt: this.#seconds() });
    return opened;
  }

  #saidYesWithin(seconds: number, id: string, grant: Grant): boolean {
    const last = this.#answers.get(id);
    return !(last !== undefined && 'refreshedAt' in last) && this.#isWithin(seconds, this.goodAt(id, grant));
  }

  #refreshed(id: string): Extract<LastAnswer, { refreshedAt: number }> {
    const last = this.#answers.get(id);
    return last !== undefined && 'refreshedAt' in last ? last : { refreshedAt: Number.NEGATIVE_INFINITY, refreshes: 0 };
  }

  // What lies ahead was written before the clock stepped back, and nobody knows how long ago.
  #isWithin(seconds: number, since: number): boolean {
    const age = this.#seconds() - since;
    return age >= 0 && age < seconds;
  }

  #seconds(): number {
    return this.#now() / 1_000;
  }
}
