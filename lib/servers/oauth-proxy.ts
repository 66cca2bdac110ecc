import { accessTokens } from '../authorization/access-tokens.js';
import type { AuthorizationServer } from '../authorization/authorization-server.js';
import { clientDirectory } from '../authorization/client-directory.js';
import { consentForms } from '../authorization/consent-forms.js';
import type { Grant } from '../authorization/grant.js';
import { Grants } from '../authorization/grants.js';
import { sealedRecords } from '../authorization/records.js';
import { rememberedConsents } from '../authorization/remembered-consents.js';
import { Resources } from '../authorization/resources.js';
import { Revalidation } from '../authorization/revalidation.js';
import { scopeRules } from '../authorization/scope-rules.js';
import { Transactions } from '../authorization/transactions.js';
import { UpstreamSession } from '../authorization/upstream-session.js';
import { sealedClients } from '../clients/sealed-client.js';
import { storedClients } from '../clients/stored-clients.js';
import { keyDerivation } from '../crypto/key-ring.js';
import type { Auth } from '../http/auth.js';
import { createAuth } from '../http/create-auth.js';
import type { OAuthProxyOptions } from './oauth-proxy-options.js';
import { type OAuthProxyConfig, readOAuthProxy } from './read-oauth-proxy.js';
import { upstreamLeg } from './upstream/upstream-leg.js';

/**
 * An OAuth authorization server for MCP clients in front of an identity provider that knows nothing of dynamic client
 * registration: clients register here, people consent here and sign in there, and the tokens are this server's own.
 * No network I/O before the first sign-in or `ready()`.
 *
 * Authorization code with PKCE and refresh (RFC 6749, RFC 7636), registration (RFC 7591), revocation (RFC 7009),
 * metadata (RFC 8414, RFC 9728), tokens for one resource (RFC 8707), the issuer in every answer (RFC 9207).
 *
 * @example
 * const auth = oauthProxy({
 *   baseUrl: 'https://mcp.example.com',
 *   upstream: { issuer: 'https://login.example.com', clientId: 'my-app', clientSecret },
 * });
 * app.use(auth); // register https://mcp.example.com/auth/callback at the provider
 * app.all('/mcp', handler);
 *
 * @throws ConfigError for wrong, unknown, missing or contradictory options
 */
export function oauthProxy(options: OAuthProxyOptions): Auth {
  const config = readOAuthProxy(options);
  const { server, tokens } = assemble(config);
  return createAuth({
    factory: 'oauthProxy',
    name: config.name,
    settings: config.settings,
    authorizationServer: server,
    bind: binding => tokens.bind(binding),
    upstreamToken: identity => tokens.upstreamToken(identity),
    join: (user, served) => server.resources.join(user, served),
    leave: user => server.resources.leave(user),
    ready: async () => {
      await config.upstream.endpoints();
      await config.upstream.verifier.ready();
    },
    close: async () => {
      await config.upstream.verifier.close();
      // A store that was passed in is the operator's to close.
      if (options.store === undefined) await config.store.close?.();
    },
  });
}

function assemble(config: OAuthProxyConfig) {
  const { issuer, lifetimes, now, clients } = config;
  const derive = keyDerivation(config.secrets, issuer);
  const openRecords = sealedRecords(config.store, derive, issuer);
  const grantRecords = openRecords<Grant>('grant');
  const resources = new Resources(config.defaultResource);
  const scopes = scopeRules(config.scopes, resources);
  const { verifies } = config.upstream;
  const leg = upstreamLeg(
    {
      ...config.upstream,
      grantScopes: config.grantScopes,
      defaultScopes: config.scopes.defaults,
      // An ID token says who signed in once; there is nobody to ask again.
      revalidation: verifies === 'access_token' ? config.revalidation : undefined,
    },
    resources,
  );
  const upstream = new UpstreamSession(grantRecords, leg, now);
  const revalidation = new Revalidation(leg, upstream, now);
  const grants = new Grants({
    records: grantRecords,
    resources,
    upstream,
    revalidation,
    leg,
    ring: derive('refresh token'),
    lifetimes,
    now,
  });
  const server: AuthorizationServer = {
    name: config.displayName,
    issuer,
    endpoints: config.endpoints,
    clients: clientDirectory({
      registration: clients.registration,
      sealed: sealedClients(derive, now),
      stored: storedClients(openRecords('client'), now, lifetimes.refreshTtlSeconds),
      preRegistered: { find: id => clients.preRegistered.get(id) ?? null },
      redirects: clients.redirects,
      supportedScopes: () => scopes.supported,
      allow: clients.allow,
      upstreamClientId: config.upstream.clientId,
    }),
    redirects: clients.redirects,
    resources,
    scopes,
    forms: consentForms(derive, now),
    remembered: rememberedConsents(derive, now),
    transactions: new Transactions(openRecords('transaction'), now),
    grants,
    leg,
    consent: config.consent,
    lifetimes,
    invalidGrantStatus: config.invalidGrantStatus,
    rateLimits: config.rateLimits,
    now,
  };
  return { server, tokens: accessTokens({ grants, upstream, revalidation, now }) };
}
