import { resourceScopes } from './scope.js';

/** The codes of RFC 6750 section 3.1. */
export type ChallengeError = 'invalid_request' | 'invalid_token' | 'insufficient_scope';

export interface ChallengeParams {
  readonly error?: ChallengeError;
  readonly errorDescription?: string;
  readonly scopes?: readonly string[];
  readonly resourceMetadataUrl?: string | undefined;
}

/**
 * The value of `WWW-Authenticate` (RFC 6750 section 3, RFC 9728 section 5.1): each parameter at most once, quoted,
 * reduced to the characters that its grammar allows.
 */
export function challenge(params: ChallengeParams): string {
  const parts: string[] = [];
  if (params.error !== undefined) parts.push(`error=${quote(params.error)}`);
  if (params.errorDescription !== undefined) parts.push(`error_description=${quote(params.errorDescription)}`);
  const scopes = resourceScopes(params.scopes ?? []);
  if (scopes.length > 0) parts.push(`scope=${quote(scopes.join(' '))}`);
  if (params.resourceMetadataUrl !== undefined) parts.push(`resource_metadata=${quote(params.resourceMetadataUrl)}`);
  return parts.length === 0 ? 'Bearer' : `Bearer ${parts.join(', ')}`;
}

// RFC 6750 section 3 forbids quotes and backslashes in these values, so they are replaced and not escaped: clients in
// the field do not understand quoted pairs.
function quote(value: string): string {
  return `"${value.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?')}"`;
}
