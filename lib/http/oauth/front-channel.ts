import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthorizationServer } from '../../authorization/authorization-server.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import type { AuthorizationRequest } from '../../authorization/transactions.js';
import type { Client } from '../../clients/client.js';
import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { messagePage, redirectNoticePage } from '../pages/message.js';
import { sendPage } from '../send-page.js';
import { failureUrl, redirect, redirectFailure } from './answers.js';
import type { ServerCookies } from './cookies.js';
import { hostOf } from './redirect-host.js';

/** What the endpoints that a browser visits work with. */
export interface FrontChannel {
  readonly server: AuthorizationServer;
  readonly cookies: ServerCookies;
}

export function serverOf({ server }: FrontChannel): { readonly name: string; readonly url: string } {
  return { name: server.name, url: server.endpoints.baseUrl };
}

/** Whether an answer may go to this address of the client. What the operator registered by hand is the operator's word. */
export function mayAnswerAt({ server }: FrontChannel, client: Client, redirectUri: string): boolean {
  return client.origin === 'preRegistered' || server.redirects.problem(redirectUri) === null;
}

/** A page for the person in front of the browser; nothing is redirected. */
export function sendMessage(
  req: IncomingMessage,
  res: ServerResponse,
  front: FrontChannel,
  status: 400 | 403 | 503,
  heading: string,
  ...paragraphs: string[]
): Promise<void> {
  return sendPage(req, res, status, messagePage({ title: heading, heading, paragraphs, server: serverOf(front) }));
}

/**
 * Tells the client of a fault before anybody has decided. A stranger can register any redirect URI, so to those the
 * browser is not sent without being asked (RFC 9700 section 4.11.2).
 */
export function tellClient(
  req: IncomingMessage,
  res: ServerResponse,
  front: FrontChannel,
  told: {
    readonly client: Client;
    readonly redirectUri: string;
    readonly state: string | undefined;
    readonly failure: OAuthFailure;
  },
): Promise<void> | void {
  const { client, redirectUri, state, failure } = told;
  publish('sign_in_refused', req, () => ({ clientId: client.id, reason: failure.reason, remedy: failure.remedy }));
  const location = failureUrl(front.server, redirectUri, failure, state);
  if (client.origin === 'preRegistered' || front.server.redirects.isAutoRedirectable(redirectUri))
    return redirect(res, location);
  const page = redirectNoticePage({
    message: failure.message,
    error: failure.code,
    clientName: client.metadata.client_name,
    host: hostOf(redirectUri),
    href: location,
    server: serverOf(front),
  });
  return sendPage(req, res, 400, page);
}

/** A good request on its way to the sign-in. */
export interface Starting {
  readonly client: Client;
  readonly request: AuthorizationRequest;
  readonly redirectUri: string;
  /** Whether the person has approved on the page; in modes without one nobody has decided anything yet. */
  readonly isApproved: boolean;
}

/** Stores the request and sends the browser to the sign-in, bound to it by a cookie. */
export async function startSignIn(
  req: IncomingMessage,
  res: ServerResponse,
  front: FrontChannel,
  starting: Starting,
): Promise<void> {
  const { server, cookies } = front;
  const { client, request, redirectUri, isApproved } = starting;
  const transaction = await server.transactions.approve(request, () => server.leg.prepare());
  if (transaction === null)
    return sendMessage(
      req,
      res,
      front,
      400,
      'This sign-in was used already',
      'Go back to your application and connect again.',
    );
  try {
    const location = await server.leg.locate(transaction);
    cookies.setBinding(req, res, request.id, server.forms.bindingOf(request.id));
    redirect(res, location);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const failure = new OAuthFailure('temporarily_unavailable', 'The identity provider is out of reach.', {
      reason: error.message,
    });
    const { state } = request;
    if (!isApproved) return tellClient(req, res, front, { client, redirectUri, state, failure });
    publish('sign_in_refused', req, () => ({ clientId: client.id, reason: failure.reason }));
    redirectFailure(res, server, redirectUri, failure, state);
  }
}
