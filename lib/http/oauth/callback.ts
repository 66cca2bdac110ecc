import type { IncomingMessage, ServerResponse } from 'node:http';
import { redirectUriOf } from '../../authorization/authorization-request.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import { errorText } from '../../core/error-text.js';
import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { clientRedirect, redirect, redirectFailure } from './answers.js';
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
      'Finish it in the browser in which you allowed access, with cookies turned on.',
      AGAIN,
    );

  const client = await server.clients.find(transaction.clientId);
  const redirectUri = client && redirectUriOf(transaction, client);
  if (client === null || redirectUri === null || !mayAnswerAt(front, client, redirectUri))
    return sendMessage(req, res, front, 400, 'This client is no longer registered', AGAIN);
  if (!(await found.take())) return sendMessage(req, res, front, 400, 'This sign-in was used already', AGAIN);
  cookies.clearBinding(res, transaction.id);
  const answer = new URLSearchParams((req.url ?? '').split('?').slice(1).join('?'));
  const { state: clientState } = transaction;
  const signedIn = await server.leg.finish(transaction, answer).catch(failureOf);
  if (signedIn instanceof OAuthFailure) {
    const { reason, remedy } = signedIn;
    publish('sign_in_refused', req, () => ({ clientId: client.id, reason, remedy }));
    return redirectFailure(res, server, redirectUri, signedIn, clientState);
  }
  let code: string;
  try {
    await server.clients.signedIn(client);
    code = await server.grants.issueCode(transaction, redirectUri, signedIn);
  } catch (error) {
    // Nobody will ever hold what the provider gave.
    if (signedIn.upstream !== undefined) await server.leg.revoke(signedIn.upstream).catch(() => {});
    if (!(error instanceof UnavailableError)) throw error;
    publish('sign_in_refused', req, () => ({ clientId: client.id, reason: error.message }));
    // The sign-in is spent: to load this page again, as other pages advise in an outage, would not help.
    res.setHeader('Retry-After', String(error.retryAfterSeconds));
    return sendMessage(req, res, front, 503, 'The sign-in could not be finished', AGAIN);
  }
  redirect(res, clientRedirect(server, redirectUri, { code, state: clientState }));
}

/** What the client is told when the sign-in did not end well. */
function failureOf(error: unknown): OAuthFailure {
  if (error instanceof OAuthFailure) return error;
  if (error instanceof UnavailableError)
    return new OAuthFailure('temporarily_unavailable', 'The sign-in could not be finished right now.', {
      reason: error.message,
    });
  return new OAuthFailure('server_error', 'The sign-in could not be finished.', {
    reason: errorText(error),
  });
}
