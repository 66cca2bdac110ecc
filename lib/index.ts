export type { ConsentMode, ConsentView } from './authorization/authorization-server.js';
export type { PreRegisteredClient } from './clients/pre-registered.js';
export type { AuthInfo, AuthInfoExtra, Reason, Verdict } from './core/auth-info.js';
export { ConfigError, OAuthError, type OAuthErrorCode, UnavailableError } from './core/errors.js';
export type { EventMap, EventMessage, EventName } from './core/events.js';
export type { Auth } from './http/auth.js';
export type { Next, RequestHandler } from './http/handler.js';
export { type SdkErrorClasses, sdkTokenVerifier } from './http/sdk-token-verifier.js';
export { getAuth } from './http/settled.js';
export { getUpstreamToken } from './http/upstream-token.js';
export { type MultiAuthOptions, multiAuth } from './multi-auth.js';
export { oauthProxy } from './servers/oauth-proxy.js';
export type {
  ClientsOptions,
  OAuthProxyOptions,
  RateLimitOptions,
  UpstreamOptions,
} from './servers/oauth-proxy-options.js';
export { type RemoteAuthOptions, remoteAuth } from './servers/remote-auth.js';
export { type MemoryStoreOptions, memoryStore } from './store/memory.js';
export type { Store } from './store/store.js';
export {
  type CustomIdentity,
  type CustomVerifierOptions,
  customVerifier,
  type SdkTokenVerifier,
} from './verifiers/custom.js';
export { type DebugVerifierOptions, debugVerifier } from './verifiers/debug.js';
export { type IntrospectionVerifierOptions, introspectionVerifier } from './verifiers/introspection.js';
export { jwtVerifier } from './verifiers/jwt.js';
export type { JwtAlgorithm, JwtVerifierOptions } from './verifiers/jwt-options.js';
export { type StaticToken, type StaticTokenVerifierOptions, staticTokenVerifier } from './verifiers/static.js';
