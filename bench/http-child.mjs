import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import express from 'express';
import { bare, contenders } from './contenders.mjs';
import { listen, startIssuer } from './issuer.mjs';
import { interleave } from './measure.mjs';
import { tokens } from './tokens.mjs';

/**
 * One process of `http.mjs`: an Express app per contender and one without any, in turns; the load comes from another
 * process. Sends home `{ RS256, ES256 }`, each of them the samples by round of every app.
 */
const rounds = 20;
const requestsPerRound = 300;
// Off the clock, at the start of a turn: the first requests after another app's find the processor's caches full of it.
const requestsBefore = 300;
const distinctTokens = 500;
// The first time: before that the compiler of V8 is still at work, and its threads count too.
const coldRequests = 10_000;
const warmUpRequests = 2000;

const issuer = await startIssuer('RS256', 'ES256');
const servers = { [bare]: await listen(createServer(app())) };
for (const [name, make] of Object.entries(contenders)) servers[name] = await listen(createServer(app(make(issuer))));
const client = fork(new URL('http-client.mjs', import.meta.url));

const measured = {};
for (const [alg, warmUp] of [
  ['RS256', coldRequests],
  ['ES256', warmUpRequests],
]) {
  client.send({ tokens: tokens.valid(issuer.minter(alg), distinctTokens) });
  measured[alg] = Object.fromEntries(await measureServers(warmUp));
}
process.send(measured, () => process.exit());

function app(middleware) {
  const app = express();
  if (middleware) app.use(middleware);
  app.get('/mcp', (_req, res) => {
    res.json({ ok: true });
  });
  return app;
}

async function measureServers(warmUp) {
  for (const name in servers) await load(name, warmUp);
  return interleave(Object.keys(servers), rounds, async name => {
    await load(name, requestsBefore);
    return { operations: requestsPerRound, run: () => load(name, requestsPerRound) };
  });
}

async function load(name, requests) {
  client.send({ port: servers[name].port, requests });
  const [{ succeeded }] = await once(client, 'message');
  if (succeeded !== requests) throw new Error(`${name}: ${succeeded} of ${requests} requests got 200`);
}
