import express from 'express';
import { oauthProxy } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', BASE_URL = 'http://localhost:8080/notes' } = process.env;

// The public URL, with the prefix: all that is published comes from here and nothing from a request header.
const auth = oauthProxy({
  baseUrl: BASE_URL,
  upstream: {
    issuer: ISSUER,
    clientId: process.env.CLIENT_ID!,
    clientSecret: process.env.CLIENT_SECRET!,
    scopes: ['email'],
  },
  requiredScopes: ['tools'],
});

export const app = express();
app.set('trust proxy', 'loopback'); // nginx says who asks; otherwise the rate limits see one caller
app.use(auth);
app.all('/mcp', mcpHandler); // nginx has taken /notes off

listenWhenRun(import.meta.url, app);
