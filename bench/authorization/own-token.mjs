import { createServer } from 'node:http';
import express from 'express';
import { expectAll, measureCalls, warmUp } from '../calls.mjs';
import { joseByHand } from '../contenders.mjs';
import { headersOf } from '../fake-http.mjs';
import { costsAtMost } from '../goals.mjs';
import { listen, startIssuer } from '../issuer.mjs';
import { tokens } from '../tokens.mjs';
import { register, signIn } from './browser.mjs';
import { proxy } from './contenders.mjs';
import { times } from './load.mjs';
import { startUpstream } from './processes.mjs';

const rounds = 21;
const distinct = 500;
const sliceMicros = 20_000;

/** The middleware alone: the tokens of as many sessions on the memory store, against JWTs that jose verifies. */
export async function measureOwnToken() {
  const upstream = await startUpstream();
  const app = express();
  const server = await listen(createServer(app));
  const ours = await proxy({ origin: server.origin, upstream: upstream.origin });
  app.use(ours);
  const client = await register(server.origin);
  const sessions = await times(distinct, () => signIn(server.origin, client));
  await server.close();
  await upstream.stop();

  const issuer = await startIssuer('RS256');
  const handlers = { ours, jose: joseByHand(issuer) };
  const headers = {
    ours: headersOf(sessions.map(({ accessToken }) => accessToken)),
    jose: headersOf(tokens.valid(issuer.minter('RS256'), distinct)),
  };
  const calls = {};
  for (const name in handlers) {
    await expectAll('passed', name, handlers[name], headers[name]);
    calls[name] = Math.ceil(sliceMicros / (await warmUp(handlers[name], headers[name])));
  }
  const samples = await measureCalls(handlers, rounds, name => ({
    headers: headers[name] ?? headers.ours,
    calls: calls[name] ?? calls.ours,
  }));
  await issuer.close();
  await ours.close();
  return costsAtMost(1 / 5, {
    what: 'middleware: own token, memory store, against jose',
    ours: samples.ours,
    baseline: samples.jose,
  });
}
