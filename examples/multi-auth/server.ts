import express from 'express';
import { jwtVerifier, multiAuth, remoteAuth, staticTokenVerifier } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const {
  ISSUER = 'https://login.example.com',
  SERVICE_ISSUER = 'https://internal.example.com',
  BASE_URL = 'http://localhost:3000',
} = process.env;

const auth = multiAuth(
  remoteAuth({
    verifier: jwtVerifier({ name: 'people', issuer: ISSUER }),
    authorizationServers: [ISSUER],
    baseUrl: BASE_URL,
    requiredScopes: ['tools'],
  }),
  [
    jwtVerifier({ name: 'services', issuer: SERVICE_ISSUER }),
    staticTokenVerifier({ [process.env.CI_KEY!]: { clientId: 'ci', scopes: ['tools'] } }, { name: 'keys' }),
  ],
);

export const app = express();
app.use(auth);
app.all('/mcp', mcpHandler);

listenWhenRun(import.meta.url, app);
