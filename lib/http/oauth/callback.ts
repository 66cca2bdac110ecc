import type { IncomingMessage, ServerResponse } from 'node:http';
import { redirectUriOf } from '../../authorization/authorization-request.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import type { Transaction } from '../../authorization/transactions.js';
import type { Client } from '../../clients/client.js';
import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { clientRedirect, redirect } from './answers.js';
import { type FrontChannel, mayAnswerAt, sendMessage } from './front-channel.js';
import { readQuery } from './read-params.js';

const AGAIN = 'Go back to your application and connect again.';

/** The browser comes back from the sign-in. It must be the one that approved, and it comes once. */
export async function callback(req: IncomingMessage, res: ServerResponse, front: FrontChannel): Promise<void> {
  const { server, cookies } = front;
  const params = readQuery(req);
  const state = params.isRepeated('state') ? undefined : params.get('state');
  const found = state === undefined ? ({ kind: 'unknown' } as const) : await server.transactions.find(state);
  if (found.kind === 'unknown')
    return sendMessage(req, res, front, 400, 'This sign-in is unknown or has expired', AGAIN);
  if (found.kind === 'spent') return sendMessage(req, res, front, 400, 'This sign-in was used already', AGAIN);
  const { transaction } = found;
  // Before anything changes: somebody else's browser may not finish, or spoil, what this one began.
  if (!server.forms.isBinding(cookies.binding(req, transaction.id) ?? '', transaction.id))
    return sendMessage(
      req,
      res,
      front,
      403,
      'This sign-in was started in another browser',
      'Finish it in the browser in which you approved it, with cookies turned on.',
      AGAIN,
    );

  const client = await server.clients.find(transaction.clientId);
  const redirectUri = client && redirectUriOf(transaction, client);
  if (client === null || redirectUri === null || !mayAnswerAt(front, client, redirectUri))
    return sendMessage(req, res, front, 400, 'This client is no longer registered', AGAIN);
  if (!(await found.take())) return sendMessage(req, res, front, 400, 'This sign-in was used already', AGAIN);
  cookies.clearBinding(res, transaction.id);
  const answer = new URLSearchParams((req.url ?? '').split('?').slice(1).join('?'));
  redirect(
    res,
    clientRedirect(server, redirectUri, await finish(req, front, client, transaction, redirectUri, answer)),
  );
}

/** The parameters that the client gets: a code, or why there is none. */
async function finish(
  req: IncomingMessage,
  { server }: FrontChannel,
  client: Client,
  transaction: Transaction,
  redirectUri: string,
  answer: URLSearchParams,
): Promise<Record<string, string | undefined>> {
  const { state } = transaction;
  try {
    const signedIn = await server.leg.finish(transaction, answer);
    const code = await server.grants.issueCode(transaction, redirectUri, signedIn);
    await server.clients.signedIn(client);
    return { code, state };
  } catch (error) {
    const [failure, reason] = failureOf(error);
    publish('sign_in_refused', req, () => ({ clientId: client.id, reason }));
    return { error: failure.code, error_description: failure.message, state };
  }
}

function failureOf(error: unknown): [OAuthFailure, string] {
  if (error instanceof OAuthFailure) return [error, error.message];
  if (error instanceof UnavailableError)
    return [new OAuthFailure('temporarily_unavailable', 'The sign-in could not be finished right now.'), error.message];
  return [new OAuthFailure('server_error', 'The sign-in could not be finished.'), 'an unexpected error'];
}
