import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import {
  type Auth,
  ConfigError,
  customVerifier,
  debugVerifier,
  getAuth,
  introspectionVerifier,
  jwtVerifier,
  type MultiAuthOptions,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import request from 'supertest';
import { accepted, BASE, call, challenge, fetched, mcpApp, RESOURCE, thrown, vendor } from '../support/composition.js';
import { type IdentityProvider, identityProvider } from '../support/identity-provider.js';

const CI = 'ci-key-0123456789abcdef';
const OPS = 'ops-key-0123456789abcdef';
const AS = 'https://login.example.com';

const ci = (options?: Parameters<typeof staticTokenVerifier>[1]) =>
  staticTokenVerifier({ [CI]: { clientId: 'ci', scopes: ['read'] } }, options);
const ops = (options?: Parameters<typeof staticTokenVerifier>[1]) =>
  staticTokenVerifier({ [OPS]: { clientId: 'ops', scopes: ['read'] } }, options);

let idp: IdentityProvider;
const opened: IdentityProvider[] = [];
beforeAll(async () => {
  idp = await identityProvider();
});
afterAll(() => Promise.all([idp, ...opened].map(server => server.close())));

type RemoteOptions = Parameters<typeof remoteAuth>[0];
const people = (options: Partial<RemoteOptions> = {}) =>
  remoteAuth({
    verifier: jwtVerifier({ name: 'people', issuer: idp.issuer }),
    authorizationServers: [idp.issuer],
    baseUrl: BASE,
    ...options,
  });
const mint = (aud: string, claims: Record<string, unknown> = {}) => idp.mint({ aud, sub: 'user-1', ...claims });

/** The resource of everything that names one: the instance, the challenge, the document, the audience check, `req.auth`. */
async function expectResource(auth: Auth, resource: string, documentUrl: string, path = '/mcp') {
  const app = mcpApp(auth, path);
  expect(auth.resource).toBe(resource);
  const refused = await call(app, undefined, path);
  expect(refused.status).toBe(401);
  expect(challenge(refused).resource_metadata).toBe(documentUrl);
  const document = await fetched(app, documentUrl);
  expect(document.status).toBe(200);
  expect(document.body.resource).toBe(resource);
  const answer = await call(app, await mint(resource), path);
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ resource, resourceMetadataUrl: documentUrl });
}

describe('what multiAuth is called with (rule 1)', () => {
  test.each([
    ['nothing', () => multiAuth(undefined as never)],
    ['null', () => multiAuth(null)],
    ['null and an empty list', () => multiAuth(null, [])],
    ['an empty list', () => multiAuth([])],
    ['null, an empty list and options', () => multiAuth(null, [], { baseUrl: BASE })],
  ])('%s is refused: at least a server or one verifier is needed', async (_, make) => {
    const error = await thrown(make);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toContain('at least a server or one verifier');
    expect((error as ConfigError).factory).toBe('multiAuth');
  });

  test('a server alone is enough', async () => {
    const auth = multiAuth(people());
    const answer = await call(auth, await mint(RESOURCE));
    expect(answer.status).toBe(200);
    expect(answer.body.extra.source).toBe('people');
  });

  test.each<[string, () => Auth]>([
    ['multiAuth(server, verifier)', () => multiAuth(people(), ci({ name: 'ci' }))],
    ['multiAuth(server, [verifier])', () => multiAuth(people(), [ci({ name: 'ci' })])],
    ['multiAuth(null, verifier)', () => multiAuth(null, ci({ name: 'ci' }))],
    ['multiAuth(null, verifier, options)', () => multiAuth(null, ci({ name: 'ci' }), { baseUrl: BASE })],
    ['multiAuth([verifier])', () => multiAuth([ci({ name: 'ci' })])],
    ['multiAuth([verifier], options)', () => multiAuth([ci({ name: 'ci' })], { baseUrl: BASE })],
    ['multiAuth(verifier)', () => multiAuth(ci({ name: 'ci' }))],
    ['multiAuth(verifier, options)', () => multiAuth(ci({ name: 'ci' }), { baseUrl: BASE })],
    ['multiAuth(verifier, [verifier])', () => multiAuth(ops(), [ci({ name: 'ci' })])],
    ['multiAuth(verifier, verifier)', () => multiAuth(ops(), ci({ name: 'ci' }))],
  ])('%s asks the verifier', async (_, make) => {
    const answer = await call(make(), CI);
    expect(answer.status).toBe(200);
    expect(answer.body.extra.source).toBe('ci');
  });

  test('multiAuth(server, options) takes the options', () => {
    expect(multiAuth(people(), { requiredScopes: ['x'] }).requiredScopes).toEqual(['x']);
  });

  test('a verifier in the first place keeps that place when others follow', async () => {
    const first = staticTokenVerifier({ [CI]: { clientId: 'first' } });
    expect((await multiAuth(first, [ci()]).verifyToken(CI))?.clientId).toBe('first');
  });

  test('D1: one line composes people, services and static keys, and each is recognised by name', async () => {
    const services = await identityProvider();
    const auth = multiAuth(people(), [jwtVerifier({ name: 'backend', issuer: services.issuer }), ci({ name: 'ci' })]);
    const sources = [];
    for (const token of [await mint(RESOURCE), await services.mint({ aud: RESOURCE, sub: 'job' }), CI]) {
      sources.push((await call(auth, token)).body.extra.source);
    }
    expect(sources).toEqual(['people', 'backend', 'ci']);
    expect((await call(auth, 'unknown-token')).status).toBe(401);
    await services.close();
  });

  test('an entry of the list that is no source is refused by name', async () => {
    for (const bad of [undefined, null, {}, 'jwt', () => undefined]) {
      const error = await thrown(() => multiAuth(null, [ci(), bad as never]));
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as ConfigError).factory).toBe('multiAuth');
    }
    expect(await thrown(() => multiAuth({} as never, [ci()]))).toBeInstanceOf(ConfigError);
  });

  test('no factory and no composition asks the network when called, and ready() does', async () => {
    const urls: string[] = [];
    const counting: typeof fetch = async input => {
      urls.push(String(input));
      return Response.json({ issuer: 'https://idp.example.com', jwks_uri: 'https://idp.example.com/keys', keys: [] });
    };
    const auth = multiAuth(
      people({ verifier: jwtVerifier({ issuer: 'https://idp.example.com', fetch: counting }) }),
      introspectionVerifier({
        introspectionUrl: 'https://idp.example.com/introspect',
        clientId: 'rs',
        clientSecret: 'rs-secret-value',
        fetch: counting,
      }),
    );
    expect(auth.resource).toBe(RESOURCE);
    await new Promise(resolve => setImmediate(resolve));
    expect(urls).toEqual([]);
    await auth.ready();
    expect(urls).toContain('https://idp.example.com/keys');
    await auth.close();
  });
});

describe('ready() and close() of a composition', () => {
  test('ready() rejects with UnavailableError while a source is out of reach, and the composition heals by itself', async () => {
    const late = await identityProvider();
    let down = true;
    late.intercept = (_req, res) => {
      if (down) res.writeHead(503).end();
      return down;
    };
    let clock = Date.now();
    const auth = multiAuth([jwtVerifier({ issuer: late.issuer, now: () => clock }), ci()], { baseUrl: BASE });
    expect(await thrown(() => auth.ready())).toBeInstanceOf(UnavailableError);
    expect((await call(auth, CI)).status).toBe(200);
    down = false;
    clock += 600_000;
    const token = await late.mint({ aud: RESOURCE, exp: Math.floor(clock / 1000) + 60 });
    expect((await call(auth, token)).status).toBe(200);
    await auth.ready();
    await auth.close();
    await late.close();
  });

  test.each<[string, (jwt: Auth) => Auth]>([
    ['listed verifier', jwt => multiAuth([jwt], { baseUrl: BASE })],
    ['verifier of a wrapped server', jwt => multiAuth(people({ verifier: jwt }), ci())],
    ['verifier two levels down', jwt => multiAuth(multiAuth(people({ verifier: jwt })))],
  ])('close() lets go of the fetch under way of a %s', async (_, compose) => {
    const hanging = await identityProvider();
    opened.push(hanging);
    let asked: () => void = () => undefined;
    let dropped: () => void = () => undefined;
    const question = new Promise<void>(resolve => {
      asked = resolve;
    });
    const gone = new Promise<void>(resolve => {
      dropped = resolve;
    });
    hanging.intercept = req => {
      req.socket.once('close', dropped);
      asked();
      return true;
    };
    const auth = compose(jwtVerifier({ issuer: hanging.issuer, jwksCache: { timeoutMs: 60_000 } }));
    const ready = thrown(() => auth.ready());
    await question;
    await auth.close();
    await gone;
    expect(await ready).toBeInstanceOf(UnavailableError);
  });

  test('close() can be called twice', async () => {
    const auth = multiAuth(people(), ci());
    await auth.close();
    await auth.close();
  });
});

describe('overrides reach routes, metadata, challenges and wrapped sources alike (rule 6)', () => {
  test('the server is inherited whole where nothing is overridden', async () => {
    const auth = multiAuth(
      people({ requiredScopes: ['read'], resourceName: 'Notes', resourceDocumentation: 'https://docs.example.com/n' }),
      ci(),
    );
    expect(auth.baseUrl).toBe(BASE);
    expect(auth.requiredScopes).toEqual(['read']);
    const document = await request(mcpApp(auth)).get('/.well-known/oauth-protected-resource/mcp');
    expect(document.body).toEqual({
      resource: RESOURCE,
      authorization_servers: [idp.issuer],
      scopes_supported: ['read'],
      bearer_methods_supported: ['header'],
      resource_name: 'Notes',
      resource_documentation: 'https://docs.example.com/n',
    });
  });

  test('A4 RS-4: the document that a challenge names is served and names the protected URL', () =>
    expectResource(multiAuth(people(), ci()), RESOURCE, `${BASE}/.well-known/oauth-protected-resource/mcp`));

  // URLs in the order own resourceBaseUrl, server's resourceBaseUrl, own baseUrl, server's baseUrl.
  const names = { own: 'https://own.example.com', server: 'https://server.example.com' };
  test.each<[string, Partial<RemoteOptions>, MultiAuthOptions, string]>([
    ["the server's baseUrl, alone", {}, {}, BASE],
    ["own baseUrl before the server's", {}, { baseUrl: 'https://edge.example.com' }, 'https://edge.example.com'],
    [
      "the server's resourceBaseUrl before own baseUrl",
      { resourceBaseUrl: names.server },
      { baseUrl: BASE },
      names.server,
    ],
    [
      "own resourceBaseUrl before the server's",
      { resourceBaseUrl: names.server },
      { resourceBaseUrl: names.own, baseUrl: 'https://edge.example.com' },
      names.own,
    ],
    ['own resourceBaseUrl with a path', {}, { resourceBaseUrl: `${names.own}/api` }, `${names.own}/api`],
  ])('%s is the base of the resource everywhere', async (_, server, own, base) => {
    const url = new URL(base);
    const prefix = url.pathname === '/' ? '' : url.pathname;
    const auth = multiAuth(people(server), ci(), own);
    expect(auth.baseUrl).toBe(own.baseUrl ?? BASE);
    await expectResource(auth, `${base}/mcp`, `${url.origin}/.well-known/oauth-protected-resource${prefix}/mcp`);
  });

  test.each<[string, MultiAuthOptions]>([
    ['base URL', { baseUrl: 'https://edge.example.com/tenant' }],
    ['resource base URL', { resourceBaseUrl: 'https://edge.example.com/tenant' }],
  ])(
    'after an override of the %s the old document is gone and a token for the old resource is refused',
    async (_, own) => {
      const auth = multiAuth(people({ baseUrl: `${BASE}/proxy` }), ci(), own);
      const app = mcpApp(auth);
      expect((await request(app).get('/.well-known/oauth-protected-resource/proxy/mcp')).status).toBe(404);
      expect((await request(app).get('/.well-known/oauth-protected-resource/tenant/mcp')).status).toBe(200);
      const refused = await call(app, await mint(`${BASE}/proxy/mcp`));
      expect(refused.status).toBe(401);
      expect(challenge(refused).error).toBe('invalid_token');
      expect(await auth.check(await mint(`${BASE}/proxy/mcp`))).toMatchObject({
        outcome: 'reject',
        reason: 'audience',
      });
      expect((await call(app, await mint('https://edge.example.com/tenant/mcp'))).status).toBe(200);
    },
  );

  test('an override of mcpPath moves the guard, the document, the challenge and the audience', async () => {
    const auth = multiAuth(people(), ci(), { mcpPath: '/rpc' });
    await expectResource(auth, `${BASE}/rpc`, `${BASE}/.well-known/oauth-protected-resource/rpc`, '/rpc');
    expect((await call(auth, await mint(RESOURCE), '/rpc')).status).toBe(401);
    const app = express();
    app.use(auth);
    app.all('/mcp', (_req, res) => {
      res.send('not guarded any more');
    });
    expect((await request(app).post('/mcp')).text).toBe('not guarded any more');
  });

  test("the server's mcpPath is inherited", () =>
    expectResource(
      multiAuth(people({ mcpPath: '/rpc' }), ci()),
      `${BASE}/rpc`,
      `${BASE}/.well-known/oauth-protected-resource/rpc`,
      '/rpc',
    ));

  test('mcpPath / adds nothing to the resource', async () => {
    const auth = multiAuth(people(), ci(), { mcpPath: '/' });
    expect(auth.resource).toBe(BASE);
    const refused = await call(auth, undefined, '/anything');
    expect(challenge(refused).resource_metadata).toBe(`${BASE}/.well-known/oauth-protected-resource`);
  });

  test('authorization servers, name and documentation are the own ones where given', async () => {
    const auth = multiAuth(people({ resourceName: 'Inner', resourceDocumentation: 'https://a.example.com' }), ci(), {
      authorizationServers: [AS],
      resourceName: 'Outer',
      resourceDocumentation: 'https://b.example.com',
    });
    const { body } = await request(mcpApp(auth)).get('/.well-known/oauth-protected-resource/mcp');
    expect(body).toMatchObject({
      authorization_servers: [AS],
      resource_name: 'Outer',
      resource_documentation: 'https://b.example.com',
    });
  });

  test.each([
    ["the server's", { legacyResources: ['https://old.example.com/mcp'] }, {}],
    ['own', {}, { legacyResources: ['https://old.example.com/mcp'] }],
  ])(
    'a token for one of %s legacyResources is accepted, and the identity names the present resource',
    async (_, server, own) => {
      const auth = multiAuth(people(server), ci(), own);
      const answer = await call(auth, await mint('https://old.example.com/mcp'));
      expect(answer.status).toBe(200);
      expect(answer.body.resource).toBe(RESOURCE);
      expect((await call(auth, await mint('https://older.example.com/mcp'))).status).toBe(401);
      const document = await request(mcpApp(auth)).get('/.well-known/oauth-protected-resource/mcp');
      expect(document.body.resource).toBe(RESOURCE);
    },
  );

  test('own legacyResources stand in place of those of the server', async () => {
    const auth = multiAuth(people({ legacyResources: ['https://old.example.com/mcp'] }), ci(), { legacyResources: [] });
    expect((await call(auth, await mint('https://old.example.com/mcp'))).status).toBe(401);
  });

  describe('C1: legacyResources are former names of the resource that they were given with', () => {
    const old = 'https://old.example.com/mcp';
    const elsewhere = 'https://elsewhere.example.com';
    const inner = (options: Record<string, unknown> = {}) => people({ legacyResources: [old], ...options });
    const statusOf = async (auth: Auth, aud: string) => (await call(auth, await mint(aud))).status;

    test.each<[string, () => Auth]>([
      ['a composition around a verifier', () => multiAuth(null, [inner()], { baseUrl: elsewhere })],
      ['a composition of a composition', () => multiAuth([multiAuth([inner()])], { baseUrl: elsewhere })],
      ['a baseUrl of its own', () => multiAuth(inner(), ci(), { baseUrl: elsewhere })],
      ['a resourceBaseUrl of its own', () => multiAuth(inner(), ci(), { resourceBaseUrl: elsewhere })],
    ])('they do not pass at the other resource of %s', async (_, make) => {
      expect(await statusOf(make(), `${elsewhere}/mcp`)).toBe(200);
      expect(await statusOf(make(), old)).toBe(401);
    });

    test('an mcpPath of its own is another resource too', async () => {
      const auth = multiAuth(inner(), ci(), { mcpPath: '/tools' });
      const at = async (aud: string) => (await call(auth, await mint(aud), '/tools')).status;
      expect([await at(`${BASE}/tools`), await at(old)]).toEqual([200, 401]);
    });

    test('they pass wherever the resource stays the same, and those of the other resource at that', async () => {
      expect(await statusOf(multiAuth(inner(), ci(), { requiredScopes: [] }), old)).toBe(200);
      expect(await statusOf(multiAuth(inner(), ci(), { baseUrl: BASE }), old)).toBe(200);
      expect(await statusOf(multiAuth([inner()], { baseUrl: BASE }), old)).toBe(200);
      expect(await statusOf(multiAuth([inner()]), old)).toBe(200);
      const moved = multiAuth(inner(), ci(), { baseUrl: elsewhere, legacyResources: [RESOURCE] });
      expect([await statusOf(moved, RESOURCE), await statusOf(moved, old)]).toEqual([200, 401]);
    });
  });

  test.each([
    ["the server's", { cors: false }, {}],
    ['own', {}, { cors: false }],
  ])('%s cors: false reaches the guard and the documents', async (_, server, own) => {
    const app = mcpApp(multiAuth(people(server), ci(), own));
    expect((await call(app)).headers).not.toHaveProperty('access-control-allow-origin');
    const document = await request(app).get('/.well-known/oauth-protected-resource/mcp');
    expect(document.status).toBe(200);
    expect(document.headers).not.toHaveProperty('access-control-allow-origin');
  });

  test.each([
    ["the server's", { rootMetadata: false }, {}],
    ['own', {}, { rootMetadata: false }],
  ])('%s rootMetadata: false takes the alias at the root away', async (_, server, own) => {
    const app = mcpApp(multiAuth(people(server), ci(), own));
    expect((await request(app).get('/.well-known/oauth-protected-resource')).status).toBe(404);
    expect((await request(app).get('/.well-known/oauth-protected-resource/mcp')).status).toBe(200);
  });

  test('an option that is undefined is as if absent', async () => {
    const auth = multiAuth(people({ requiredScopes: ['read'] }), ci(), {
      requiredScopes: undefined,
      baseUrl: undefined,
      mcpPath: undefined,
      scopesSupported: undefined,
    } as never);
    expect(auth.requiredScopes).toEqual(['read']);
    expect(auth.resource).toBe(RESOURCE);
  });

  test('RS-9: no header of a request changes what is published', async () => {
    const app = mcpApp(multiAuth(people(), ci()));
    const hostile = { host: 'evil.example', 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' };
    const document = await request(app).get('/.well-known/oauth-protected-resource/mcp').set(hostile);
    const refused = await request(app).post('/mcp').set(hostile);
    expect(JSON.stringify([document.body, refused.headers])).not.toContain('evil.example');
  });
});

describe('one source in two compositions: nothing is mutated (rule 6)', () => {
  const facts = ({ name, baseUrl, resource, requiredScopes, scopesSupported, challengeScopes }: Auth) =>
    JSON.stringify([name, baseUrl, resource, requiredScopes, scopesSupported, challengeScopes()]);

  test('the same server serves two compositions and itself, each with its own resource and scopes', async () => {
    const server = people({ requiredScopes: ['read'] });
    const before = facts(server);
    const a = multiAuth(server, ci({ requiredScopes: [] }), {
      baseUrl: 'https://a.example.com',
      requiredScopes: ['a'],
    });
    const b = multiAuth(server, ops(), { resourceBaseUrl: 'https://b.example.com', mcpPath: '/b', requiredScopes: [] });
    await expectScopedResource(a, 'https://a.example.com/mcp', '/mcp', ['a']);
    await expectScopedResource(b, 'https://b.example.com/b', '/b', []);
    await expectScopedResource(server, RESOURCE, '/mcp', ['read']);
    expect(facts(server)).toBe(before);
    expect((await call(b, CI, '/b')).status).toBe(401);
    expect((await call(server, CI)).status).toBe(401);
  });

  async function expectScopedResource(auth: Auth, resource: string, path: string, required: string[]) {
    expect(auth.requiredScopes).toEqual(required);
    for (const aud of ['https://a.example.com/mcp', 'https://b.example.com/b', RESOURCE]) {
      const answer = await call(auth, await mint(aud, { scope: required.join(' ') }), path);
      expect([aud, answer.status]).toEqual([aud, aud === resource ? 200 : 401]);
    }
    const short = await call(auth, await mint(resource), path);
    expect(short.status).toBe(required.length > 0 ? 403 : 200);
    if (required.length > 0) expect(challenge(short).scope).toBe(required.join(' '));
  }

  test('D12: the same verifier in two compositions takes each one’s resource and refuses the other’s', async () => {
    const verifier = jwtVerifier({ issuer: idp.issuer });
    const a = multiAuth(verifier, { baseUrl: 'https://a.example.com' });
    const b = multiAuth(verifier, { baseUrl: 'https://b.example.com', requiredScopes: ['write'] });
    const forA = await mint('https://a.example.com/mcp');
    const forB = await mint('https://b.example.com/mcp', { scope: 'write' });
    // Twice: the verified-token cache holds signature facts only.
    for (const _ of [1, 2]) {
      expect((await call(a, forA)).status).toBe(200);
      expect((await call(a, forB)).status).toBe(401);
      expect((await call(b, forB)).status).toBe(200);
      expect((await call(b, forA)).status).toBe(401);
    }
    expect(verifier.resource).toBeUndefined();
    expect(verifier.requiredScopes).toEqual([]);
  });

  test('closing one composition leaves the other at work', async () => {
    const server = people();
    const a = multiAuth(server, ci(), { baseUrl: 'https://a.example.com' });
    const b = multiAuth(server, ops(), { baseUrl: 'https://b.example.com' });
    expect((await call(a, await mint('https://a.example.com/mcp'))).status).toBe(200);
    await a.close();
    expect((await call(b, await mint('https://b.example.com/mcp'))).status).toBe(200);
    await b.close();
    await server.close();
  });

  test('options are copied: changing a list afterwards changes no rule, and frozen options are fine', async () => {
    const requiredScopes = ['read'];
    const verifiers = [ci()];
    const auth = multiAuth(people(), verifiers, { requiredScopes });
    requiredScopes.length = 0;
    verifiers.push(ops());
    expect(auth.requiredScopes).toEqual(['read']);
    expect((await call(auth, await mint(RESOURCE))).status).toBe(403);
    expect((await call(auth, OPS)).status).toBe(401);
    const frozen = Object.freeze({ requiredScopes: Object.freeze(['read']), legacyResources: Object.freeze([]) });
    expect((await call(multiAuth(people(), Object.freeze([ci()]) as never, frozen), CI)).status).toBe(200);
  });

  test('D9: two instances with their own issuers and resources live side by side on one app', async () => {
    const other = await identityProvider();
    const a = people({ baseUrl: `${BASE}/a`, rootMetadata: false });
    const b = remoteAuth({
      verifier: jwtVerifier({ name: 'others', issuer: other.issuer }),
      authorizationServers: [other.issuer],
      baseUrl: `${BASE}/b`,
      rootMetadata: false,
    });
    const app = express();
    app.use(multiAuth(a, ci()), multiAuth(b, ops()));
    app.all(['/a/mcp', '/b/mcp'], (req, res) => {
      res.json(getAuth(req));
    });
    for (const [path, issuer] of [
      ['/a/mcp', idp.issuer],
      ['/b/mcp', other.issuer],
    ] as const) {
      const refused = await call(app, undefined, path);
      const url = challenge(refused).resource_metadata as string;
      expect(url).toBe(`${BASE}/.well-known/oauth-protected-resource${path}`);
      expect((await fetched(app, url)).body).toMatchObject({ resource: BASE + path, authorization_servers: [issuer] });
    }
    const forA = await mint(`${BASE}/a/mcp`);
    const forB = await other.mint({ aud: `${BASE}/b/mcp` });
    const statuses = [];
    for (const token of [forA, forB, CI, OPS])
      statuses.push([(await call(app, token, '/a/mcp')).status, (await call(app, token, '/b/mcp')).status]);
    expect(statuses).toEqual([
      [200, 401],
      [401, 200],
      [200, 401],
      [401, 200],
    ]);
    expect((await request(app).get('/.well-known/oauth-protected-resource')).status).toBe(404);
    await other.close();
  });
});

describe('without a server (rule 9)', () => {
  const WELL_KNOWN = '/.well-known/oauth-protected-resource/mcp';

  test.each<[string, MultiAuthOptions]>([
    ['nothing', {}],
    ['a base URL alone', { baseUrl: BASE }],
    ['a resource base URL alone', { resourceBaseUrl: BASE }],
    ['authorization servers alone', { authorizationServers: [AS] }],
  ])('with %s no route is served and no challenge names a document', async (_, options) => {
    const auth = multiAuth(null, [ci(), ops()], options);
    const app = express().use(auth.router, auth.wellKnown);
    expect((await request(app).get(WELL_KNOWN)).status).toBe(404);
    expect((await request(app).get('/.well-known/oauth-protected-resource')).status).toBe(404);
    for (const token of [undefined, 'unknown-token']) {
      const refused = await call(auth, token);
      expect(refused.status).toBe(401);
      expect(challenge(refused)).not.toHaveProperty('resource_metadata');
    }
    expect((await call(auth, CI)).body).not.toHaveProperty('resourceMetadataUrl');
  });

  test('D4 MA-6: with authorization servers and a base URL the document is served and named', async () => {
    const auth = multiAuth([jwtVerifier({ issuer: idp.issuer }), ci()], { authorizationServers: [AS], baseUrl: BASE });
    await expectResource(auth, RESOURCE, BASE + WELL_KNOWN);
    const document = await request(mcpApp(auth)).get(WELL_KNOWN);
    expect(document.body).toEqual({
      resource: RESOURCE,
      authorization_servers: [AS],
      bearer_methods_supported: ['header'],
    });
  });

  test('a server in the list of verifiers judges its tokens and brings no routes', async () => {
    const auth = multiAuth([people(), ci()]);
    expect((await call(auth, await mint(RESOURCE))).body.extra.source).toBe('people');
    expect((await request(express().use(auth.router)).get(WELL_KNOWN)).status).toBe(404);
    expect(challenge(await call(auth))).not.toHaveProperty('resource_metadata');
  });

  test('a base URL still gives the sources their audience', async () => {
    const auth = multiAuth(jwtVerifier({ issuer: idp.issuer }), { baseUrl: BASE });
    expect((await call(auth, await mint(RESOURCE))).body.resource).toBe(RESOURCE);
    expect((await call(auth, await mint(`${BASE}/other`))).status).toBe(401);
  });

  test('a JWT source that knows no audience fails closed for every token of the composition', async () => {
    const auth = multiAuth([jwtVerifier({ issuer: idp.issuer }), ci()]);
    expect(await thrown(() => auth.protect())).toBeInstanceOf(ConfigError);
    expect(await thrown(() => auth.check(CI))).toBeInstanceOf(ConfigError);
    const seen: unknown[] = [];
    const app = mcpApp(auth).use(((error, _req, res, _next) => {
      seen.push(error);
      res.status(500).end();
    }) satisfies express.ErrorRequestHandler);
    for (const token of [CI, await mint(RESOURCE), undefined]) expect((await call(app, token)).status).toBe(500);
    expect(seen).toHaveLength(3);
    for (const error of seen) expect(error).toBeInstanceOf(ConfigError);
  });
});

describe('names (rule 10)', () => {
  const sourcesOf = async (auth: Auth, tokens: string[]) => {
    const sources = [];
    for (const token of tokens) sources.push((await auth.verifyToken(token))?.extra.source);
    return sources;
  };

  test('the default is the name of the factory', async () => {
    expect(ci().name).toBe('staticTokenVerifier');
    expect(jwtVerifier({ issuer: idp.issuer }).name).toBe('jwtVerifier');
    expect(customVerifier({ verify: () => null }).name).toBe('customVerifier');
    expect(debugVerifier({}).name).toBe('debugVerifier');
    expect(people().name).toBe('remoteAuth');
    expect(multiAuth(ci()).name).toBe('multiAuth');
    expect(multiAuth(ci(), { name: 'mine' }).name).toBe('mine');
    expect(await sourcesOf(multiAuth([ci(), vendor(accepted('x')).source]), [CI, 'other'])).toEqual([
      'staticTokenVerifier',
      'customVerifier',
    ]);
  });

  test('a default that repeats is numbered in order, and the sources themselves keep their names', async () => {
    const third = staticTokenVerifier({ 'third-key-0123456789': { clientId: 'third' } });
    const auth = multiAuth([ci(), ops(), third]);
    expect(await sourcesOf(auth, [CI, OPS, 'third-key-0123456789'])).toEqual([
      'staticTokenVerifier',
      'staticTokenVerifier-2',
      'staticTokenVerifier-3',
    ]);
    expect(third.name).toBe('staticTokenVerifier');
  });

  test('sources of the server are numbered first', async () => {
    const server = remoteAuth({ verifier: ops(), authorizationServers: [AS], baseUrl: BASE });
    expect(await sourcesOf(multiAuth(server, ci()), [OPS, CI])).toEqual([
      'staticTokenVerifier',
      'staticTokenVerifier-2',
    ]);
  });

  test('an explicit name is kept as it is, even where a default would collide with it', async () => {
    const auth = multiAuth([ci(), ops({ name: 'staticTokenVerifier' })]);
    const [first, second] = await sourcesOf(auth, [CI, OPS]);
    expect(second).toBe('staticTokenVerifier');
    expect(first).not.toBe(second);
  });

  test.each<[string, () => Auth]>([
    ['two verifiers', () => multiAuth([ci({ name: 'same' }), ops({ name: 'same' })])],
    [
      'the verifier of the server and another',
      () =>
        multiAuth(
          remoteAuth({ verifier: ci({ name: 'same' }), authorizationServers: [AS], baseUrl: BASE }),
          ops({ name: 'same' }),
        ),
    ],
    ['verifiers at two levels', () => multiAuth([multiAuth(ci({ name: 'same' })), ops({ name: 'same' })])],
    [
      'two verifiers of remoteAuth',
      () =>
        remoteAuth({
          verifier: [ci({ name: 'same' }), ops({ name: 'same' })],
          authorizationServers: [AS],
          baseUrl: BASE,
        }),
    ],
  ])('one explicit name on %s is a ConfigError that names it', async (_, make) => {
    const error = await thrown(make);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toContain('same');
  });

  test('MA-7: the same subject of two issuers stays apart through source and issuer', async () => {
    const other = await identityProvider();
    const auth = multiAuth([jwtVerifier({ issuer: idp.issuer }), jwtVerifier({ issuer: other.issuer })], {
      baseUrl: BASE,
    });
    const first = await auth.verifyToken(await mint(RESOURCE));
    const second = await auth.verifyToken(await other.mint({ aud: RESOURCE, sub: 'user-1' }));
    expect(first?.extra).toMatchObject({ source: 'jwtVerifier', issuer: idp.issuer, subject: 'user-1' });
    expect(second?.extra).toMatchObject({ source: 'jwtVerifier-2', issuer: other.issuer, subject: 'user-1' });
    await other.close();
  });

  test('D6: the name of the accepting source is on the request and a nested explicit name is taken by unnamed sources', async () => {
    const auth = multiAuth([multiAuth(ci(), { name: 'machines' }), ops({ name: 'operators' })]);
    expect((await call(auth, CI)).body.extra.source).toBe('machines');
    expect((await call(auth, OPS)).body.extra.source).toBe('operators');
  });
});
