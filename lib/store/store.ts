/**
 * Where an authorization server keeps what must outlive a request. Every record has a lifetime; nothing that reaches
 * an adapter can be read: keys are hashed and values sealed before. Methods reject when the store is out of reach.
 *
 * `ttlSeconds` is a lifetime in seconds, which may have a fraction; a record whose time is over counts as absent.
 * `storeContract` of `express-mcp-auth/testing` holds a store of your own to all of this.
 */
export interface Store {
  /** The value, or `null` for an absent record. */
  get(key: string): Promise<string | null>;
  /** Writes a record, whether or not there was one. */
  set(key: string, value: string, ttlSeconds: number): Promise<void>;
  /** Only if absent, atomically; says whether it was. */
  add(key: string, value: string, ttlSeconds: number): Promise<boolean>;
  /** Reads and deletes, atomically: of many takers one gets the value. */
  take(key: string): Promise<string | null>;
  /** Compares and sets, atomically; says whether the value was still the expected one. */
  replace(key: string, expected: string, value: string, ttlSeconds: number): Promise<boolean>;
  /** Removes a record; that there is none is no error. */
  delete(key: string): Promise<void>;
  /** Lets go of what the store opened itself; a client that was passed in stays open. */
  close?(): Promise<void>;
}
