import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Outline } from '../composition/plan.js';
import type { UnavailableError } from '../core/errors.js';
import { type ChallengeParams, challenge } from '../oauth/challenge.js';
import { unique } from '../oauth/scope.js';

/** How a request is refused: section 5 of the design, row by row. Texts are fixed; reasons go to events. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 503;
  readonly challenge?: string;
  readonly retryAfterSeconds?: number;
  readonly body: string;
  /** The headers beside those of the body. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface Refusals {
  readonly noCredentials: Refusal;
  readonly badToken: Refusal;
  readonly malformed: Refusal;
  readonly queryToken: Refusal;
  insufficientScope(required: readonly string[]): Refusal;
  unavailable(error: UnavailableError): Refusal;
}

const NO_STORE = ['Cache-Control', 'no-store'] as const;
const NEEDS_TOKEN = 'This MCP server needs an access token. Send it as "Authorization: Bearer <token>".';
const WHERE_TO_GET_ONE = 'The WWW-Authenticate header of this response says where to get one.';
const ONE_TOKEN = 'Send exactly one access token: one word after Bearer, in one Authorization header, never in the URL';

/** The refusals of a guard; all that does not depend on the token is written once. */
export function refusalsOf(plan: Outline, extraScopes: readonly string[]): Refusals {
  const { resourceMetadataUrl } = plan;
  const refusal = (status: Refusal['status'], params: ChallengeParams, body: object): Refusal => {
    const value = challenge({ ...params, resourceMetadataUrl });
    return { status, challenge: value, headers: [['WWW-Authenticate', value], NO_STORE], body: JSON.stringify(body) };
  };
  const invalidRequest = { error: 'invalid_request', errorDescription: ONE_TOKEN } as const;
  const invalidRequestBody = { error: 'invalid_request', error_description: `${ONE_TOKEN}.` };
  const scopes = plan.challengeScopes(unique([...plan.requiredScopes, ...extraScopes]));

  return {
    noCredentials: refusal(
      401,
      { scopes },
      {
        error: 'unauthorized',
        error_description: resourceMetadataUrl === undefined ? NEEDS_TOKEN : `${NEEDS_TOKEN} ${WHERE_TO_GET_ONE}`,
      },
    ),
    badToken: refusal(
      401,
      {
        error: 'invalid_token',
        errorDescription: 'The access token is invalid, has expired or is not meant for this server',
        scopes,
      },
      {
        error: 'invalid_token',
        error_description:
          'The access token is invalid, has expired or is not meant for this server. To recover, clear the authentication tokens stored for this server in your MCP client and connect again: it then signs in anew.',
      },
    ),
    malformed: refusal(400, invalidRequest, invalidRequestBody),
    queryToken: refusal(401, invalidRequest, invalidRequestBody),
    insufficientScope: required => {
      const asked = plan.challengeScopes(unique([...required, ...extraScopes]));
      return refusal(
        403,
        {
          error: 'insufficient_scope',
          errorDescription: 'The access token lacks a scope that this request needs',
          scopes: asked,
        },
        {
          error: 'insufficient_scope',
          error_description:
            'The access token lacks a scope that this request needs. Ask for a token with the scopes in the WWW-Authenticate header of this response.',
        },
      );
    },
    unavailable: ({ retryAfterSeconds }) => ({
      status: 503,
      retryAfterSeconds,
      headers: [['Retry-After', String(retryAfterSeconds)], NO_STORE],
      body: JSON.stringify({
        error: 'temporarily_unavailable',
        error_description: `The access token could not be checked right now. Keep it and try again in ${retryAfterSeconds} seconds.`,
      }),
    }),
  };
}

export function sendRefusal(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
  // The client left, or something in front (a time-out) has answered already.
  if (res.headersSent || res.writableEnded || res.destroyed) return;
  for (const [name, value] of refusal.headers) res.setHeader(name, value);
  sendJson(req, res, refusal.status, refusal.body);
}

export function sendJson(req: IncomingMessage, res: ServerResponse, status: number, body: string): void {
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Content-Length', Buffer.byteLength(body));
  res.end(req.method === 'HEAD' ? undefined : body);
}
