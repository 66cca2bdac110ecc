import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import { ConfigError, getAuth, jwtVerifier, remoteAuth, staticTokenVerifier } from 'express-mcp-auth';
import request from 'supertest';
import { BASE, call, challenge, fetched, mcpApp, RESOURCE, thrown } from '../support/composition.js';
import { type IdentityProvider, identityProvider } from '../support/identity-provider.js';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const KEY = 'remote-key-0123456789abcdef';
const AS = 'https://login.example.com';
type Options = Parameters<typeof remoteAuth>[0];
const keys = (requiredScopes?: readonly string[], key = KEY) =>
  staticTokenVerifier({ [key]: { clientId: 'ci', scopes: ['read'] } }, requiredScopes ? { requiredScopes } : {});
const remote = (options: Partial<Options> = {}) =>
  remoteAuth({ verifier: keys(), authorizationServers: [AS], baseUrl: BASE, ...options });

let idp: IdentityProvider;
beforeAll(async () => {
  idp = await identityProvider();
});
afterAll(() => idp.close());

describe('remoteAuth: protected-resource metadata (RFC 9728)', () => {
  test('RS-1 RS-6 RS-8: the document names resource, authorization servers, scopes and how to send the token', async () => {
    const app = mcpApp(
      remote({ requiredScopes: ['read'], resourceName: 'Notes', resourceDocumentation: 'https://docs.example.com/' }),
    );
    const document = await request(app).get(`${WELL_KNOWN}/mcp`);
    expect(document.status).toBe(200);
    expect(document.headers['content-type']).toMatch(/^application\/json/);
    expect(document.body).toEqual({
      resource: RESOURCE,
      authorization_servers: [AS],
      scopes_supported: ['read'],
      bearer_methods_supported: ['header'],
      resource_name: 'Notes',
      resource_documentation: 'https://docs.example.com/',
    });
  });

  test('RS-6: members without a value are left out', async () => {
    const { body } = await request(mcpApp(remote())).get(`${WELL_KNOWN}/mcp`);
    expect(Object.keys(body).sort()).toEqual(['authorization_servers', 'bearer_methods_supported', 'resource']);
  });

  test('A6 RS-4: issuers and resource are published byte for byte, slash or no slash', async () => {
    const authorizationServers = [
      'https://login.example.com',
      'https://login.example.com/',
      'https://b.example.com/t/1/v2.0/',
    ];
    for (const baseUrl of ['https://mcp.example.com', 'https://MCP.example.com', 'https://mcp.example.com:8443']) {
      const auth = remote({ authorizationServers, baseUrl });
      expect(auth.resource).toBe(`${baseUrl}/mcp`);
      const { body } = await request(mcpApp(auth)).get(`${WELL_KNOWN}/mcp`);
      expect(body).toMatchObject({ resource: `${baseUrl}/mcp`, authorization_servers: authorizationServers });
    }
  });

  test.each([
    ['a bare origin', 'https://mcp.example.com', 'https://mcp.example.com/mcp', '/mcp'],
    ['a trailing slash', 'https://mcp.example.com/', 'https://mcp.example.com/mcp', '/mcp'],
    ['a port', 'https://mcp.example.com:8443', 'https://mcp.example.com:8443/mcp', '/mcp'],
    ['a path', 'https://mcp.example.com/api', 'https://mcp.example.com/api/mcp', '/api/mcp'],
    [
      'a nested path with a slash',
      'https://mcp.example.com/outer/inner/',
      'https://mcp.example.com/outer/inner/mcp',
      '/outer/inner/mcp',
    ],
    ['loopback', 'http://127.0.0.1:3000', 'http://127.0.0.1:3000/mcp', '/mcp'],
    ['localhost', 'http://localhost:3000', 'http://localhost:3000/mcp', '/mcp'],
  ])(
    'RS-2: a base URL with %s: no double slash, and the document at the inserted path',
    async (_, baseUrl, resource, path) => {
      const auth = remote({ baseUrl });
      const app = mcpApp(auth);
      expect(auth.resource).toBe(resource);
      const named = challenge(await call(app)).resource_metadata as string;
      expect(named).toBe(new URL(baseUrl).origin + WELL_KNOWN + path);
      const document = await fetched(app, named);
      expect([document.status, document.body.resource]).toEqual([200, resource]);
    },
  );

  test('RS-2: resourceBaseUrl moves the resource, and the base URL stays', async () => {
    const auth = remote({ baseUrl: `${BASE}/proxy`, resourceBaseUrl: 'https://public.example.com/v1' });
    expect([auth.baseUrl, auth.resource]).toEqual([`${BASE}/proxy`, 'https://public.example.com/v1/mcp']);
    const app = mcpApp(auth, '/v1/mcp');
    expect((await request(app).get(`${WELL_KNOWN}/v1/mcp`)).status).toBe(200);
    expect((await request(app).get(`${WELL_KNOWN}/proxy/mcp`)).status).toBe(404);
  });

  test('A11 RS-3: the root alias serves the same document, unless it is turned off', async () => {
    const app = mcpApp(remote());
    expect((await request(app).get(WELL_KNOWN)).body.resource).toBe(RESOURCE);
    expect((await request(mcpApp(remote({ rootMetadata: false }))).get(WELL_KNOWN)).status).toBe(404);
  });

  test('RS-10: the document is cacheable, open to any origin, and sets no cookie', async () => {
    const { headers } = await request(mcpApp(remote()))
      .get(`${WELL_KNOWN}/mcp`)
      .set('origin', 'https://app.example.com');
    expect(headers['cache-control']).toMatch(/max-age=[1-9]/);
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers).not.toHaveProperty('set-cookie');
    const preflight = await request(mcpApp(remote())).options(`${WELL_KNOWN}/mcp`).set({
      origin: 'https://app.example.com',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'mcp-protocol-version',
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-headers']).toMatch(/mcp-protocol-version/i);
  });

  test('RS-11: it serves no authorization-server document: those names answer 404 as JSON', async () => {
    const app = mcpApp(remote());
    for (const name of ['oauth-authorization-server', 'openid-configuration']) {
      const response = await request(app).get(`/.well-known/${name}/mcp`);
      expect(response.status).toBe(404);
      expect(response.headers['content-type']).toMatch(/^application\/json/);
    }
  });

  test('only documented methods are taken: POST of a document goes on to the app', async () => {
    const app = express();
    app.use(remote().router);
    app.post(`${WELL_KNOWN}/mcp`, (_req, res) => {
      res.send('the app');
    });
    expect((await request(app).post(`${WELL_KNOWN}/mcp`)).text).toBe('the app');
    expect((await request(app).head(`${WELL_KNOWN}/mcp`)).status).toBe(200);
  });

  test('A1: mounted below a prefix, the document is served at the root through wellKnown', async () => {
    for (const prefix of ['/api', '/outer/inner']) {
      const auth = remote({ baseUrl: BASE + prefix });
      const app = express();
      app.use(auth.wellKnown);
      const mounted = express.Router();
      mounted.use(auth);
      mounted.all('/mcp', (req, res) => {
        res.json(getAuth(req));
      });
      app.use(prefix, mounted);
      const refused = await call(app, undefined, `${prefix}/mcp`);
      expect(refused.status).toBe(401);
      const document = await fetched(app, challenge(refused).resource_metadata as string);
      expect([document.status, document.body.resource]).toEqual([200, `${BASE}${prefix}/mcp`]);
      expect((await call(app, KEY, `${prefix}/mcp`)).status).toBe(200);
    }
  });
});

describe('remoteAuth: tokens', () => {
  test('its verifier is bound to its resource', async () => {
    const auth = remote({
      verifier: jwtVerifier({ name: 'people', issuer: idp.issuer }),
      authorizationServers: [idp.issuer],
    });
    const answer = await call(auth, await idp.mint({ aud: RESOURCE, sub: 'u' }));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      resource: RESOURCE,
      resourceMetadataUrl: `${BASE}${WELL_KNOWN}/mcp`,
      extra: { source: 'people', issuer: idp.issuer, subject: 'u' },
    });
    expect((await call(auth, await idp.mint({ aud: 'https://other.example.com/mcp' }))).status).toBe(401);
    expect((await call(auth, await idp.mint())).status).toBe(401);
  });

  test('a list of verifiers is asked in order', async () => {
    const auth = remote({ verifier: [jwtVerifier({ issuer: idp.issuer }), keys()] });
    expect((await call(auth, await idp.mint({ aud: RESOURCE }))).body.extra.source).toBe('jwtVerifier');
    expect((await call(auth, KEY)).body.extra.source).toBe('staticTokenVerifier');
  });
});

describe('remoteAuth: required scopes', () => {
  const OTHER = 'other-key-0123456789abcdef';

  test('its own list stands for every verifier', async () => {
    const auth = remote({ requiredScopes: ['mcp'], verifier: [keys(['read']), keys(undefined, OTHER)] });
    expect(auth.requiredScopes).toEqual(['mcp']);
    for (const token of [KEY, OTHER]) {
      const refused = await call(auth, token);
      expect([refused.status, challenge(refused).scope]).toEqual([403, 'mcp']);
    }
  });

  test('its own empty list clears those of the verifiers', async () => {
    const auth = remote({ requiredScopes: [], verifier: keys(['write']) });
    expect((await call(auth, KEY)).status).toBe(200);
    expect((await request(mcpApp(auth)).get(`${WELL_KNOWN}/mcp`)).body).not.toHaveProperty('scopes_supported');
  });

  test('without an own list each token needs what its verifier was given: none, if it was given none', async () => {
    const auth = remote({ verifier: [keys(['write']), keys(undefined, OTHER)] });
    const refused = await call(auth, KEY);
    expect([refused.status, challenge(refused).scope]).toEqual([403, 'write']);
    expect((await call(auth, OTHER)).status).toBe(200);
    expect(auth.requiredScopes).toEqual(['write']);
    expect(challenge(await call(auth)).scope).toBe('write');
  });

  test('scopesSupported is its own list, else that of its verifiers', async () => {
    expect(remote({ verifier: keys(['write']) }).scopesSupported).toEqual(['write']);
    const auth = remote({ verifier: keys(['write']), scopesSupported: ['write', 'read'] });
    expect(auth.scopesSupported).toEqual(['write', 'read']);
    expect((await request(mcpApp(auth)).get(`${WELL_KNOWN}/mcp`)).body.scopes_supported).toEqual(['write', 'read']);
    expect(challenge(await call(auth)).scope).toBe('write');
  });

  test('challengeScopes translates them', async () => {
    const auth = remote({ requiredScopes: ['write'], challengeScopes: ['api://app/write'] });
    expect(challenge(await call(auth)).scope).toBe('api://app/write');
    expect(challenge(await call(auth, KEY)).scope).toBe('api://app/write');
  });
});

describe('remoteAuth: options that are wrong', () => {
  test.each<[string, Partial<Record<keyof Options, unknown>>, string]>([
    ['no verifier', { verifier: undefined }, 'verifier'],
    ['an empty list of verifiers', { verifier: [] }, 'verifier'],
    ['a verifier that is none', { verifier: {} }, 'verifier'],
    ['no authorization server', { authorizationServers: undefined }, 'authorizationServers'],
    ['an empty list of authorization servers', { authorizationServers: [] }, 'authorizationServers'],
    ['an authorization server that is no URL', { authorizationServers: ['login'] }, 'authorizationServers'],
    ['authorization servers that are a string', { authorizationServers: AS }, 'authorizationServers'],
    ['no base URL', { baseUrl: undefined }, 'baseUrl'],
    ['a relative base URL', { baseUrl: '/mcp' }, 'baseUrl'],
    ['RS-5: a base URL with a fragment', { baseUrl: `${BASE}/#x` }, 'baseUrl'],
    ['RS-5: a base URL with a query', { baseUrl: `${BASE}/?x=1` }, 'baseUrl'],
    ['RS-5: a base URL of http that is not loopback', { baseUrl: 'http://mcp.example.com' }, 'baseUrl'],
    ['another scheme', { baseUrl: 'ftp://mcp.example.com' }, 'baseUrl'],
  ])('%s is a ConfigError', async (_, wrong, option) => {
    const error = await thrown(() => remote(wrong as Partial<Options>));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ factory: 'remoteAuth', option });
  });
});
