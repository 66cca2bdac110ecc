import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { type Auth, customVerifier, multiAuth, oauthProxy, remoteAuth } from 'express-mcp-auth';
import request from 'supertest';
import { express4, platforms, serve, stopAll } from '../support/app.js';
import { OAuthClient } from '../support/oauth-client.js';
import { closeAll, handle, protectedApp, proxyApp } from '../support/proxy-app.js';
import { UPSTREAM_ID } from '../support/upstream-provider.js';

afterEach(async () => {
  await closeAll();
  await stopAll();
});

const SECRET = 'a-secret-of-at-least-thirty-two-characters';
const proxyOf = (options: Record<string, unknown> = {}) =>
  oauthProxy({
    baseUrl: 'https://mcp.example.com',
    upstream: {
      clientId: UPSTREAM_ID,
      authorizationEndpoint: 'https://login.example.com/authorize',
      tokenEndpoint: 'https://login.example.com/token',
    },
    verifier: customVerifier({ verify: () => null }),
    scopesSupported: ['read', 'write'],
    requiredScopes: ['read'],
    secrets: SECRET,
    ...options,
  } as Parameters<typeof oauthProxy>[0]);

const OAUTH = '/.well-known/oauth-authorization-server';
const OPENID = '/.well-known/openid-configuration';
const RESOURCE = '/.well-known/oauth-protected-resource';
const documentAt = async (app: Express.Application | RequestListener, path: string) => {
  const { status, body, headers } = await request(app as never).get(path);
  return status === 200 ? { ...body, headers } : status;
};

describe('the documents of an authorization server at the root of its host', () => {
  test('say exactly what works (AS-2, AS-5, AS-6, X-1)', async () => {
    const { headers, ...body } = await documentAt(protectedApp(proxyOf()), OAUTH);
    const base = 'https://mcp.example.com';
    expect(body).toEqual({
      issuer: base,
      authorization_endpoint: `${base}/authorize`,
      token_endpoint: `${base}/token`,
      registration_endpoint: `${base}/register`,
      revocation_endpoint: `${base}/revoke`,
      jwks_uri: `${base}/jwks`,
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
      revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
      authorization_response_iss_parameter_supported: true,
      scopes_supported: ['read', 'write'],
    });
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['content-type']).toMatch(/^application\/json/);
  });

  test('the OpenID one adds what its parsers demand (AS-5)', async () => {
    const app = protectedApp(proxyOf());
    const { headers: _, ...openid } = await documentAt(app, OPENID);
    const { headers: __, ...oauth } = await documentAt(app, OAUTH);
    expect(openid).toMatchObject(oauth);
    expect(openid).toMatchObject({
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: expect.any(Array),
    });
  });

  test('the key set is empty: tokens are opaque', async () => {
    const { body, status, headers } = await request(protectedApp(proxyOf())).get('/jwks');
    expect([status, body]).toEqual([200, { keys: [] }]);
    expect(headers['access-control-allow-origin']).toBe('*');
  });

  test('leave empty lists out (X-1)', async () => {
    const app = protectedApp(proxyOf({ scopesSupported: [], requiredScopes: [] }));
    for (const path of [OAUTH, OPENID, `${RESOURCE}/mcp`]) {
      const document = await documentAt(app, path);
      expect(document).not.toHaveProperty('scopes_supported');
      for (const value of Object.values(document)) if (Array.isArray(value)) expect(value).not.toEqual([]);
    }
  });

  test('the resource document names the issuer byte for byte, and is at the bare root too (AS-3)', async () => {
    const app = protectedApp(proxyOf({ issuerUrl: 'https://MCP.example.com:443/' }));
    for (const path of [`${RESOURCE}/mcp`, RESOURCE])
      expect(await documentAt(app, path)).toMatchObject({
        resource: 'https://mcp.example.com/mcp',
        authorization_servers: ['https://MCP.example.com:443/'],
        scopes_supported: ['read', 'write'],
      });
    expect(await documentAt(app, OAUTH)).toMatchObject({ issuer: 'https://MCP.example.com:443/' });
    expect(await documentAt(protectedApp(proxyOf({ rootMetadata: false })), RESOURCE)).toBe(404);
  });

  test('offline_access stays out of the resource document and of challenges, whoever supports it', async () => {
    const app = protectedApp(
      proxyOf({ scopesSupported: ['read', 'offline_access'], requiredScopes: ['read', 'offline_access'] }),
    );
    const document = await documentAt(app, `${RESOURCE}/mcp`);
    expect(document.scopes_supported).toEqual(['read']);
    const challenge = (await request(app).post('/mcp')).headers['www-authenticate'];
    expect(challenge).toContain('scope="read"');
    expect((await documentAt(app, OAUTH)).scopes_supported).toContain('offline_access');
  });
});

describe.each([
  ['https://mcp.example.com', 'https://mcp.example.com', ''],
  ['https://mcp.example.com/', 'https://mcp.example.com/', ''],
  ['https://mcp.example.com/tenant/one', 'https://mcp.example.com/tenant/one', '/tenant/one'],
  ['https://mcp.example.com/tenant/', 'https://mcp.example.com/tenant/', '/tenant'],
  ['https://api.example.com/v1', 'https://login.example.com', ''],
  ['https://api.example.com', 'https://api.example.com/as', '/as'],
])('a server at %s with the issuer %s', (baseUrl, issuerUrl, path) => {
  const make = () => protectedApp(proxyOf({ baseUrl, ...(issuerUrl !== baseUrl && { issuerUrl }) }));

  test('has its documents where clients look, all with one identical issuer (AS-2, AS-3, X-2, B2)', async () => {
    const app = make();
    const documents = await Promise.all(
      [`${OAUTH}${path}`, `${OPENID}${path}`, `${path}${OPENID}`].map(at => documentAt(app, at)),
    );
    const endpoints = baseUrl.replace(/\/$/, '');
    for (const document of documents)
      expect(document).toMatchObject({
        issuer: issuerUrl,
        authorization_endpoint: `${endpoints}/authorize`,
        token_endpoint: `${endpoints}/token`,
        registration_endpoint: `${endpoints}/register`,
      });
    const resourcePath = `${new URL(baseUrl).pathname.replace(/\/$/, '')}/mcp`;
    expect(await documentAt(app, RESOURCE + resourcePath)).toMatchObject({
      resource: `${endpoints}/mcp`,
      authorization_servers: [issuerUrl],
    });
  });

  test('answers its endpoints with and without the path of baseUrl', async () => {
    const app = make();
    const basePath = new URL(baseUrl).pathname.replace(/\/$/, '');
    for (const prefix of new Set([basePath, ''])) {
      for (const endpoint of ['/token', '/revoke', '/register']) {
        const { status, body } = await request(app).post(prefix + endpoint);
        expect([status, body.error]).toEqual([400, expect.stringMatching(/^invalid_/)]);
      }
      expect((await request(app).get(`${prefix}/authorize`)).status).toBe(400);
      expect((await request(app).post(`${prefix}/consent`)).status).toBe(400);
      expect((await request(app).get(`${prefix}/auth/callback`)).status).toBe(400);
      expect((await request(app).get(`${prefix}/jwks`)).status).toBe(200);
      expect((await request(app).post(`${prefix}/mcp`)).status).toBe(401);
    }
  });
});

describe('endpointPrefix', () => {
  test('moves the OAuth endpoints, but not the callback and not the documents', async () => {
    const app = protectedApp(proxyOf({ endpointPrefix: '/oauth' }));
    expect(await documentAt(app, OAUTH)).toMatchObject({
      issuer: 'https://mcp.example.com',
      authorization_endpoint: 'https://mcp.example.com/oauth/authorize',
      token_endpoint: 'https://mcp.example.com/oauth/token',
      registration_endpoint: 'https://mcp.example.com/oauth/register',
      revocation_endpoint: 'https://mcp.example.com/oauth/revoke',
      jwks_uri: 'https://mcp.example.com/oauth/jwks',
    });
    expect((await request(app).post('/oauth/token')).status).toBe(400);
    expect((await request(app).post('/token')).status).toBe(404);
    expect((await request(app).get('/auth/callback')).status).toBe(400);
    expect((await request(app).get('/oauth/auth/callback')).status).toBe(404);
  });

  test('works for a whole sign-in, with a redirectPath of its own', async () => {
    const world = await proxyApp({ options: { endpointPrefix: '/oauth', redirectPath: '/signed-in' } });
    const client = await OAuthClient.register({ base: world.base, prefix: '/oauth' });
    const tokens = await client.tokens();
    expect(world.provider.of('/authorize')[0]?.params.redirect_uri).toBe(`${world.base}/signed-in`);
    expect((await world.call(tokens.access_token)).status).toBe(200);
  });
});

describe('a whole sign-in', () => {
  test('works behind a proxy that takes the path of baseUrl off', async () => {
    const public_ = 'https://mcp.example.com/team';
    const world = await proxyApp({ base: public_ });
    const rewrite = (url: string) => url.replace(public_, world.origin);
    const client = await OAuthClient.register({ base: public_, rewrite });
    const tokens = await client.tokens();
    expect((await world.call(tokens.access_token)).body.resource).toBe(`${public_}/mcp`);
  });

  test.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('works below a mount of %s, with the documents at the root', async (_, make) => {
    const world = await proxyApp({
      base: 'https://mcp.example.com/team',
      app: proxy => {
        const app = make();
        app.use(proxy.wellKnown as never);
        app.use('/team', proxy as never);
        handle(app, '/team/mcp');
        return app as unknown as RequestListener;
      },
    });
    for (const path of [`${OAUTH}/team`, `${OPENID}/team`, `${RESOURCE}/team/mcp`])
      expect((await fetch(world.origin + path)).status).toBe(200);
    const client = await world.client();
    const tokens = await client.tokens();
    expect((await world.call(tokens.access_token, '/team/mcp')).status).toBe(200);
    expect((await world.call('nothing', '/team/mcp')).status).toBe(401);
  });

  test('works with router and protect() apart, and mcpPath /', async () => {
    const world = await proxyApp({
      options: { mcpPath: '/' },
      app: proxy => {
        const app = express();
        app.use(proxy.router);
        app.use(proxy.protect());
        handle(app, '/anything');
        return app as unknown as RequestListener;
      },
    });
    const client = await world.client();
    const tokens = await client.tokens();
    const { status, body } = await world.call(tokens.access_token, '/anything');
    expect([status, body.resource]).toEqual([200, `${world.base}/`]);
  });

  test.each(platforms.map(platform => [platform.name, platform] as const))('works on %s', async (_, platform) => {
    const world = await proxyApp({
      app: proxy =>
        platform.app(proxy as never, (req, res) => {
          res.setHeader('content-type', 'application/json');
          res.end(JSON.stringify((req as unknown as { auth?: unknown }).auth ?? { path: req.url }));
        }),
    });
    const tokens = await (await world.client()).tokens();
    expect((await world.call(tokens.access_token)).body).toMatchObject({ scopes: ['read'] });
    expect((await world.call('nothing')).status).toBe(401);
  });

  test('goes on with the tokens and clients of before when resourceBaseUrl points elsewhere', async () => {
    const world = await proxyApp({
      options: origin => ({ resourceBaseUrl: 'https://api.example.com/v2', issuerUrl: `${origin}/as` }),
    });
    const document = await (await fetch(`${world.origin}${RESOURCE}/v2/mcp`)).json();
    expect(document).toMatchObject({
      resource: 'https://api.example.com/v2/mcp',
      authorization_servers: [`${world.base}/as`],
    });
    const client = await world.client();
    const page = await client.connect({ resource: 'https://api.example.com/v2/mcp' });
    expect(page.location?.searchParams.get('iss')).toBe(`${world.base}/as`);
    const { body } = await client.redeem(String(page.location?.searchParams.get('code')));
    expect((await world.call(String(body.access_token))).body.resource).toBe('https://api.example.com/v2/mcp');
  });
});

describe('names and methods that are not its own', () => {
  test.each(['/token', '/register', '/revoke', '/authorize', '/consent', '/auth/callback'])(
    'other methods of %s go to the app',
    async path => {
      const app = express();
      app.use(proxyOf());
      app.use((req, res) => void res.status(418).send(req.method));
      for (const method of ['put', 'delete', 'patch'] as const)
        expect((await request(app)[method](path)).status).toBe(418);
    },
  );

  test('probes for other documents of its names are 404 as JSON, other names go to the app (A10)', async () => {
    const app = express();
    app.use(proxyOf({ baseUrl: 'https://mcp.example.com/team' }));
    app.use((_req, res) => void res.status(418).end());
    for (const path of [`${OAUTH}/team/mcp`, `/team/mcp${OAUTH}`, `/team/mcp${OPENID}`]) {
      const { status, headers } = await request(app).get(path);
      expect([path, status, headers['content-type']]).toEqual([path, 404, expect.stringMatching(/^application\/json/)]);
    }
    for (const path of ['/.well-known/security.txt', '/tokens', '/token/x', '/TOKEN'])
      expect((await request(app).get(path)).status).toBe(418);
  });

  test('an authorization server and remoteAuth live side by side on one app', async () => {
    const app = express();
    const other: Auth = remoteAuth({
      baseUrl: 'https://mcp.example.com',
      mcpPath: '/other',
      verifier: customVerifier({ verify: () => null }),
      authorizationServers: ['https://login.example.com'],
      rootMetadata: false,
    });
    app.use(proxyOf(), other);
    expect(await documentAt(app, `${RESOURCE}/other`)).toMatchObject({
      authorization_servers: ['https://login.example.com'],
    });
    expect(await documentAt(app, `${RESOURCE}/mcp`)).toMatchObject({
      authorization_servers: ['https://mcp.example.com'],
    });
    expect((await request(app).post('/other')).headers['www-authenticate']).toContain(`${RESOURCE}/other`);
  });
});

describe('what is said never comes from a request', () => {
  test('documents and challenges ignore Host and the forwarded headers (attack 88)', async () => {
    const origin = await serve(protectedApp(proxyOf()) as unknown as RequestListener);
    for (const path of [OAUTH, OPENID, RESOURCE, '/mcp']) {
      const response = await fetch(origin + path, {
        headers: { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'http', forwarded: 'host=evil.test' },
      });
      expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain('evil.test');
    }
  });
});

describe('several compositions on one server', () => {
  const shared = async (options: Record<string, unknown> = {}) => {
    const world = await proxyApp({
      options: { scopesSupported: undefined, requiredScopes: undefined, ...options },
      ...(typeof options.baseUrl === 'string' && { base: options.baseUrl }),
      app: (proxy, origin) => {
        const notes = multiAuth(proxy, {
          mcpPath: '/notes',
          requiredScopes: ['notes'],
          legacyResources: [`${origin}/old-notes`],
          rootMetadata: false,
        });
        const files = multiAuth(proxy, {
          mcpPath: '/files',
          requiredScopes: ['files'],
          scopesSupported: ['files', 'files:write'],
          rootMetadata: false,
        });
        const app = express();
        app.use(notes, files);
        handle(app, '/notes', '/files');
        return app as unknown as RequestListener;
      },
    });
    return { world, client: await world.client() };
  };
  const errorOf = (page: { location: URL | undefined }) => page.location?.searchParams.get('error');

  test('each has a resource document, and the server offers the scopes of all', async () => {
    const { world } = await shared();
    const read = async (path: string) => (await (await fetch(world.origin + path)).json()) as Record<string, unknown>;
    expect(await read(`${RESOURCE}/notes`)).toMatchObject({
      resource: `${world.base}/notes`,
      authorization_servers: [world.base],
      scopes_supported: ['notes'],
    });
    expect(await read(`${RESOURCE}/files`)).toMatchObject({ resource: `${world.base}/files` });
    const { scopes_supported } = await read(OAUTH);
    expect([...(scopes_supported as string[])].sort()).toEqual(['files', 'files:write', 'notes']);
  });

  test('a request without a resource is invalid_target, unless defaultResource names one', async () => {
    const { client } = await shared();
    expect(errorOf(await client.authorize())).toBe('invalid_target');
    const base = 'https://mcp.example.com';
    const { client: other } = await shared({ defaultResource: `${base}/notes`, baseUrl: base });
    expect((await other.tokens()).scope).toBe('notes');
  });

  test('the default scopes are those of the resource that was asked for, and no challenge asks in vain', async () => {
    const { world, client } = await shared();
    for (const [path, scope] of [
      ['/notes', 'notes'],
      ['/files', 'files'],
    ] as const) {
      const tokens = await client.tokens({ resource: world.base + path });
      expect(tokens.scope).toBe(scope);
      const challenged = await fetch(world.origin + path, { method: 'POST' });
      const [, asked = ''] = /scope="([^"]*)"/.exec(challenged.headers.get('www-authenticate') ?? '') ?? [];
      expect(asked).toBe(scope);
      expect((await client.tokens({ resource: world.base + path, scope: asked })).scope).toBe(scope);
    }
  });

  test('what the resource requires is added to a request that names other scopes, and shown', async () => {
    const { world, client } = await shared();
    const resource = `${world.base}/files`;
    const page = await client.authorize({ resource, scope: 'files:write' });
    expect(page.text).toMatch(/files<.*files:write|files:write<.*files</s);
    expect((await client.tokens({ resource, scope: 'files:write' })).scope.split(' ').sort()).toEqual([
      'files',
      'files:write',
    ]);
  });

  test('a token of one is refused on the other (attack 47, B-5)', async () => {
    const { world, client } = await shared();
    const notes = await client.tokens({ resource: `${world.base}/notes`, scope: 'notes files' });
    expect((await world.call(notes.access_token, '/notes')).body).toMatchObject({ resource: `${world.base}/notes` });
    const refused = await world.call(notes.access_token, '/files');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  test('a refresh or code never changes the resource (AS-14)', async () => {
    const { world, client } = await shared();
    const resource = `${world.base}/notes`;
    const code = await client.code({ resource });
    expect((await client.redeem(code, { resource: `${world.base}/files` })).body.error).toBe('invalid_target');
    const { body } = await client.redeem(code, { resource });
    expect((await client.refresh(body.refresh_token, { resource: `${world.base}/files` })).body.error).toBe(
      'invalid_target',
    );
    expect((await client.refresh(body.refresh_token)).status).toBe(200);
  });

  test('a legacy name means the resource, at authorize, token and refresh', async () => {
    const { world, client } = await shared();
    const resource = `${world.base}/old-notes`;
    const code = await client.code({ resource });
    const { status, body } = await client.redeem(code, { resource });
    expect(status).toBe(200);
    expect((await world.call(String(body.access_token), '/notes')).status).toBe(200);
    expect((await client.refresh(body.refresh_token, { resource })).status).toBe(200);
  });

  test('the server\u2019s own resource does not count once it is composed', async () => {
    const { world, client } = await shared();
    expect(errorOf(await client.authorize({ resource: `${world.base}/mcp` }))).toBe('invalid_target');
  });

  test('two servers on one app, with one store and one secret, have tokens and clients of their own', async () => {
    let second: Auth | undefined;
    const world = await proxyApp({
      app: proxy => {
        const app = express();
        app.use(proxy.router, (req, res, next) => second?.router(req, res, next));
        app.use('/mcp', proxy.protect());
        app.use('/second/mcp', (req, res, next) => second?.protect()(req, res, next));
        handle(app, '/mcp', '/second/mcp');
        return app as unknown as RequestListener;
      },
    });
    second = oauthProxy({ ...world.options, baseUrl: `${world.base}/second`, redirectPath: '/second-callback' });
    const [one, two] = [
      await OAuthClient.register({ base: world.base }),
      await OAuthClient.register({ base: `${world.base}/second` }),
    ];
    const tokens = await one.tokens();
    const others = await two.tokens();
    expect((await world.call(tokens.access_token)).status).toBe(200);
    expect((await world.call(others.access_token, '/second/mcp')).status).toBe(200);
    expect((await world.call(others.access_token)).status).toBe(401);
    expect((await world.call(tokens.access_token, '/second/mcp')).status).toBe(401);
    const stranger = new OAuthClient({ base: `${world.base}/second` }, { id: one.id });
    expect((await stranger.authorize()).status).toBe(400);
    expect((await stranger.refresh(tokens.refresh_token)).body.error).toBe('invalid_client');
    await second.close();
  });
});
