import { createServer } from 'node:http';
import express from 'express';
import { listen } from '../issuer.mjs';
import { contenders } from './contenders.mjs';

/**
 * One contender in a process of its own: `server.mjs <name> <origin of the provider>`. Tells its origin, and then,
 * whenever it is asked, what it has used so far; `{ advanceSeconds }` moves its clock on before that.
 */
const [name, upstream] = process.argv.slice(2);
let ahead = 0;

const app = express();
const { origin } = await listen(createServer(app));
await contenders[name](app, { origin, upstream, now: () => Date.now() + ahead });

process.on('message', ({ advanceSeconds = 0 }) => {
  ahead += advanceSeconds * 1000;
  const { user, system } = process.cpuUsage();
  process.send({ cpu: user + system, heap: process.memoryUsage().heapUsed });
});
process.on('disconnect', () => process.exit());
process.send({ origin });
