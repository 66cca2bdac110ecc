import { costsAtMost } from '../goals.mjs';
import { median, medianRatio } from '../measure.mjs';
import { formatTable, micros } from '../table.mjs';
import { inspector, postRegistration, refresh, register, signIn } from './browser.mjs';
import { contenders } from './contenders.mjs';
import { times } from './load.mjs';
import { startServer, startUpstream } from './processes.mjs';

const ours = 'express-mcp-auth';
const fastmcp = 'fastmcp OAuthProxy';
const sdk1 = 'SDK 1 mcpAuthRouter';
const floor = 'Express, fetch and seals';
const httpFloor = 'Express, node:http and seals';
const pageless = name => `${name}, no page`;
const rounds = 11;
const slice = 50;
const sessionCount = 600;
// In turns, as they are measured: who is warmed up first and waits is cold again when its turn comes.
const warmUp = 2000;
const warmUpTurn = 250;
const registrationRounds = 61;

/** CPU time of the process of each authorization server, per operation: registration, a whole sign-in, a refresh. */
export async function measureCosts() {
  const upstream = await startUpstream();
  const servers = {};
  for (const name in contenders) servers[name] = await startServer(name, upstream);
  const only = (...names) => names.map(name => servers[name]);

  const registration = await measure(only(ours, sdk1, fastmcp, floor), postInspector, {
    turns: registrationRounds,
  });
  const clients = new Map();
  for (const server of only(ours, fastmcp, floor, httpFloor, pageless(ours), pageless(fastmcp), pageless(floor)))
    clients.set(server, await register(server.origin));
  const flow = server => signIn(server.origin, clients.get(server));
  const withPage = await measure(only(ours, fastmcp, floor, httpFloor), flow);
  const withoutPage = await measure(only(pageless(ours), pageless(fastmcp), pageless(floor)), flow);
  const fresh = await measureRefresh(only(ours, fastmcp), flow, 0);
  const expired = await measureRefresh(only(ours, fastmcp, floor, httpFloor), flow, 3600);

  for (const server of [...Object.values(servers), upstream]) await server.stop();
  const against = (samples, rival = fastmcp) => ({
    ours: samples.get(ours),
    baseline: samples.get(rival),
    floor: samples.get(floor),
  });
  return {
    goals: [
      costsAtMost(0.5, { what: 'proxy: full flow, consent page, against fastmcp', ...against(withPage) }),
      costsAtMost(0.5, {
        what: 'proxy: full flow, no page, against fastmcp',
        ours: withoutPage.get(pageless(ours)),
        baseline: withoutPage.get(pageless(fastmcp)),
        floor: withoutPage.get(pageless(floor)),
      }),
      costsAtMost(0.5, { what: 'proxy: refresh, upstream asked by both, against fastmcp', ...against(expired) }),
      costsAtMost(0.5, { what: 'proxy: refresh, upstream token good for long, against fastmcp', ...against(fresh) }),
      costsAtMost(1, { what: 'proxy: registration, against SDK 1', ...against(registration, sdk1) }),
    ],
    table: costTable({ registration, withPage, withoutPage, expired, fresh }),
  };
}

async function postInspector({ origin }) {
  const { status } = await postRegistration(origin, inspector);
  if (status !== 201) throw new Error(`registration was answered with ${status}`);
}

/** CPU time in µs of every server, per operation, one number per round; in turns, the first of a round moves on by one. */
async function measure(servers, operation, { before = async () => {}, turns = rounds } = {}) {
  for (let done = 0; done < warmUp; done += warmUpTurn)
    for (const server of servers) {
      await before(server);
      await times(warmUpTurn, index => operation(server, index));
    }
  const samples = new Map(servers.map(({ name }) => [name, []]));
  for (let round = 0; round < turns; round++) {
    for (let turn = 0; turn < servers.length; turn++) {
      const server = servers[(round + turn) % servers.length];
      await before(server);
      const start = await server.cpu();
      await times(slice, index => operation(server, index));
      samples.get(server.name).push(((await server.cpu()) - start) / slice);
    }
  }
  return samples;
}

/** Every operation refreshes another session. Ours asks upstream when the clock says that its token is over. */
async function measureRefresh(servers, flow, advanceSeconds) {
  const sessions = new Map();
  for (const server of servers) sessions.set(server, await times(sessionCount, () => flow(server)));
  const operation = async (server, index) => {
    const own = sessions.get(server);
    own[index] = await refresh(server.origin, own[index]);
  };
  const before = server => server.advance(advanceSeconds);
  return measure(servers, operation, { before });
}

function costTable({ registration, withPage, withoutPage, expired, fresh }) {
  const of = (samples, name) => samples.get(name) ?? samples.get(pageless(name));
  // Beside the time, how many times the floor that is.
  const cost = (samples, name) => {
    const numbers = of(samples, name);
    if (numbers === undefined) return '';
    const least = of(samples, floor);
    const times = least === undefined ? '' : ` (${medianRatio(numbers, least).toFixed(2)})`;
    return micros(median(numbers)) + times;
  };
  return formatTable(
    [
      'authorization server, CPU per operation',
      'registration',
      'flow',
      'flow, no page',
      'refresh, with upstream',
      'refresh',
    ],
    [floor, httpFloor, ours, fastmcp, sdk1].map(name => [
      name,
      ...[registration, withPage, withoutPage, expired, fresh].map(samples => cost(samples, name)),
    ]),
  );
}
