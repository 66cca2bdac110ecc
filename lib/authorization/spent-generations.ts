/**
 * Refresh tokens spent within the window in which asking twice is no theft, by generation. A client that refreshes
 * without end must not make the record grow, so generations are kept in spans of an eighth of the window.
 */
export type SpentGenerations = readonly {
  readonly from: number;
  readonly to: number;
  readonly since: number;
  readonly at: number;
}[];

const SPANS = 8;

export function withSpent(
  spent: SpentGenerations,
  generation: number,
  now: number,
  windowSeconds: number,
): SpentGenerations {
  const young = spent.filter(({ at }) => now - at <= windowSeconds);
  const last = young.at(-1);
  if (last !== undefined && now - last.since <= windowSeconds / SPANS)
    return [...young.slice(0, -1), { ...last, to: generation, at: now }];
  return [...young, { from: generation, to: generation, since: now, at: now }];
}

export function isSpentLately(
  spent: SpentGenerations,
  generation: number,
  now: number,
  windowSeconds: number,
): boolean {
  return spent.some(({ from, to, at }) => from <= generation && generation <= to && isLately(at, now, windowSeconds));
}

/** Within the window, also by the clock of a replica that is a little behind, and not by one that was set back for long. */
export function isLately(at: number, now: number, windowSeconds: number): boolean {
  return Math.abs(now - at) <= windowSeconds;
}
