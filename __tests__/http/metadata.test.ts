import type { RequestListener } from 'node:http';
import { afterAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import { multiAuth, remoteAuth } from 'express-mcp-auth';
import fc from 'fast-check';
import request from 'supertest';
import {
  authOf,
  BASE,
  challengeOf,
  express4,
  ISSUER,
  keys,
  READER,
  remote,
  send,
  serve,
  stopAll,
  WRITER,
} from '../support/app.js';

afterAll(stopAll);

const ROOT = '/.well-known/oauth-protected-resource';
const hello: express.RequestHandler = (req, res) => {
  res.json({ reached: true, clientId: authOf(req)?.clientId });
};
const configError = expect.objectContaining({ name: 'ConfigError' });

describe('protected-resource metadata (RFC 9728)', () => {
  test.each([
    // baseUrl, mcpPath, resource, path of the document
    ['https://h.example.com', undefined, 'https://h.example.com/mcp', `${ROOT}/mcp`],
    ['https://h.example.com/', undefined, 'https://h.example.com/mcp', `${ROOT}/mcp`],
    ['https://h.example.com/a', undefined, 'https://h.example.com/a/mcp', `${ROOT}/a/mcp`],
    ['https://h.example.com/a/b/', '/c/d', 'https://h.example.com/a/b/c/d', `${ROOT}/a/b/c/d`],
    ['https://h.example.com:8443', '/x', 'https://h.example.com:8443/x', `${ROOT}/x`],
    ['https://h.example.com', '/', 'https://h.example.com', ROOT],
    ['https://h.example.com/', '/', 'https://h.example.com/', ROOT],
    ['https://h.example.com/a', '/', 'https://h.example.com/a', `${ROOT}/a`],
    ['https://h.example.com/a/', '/', 'https://h.example.com/a/', `${ROOT}/a/`],
    ['https://H.Example.COM/A', undefined, 'https://H.Example.COM/A/mcp', `${ROOT}/A/mcp`],
    ['https://h.example.com:443', undefined, 'https://h.example.com:443/mcp', `${ROOT}/mcp`],
    ['HTTPS://h.example.com', undefined, 'HTTPS://h.example.com/mcp', `${ROOT}/mcp`],
    ['http://localhost:3000', undefined, 'http://localhost:3000/mcp', `${ROOT}/mcp`],
    ['http://127.0.0.1:3000/x', undefined, 'http://127.0.0.1:3000/x/mcp', `${ROOT}/x/mcp`],
    ['http://[::1]:3000', undefined, 'http://[::1]:3000/mcp', `${ROOT}/mcp`],
  ])(
    'RS-2 RS-4 A5 A6: %s with mcpPath %s is the resource %s, described at %s',
    async (baseUrl, mcpPath, resource, path) => {
      const app = express();
      const auth = remote({ baseUrl, mcpPath });
      app.use(auth);
      expect(auth.resource).toBe(resource);
      const response = await request(app).get(path);
      expect(response.status).toBe(200);
      expect(response.body.resource).toBe(resource);
      const refused = await request(app).get(mcpPath ?? '/mcp');
      const pointer = challengeOf(refused.headers['www-authenticate']).params.resource_metadata as string;
      expect(new URL(pointer).origin).toBe(new URL(resource).origin);
      expect((await request(app).get(new URL(pointer).pathname)).body.resource).toBe(resource);
    },
  );

  test('A7: with and without a trailing slash the document is found, whichever was configured', async () => {
    for (const [baseUrl, mcpPath, paths] of [
      [BASE, '/mcp', [`${ROOT}/mcp`, `${ROOT}/mcp/`, ROOT, `${ROOT}/`]],
      [`${BASE}/a/`, '/', [`${ROOT}/a`, `${ROOT}/a/`]],
      [`${BASE}/a`, '/', [`${ROOT}/a`, `${ROOT}/a/`]],
      [`${BASE}/`, '/', [ROOT, `${ROOT}/`]],
    ] as const) {
      const app = express();
      const auth = remote({ baseUrl, mcpPath });
      app.use(auth);
      for (const path of paths) {
        const response = await request(app).get(path);
        expect([path, response.status, response.body.resource]).toEqual([path, 200, auth.resource]);
      }
    }
  });

  test('A6: origins, paths and issuers come out as they went in, with and without a slash', async () => {
    const label = fc.stringMatching(/^[a-zA-Z]([a-zA-Z0-9-]{0,6}[a-zA-Z0-9])?$/);
    const segments = fc.array(fc.stringMatching(/^[a-zA-Z0-9_~-]{1,6}$/), { maxLength: 3 });
    const url = fc
      .tuple(label, fc.option(fc.integer({ min: 1, max: 65535 })), segments, fc.boolean())
      .map(([host, port, path, slash]) => {
        const rest = path.map(segment => `/${segment}`).join('');
        return `https://${host}.example.com${port ? `:${port}` : ''}${rest}${slash ? '/' : ''}`;
      });
    await fc.assert(
      fc.asyncProperty(url, fc.uniqueArray(url, { minLength: 1, maxLength: 3 }), async (baseUrl, issuers) => {
        const app = express();
        const auth = remote({ baseUrl, mcpPath: '/', authorizationServers: issuers });
        app.use(auth);
        expect(auth.resource).toBe(baseUrl);
        const refused = await request(app).get('/');
        const pointer = challengeOf(refused.headers['www-authenticate']).params.resource_metadata as string;
        // RFC 9728 §3.1: between host and path, without the slash that ends the host.
        const path = new URL(baseUrl).pathname;
        expect(new URL(pointer).pathname.replace(/\/$/, '')).toBe(`${ROOT}${path}`.replace(/\/$/, ''));
        const document = await request(app).get(new URL(pointer).pathname);
        expect(document.body).toMatchObject({ resource: baseUrl, authorization_servers: issuers });
      }),
      { numRuns: 30 },
    );
  }, 30_000);

  test.each([
    'mcp.example.com',
    '/relative',
    '//mcp.example.com',
    'https://mcp.example.com/#fragment',
    'https://mcp.example.com/#',
    'https://mcp.example.com/?query=1',
    'http://mcp.example.com',
    'http://localhost.example.com',
    'http://10.0.0.1',
    'ftp://mcp.example.com',
    'https://user:secret@mcp.example.com',
    'urn:example:mcp',
    'https://',
    '',
  ])('RS-5 A18 A22: %j is no base URL', value => {
    for (const option of ['baseUrl', 'resourceBaseUrl'])
      expect(() => remote({ [option]: value })).toThrow(expect.objectContaining({ name: 'ConfigError', option }));
    expect(() => multiAuth([keys()], { baseUrl: value })).toThrow(configError);
    try {
      remote({ baseUrl: value });
    } catch (error) {
      expect(`${error}${JSON.stringify(error)}`).not.toContain('secret');
    }
  });

  test.each([
    [[]],
    [['login.example.com']],
    [['http://login.example.com']],
    [['https://login.example.com/#x']],
    [['']],
  ])('RS-1 A18: %j are no authorization servers', authorizationServers => {
    expect(() => remote({ authorizationServers })).toThrow(
      expect.objectContaining({ name: 'ConfigError', option: expect.stringMatching(/^authorizationServers/) }),
    );
  });

  test('RS-6 RS-7 RS-8 A15: members without a value are left out, the others are what was configured', async () => {
    const app = express();
    app.use(remote({ scopesSupported: [], mcpPath: '/plain' }));
    app.use(
      remote({
        mcpPath: '/full',
        rootMetadata: false,
        requiredScopes: ['read'],
        scopesSupported: ['read', 'write'],
        resourceName: 'Files "and" more',
        resourceDocumentation: 'https://docs.example.com/mcp',
      }),
    );
    expect((await request(app).get(`${ROOT}/plain`)).body).toEqual({
      resource: `${BASE}/plain`,
      authorization_servers: [ISSUER],
      bearer_methods_supported: ['header'],
    });
    expect((await request(app).get(`${ROOT}/full`)).body).toEqual({
      resource: `${BASE}/full`,
      authorization_servers: [ISSUER],
      bearer_methods_supported: ['header'],
      scopes_supported: ['read', 'write'],
      resource_name: 'Files "and" more',
      resource_documentation: 'https://docs.example.com/mcp',
    });
  });

  test('RS-7: without a list of its own `scopes_supported` is what is required', async () => {
    const app = express();
    app.use(remote({ requiredScopes: ['read'] }));
    expect((await request(app).get(`${ROOT}/mcp`)).body.scopes_supported).toEqual(['read']);
  });

  test('RS-10: the document may be cached and is the same for everybody', async () => {
    const app = express();
    app.use(remote());
    const answers = await Promise.all(
      [{}, { authorization: `Bearer ${READER}` }, { authorization: 'Bearer x', cookie: 'a=b', origin: BASE }].map(
        headers => request(app).get(`${ROOT}/mcp`).set(headers),
      ),
    );
    expect(new Set(answers.map(answer => answer.text)).size).toBe(1);
    for (const { status, headers } of answers) {
      expect(status).toBe(200);
      expect(headers['cache-control']).toMatch(/max-age=[1-9]/);
      expect(headers['cache-control']).not.toMatch(/no-store|private/);
      expect(headers['set-cookie']).toBeUndefined();
      expect(headers['access-control-allow-origin']).toBe('*');
      expect(headers['access-control-allow-credentials']).toBeUndefined();
    }
  });

  test('it is served with a query, and in no other spelling of the reserved names', async () => {
    const app = express();
    app.use(remote());
    app.use(hello);
    const origin = await serve(app as unknown as RequestListener);
    expect((await send(origin, `${ROOT}/mcp?cache=1`)).status).toBe(200);
    for (const target of [`${ROOT}x`, `${ROOT}mcp`, '/x/.well-known/oauth-protected-resource'])
      expect(JSON.parse((await send(origin, target)).text)).toEqual({ reached: true });
  });

  test('RS-3 RS-11: `rootMetadata: false` leaves the root name to the app', async () => {
    const app = express();
    app.use(remote({ rootMetadata: false }));
    app.use(hello);
    expect((await request(app).get(ROOT)).body).toEqual({ reached: true });
    await request(app)
      .get(`${ROOT}/mcp`)
      .expect(200, /"resource"/);
  });

  test('A11: with one resource the root document names the full URL of it', async () => {
    const app = express();
    app.use(remote({ baseUrl: `${BASE}/deep` }));
    expect((await request(app).get(ROOT)).body.resource).toBe(`${BASE}/deep/mcp`);
  });

  test.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('A12 A2 RS-3: three resources on one %s app, one of them at the root', async (_version, make) => {
    const app = make();
    const build = (name: string, rootMetadata: boolean) =>
      remote({ mcpPath: `/${name}/mcp`, rootMetadata, name, authorizationServers: [`https://${name}.example.com`] });
    app.use(build('a', false), build('b', true), build('c', false));
    app.use(hello);
    for (const name of ['a', 'b', 'c']) {
      const document = await request(app).get(`${ROOT}/${name}/mcp`);
      expect(document.body).toMatchObject({
        resource: `${BASE}/${name}/mcp`,
        authorization_servers: [`https://${name}.example.com`],
      });
      const refused = await request(app).post(`/${name}/mcp`);
      expect(challengeOf(refused.headers['www-authenticate']).params.resource_metadata).toBe(
        `${BASE}${ROOT}/${name}/mcp`,
      );
      await request(app).get(`/.well-known/openid-configuration/${name}/mcp`).expect(404);
      await request(app).post(`/${name}/mcp`).auth(READER, { type: 'bearer' }).expect(200);
    }
    expect((await request(app).get(ROOT)).body.resource).toBe(`${BASE}/b/mcp`);
    expect((await request(app).get(`${ROOT}/d/mcp`)).body).toEqual({ reached: true });
  });

  test('A2: a resource without a path does not stand in the way of another instance in front of it', async () => {
    const app = express();
    app.use(remote({ mcpPath: '/a', rootMetadata: false }));
    app.use(remote({ mcpPath: '/', rootMetadata: true }));
    expect((await request(app).get(`${ROOT}/a`)).body.resource).toBe(`${BASE}/a`);
    expect((await request(app).get(ROOT)).body.resource).toBe(BASE);
    await request(app).get('/.well-known/oauth-authorization-server').expect(404);
    await request(app).get(`${ROOT}/anything`).expect(404);
  });

  test('J10: resource and endpoint may live on different hosts', async () => {
    const auth = remote({ baseUrl: 'https://auth.example.com', resourceBaseUrl: 'https://mcp.example.net/v1' });
    expect([auth.baseUrl, auth.resource]).toEqual(['https://auth.example.com', 'https://mcp.example.net/v1/mcp']);
    const app = express();
    app.use(auth);
    const response = await request(app).get(`${ROOT}/v1/mcp`);
    expect(response.body.resource).toBe('https://mcp.example.net/v1/mcp');
    const refused = await request(app).get('/mcp');
    expect(challengeOf(refused.headers['www-authenticate']).params.resource_metadata).toBe(
      'https://mcp.example.net/.well-known/oauth-protected-resource/v1/mcp',
    );
  });

  test('an override on `multiAuth` reaches documents, challenges and guard alike', async () => {
    const inner = remote({ baseUrl: 'https://inner.example.com', mcpPath: '/inner', requiredScopes: ['read'] });
    const outer = multiAuth(inner, [], {
      baseUrl: BASE,
      mcpPath: '/outer',
      requiredScopes: ['write'],
      resourceName: 'Outer',
    });
    const app = express();
    app.use(outer);
    app.use(hello);
    const refused = await request(app).get('/outer');
    expect(challengeOf(refused.headers['www-authenticate']).params).toEqual({
      resource_metadata: `${BASE}${ROOT}/outer`,
      scope: 'write',
    });
    const document = await request(app).get(`${ROOT}/outer`);
    expect(document.body).toMatchObject({
      resource: `${BASE}/outer`,
      resource_name: 'Outer',
      scopes_supported: ['write'],
      authorization_servers: [ISSUER],
    });
    await request(app).get('/inner').expect(200);
    await request(app).get('/outer').auth(READER, { type: 'bearer' }).expect(403);
    await request(app).get('/outer').auth(WRITER, { type: 'bearer' }).expect(200);
    // Nothing was changed in the wrapped one.
    expect([inner.resource, inner.requiredScopes]).toEqual(['https://inner.example.com/inner', ['read']]);
  });

  test('`multiAuth` without a server serves a document once issuers and a base URL are given, and only then', async () => {
    const served = multiAuth([keys()], { baseUrl: BASE, authorizationServers: [ISSUER] });
    const app = express();
    app.use(served);
    app.use(hello);
    expect((await request(app).get(`${ROOT}/mcp`)).body.authorization_servers).toEqual([ISSUER]);
    await request(app).get('/health').expect(200);
    const silent = express();
    silent.use(multiAuth([keys()], { baseUrl: BASE, mcpPath: '/mcp' }));
    silent.use(hello);
    expect((await request(silent).get(`${ROOT}/mcp`)).body).toEqual({ reached: true });
  });

  test('the document in front of a mounted app is served by `router` and `wellKnown` alike', async () => {
    for (const pick of ['router', 'wellKnown'] as const) {
      const auth = remoteAuth({ verifier: keys(), authorizationServers: [ISSUER], baseUrl: `${BASE}/api` });
      const app = express();
      app.use(auth[pick]);
      app.use(hello);
      expect((await request(app).get(`${ROOT}/api/mcp`)).body.resource).toBe(`${BASE}/api/mcp`);
      expect((await request(app).post(`${ROOT}/api/mcp`)).body).toEqual({ reached: true });
      await request(app).get('/.well-known/openid-configuration/api/mcp').expect(404);
    }
    const without = express();
    without.use(multiAuth([keys()]).wellKnown);
    without.use(hello);
    expect((await request(without).get(ROOT)).body).toEqual({ reached: true });
  });
});
