import express from 'express';
import { introspectionVerifier } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { INTROSPECTION_URL = 'https://login.example.com/introspect', AUDIENCE = 'http://localhost:3000/mcp' } =
  process.env;

const auth = introspectionVerifier({
  introspectionUrl: INTROSPECTION_URL,
  clientId: process.env.CLIENT_ID ?? 'my-server',
  clientSecret: process.env.CLIENT_SECRET!,
  audience: AUDIENCE,
  requiredScopes: ['tools'],
  accepts: token => token.startsWith('at_'), // whatever looks otherwise is refused without a question
});

export const app = express();
app.all('/mcp', auth, mcpHandler);

listenWhenRun(import.meta.url, app);
