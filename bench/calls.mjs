import { drive } from './fake-http.mjs';
import { cpuTime, interleave } from './measure.mjs';

const nothing = 'no middleware';
const letThrough = (_req, _res, next) => next();

/**
 * CPU time per call of each handler, in turns, one number per round and without what the driving costs.
 * `slice(name, round)` says what to send: `{ headers, calls }`, and how much of it at once, `inFlight`.
 */
export async function measureCalls(handlers, rounds, slice) {
  const all = { [nothing]: letThrough, ...handlers };
  const samples = await interleave(Object.keys(all), rounds, (name, round) => {
    const { headers, calls, inFlight } = slice(name, round);
    return { operations: calls, run: () => drive(all[name], headers, calls, inFlight) };
  });
  const driving = samples.get(nothing);
  const net = name => samples.get(name).map((cost, round) => cost - driving[round]);
  return Object.fromEntries(Object.keys(handlers).map(name => [name, net(name)]));
}

/** Makes sure that a contender does its job: a fast wrong answer is no result. */
export async function expectAll(expected, name, handler, headers) {
  const answers = await drive(handler, headers);
  if (answers[expected] !== headers.length)
    throw new Error(`${name}: expected ${headers.length} ${expected}, got ${JSON.stringify(answers)}`);
}

/** Calls the handler for a while, so that its code is compiled, and answers what a call costs in the end, in µs. */
export async function warmUp(handler, headers) {
  const calls = 1000;
  let cost;
  for (const start = performance.now(); performance.now() - start < 250; )
    cost = (await cpuTime(() => drive(handler, headers, calls))) / calls;
  return cost;
}
