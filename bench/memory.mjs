import { reportOf } from './child.mjs';
import { megabytes } from './table.mjs';

const growthLimit = 3e6;

/** The heap of a fresh process at 10 % and at 100 % of a million verifications, all caches full. */
export async function measureMemory() {
  const heap = await reportOf('memory-child.mjs', { execArgv: ['--expose-gc'] });
  const [start, end] = [heap.at(0), heap.at(-1)];
  const growth = end - start;
  return {
    what: 'heap after 1e6 verifications (960k repeat, 20k first-seen, 20k forged), against 100k',
    ours: megabytes(end),
    baseline: megabytes(start),
    ratio: `+${megabytes(growth)}`.replace('+-', '-'),
    goal: `≤ +${megabytes(growthLimit)}`,
    aim: '',
    met: growth <= growthLimit,
  };
}
