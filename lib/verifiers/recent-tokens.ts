import { Recent, type Room } from '../core/recent.js';
import type { Recollection, Token } from '../core/token.js';

/** What is remembered of a token: by whom, and under which number of its tail. */
export interface Remembered {
  readonly owner: object;
  readonly tail: number;
}

/**
 * What is remembered of tokens that came lately, by their digest. Most tokens that it does not know it tells by their
 * last characters, without a hash: `0` at their number says that nothing is remembered of any token that ends so.
 */
export class RecentTokens<T extends Remembered> {
  readonly #recent: Recent<T>;
  readonly #maxSize: number;
  // How many tokens end so. A number that has gone around makes a token be judged anew, which is always safe.
  #tails: Uint16Array | undefined;

  constructor(room: Room & { readonly maxSize: number }) {
    this.#maxSize = room.maxSize;
    this.#recent = new Recent<T>(room, ({ tail }) => {
      if (this.#tails !== undefined) (this.#tails[tail] as number)--;
    });
  }

  get(token: Token): T | undefined {
    const { recollection } = token;
    if (recollection?.owner === this) return recollection as Recollection & T;
    return this.#tails === undefined || this.#tails[token.tail] === 0 ? undefined : this.#recent.get(token.digest);
  }

  /**
   * @param size what is kept of the token, in bytes; more than there is room for is not kept
   */
  set(token: Token, value: T, size: number): void {
    if (size > this.#maxSize) return;
    this.#tails ??= new Uint16Array(0x1_00_00);
    (this.#tails[value.tail] as number)++;
    this.#recent.set(token.digest, value, size);
  }

  clear(): void {
    this.#recent.clear();
    this.#tails = undefined;
  }
}
