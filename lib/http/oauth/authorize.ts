import type { IncomingMessage, ServerResponse } from 'node:http';
import { readAuthorizationRequest, redirectOf } from '../../authorization/authorization-request.js';
import type { ConsentView } from '../../authorization/authorization-server.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import { mayBeRemembered } from '../../authorization/remembered-consents.js';
import type { AuthorizationRequest } from '../../authorization/transactions.js';
import type { Client } from '../../clients/client.js';
import { consentPage } from '../pages/consent.js';
import { unknownClientJson, unknownClientPage } from '../pages/unknown-client.js';
import { CUSTOM_PAGE_CSP, sendPage } from '../send-page.js';
import { sendUncached } from './answers.js';
import { type FrontChannel, mayAnswerAt, sendMessage, serverOf, startSignIn, tellClient } from './front-channel.js';
import { readForm, readQuery } from './read-params.js';
import { hostOf } from './redirect-host.js';

const RESET = 'Remove the server from your application and add it again.';

/** The authorization endpoint (RFC 6749 section 3.1): checks the request and asks the person. Stores nothing. */
export async function authorize(req: IncomingMessage, res: ServerResponse, front: FrontChannel): Promise<void> {
  const { server } = front;
  const params = req.method === 'POST' ? await readForm(req) : readQuery(req);
  const clientId = params.get('client_id');
  if (clientId === undefined || params.isRepeated('client_id'))
    return sendMessage(
      req,
      res,
      front,
      400,
      'The request names no client',
      'Its client_id is missing or came more than once.',
      RESET,
    );
  const client = await server.clients.find(clientId);
  if (client === null) return sendUnknown(req, res, front, clientId);

  const target = params.isRepeated('redirect_uri') ? null : redirectOf(params, client);
  if (target === null || !mayAnswerAt(front, client, target.uri))
    return sendUnknown(req, res, front, clientId, params.get('redirect_uri') ?? 'none');

  let request: AuthorizationRequest;
  try {
    request = readAuthorizationRequest(params, {
      client,
      redirect: target.redirect,
      resources: server.resources,
      scopes: server.scopes,
      transactionTtlSeconds: server.lifetimes.transactionTtlSeconds,
      now: server.now,
    });
    if (!(await server.clients.isAllowed(client)))
      throw new OAuthFailure('unauthorized_client', 'This client may not be used here.');
  } catch (failure) {
    if (!(failure instanceof OAuthFailure)) throw failure;
    const given = params.isRepeated('state') ? undefined : params.get('state');
    const state = given?.includes('\ufffd') ? undefined : given;
    return tellClient(req, res, front, { client, redirectUri: target.uri, state, failure });
  }
  if (isPageless(req, front, client, target.uri, request)) {
    // A page that is only fetched in case must not start anything.
    if (/prefetch|prerender/i.test(String(req.headers['sec-purpose'] ?? req.headers.purpose ?? '')))
      return sendNothing(res);
    return startSignIn(req, res, front, { client, request, redirectUri: target.uri, isApproved: false });
  }
  return sendConsentPage(req, res, front, client, target.uri, request);
}

/** Whether the person need not be asked: by the operator's mode, or because exactly this was approved before. */
function isPageless(
  req: IncomingMessage,
  { server, cookies }: FrontChannel,
  client: Client,
  redirectUri: string,
  request: AuthorizationRequest,
): boolean {
  switch (server.consent.mode) {
    case 'always':
      return false;
    case 'external':
    case 'dangerouslySkip':
      return true;
    case 'remember': {
      const cookie = cookies.remembered(req);
      return (
        isOwnNavigation(req) &&
        cookie !== undefined &&
        mayBeRemembered(redirectUri, server.redirects.isLoopback) &&
        server.remembered.includes(cookie, server.remembered.consentOf(client, redirectUri, request))
      );
    }
  }
}

// Another site that sends the browser here is not the person who approved (AS-in-the-middle), and neither is an image
// or a frame in a page of a sibling site. Browsers that send the one header send the other.
function isOwnNavigation({ headers }: IncomingMessage): boolean {
  const { 'sec-fetch-site': site, 'sec-fetch-dest': dest = 'document' } = headers;
  return ['same-origin', 'same-site', 'none'].includes(String(site)) && dest === 'document';
}

async function sendConsentPage(
  req: IncomingMessage,
  res: ServerResponse,
  front: FrontChannel,
  client: Client,
  redirectUri: string,
  request: AuthorizationRequest,
): Promise<void> {
  const { server, cookies } = front;
  const sealed = server.forms.seal(request);
  const browser = cookies.setBrowser(req, res);
  const { client_name: name, client_uri: uri } = client.metadata;
  const view: ConsentView = {
    client: { id: client.id, ...(name !== undefined && { name }), ...(uri !== undefined && { uri }) },
    redirectHost: hostOf(redirectUri),
    scopes: request.scopes,
    server: serverOf(front),
    resource: request.resource,
    warnings: warningsFor(client, redirectUri, server.redirects.isLoopback),
    action: server.endpoints.baseUrl + server.endpoints.paths.consent,
    fields: { request: sealed, csrf: server.forms.csrfToken(browser, sealed) },
  };
  const { page, csp } = server.consent;
  if (page === undefined) return sendPage(req, res, 200, consentPage(view), csp === undefined ? {} : { csp });
  return sendPage(req, res, 200, await page(view), { csp: csp ?? CUSTOM_PAGE_CSP });
}

function warningsFor(client: Client, redirectUri: string, isLoopback: (uri: string) => boolean): readonly string[] {
  const warnings: string[] = [];
  if (client.metadata.redirect_uris.every(isLoopback) || isLoopback(redirectUri))
    warnings.push(
      'This client runs on your own computer. Any program on it could be the one that asks: allow only what you have just started yourself.',
    );
  else if (!redirectUri.startsWith('https://'))
    warnings.push('This client is a program on your own computer. Allow only what you have just started yourself.');
  return warnings;
}

function sendUnknown(
  req: IncomingMessage,
  res: ServerResponse,
  front: FrontChannel,
  clientId: string,
  redirectUri?: string,
): Promise<void> | void {
  const { server } = front;
  const note = server.clients.hintAbout(clientId);
  if (/text\/html/i.test(req.headers.accept ?? ''))
    return sendPage(req, res, 400, unknownClientPage({ clientId, redirectUri, note, server: serverOf(front) }));
  const registrationEndpoint = server.clients.register && server.endpoints.baseUrl + server.endpoints.paths.register;
  sendUncached(req, res, 400, unknownClientJson({ clientId, redirectUri, note, registrationEndpoint }));
}

function sendNothing(res: ServerResponse): void {
  res.statusCode = 204;
  res.setHeader('Cache-Control', 'no-store');
  res.end();
}
