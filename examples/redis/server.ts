import express from 'express';
import { oauthProxy } from 'express-mcp-auth';
import { redisStore } from 'express-mcp-auth/stores/redis';
import { createClient } from 'redis';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', BASE_URL = 'http://localhost:3000' } = process.env;

export const redis = createClient({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' });
redis.on('error', error => console.error(`Redis: ${error.message}`));
await redis.connect();

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
  store: redisStore(redis, { prefix: 'example:' }),
});

export const app = express();
app.use(auth);
app.all('/mcp', mcpHandler);

listenWhenRun(import.meta.url, app, () => redis.close());
