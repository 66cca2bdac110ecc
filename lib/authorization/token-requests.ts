import { createHash } from 'node:crypto';
import type { Client } from '../clients/client.js';
import { isEqual } from '../crypto/key-ring.js';
import { parseScopes } from '../oauth/scope.js';
import type { Grant } from './grant.js';
import { OAuthFailure } from './oauth-failure.js';
import { coversRequired, type Resources } from './resources.js';

export interface CodeRequest {
  readonly client: Client;
  readonly code: string;
  readonly codeVerifier: string | undefined;
  readonly redirectUri: string | undefined;
  readonly resource: string | undefined;
}

export interface RefreshRequest {
  readonly client: Client;
  readonly refreshToken: string;
  readonly scope: string | undefined;
  readonly resource: string | undefined;
}

const VERIFIER = /^[A-Za-z0-9\-._~]{43,128}$/;

/** Whether the code belongs to this request (RFC 6749 section 4.1.3, RFC 7636 section 4.6). Nothing is changed by asking. */
export function judgeCodeRequest(request: CodeRequest, grant: Grant, resources: Resources): void {
  const refuse = (description: string): never => {
    throw new OAuthFailure('invalid_grant', description);
  };
  if (grant.clientId !== request.client.id) refuse('The code was issued to another client.');
  const { codeVerifier, redirectUri } = request;
  // OAuth 2.1 drops the parameter from token requests, where PKCE protects the code; one that is sent must be right.
  if (redirectUri !== undefined && redirectUri !== grant.redirectUri)
    refuse('The redirect_uri is not the one of the authorization request.');
  if (codeVerifier === undefined) throw new OAuthFailure('invalid_request', 'code_verifier is missing.');
  if (!VERIFIER.test(codeVerifier))
    throw new OAuthFailure(
      'invalid_request',
      'code_verifier must be 43 to 128 letters, digits or -._~ (RFC 7636 section 4.1).',
    );
  const challenge = createHash('sha256').update(codeVerifier).digest();
  if (!isEqual(challenge, Buffer.from(grant.codeChallenge, 'base64url'))) refuse('The code_verifier does not match.');
  judgeResource(request.resource, grant, resources);
}

/** The scopes that a refreshed access token is to have. */
export function judgeRefreshRequest(request: RefreshRequest, grant: Grant, resources: Resources): readonly string[] {
  judgeResource(request.resource, grant, resources);
  if (request.scope === undefined) return grant.scopes;
  const wanted = parseScopes(request.scope);
  if (!wanted.every(scope => grant.scopes.includes(scope)))
    throw new OAuthFailure('invalid_scope', 'A refresh can only narrow the scopes that were granted.');
  const served = resources.find(grant.resource);
  if (served !== undefined && !coversRequired(served, wanted))
    throw new OAuthFailure('invalid_scope', 'The scopes left would not cover what the resource requires.');
  return wanted;
}

// RFC 8707 section 2.2: a token request may repeat the resource, under a former name too, and never change it.
function judgeResource(named: string | undefined, grant: Grant, resources: Resources): void {
  if (named === undefined) return;
  const served = resources.find(named);
  if (served === undefined || resources.find(grant.resource)?.resource !== served.resource)
    throw new OAuthFailure('invalid_target', 'The resource is not the one that was granted.');
}
