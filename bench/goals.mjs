import { median, medianRatio } from './measure.mjs';
import { formatTable, micros, ratio } from './table.mjs';

/**
 * A goal is a row of the final table: `{ what, ours, baseline, ratio, goal, aim, met, outOfReach? }`, all text but `met`.
 * The aim is what we would like; only the goal decides.
 */

/**
 * CPU time: ours is at most `limit` times the baseline's. Both are samples by round. The floor, where there is one, is
 * what the same requests take with nothing judged: where even that is above the limit, nobody can meet the goal.
 */
export function costsAtMost(limit, { what, ours, baseline, floor, aim, unit = micros }) {
  const value = medianRatio(ours, baseline);
  const least = floor === undefined ? 0 : medianRatio(floor, baseline);
  return {
    what,
    ours: unit(median(ours)),
    baseline: unit(median(baseline)),
    ratio: ratio(value),
    goal: `≤ ${ratio(limit)}`,
    aim: aim === undefined ? '' : `${ratio(aim)} ${yesNo(value <= aim)}`,
    met: value <= limit,
    ...(value > limit && least > limit && { outOfReach: `out of reach: floor ${ratio(least)}` }),
  };
}

/** Throughput per CPU: with us it is at least `limit` times the baseline's. */
export function keepsAtLeast(limit, { what, ours, baseline, aim }) {
  const value = medianRatio(baseline, ours);
  return {
    what,
    ours: micros(median(ours)),
    baseline: micros(median(baseline)),
    ratio: value.toFixed(2),
    goal: `≥ ${limit.toFixed(2)}`,
    aim: `${aim.toFixed(2)} ${yesNo(value >= aim)}`,
    met: value >= limit,
  };
}

/** An exact number, free of noise. */
export function countsAtMost(limit, { what, ours, baseline }) {
  return {
    what,
    ours: String(ours),
    baseline: String(baseline),
    ratio: '',
    goal: limit === 0 ? '0' : `≤ ${limit}`,
    aim: '',
    met: ours <= limit,
  };
}

export const formatGoals = goals =>
  formatTable(
    ['measurement', 'ours', 'baseline', 'ratio', 'goal', 'aim', 'verdict'],
    goals.map(row => [row.what, row.ours, row.baseline, row.ratio, row.goal, row.aim, verdict(row)]),
  );

const verdict = ({ met, outOfReach }) => (met ? 'ok' : (outOfReach ?? 'MISSED'));
const yesNo = truth => (truth ? 'yes' : 'no');
