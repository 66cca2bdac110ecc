import { contenders } from './contenders.mjs';
import { drive, exchanges } from './fake-http.mjs';
import { costsAtMost } from './goals.mjs';
import { startIssuer } from './issuer.mjs';
import { cpuTime, interleave, median } from './measure.mjs';
import { formatTable, micros } from './table.mjs';
import { tokens } from './tokens.mjs';

const rounds = Number(process.env.R ?? 21);
const sliceMicros = 20_000;

const cases = [
  { name: 'repeat token, RS256', alg: 'RS256', kind: 'valid', distinct: 1000, limit: 1 / 15, aim: 1 / 25 },
  { name: 'repeat token, ES256', alg: 'ES256', kind: 'valid', distinct: 1000, limit: 1 / 15, aim: 1 / 25 },
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
  const goals = [...measured.map(caseGoal), ...(await firstSeen(handlers, issuer))];
  await issuer.close();
  return { goals, table: contenderTable(measured) };
}

async function measureCase({ alg, kind, distinct }, handlers, issuer) {
  const pool = tokens[kind](issuer.minter(alg), distinct);
  const expected = kind === 'valid' ? 'passed' : 'refused';
  const sliceSize = new Map();
  for (const [name, handler] of Object.entries(handlers)) {
    await send(handler, pool, expected, name);
    const again = exchanges(pool);
    const cost = (await cpuTime(() => drive(handler, again))) / pool.length;
    sliceSize.set(name, Math.min(10_000, Math.max(100, Math.round(sliceMicros / cost))));
  }
  return interleave(Object.keys(handlers), rounds, name => {
    const operations = sliceSize.get(name);
    const slice = exchanges(Array.from({ length: operations }, (_, i) => pool[i % pool.length]));
    return { operations, run: () => drive(handlers[name], slice) };
  });
}

/** Tokens that nobody has seen; the others have no cache, so for them every token is one. */
async function firstSeen(handlers, issuer) {
  const perRound = 150;
  const rivals = ['express-mcp-auth', 'jose by hand'];
  const goals = [];
  for (const alg of ['RS256', 'ES256']) {
    const fresh = () => tokens.valid(issuer.minter(alg), perRound);
    for (const name of rivals) await send(handlers[name], fresh(), 'passed', name);
    let pool;
    let poolOf = -1;
    const samples = await interleave(rivals, 40, (name, round) => {
      if (poolOf !== round) [pool, poolOf] = [fresh(), round];
      const slice = exchanges(pool);
      return { operations: perRound, run: () => drive(handlers[name], slice) };
    });
    goals.push(costsAtMost(1.15, { what: `middleware: first-seen token, ${alg}`, ...sides(samples) }));
  }
  return goals;
}

/** Sends the tokens once and makes sure that the contender does its job: a fast wrong answer is no result. */
async function send(handler, pool, expected, name) {
  const answers = await drive(handler, exchanges(pool));
  if (answers[expected] !== pool.length)
    throw new Error(`${name}: expected ${pool.length} ${expected}, got ${JSON.stringify(answers)}`);
}

const caseGoal = ({ name, limit, aim, samples }) =>
  costsAtMost(limit, { what: `middleware: ${name}`, aim, ...sides(samples) });

const sides = samples => ({ ours: samples.get('express-mcp-auth'), baseline: samples.get('jose by hand') });

const contenderTable = measured =>
  formatTable(
    ['middleware alone, CPU per call', ...measured.map(each => each.name)],
    Object.keys(contenders).map(name => [name, ...measured.map(each => micros(median(each.samples.get(name))))]),
  );
