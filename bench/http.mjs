import { reportOf } from './child.mjs';
import { bare, contenders } from './contenders.mjs';
import { keepsAtLeast } from './goals.mjs';
import { median, medianRatio } from './measure.mjs';
import { formatTable, micros } from './table.mjs';

const ours = 'express-mcp-auth';
// Where the system and V8 put things makes the same code differ by a tenth from one process to the next.
const processes = 3;

/** Real requests over loopback to one Express app per contender, all of them in one process; and that several times. */
export async function measureHttp() {
  const runs = [];
  for (let index = 0; index < processes; index++) runs.push(await reportOf('http-child.mjs'));
  const measured = ['RS256', 'ES256'].map(alg => ({
    alg,
    samples: name => runs.flatMap(run => run[alg][name]),
    ofBare: runs.map(run => medianRatio(run[alg][bare], run[alg][ours])),
  }));
  return { goals: measured.map(goal), table: `${contenderTable(measured)}\n\n${processTable(measured)}` };
}

const goal = ({ alg, samples }) =>
  keepsAtLeast(0.8, {
    what: `HTTP: repeat token, ${alg}, against bare Express`,
    ours: samples(ours),
    baseline: samples(bare),
    aim: 0.9,
  });

const contenderTable = measured =>
  formatTable(
    ['over HTTP, CPU per request', ...measured.flatMap(({ alg }) => [alg, 'of bare'])],
    [bare, ...Object.keys(contenders)].map(name => [
      name,
      ...measured.flatMap(({ samples }) => [
        micros(median(samples(name))),
        medianRatio(samples(bare), samples(name)).toFixed(2),
      ]),
    ]),
  );

const processTable = measured =>
  formatTable(
    ['express-mcp-auth of bare, by process', ...measured.map(({ alg }) => alg)],
    Array.from({ length: processes }, (_, index) => [
      `process ${index + 1}`,
      ...measured.map(({ ofBare }) => ofBare[index].toFixed(2)),
    ]),
  );
