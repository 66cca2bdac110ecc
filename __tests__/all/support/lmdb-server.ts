// A process of its own, to be killed: an app on the lmdb store. Everything it is told comes from the environment.
import express from 'express';
import { getAuth, oauthProxy } from 'express-mcp-auth';
import { lmdbStore } from 'express-mcp-auth/stores/lmdb';

const { PORT, ISSUER, CLIENT_ID, CLIENT_SECRET, SECRET, STORE } = process.env as Record<string, string>;
const app = express();
app.use(
  oauthProxy({
    baseUrl: `http://127.0.0.1:${PORT}`,
    upstream: { issuer: String(ISSUER), clientId: String(CLIENT_ID), clientSecret: String(CLIENT_SECRET) },
    requiredScopes: ['read'],
    secrets: String(SECRET),
    clients: { registration: 'stored' },
    rateLimit: false,
    store: lmdbStore({ path: String(STORE) }),
  }),
);
app.all('/mcp', (req, res) => {
  res.json(getAuth(req));
});
app.listen(Number(PORT), '127.0.0.1', () => console.log('listening'));
