import { LRUCache } from 'lru-cache';

// Larger ones take so long that it is better done at start than in a request.
const LAID_OUT_LATER = 100_000;

export type Room =
  | { readonly max: number; readonly maxSize?: number }
  | { readonly max?: never; readonly maxSize: number };

/**
 * What was met lately; the longest unused is forgotten first. Room is made when the first thing is remembered: a cache
 * lays it all out at once, which takes milliseconds, and many verifiers and servers never fill theirs.
 */
export class Recent<T extends object> {
  readonly #room: Room;
  readonly #onForget: ((thing: T) => void) | undefined;
  #cache: LRUCache<string, T> | undefined;

  /**
   * @param room at most so many things, so many bytes of all of them as `set` is told, or both
   * @param onForget called with what makes room for others, or is replaced
   */
  constructor(room: Room, onForget?: (thing: T) => void) {
    this.#room = room;
    this.#onForget = onForget;
    if (room.max !== undefined && room.max > LAID_OUT_LATER) this.#cache = this.#layOut();
  }

  get(key: string): T | undefined {
    return this.#cache?.get(key);
  }

  /**
   * @param size in bytes, where there is a `maxSize`
   */
  set(key: string, value: T, size?: number): void {
    this.#cache ??= this.#layOut();
    this.#cache.set(key, value, size === undefined ? undefined : { size });
  }

  delete(key: string): void {
    this.#cache?.delete(key);
  }

  clear(): void {
    this.#cache = undefined;
  }

  #layOut(): LRUCache<string, T> {
    const onForget = this.#onForget;
    return new LRUCache<string, T>({ ...this.#room, ...(onForget && { dispose: thing => onForget(thing) }) });
  }
}
