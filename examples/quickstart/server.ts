import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import express from 'express';
import { jwtVerifier, multiAuth, remoteAuth, staticTokenVerifier } from 'express-mcp-auth';
import { mcpHandler } from '../mcp-server.js';
import { startIdentityProvider } from './identity-provider.js';
import { printCurlLines, tour } from './tour.js';

const port = Number(process.env.PORT ?? 3000);
const server = createServer();
server.once('error', (error: NodeJS.ErrnoException) => {
  const taken = `Port ${port} is taken. Choose another one: PORT=${port + 1} npm start`;
  console.error(error.code === 'EADDRINUSE' ? taken : `Cannot listen on port ${port}: ${error.message}`);
  process.exit(1);
});
await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const { people, services, server: identityProvider } = await startIdentityProvider();
const ciKey = randomBytes(24).toString('hex');

const auth = multiAuth(
  remoteAuth({
    verifier: jwtVerifier({ name: 'people', issuer: people.issuer }),
    authorizationServers: [people.issuer],
    baseUrl,
    requiredScopes: ['tools'],
  }),
  [
    jwtVerifier({ name: 'services', issuer: services.issuer }),
    staticTokenVerifier({ [ciKey]: { clientId: 'ci', scopes: ['tools'] } }, { name: 'keys' }),
  ],
);

const app = express();
app.use(auth);
app.all('/mcp', mcpHandler);
server.on('request', app);

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  console.log('\nStopped.');
  await auth.close();
  for (const running of [server, identityProvider]) running.close().closeAllConnections();
  await setTimeout(300); // npm passes on the Ctrl-C that the terminal has sent already: be there to receive it
}
process.on('SIGINT', stop).on('SIGTERM', stop);

try {
  const aud = `${baseUrl}/mcp`;
  const person = { aud, sub: 'user-1', client_id: 'desktop-app', scope: 'tools' };
  const callers = {
    'a person, with a JWT of their sign-in': await people.mint(person),
    'a service, with a JWT of its own issuer': await services.mint({ aud, sub: 'nightly-report', scope: 'tools' }),
    'CI, with a static key': ciKey,
  };
  await tour(baseUrl, callers, {
    'no token': undefined,
    'an expired token': await people.mint({ ...person, exp: Math.floor(Date.now() / 1000) - 60 }),
    'a foreign audience': await people.mint({ ...person, aud: 'https://another-server.example.com/mcp' }),
    'a missing scope': await people.mint({ ...person, scope: 'mail' }),
  });
  printCurlLines(baseUrl, callers);
} catch (error) {
  if (!stopping) throw error;
}
