import { Agent, get } from 'node:http';

/**
 * The load: a process of its own that is told which tokens to use, then, per slice, `{ port, requests }`.
 * It sends that many requests over kept-alive loopback connections and reports how many were answered with 200.
 */
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
let tokens = [];
let turn = 0;

process.on('message', async message => {
  if (message.tokens) tokens = message.tokens;
  else process.send({ succeeded: await load(message.port, message.requests) });
});
process.on('disconnect', () => process.exit());

async function load(port, requests) {
  let left = requests;
  let succeeded = 0;
  const worker = async () => {
    while (left-- > 0) if ((await request(port, tokens[turn++ % tokens.length])) === 200) succeeded++;
  };
  await Promise.all(Array.from({ length: agent.maxSockets }, worker));
  return succeeded;
}

function request(port, token) {
  const headers = { accept: 'application/json', authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/mcp', headers, agent, timeout: 10_000 }, res => {
      res.resume().on('end', () => resolve(res.statusCode));
    }).on('error', reject);
  });
}
