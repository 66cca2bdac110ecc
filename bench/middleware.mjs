import { expectAll, measureCalls, warmUp } from './calls.mjs';
import { contenders } from './contenders.mjs';
import { headersOf } from './fake-http.mjs';
import { costsAtMost } from './goals.mjs';
import { startIssuer } from './issuer.mjs';
import { median, medianRatio } from './measure.mjs';
import { rememberingJose } from './remembering-jose.mjs';
import { formatTable, micros } from './table.mjs';
import { tokens } from './tokens.mjs';

const ours = 'express-mcp-auth';
const baseline = 'jose by hand';
const remembering = 'jose by hand, with our cache';
const rounds = 21;
const sliceMicros = 20_000;
const maxSlice = 10_000;

const cases = [
  { name: 'repeat, RS256', alg: 'RS256', kind: 'valid', distinct: 1000, limit: 1 / 15, aim: 1 / 25 },
  { name: 'repeat, ES256', alg: 'ES256', kind: 'valid', distinct: 1000, limit: 1 / 15, aim: 1 / 25 },
  { name: 'expired', alg: 'RS256', kind: 'expired', distinct: 200, limit: 1 / 10 },
  { name: 'wrong audience', alg: 'RS256', kind: 'wrongAudience', distinct: 200, limit: 1 / 10 },
  { name: 'malformed', alg: 'RS256', kind: 'malformed', distinct: 200, limit: 1 / 10 },
  { name: 'repeated bad signature', alg: 'RS256', kind: 'badSignature', distinct: 200, limit: 1 / 10 },
];

/** The middleware alone, without HTTP: CPU time per call of every contender with good, used and bad tokens. */
export async function measureMiddleware() {
  const issuer = await startIssuer('RS256', 'ES256');
  const handlers = Object.fromEntries(Object.entries(contenders).map(([name, make]) => [name, make(issuer)]));
  const measured = [];
  for (const each of cases) measured.push({ ...each, samples: await measureCase(each, handlers, issuer) });
  const fresh = await firstSeen(handlers, issuer);
  await issuer.close();
  const goals = [...measured.map(caseGoal), ...fresh.map(firstSeenGoal)];
  return { goals, table: `${contenderTable(measured)}\n\n${firstSeenTable(fresh)}` };
}

async function measureCase({ alg, kind, distinct }, handlers, issuer) {
  const headers = headersOf(tokens[kind](issuer.minter(alg), distinct));
  const expected = kind === 'valid' ? 'passed' : 'refused';
  const sliceSize = new Map();
  for (const [name, handler] of Object.entries(handlers)) {
    await expectAll(expected, name, handler, headers);
    sliceSize.set(name, Math.min(maxSlice, Math.ceil(sliceMicros / (await warmUp(handler, headers)))));
  }
  return measureCalls(handlers, rounds, name => ({ headers, calls: sliceSize.get(name) ?? maxSlice }));
}

/** Tokens that nobody has seen; the others have no cache, so for them every token is one. */
async function firstSeen(handlers, issuer) {
  const perRound = 150;
  const rivals = { [ours]: handlers[ours], [baseline]: handlers[baseline], [remembering]: rememberingJose(issuer) };
  const measured = [];
  // V8 compiles what runs once per token after some ten thousand of them, and its threads count too: the first
  // algorithm, whose tokens are quickly minted, warms up what both have in common.
  for (const [alg, warmUps] of [
    ['ES256', 20_000],
    ['RS256', 3_000],
  ]) {
    const fresh = (count = perRound) => headersOf(tokens.valid(issuer.minter(alg), count));
    const pool = fresh(warmUps);
    for (const name in rivals) await expectAll('passed', name, rivals[name], pool);
    const pools = [];
    // All of a round at once: with few in flight the threads that check signatures fall asleep between two tokens of one
    // contender and not of another, and to wake them takes as long as all that is compared here.
    const samples = await measureCalls(rivals, 40, (_name, round) => {
      pools[round] ??= fresh();
      return { headers: pools[round], calls: perRound, inFlight: perRound };
    });
    measured.push({ alg, samples });
  }
  return measured;
}

const firstSeenGoal = ({ alg, samples }) =>
  costsAtMost(1.15, { what: `middleware: first-seen token, ${alg}`, ...sides(samples) });

const caseGoal = ({ name, limit, aim, samples }) =>
  costsAtMost(limit, { what: `middleware: ${name}`, aim, ...sides(samples) });

const sides = samples => ({ ours: samples[ours], baseline: samples[baseline] });

const contenderTable = measured =>
  formatTable(
    ['middleware alone, CPU per call', ...measured.map(each => each.name)],
    Object.keys(contenders).map(name => [name, ...measured.map(each => micros(median(each.samples[name])))]),
  );

const firstSeenTable = measured =>
  formatTable(
    ['first-seen token, CPU per call', ...measured.flatMap(({ alg }) => [alg, 'of jose'])],
    [baseline, remembering, ours].map(name => [
      name,
      ...measured.flatMap(({ samples }) => [
        micros(median(samples[name])),
        medianRatio(samples[name], samples[baseline]).toFixed(2),
      ]),
    ]),
  );
