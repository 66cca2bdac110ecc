/** A number of things that may go on at once; a few more may wait, for a while. */
export class Slots {
  readonly #timeoutMs: number;
  readonly #maxWaiting: number;
  readonly #busy: () => Error;
  readonly #waiting = new Map<() => void, () => void>();
  #free: number;

  /**
   * @param busy what those are told who find no room to wait in, or wait in vain
   */
  constructor(
    size: number,
    options: { readonly maxWaiting: number; readonly timeoutMs: number; readonly busy: () => Error },
  ) {
    this.#free = size;
    this.#maxWaiting = options.maxWaiting;
    this.#timeoutMs = options.timeoutMs;
    this.#busy = options.busy;
  }

  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.size >= this.#maxWaiting) throw this.#busy();
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        this.#waiting.delete(enter);
      };
      const enter = () => {
        leave();
        resolve();
      };
      const refuse = () => {
        leave();
        reject(this.#busy());
      };
      const timer = setTimeout(refuse, this.#timeoutMs);
      timer.unref();
      this.#waiting.set(enter, refuse);
    });
  }

  give(): void {
    const [enter] = this.#waiting.keys();
    if (enter === undefined) this.#free++;
    else enter();
  }

  /** Nobody waits any more. */
  close(): void {
    for (const refuse of [...this.#waiting.values()]) refuse();
  }
}
