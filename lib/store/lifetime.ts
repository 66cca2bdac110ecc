// A century: far beyond any record, and within what the clocks of all databases can hold.
const LONGEST_MS = 100 * 365 * 86_400_000;

/**
 * A lifetime in whole milliseconds, for at least one: what is over already must not fail a database that refuses it.
 *
 * @throws RangeError where there is none: a record without an end would stay for ever
 */
export function lifetimeMs(ttlSeconds: number): number {
  if (!Number.isFinite(ttlSeconds)) throw new RangeError('a record needs a lifetime, as a number of seconds');
  return Math.min(Math.max(Math.ceil(ttlSeconds * 1_000), 1), LONGEST_MS);
}
