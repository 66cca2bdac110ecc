import express from 'express';
import { jwtVerifier } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', AUDIENCE = 'http://localhost:3000/mcp' } = process.env;

// The keys are discovered from the issuer when the first token comes; nothing is fetched at start.
const auth = jwtVerifier({ issuer: ISSUER, audience: AUDIENCE, requiredScopes: ['tools'] });

export const app = express();
app.all('/mcp', auth, mcpHandler);

listenWhenRun(import.meta.url, app);
