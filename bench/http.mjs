import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import express from 'express';
import { contenders } from './contenders.mjs';
import { keepsAtLeast } from './goals.mjs';
import { listen, startIssuer } from './issuer.mjs';
import { interleave, median, medianRatio } from './measure.mjs';
import { formatTable, micros } from './table.mjs';
import { tokens } from './tokens.mjs';

const bare = 'bare Express 5';
const ours = 'express-mcp-auth';
const rounds = 21;
const requestsPerRound = 300;
const distinctTokens = 500;
// The first time: before that the compiler of V8 is still at work, and its threads count too.
const coldRequests = 10_000;
const warmUpRequests = 2000;

/** Real requests over loopback to one Express app per contender; the load comes from another process. */
export async function measureHttp() {
  const issuer = await startIssuer('RS256', 'ES256');
  const servers = { [bare]: await listen(createServer(app())) };
  for (const [name, make] of Object.entries(contenders)) servers[name] = await listen(createServer(app(make(issuer))));
  const client = fork(new URL('http-client.mjs', import.meta.url));

  const measured = [];
  for (const alg of ['RS256', 'ES256']) {
    client.send({ tokens: tokens.valid(issuer.minter(alg), distinctTokens) });
    const warmUp = measured.length === 0 ? coldRequests : warmUpRequests;
    measured.push({ alg, samples: await measureServers(servers, client, warmUp) });
  }
  client.disconnect();
  for (const server of [...Object.values(servers), issuer]) await server.close();
  return { goals: measured.map(goal), table: contenderTable(measured) };
}

function app(middleware) {
  const app = express();
  if (middleware) app.use(middleware);
  app.get('/mcp', (_req, res) => {
    res.json({ ok: true });
  });
  return app;
}

async function measureServers(servers, client, warmUp) {
  const load = async (name, requests) => {
    client.send({ port: servers[name].port, requests });
    const [{ succeeded }] = await once(client, 'message');
    if (succeeded !== requests) throw new Error(`${name}: ${succeeded} of ${requests} requests got 200`);
  };
  for (const name in servers) await load(name, warmUp);
  return interleave(Object.keys(servers), rounds, name => ({
    operations: requestsPerRound,
    run: () => load(name, requestsPerRound),
  }));
}

const goal = ({ alg, samples }) =>
  keepsAtLeast(0.8, {
    what: `HTTP: repeat token, ${alg}, against bare Express`,
    ours: samples.get(ours),
    baseline: samples.get(bare),
    aim: 0.9,
  });

const contenderTable = measured =>
  formatTable(
    ['over HTTP, CPU per request', ...measured.flatMap(({ alg }) => [alg, 'of bare'])],
    [bare, ...Object.keys(contenders)].map(name => [
      name,
      ...measured.flatMap(({ samples }) => [
        micros(median(samples.get(name))),
        medianRatio(samples.get(bare), samples.get(name)).toFixed(2),
      ]),
    ]),
  );
