import { LRUCache } from 'lru-cache';

// Larger ones take so long that it is better done at start than in a request.
const LAID_OUT_LATER = 100_000;

type Room = { readonly max: number; readonly maxSize?: number } | { readonly max?: never; readonly maxSize: number };

/**
 * What was met lately; the longest unused is forgotten first. Room is made when the first thing is remembered: a cache
 * lays it all out at once, which takes milliseconds, and many verifiers and servers never fill theirs.
 */
export class Recent<T extends object | true> {
  readonly #room: Room;
  #cache: LRUCache<string, T> | undefined;

  /**
   * @param room at most so many things, so many bytes of all of them as `set` is told, or both
   */
  constructor(room: Room) {
    this.#room = room;
    if (room.max !== undefined && room.max > LAID_OUT_LATER) this.#cache = new LRUCache<string, T>(room);
  }

  get size(): number {
    return this.#cache?.size ?? 0;
  }

  get(key: string): T | undefined {
    return this.#cache?.get(key);
  }

  has(key: string): boolean {
    return this.#cache?.has(key) ?? false;
  }

  /**
   * @param size in bytes, where there is a `maxSize`
   */
  set(key: string, value: T, size?: number): void {
    this.#cache ??= new LRUCache<string, T>(this.#room);
    this.#cache.set(key, value, size === undefined ? undefined : { size });
  }

  delete(key: string): void {
    this.#cache?.delete(key);
  }

  clear(): void {
    this.#cache = undefined;
  }
}
