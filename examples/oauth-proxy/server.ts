import express from 'express';
import { oauthProxy } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', BASE_URL = 'http://localhost:3000' } = process.env;

const auth = oauthProxy({
  baseUrl: BASE_URL,
  resourceName: 'Example MCP server',
  upstream: {
    issuer: ISSUER,
    clientId: process.env.CLIENT_ID!,
    clientSecret: process.env.CLIENT_SECRET!,
    scopes: ['email'], // what the provider is asked for: it knows nothing of our `tools`
  },
  requiredScopes: ['tools'],
});

export const app = express();
app.use(auth); // discovery, registration, consent, tokens, and a guard in front of /mcp
app.all('/mcp', mcpHandler);

listenWhenRun(import.meta.url, app);
