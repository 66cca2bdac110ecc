import { createHash } from 'node:crypto';
import express, { type Request } from 'express';
import { jwtVerifier, multiAuth, remoteAuth } from 'express-mcp-auth';
import { passportVerifier } from 'express-mcp-auth/passport';
import { Strategy } from 'passport';
import { listenWhenRun } from '../listen.js';
import { mcpHandler } from '../mcp-server.js';

const { ISSUER = 'https://login.example.com', BASE_URL = 'http://localhost:3000' } = process.env;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const accounts = new Map([[sha256(process.env.PARTNER_KEY!), { id: 7, plan: 'gold', scope: 'tools' }]]);

/** Stands for the strategy that the app has already: any one that reads a bearer token will do. */
class ApiKeyStrategy extends Strategy {
  override authenticate(req: Request): void {
    const account = accounts.get(sha256(req.headers.authorization?.slice('Bearer '.length) ?? ''));
    if (account) this.success(account, { scope: account.scope });
    else this.fail(401);
  }
}

const auth = multiAuth(
  remoteAuth({ verifier: jwtVerifier({ issuer: ISSUER }), authorizationServers: [ISSUER], baseUrl: BASE_URL }),
  passportVerifier(new ApiKeyStrategy(), { name: 'api-key', accepts: token => token.startsWith('pk_') }),
  { requiredScopes: ['tools'] },
);

export const app = express();
app.use(auth);
app.all('/mcp', mcpHandler);

listenWhenRun(import.meta.url, app);
