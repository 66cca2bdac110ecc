/**
 * Where an authorization server keeps what must outlive a request. Every record has a lifetime; nothing that reaches
 * an adapter can be read: keys are hashed and values sealed before. Methods reject when the store is out of reach.
 */
export interface Store {
  get(key: string): Promise<string | null>;
  set(key: string, value: string, ttlSeconds: number): Promise<void>;
  /** Only if absent, atomically; says whether it was. */
  add(key: string, value: string, ttlSeconds: number): Promise<boolean>;
  /** Reads and deletes, atomically: of many takers one gets the value. */
  take(key: string): Promise<string | null>;
  /** Compares and sets, atomically; says whether the value was still the expected one. */
  replace(key: string, expected: string, value: string, ttlSeconds: number): Promise<boolean>;
  delete(key: string): Promise<void>;
  /** Lets go of what the store opened itself; a client that was passed in stays open. */
  close?(): Promise<void>;
}
