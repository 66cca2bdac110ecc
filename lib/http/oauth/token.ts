import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthorizationServer } from '../../authorization/authorization-server.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import type { Params } from '../../authorization/params.js';
import type { TokenAnswer } from '../../authorization/token-answer.js';
import { authenticateClient } from '../../clients/authenticate.js';
import type { Client } from '../../clients/client.js';
import { publish } from '../../core/events.js';
import { sendFailure, sendUncached } from './answers.js';
import { readForm } from './read-params.js';

const PARAMETERS = [
  'grant_type',
  'code',
  'code_verifier',
  'redirect_uri',
  'refresh_token',
  'scope',
  'resource',
  'client_id',
  'client_secret',
  'token',
  'token_type_hint',
];

/** The token endpoint (RFC 6749 section 3.2). */
export function token(req: IncomingMessage, res: ServerResponse, server: AuthorizationServer): Promise<void> {
  return asClient(req, res, server, async (client, params) => {
    sendUncached(req, res, 200, await answerGrant(server, client, params));
  });
}

/** The revocation endpoint (RFC 7009): 200 for whatever is gone now, whether or not it was there. */
export function revoke(req: IncomingMessage, res: ServerResponse, server: AuthorizationServer): Promise<void> {
  return asClient(req, res, server, async (client, params) => {
    const given = params.get('token');
    if (given === undefined) throw new OAuthFailure('invalid_request', 'token is missing.');
    await server.grants.revoke(given, client);
    res.setHeader('Cache-Control', 'no-store');
    res.setHeader('Content-Length', '0');
    res.end();
  });
}

async function answerGrant(server: AuthorizationServer, client: Client, params: Params): Promise<TokenAnswer> {
  const grantType = params.get('grant_type');
  const resource = params.get('resource');
  const required = (name: string): string => {
    const value = params.get(name);
    if (value === undefined) throw new OAuthFailure('invalid_request', `${name} is missing.`);
    return value;
  };
  switch (grantType) {
    case undefined:
      throw new OAuthFailure('invalid_request', 'grant_type is missing.');
    case 'authorization_code':
      return server.grants.redeem({
        client,
        code: required('code'),
        codeVerifier: params.get('code_verifier'),
        redirectUri: params.get('redirect_uri'),
        resource,
      });
    case 'refresh_token': {
      const answer = await server.grants.refresh({
        client,
        refreshToken: required('refresh_token'),
        scope: params.get('scope'),
        resource,
      });
      await server.clients.refreshed(client);
      return answer;
    }
    default:
      throw new OAuthFailure('unsupported_grant_type', 'Only authorization_code and refresh_token are supported.');
  }
}

/** Authenticates the client and runs the work; faults become JSON answers, and events for the operator. */
async function asClient(
  req: IncomingMessage,
  res: ServerResponse,
  server: AuthorizationServer,
  work: (client: Client, params: Params) => Promise<void>,
): Promise<void> {
  let usedBasic = /^basic /i.test(req.headers.authorization ?? '');
  let clientId: string | undefined;
  try {
    const params = await readForm(req);
    const repeated = params.repeatedAmong(PARAMETERS);
    if (repeated !== undefined)
      throw new OAuthFailure('invalid_request', `The parameter ${repeated} came more than once.`);
    const answer = await authenticateClient({ authorization: req.headers.authorization, body: params }, id =>
      server.clients.find(id),
    );
    usedBasic = answer.usedBasic;
    if (!('client' in answer)) throw new OAuthFailure(answer.error, answer.description, { reason: answer.reason });
    clientId = answer.client.id;
    if (!(await server.clients.isAllowed(answer.client)))
      throw new OAuthFailure('unauthorized_client', 'This client may not be used here.');
    await work(answer.client, params);
  } catch (failure) {
    if (!(failure instanceof OAuthFailure)) throw failure;
    const { code: error, message: description, reason } = failure;
    publish('token_refused', req, () => ({ clientId, error, description, reason }));
    sendFailure(req, res, failure, server, usedBasic);
  }
}
