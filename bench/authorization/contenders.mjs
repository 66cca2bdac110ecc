import express from 'express';
import { bare, postWithHttp } from './bare.mjs';

/**
 * Authorization servers, each as a user of that package would set it up: name → function that puts it on an Express
 * app. All of them answer at `/register`, `/authorize`, `/token`; the rest of the way their pages and redirects show.
 * Imported where they are used: each runs in a process of its own.
 */
export const contenders = {
  'express-mcp-auth': (app, setting) => ours(app, setting),
  'express-mcp-auth, no page': (app, setting) => ours(app, setting, { consent: 'dangerouslySkip' }),
  'fastmcp OAuthProxy': (app, setting) => fastmcp(app, setting),
  'fastmcp OAuthProxy, no page': (app, setting) => fastmcp(app, setting, { consentRequired: false }),
  'SDK 1 mcpAuthRouter': sdk1,
  'Express, fetch and seals': bare,
  'Express, fetch and seals, no page': (app, setting) => bare(app, setting, { hasPage: false }),
  'Express, node:http and seals': (app, setting) => bare(app, setting, { post: postWithHttp }),
};

const clientId = 'bench-app';
const clientSecret = 'a-secret-of-the-app-that-was-registered-by-hand';
const scopes = ['read', 'write'];

/** Behind the guard is a resource, so that a token can be used. */
async function ours(app, setting, options) {
  app.use(await proxy(setting, options));
  app.get('/mcp', (_req, res) => {
    res.json({ ok: true });
  });
}

/** Whose the upstream token is costs nothing here, as fastmcp does not ask. */
export async function proxy({ origin, upstream, now }, options) {
  const { customVerifier, oauthProxy } = await import('express-mcp-auth');
  return oauthProxy({
    baseUrl: origin,
    upstream: {
      clientId,
      clientSecret,
      authorizationEndpoint: `${upstream}/authorize`,
      tokenEndpoint: `${upstream}/token`,
    },
    verifier: customVerifier({ verify: () => ({ clientId, subject: 'alice', scopes }) }),
    scopesSupported: scopes,
    rateLimit: false,
    now,
    ...options,
  });
}

/** OAuthProxy knows no Express; the wrapper does what fastmcp's own server does, with fetch's Request and Response. */
async function fastmcp(app, { origin, upstream }, options) {
  const { OAuthProxy } = await import('fastmcp/auth');
  const provider = new OAuthProxy({
    baseUrl: origin,
    upstreamAuthorizationEndpoint: `${upstream}/authorize`,
    upstreamTokenEndpoint: `${upstream}/token`,
    upstreamClientId: clientId,
    upstreamClientSecret: clientSecret,
    scopes,
    ...options,
  });
  const send = async (res, response) => {
    const location = response.headers.get('location');
    if (location !== null) res.redirect(response.status, location);
    else
      res
        .status(response.status)
        .type('html')
        .send(await response.text());
  };
  const form = express.urlencoded({ extended: false });
  app.post('/register', express.json({ limit: '1mb' }), async (req, res) => {
    res
      .status(201)
      .set('Cache-Control', 'no-store')
      .json(await provider.registerClient(req.body));
  });
  app.get('/authorize', async (req, res) => send(res, await provider.authorize(req.query)));
  app.post('/oauth/consent', express.text({ type: 'application/x-www-form-urlencoded' }), async (req, res) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const request = new Request(`${origin}${req.url}`, { method: 'POST', headers, body: req.body });
    await send(res, await provider.handleConsent(request));
  });
  app.get('/oauth/callback', async (req, res) => {
    await send(res, await provider.handleCallback(new Request(`${origin}${req.url}`)));
  });
  app.post('/token', form, async (req, res) => {
    const answer =
      req.body.grant_type === 'refresh_token'
        ? await provider.exchangeRefreshToken(req.body)
        : await provider.exchangeAuthorizationCode(req.body);
    res.set('Cache-Control', 'no-store').json(answer);
  });
}

/** Only its registration is measured: a sign-in would be the demo provider's, not the router's. */
async function sdk1(app, { origin }) {
  const { mcpAuthRouter } = await import('@modelcontextprotocol/sdk/server/auth/router.js');
  const clients = new Map();
  app.use(
    mcpAuthRouter({
      issuerUrl: new URL(origin),
      clientRegistrationOptions: { rateLimit: false },
      provider: {
        clientsStore: {
          getClient: id => clients.get(id),
          registerClient(client) {
            clients.set(client.client_id, client);
            return client;
          },
        },
      },
    }),
  );
}
