import express from 'express';
import { getAuth, staticTokenVerifier } from 'express-mcp-auth';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

// A key that is not set is an error at start: an unset variable never opens a door.
const auth = staticTokenVerifier({
  [process.env.CI_KEY!]: { clientId: 'ci', scopes: ['tools'] },
  [process.env.OPS_KEY!]: { clientId: 'ops', scopes: ['tools', 'admin'] },
});

export const app = express();
app.all('/mcp', auth.protect({ requiredScopes: ['tools'] }), mcpHandler);
app.get('/admin', auth.protect({ requiredScopes: ['admin'] }), (req, res) => {
  res.json({ administrator: getAuth(req).clientId });
});

listenWhenRun(import.meta.url, app);
