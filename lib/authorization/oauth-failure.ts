/** The codes that the token, revocation and authorization endpoints answer (RFC 6749, RFC 8707). */
export type FailureCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'access_denied'
  | 'server_error'
  | 'temporarily_unavailable'
  | 'request_not_supported'
  | 'request_uri_not_supported';

/** The protocol says no. The description is written here and safe for strangers. */
export class OAuthFailure extends Error {
  override readonly name = 'OAuthFailure';
  readonly code: FailureCode;
  /** For the operator: why, and what to change. */
  readonly reason: string;
  readonly remedy: string | undefined;

  constructor(
    code: FailureCode,
    description: string,
    details: { readonly reason?: string; readonly remedy?: string } = {},
  ) {
    super(description);
    this.code = code;
    this.reason = details.reason ?? description;
    this.remedy = details.remedy;
  }
}
