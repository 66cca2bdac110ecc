import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import express from 'express';
import { jwtVerifier, multiAuth, oauthProxy, staticTokenVerifier } from 'express-mcp-auth';
import { lmdbStore } from 'express-mcp-auth/stores/lmdb';
import { exportJWK, generateKeyPair } from 'jose';
import { mcpHandler } from '../mcp-server.js';
import { runClient } from './client.js';
import { folder, load, save } from './folder.js';
import { identityProvider } from './identity-provider.js';
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
const resource = `${baseUrl}/mcp`;

// Made at the first start. In production they come from your secret manager.
const secret = () => randomBytes(32).toString('base64url');
const makeSecrets = async () => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { sealing: secret(), upstream: secret(), ciKey: secret(), key: await exportJWK(privateKey) };
};
const secrets =
  load<Awaited<ReturnType<typeof makeSecrets>>>('secrets.json') ?? save('secrets.json', await makeSecrets());

const issuer = `${baseUrl}/idp`;
const registered = { clientId: 'mcp-server', clientSecret: secrets.upstream, redirectUri: `${baseUrl}/auth/callback` };
const provider = await identityProvider(issuer, registered, secrets.key);
const store = lmdbStore({ path: join(folder, 'store.lmdb') });

const auth = multiAuth(
  oauthProxy({
    name: 'people',
    resourceName: 'the quickstart',
    baseUrl,
    upstream: { issuer, clientId: registered.clientId, clientSecret: registered.clientSecret, scopes: [] },
    requiredScopes: ['tools'],
    secrets: secrets.sealing,
    store,
  }),
  [
    jwtVerifier({ name: 'services', issuer }),
    staticTokenVerifier({ [secrets.ciKey]: { clientId: 'ci', scopes: ['tools'] } }, { name: 'keys' }),
  ],
);

const app = express();
app.use(auth);
app.all('/mcp', mcpHandler);
app.use('/idp', provider.router);
server.on('request', app);

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  console.log('\nStopped.');
  server.close().closeAllConnections();
  await auth.close();
  await store.close();
  await setTimeout(300); // npm passes on the Ctrl-C that the terminal has sent already: be there to receive it
  process.exit(); // the client may be waiting for an answer that nobody gives any more
}
process.on('SIGINT', stop).on('SIGTERM', stop);

try {
  console.log(`MCP server at ${resource}`);
  const service = { aud: resource, sub: 'nightly-report', scope: 'tools' };
  const callers = {
    'a person, with the token of that client': await runClient(resource),
    'a service, with a JWT of the provider': await provider.mint(service),
    'CI, with a static key': secrets.ciKey,
  };
  await tour(resource, callers, {
    'no token': undefined,
    'an expired token': await provider.mint({ ...service, exp: Math.floor(Date.now() / 1000) - 60 }),
    'a foreign audience': await provider.mint({ ...service, aud: 'https://another-server.example.com/mcp' }),
    'a missing scope': await provider.mint({ ...service, scope: 'mail' }),
  });
  printCurlLines(resource, callers);
  console.log(`Add ${resource} to any MCP client, and sign in with any name and the password "password".`);
  console.log('Serving until Ctrl-C.');
} catch (error) {
  if (!stopping) throw error;
}
