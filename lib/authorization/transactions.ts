import type { Opened, Records } from './records.js';

/** An authorization request that was found good, as it travels in the consent form. Times are seconds since the epoch. */
export interface AuthorizationRequest {
  readonly id: string;
  readonly clientId: string;
  /** Which of the client's redirect URIs, by number, and the port where a loopback one has another than registered. */
  readonly redirect: { readonly index: number; readonly port?: string | undefined };
  readonly state?: string | undefined;
  readonly scopes: readonly string[];
  readonly resource: string;
  readonly codeChallenge: string;
  readonly expiresAt: number;
}

/** A request that the person has approved and that waits for the sign-in to come back. */
export interface Transaction extends AuthorizationRequest {
  /** What the sign-in leg needs to judge the answer. */
  readonly memory: Readonly<Record<string, string>>;
}

/** Left behind by a transaction that was taken, so that it is never taken for an unknown one. */
interface Spent {
  readonly spent: true;
}

export type Found =
  | { readonly kind: 'waiting'; readonly transaction: Transaction; readonly take: () => Promise<boolean> }
  | { readonly kind: 'spent' }
  | { readonly kind: 'unknown' };

/** Approved requests, each under its own id: approving twice stores one, and coming back twice takes it once. */
export class Transactions {
  readonly #records: Records<Transaction | Spent>;
  readonly #now: () => number;

  constructor(records: Records<Transaction | Spent>, now: () => number) {
    this.#records = records;
    this.#now = now;
  }

  /** Stores the request unless it is there already; what is there counts. `null` for one that was used or has expired. */
  async approve(
    request: AuthorizationRequest,
    prepare: () => Promise<Transaction['memory']>,
  ): Promise<Transaction | null> {
    const transaction = { ...request, memory: await prepare() };
    if (await this.#records.add(request.id, transaction, this.#secondsLeft(request))) return transaction;
    const found = await this.find(request.id);
    return found.kind === 'waiting' ? found.transaction : null;
  }

  async find(id: string): Promise<Found> {
    const opened = await this.#records.get(id);
    if (opened === null) return { kind: 'unknown' };
    if ('spent' in opened.value) return { kind: 'spent' };
    const { value: transaction } = opened;
    if (this.#secondsLeft(transaction) <= 0) return { kind: 'unknown' };
    return { kind: 'waiting', transaction, take: () => this.#take(opened as Opened<Transaction>) };
  }

  /** Ends a request that was approved and has not come back yet. */
  async cancel(id: string): Promise<void> {
    const found = await this.find(id);
    if (found.kind === 'waiting') await found.take();
  }

  async #take(opened: Opened<Transaction>): Promise<boolean> {
    const spent = await this.#records.replace(
      opened.value.id,
      opened,
      { spent: true },
      this.#secondsLeft(opened.value),
    );
    return spent !== null;
  }

  #secondsLeft({ expiresAt }: AuthorizationRequest): number {
    return expiresAt - this.#now() / 1_000;
  }
}
