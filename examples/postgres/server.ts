import express from 'express';
import { oauthProxy } from 'express-mcp-auth';
import { postgresStore } from 'express-mcp-auth/stores/postgres';
import pg from 'pg';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', BASE_URL = 'http://localhost:3000' } = process.env;

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
pool.on('error', error => console.error(`PostgreSQL: ${error.message}`));

const auth = oauthProxy({
  baseUrl: BASE_URL,
  upstream: {
    issuer: ISSUER,
    clientId: process.env.CLIENT_ID!,
    clientSecret: process.env.CLIENT_SECRET!,
    scopes: ['email'],
  },
  requiredScopes: ['tools'],
  // The same on every replica: what one has sealed, all others open.
  secrets: process.env.OAUTH_SECRET!,
  store: postgresStore(pool, { table: 'example_oauth' }),
});

export const app = express();
app.use(auth);
app.all('/mcp', mcpHandler);

listenWhenRun(import.meta.url, app, () => pool.end());
