import { setTimeout as sleep } from 'node:timers/promises';
import { megabytes } from '../table.mjs';
import {
  approve,
  call,
  inspector,
  openAuthorization,
  postRegistration,
  refresh,
  register,
  signIn,
  visit,
} from './browser.mjs';
import { startServer, startUpstream } from './processes.mjs';

const ours = 'express-mcp-auth';
const heapMegabytes = 256;
const workersPerKind = 3;
const oversized = { ...inspector, client_name: 'x'.repeat(90_000) };
// As long as may be: whoever wants to fill the memory sends nothing short.
const state = 's'.repeat(2_000);

/** What strangers can send without end, and how it is answered. */
const floods = {
  registration: { send: origin => postRegistration(origin, oversized), answers: [400, 413] },
  'sign-in left at the page': {
    send: (origin, client) => visit(openAuthorization(origin, client, state)),
    answers: [200],
  },
  'sign-in left after approval': {
    send: (origin, client) => approve(openAuthorization(origin, client, state)),
    answers: [303],
  },
};

/** A process with a small heap under all of these at once; the one who had signed in before must not notice. */
export async function surviveExhaustion(seconds) {
  const upstream = await startUpstream();
  const rival = await flood(upstream, 'fastmcp OAuthProxy', seconds);
  const result = await flood(upstream, ours, seconds);
  await upstream.stop();
  return {
    what: `proxy: ${heapMegabytes}-MB heap, ${seconds} s of 90-kB registrations and abandoned sign-ins`,
    ours: summary(result),
    baseline: summary(rival),
    ratio: result.heap === undefined ? '' : megabytes(result.heap),
    goal: 'alive',
    aim: '',
    met: result.problem === undefined,
  };
}

const summary = ({ problem, requests }) => (problem === undefined ? `alive, ${requests} requests` : problem);

async function flood(upstream, name, seconds) {
  const isOurs = name === ours;
  const server = await startServer(name, upstream, {
    execArgv: [`--max-old-space-size=${heapMegabytes}`],
    // A process that dies of this says so at length.
    stdio: isOurs ? 'inherit' : 'ignore',
  });
  const { origin } = server;
  const client = await register(origin);
  const session = await signIn(origin, client);
  const start = performance.now();
  let requests = 0;
  let problem;

  const worker = async ({ send, answers }) => {
    while (problem === undefined && performance.now() - start < seconds * 1_000) {
      const { status, body } = await send(origin, client);
      requests++;
      if (isOurs && !answers.includes(status))
        throw new Error(`expected ${answers}, got ${status}: ${body.slice(0, 200)}`);
    }
  };
  const workers = Object.values(floods).flatMap(kind => Array.from({ length: workersPerKind }, () => worker(kind)));
  try {
    await Promise.all(
      workers.map(each =>
        each.catch(error => {
          problem ??= error.message;
          throw error;
        }),
      ),
    );
    if (isOurs) await goesOn(origin, session);
    const heap = await server.heap();
    await server.stop();
    return { requests, heap };
  } catch (error) {
    const seen = ((performance.now() - start) / 1_000).toFixed(1);
    await sleep(200);
    const died = server.hasEnded();
    await server.stop();
    return { requests, problem: died ? `dead after ${seen} s` : error.message };
  }
}

/** The old session refreshes and calls; and somebody new can sign in. */
async function goesOn(origin, session) {
  const next = await refresh(origin, session);
  if ((await call(origin, next)) !== 200) throw new Error('the session of before is lost');
  if ((await call(origin, await signIn(origin, await register(origin)))) !== 200) throw new Error('nobody can sign in');
}
