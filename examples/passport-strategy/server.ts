import express from 'express';
import { jwtVerifier, remoteAuth } from 'express-mcp-auth';
import { mcpStrategy } from 'express-mcp-auth/passport';
import passport from 'passport';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', BASE_URL = 'http://localhost:3000' } = process.env;

const auth = remoteAuth({
  verifier: jwtVerifier({ issuer: ISSUER }),
  authorizationServers: [ISSUER],
  baseUrl: BASE_URL,
  requiredScopes: ['tools'],
});
passport.use(mcpStrategy(auth));

export const app = express();
app.use(auth.wellKnown);
app.all('/mcp', passport.authenticate('mcp', { session: false }), mcpHandler);

listenWhenRun(import.meta.url, app);
