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

  constructor(code: FailureCode, description: string) {
    super(description);
    this.code = code;
  }
}
