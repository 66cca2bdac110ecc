/** Lets a burst pass and then one every `refillMs`. Time is given by the clock that it was made with. */
export class TokenBucket {
  readonly #burst: number;
  readonly #refillMs: number;
  readonly #now: () => number;
  #tokens: number;
  #countedAt: number;

  constructor(burst: number, refillMs: number, now: () => number) {
    this.#burst = burst;
    this.#refillMs = refillMs;
    this.#now = now;
    this.#tokens = burst;
    this.#countedAt = now();
  }

  take(): boolean {
    if (!this.hasToken) return false;
    this.#tokens--;
    return true;
  }

  /** Whether `take` would be answered with a yes now. */
  get hasToken(): boolean {
    this.#refill();
    return this.#tokens >= 1;
  }

  /** Seconds until the next token. */
  get retryAfterSeconds(): number {
    return this.hasToken ? 0 : (this.#countedAt + this.#refillMs - this.#now()) / 1_000;
  }

  #refill(): void {
    const now = this.#now();
    // A full bucket gathers nothing, and a clock that steps back takes nothing away.
    if (this.#tokens >= this.#burst || now < this.#countedAt) {
      this.#countedAt = now;
      return;
    }
    const gained = Math.floor((now - this.#countedAt) / this.#refillMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#countedAt += gained * this.#refillMs;
  }
}
