import express from 'express';
import { jwtVerifier, multiAuth } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const {
  STAFF_ISSUER = 'https://staff.example.com',
  PARTNER_ISSUER = 'https://partners.example.com',
  BASE_URL = 'http://localhost:3000',
} = process.env;

// A token is only ever judged by the verifier of its own issuer. The audience of both is the resource, BASE_URL/mcp.
const auth = multiAuth(
  [
    jwtVerifier({ name: 'staff', issuer: STAFF_ISSUER }),
    jwtVerifier({ name: 'partners', issuer: PARTNER_ISSUER, requiredScopes: ['partner'] }),
  ],
  { baseUrl: BASE_URL, authorizationServers: [STAFF_ISSUER, PARTNER_ISSUER] },
);

export const app = express();
app.use(auth);
app.all('/mcp', mcpHandler);

listenWhenRun(import.meta.url, app);
