import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthorizationServer } from '../../authorization/authorization-server.js';
import type { OAuthFailure } from '../../authorization/oauth-failure.js';
import type { UnavailableError } from '../../core/errors.js';
import { sendJson } from '../refusal.js';
import { keepOpener } from '../send-page.js';
import { BodyTooLarge } from './read-params.js';

/** RFC 6749 section 5.2, as JSON that nobody may keep. */
export function sendFailure(
  req: IncomingMessage,
  res: ServerResponse,
  failure: OAuthFailure,
  server: AuthorizationServer,
  usedBasic = false,
): void {
  if (failure.code === 'invalid_client' && usedBasic)
    res.setHeader('WWW-Authenticate', 'Basic realm="oauth", charset="UTF-8"');
  sendUncached(req, res, statusOf(failure, server), { error: failure.code, error_description: failure.message });
}

export function sendUnavailable(
  req: IncomingMessage,
  res: ServerResponse,
  { retryAfterSeconds }: UnavailableError,
): void {
  res.setHeader('Retry-After', String(retryAfterSeconds));
  sendUncached(req, res, 503, {
    error: 'temporarily_unavailable',
    error_description: `This cannot be done right now. Try again in ${retryAfterSeconds} seconds.`,
  });
}

export function sendUncached(req: IncomingMessage, res: ServerResponse, status: number, body: object): void {
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Pragma', 'no-cache');
  sendJson(req, res, status, JSON.stringify(body));
}

function statusOf(failure: OAuthFailure, server: AuthorizationServer): number {
  if (failure instanceof BodyTooLarge) return 413;
  if (failure.code === 'invalid_client') return 401;
  return failure.code === 'invalid_grant' ? server.invalidGrantStatus : 400;
}

/** The redirect URI with parameters added, its own query untouched; `iss` goes into every answer (RFC 9207). */
export function clientRedirect(
  server: AuthorizationServer,
  redirectUri: string,
  params: Readonly<Record<string, string | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...params, iss: server.issuer }))
    if (value !== undefined) query.set(name, value);
  return `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${query}`;
}

/** Tells the client of a fault by way of the browser (RFC 6749 section 4.1.2.1). */
export function redirectFailure(
  res: ServerResponse,
  server: AuthorizationServer,
  redirectUri: string,
  failure: OAuthFailure,
  state: string | undefined,
): void {
  redirect(res, failureUrl(server, redirectUri, failure, state));
}

export function failureUrl(
  server: AuthorizationServer,
  redirectUri: string,
  { code, message }: OAuthFailure,
  state: string | undefined,
): string {
  return clientRedirect(server, redirectUri, { error: code, error_description: message, state });
}

/** 303: a browser must not repeat a POST, or what was in it, at another place. */
export function redirect(res: ServerResponse, location: string): void {
  res.statusCode = 303;
  res.setHeader('Location', location);
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Referrer-Policy', 'no-referrer');
  keepOpener(res);
  res.setHeader('Content-Length', '0');
  res.end();
}
