/**
 * Times every subject once per round, in turns, so that whatever else the machine does meets all of them alike.
 * `prepare(subject, round)` makes one slice of work, `{ operations, run }`; only `run` is on the clock.
 * Answers a map from each subject to its CPU time per operation, in µs, one number per round.
 */
export async function interleave(subjects, rounds, prepare) {
  const samples = new Map(subjects.map(subject => [subject, []]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of rotate(subjects, round)) {
      const { operations, run } = await prepare(subject, round);
      samples.get(subject).push((await cpuTime(run)) / operations);
    }
  }
  return samples;
}

/** CPU time in µs that this process, all its threads, spends while `work` runs. */
export async function cpuTime(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of the ratios of each round: a slow round is slow for both sides and cancels out. */
export const medianRatio = (a, b) => median(a.map((sample, round) => sample / b[round]));

const rotate = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)];
