import type { IncomingMessage, ServerResponse } from 'node:http';
import { redirectUriOf } from '../../authorization/authorization-request.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import { mayBeRemembered } from '../../authorization/remembered-consents.js';
import type { AuthorizationRequest } from '../../authorization/transactions.js';
import { publish } from '../../core/events.js';
import { redirectFailure } from './answers.js';
import { type FrontChannel, mayAnswerAt, type Starting, sendMessage, startSignIn } from './front-channel.js';
import { readForm } from './read-params.js';

/** The answer of the consent page. Approving twice is approving once; a denial stores nothing and ends what was allowed before. */
export async function consent(req: IncomingMessage, res: ServerResponse, front: FrontChannel): Promise<void> {
  const { server, cookies } = front;
  if (isCrossSite(req, server.endpoints.baseUrl)) return refuseForm(req, res, front);
  const params = await readForm(req);
  const sealed = params.get('request') ?? '';
  const request = server.forms.open(sealed);
  if (request === null)
    return sendMessage(req, res, front, 400, 'This page has expired', 'Go back to your application and connect again.');
  const browser = cookies.browser(req) ?? '';
  if (!server.forms.isCsrfToken(params.get('csrf') ?? '', browser, sealed)) return refuseForm(req, res, front);

  const client = await server.clients.find(request.clientId);
  const redirectUri = client && redirectUriOf(request, client);
  if (client === null || redirectUri === null || !mayAnswerAt(front, client, redirectUri))
    return sendMessage(
      req,
      res,
      front,
      400,
      'This client is no longer registered',
      'Go back to your application and connect again.',
    );
  switch (params.isRepeated('decision') ? undefined : params.get('decision')) {
    case 'approve':
      if (!(await server.clients.isAllowed(client))) return refuseClient(req, res, front, request, redirectUri);
      if (server.consent.mode === 'remember' && mayBeRemembered(redirectUri, server.redirects.isLoopback)) {
        const consented = server.remembered.consentOf(client, redirectUri, request);
        cookies.setRemembered(res, server.remembered.with(cookies.remembered(req), consented));
      }
      publish('consent_given', req, () => ({
        clientId: client.id,
        scopes: request.scopes,
        resource: request.resource,
      }));
      return startSignIn(req, res, front, { client, request, redirectUri, isApproved: true });
    case 'deny':
      await takeBack(req, res, front, { client, request, redirectUri });
      publish('consent_denied', req, () => ({ clientId: client.id }));
      return redirectFailure(
        res,
        server,
        redirectUri,
        new OAuthFailure('access_denied', 'The person denied the request.'),
        request.state,
      );
    default:
      return sendMessage(req, res, front, 400, 'Nothing was decided', 'Go back and choose to approve or to deny.');
  }
}

/** Who has allowed it before, on this page or another one, and changed their mind has not allowed anything. */
async function takeBack(
  req: IncomingMessage,
  res: ServerResponse,
  { server, cookies }: FrontChannel,
  { client, request, redirectUri }: Omit<Starting, 'isApproved'>,
): Promise<void> {
  // Only who has allowed something has a cookie of it: a plain denial needs no store.
  if (cookies.binding(req, request.id) !== undefined) {
    await server.transactions.cancel(request.id);
    cookies.clearBinding(res, request.id);
  }
  const remembered = cookies.remembered(req);
  const consented = server.remembered.consentOf(client, redirectUri, request);
  if (remembered !== undefined && server.remembered.includes(remembered, consented))
    cookies.setRemembered(res, server.remembered.without(remembered, consented));
}

// The operator has turned it away since the page was shown.
function refuseClient(
  req: IncomingMessage,
  res: ServerResponse,
  { server }: FrontChannel,
  { clientId, state }: AuthorizationRequest,
  redirectUri: string,
): void {
  const failure = new OAuthFailure('unauthorized_client', 'This client may not be used here.');
  publish('sign_in_refused', req, () => ({ clientId, reason: failure.reason }));
  redirectFailure(res, server, redirectUri, failure, state);
}

function refuseForm(req: IncomingMessage, res: ServerResponse, front: FrontChannel): Promise<void> {
  return sendMessage(
    req,
    res,
    front,
    403,
    'This form was not opened here',
    'It came from another site or another browser, or cookies are turned off. Go back to your application and connect again.',
  );
}

// `Origin: null` is what browsers send under a strict referrer policy; then the CSRF token decides.
function isCrossSite(req: IncomingMessage, baseUrl: string): boolean {
  const { origin } = req.headers;
  const site = req.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  return origin !== undefined && origin !== 'null' && origin !== new URL(baseUrl).origin;
}
