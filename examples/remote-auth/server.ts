import express from 'express';
import { jwtVerifier, remoteAuth } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', BASE_URL = 'http://localhost:3000' } = process.env;

const auth = remoteAuth({
  verifier: jwtVerifier({ issuer: ISSUER }),
  authorizationServers: [ISSUER],
  baseUrl: BASE_URL,
  requiredScopes: ['tools'],
  scopesSupported: ['tools', 'admin'],
  resourceName: 'Example MCP server',
});

export const app = express();
app.use(auth); // the discovery document at the root, and a guard in front of /mcp
app.all('/mcp', mcpHandler);

listenWhenRun(import.meta.url, app);
