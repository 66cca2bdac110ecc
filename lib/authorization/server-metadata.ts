import type { AuthorizationServer } from './authorization-server.js';

/** Exactly what works here, as RFC 8414 section 2 spells it; nothing empty, nothing that comes later. */
export function serverMetadata(server: AuthorizationServer): Record<string, unknown> {
  const { issuer, endpoints, scopes, clients } = server;
  const url = (name: keyof typeof endpoints.paths) => endpoints.baseUrl + endpoints.paths[name];
  const authMethods = ['none', 'client_secret_basic', 'client_secret_post'];
  const { supported } = scopes;
  return {
    issuer,
    authorization_endpoint: url('authorize'),
    token_endpoint: url('token'),
    ...(clients.register !== undefined && { registration_endpoint: url('register') }),
    revocation_endpoint: url('revoke'),
    jwks_uri: url('jwks'),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: authMethods,
    revocation_endpoint_auth_methods_supported: authMethods,
    authorization_response_iss_parameter_supported: true,
    ...(supported.length > 0 && { scopes_supported: supported }),
  };
}

/** The same document with the members that OpenID Connect Discovery section 3 requires: clients parse it by that. */
export function openidMetadata(server: AuthorizationServer): Record<string, unknown> {
  return {
    ...serverMetadata(server),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  };
}
