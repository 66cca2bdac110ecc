import type { RequestListener } from 'node:http';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import connect from 'connect';
import express from 'express';
import { type Auth, customVerifier, getAuth, multiAuth, remoteAuth } from 'express-mcp-auth';
import fc from 'fast-check';
import request from 'supertest';
import {
  authOf,
  BASE,
  bearer,
  challengeOf,
  client,
  counted,
  express4,
  ISSUER,
  keys,
  READER,
  recordWarnings,
  remote,
  send,
  serve,
  stopAll,
  WRITER,
} from '../support/app.js';

afterAll(stopAll);

let warnings: ReturnType<typeof recordWarnings>;
beforeEach(() => {
  warnings = recordWarnings();
});
afterEach(() => warnings.stop());

const codes = () => warnings.seen.map(({ code }) => code);

const hello: express.RequestHandler = (req, res) => {
  res.json({ reached: true, clientId: authOf(req)?.clientId });
};
const pass: express.RequestHandler = (_req, _res, next) => next();
const asListener = (app: express.Express) => app as unknown as RequestListener;

const versions = [
  { version: 'Express 5', make: express, all: '/{*path}' },
  { version: 'Express 4', make: express4, all: '*' },
];

describe.each(versions)('where the guard stands in $version', ({ make, all }) => {
  describe('on a route', () => {
    test.each(['/mcp', '/rpc', '/'])(
      'it guards the route %s, whatever `mcpPath` says, without a warning',
      async path => {
        const app = make();
        app.post(path, remote(), hello);
        app.get('/open', hello);
        await request(app).post(path).expect(401);
        const response = await request(app).post(path).auth(READER, { type: 'bearer' });
        expect(response.body).toEqual({ reached: true, clientId: 'reader' });
        await request(app).get('/open').expect(200);
        expect(warnings.seen).toEqual([]);
      },
    );

    test.each([
      [
        'an array of handlers',
        (app: express.Express, auth: Auth) =>
          app.post('/rpc', [pass, [auth]] as unknown as express.RequestHandler, hello),
      ],
      ['app.route().all()', (app: express.Express, auth: Auth) => app.route('/rpc').all(auth).post(hello)],
      ['app.all()', (app: express.Express, auth: Auth) => app.all('/rpc', pass, auth, hello)],
      [
        'a route of a router',
        (app: express.Express, auth: Auth) => {
          const router = make.Router();
          router.post('/', auth, hello);
          app.use('/rpc', router);
        },
      ],
      [
        'a route with parameters',
        (app: express.Express, auth: Auth) => {
          app.post('/:name', auth, hello);
        },
      ],
    ])('it guards in %s', async (_where, mount) => {
      const app = make();
      mount(app, remote());
      await request(app).post('/rpc').expect(401);
      await request(app).post('/rpc').auth(READER, { type: 'bearer' }).expect(200);
      expect(codes().filter(code => code !== 'MCP_AUTH_MOUNT')).toEqual([]);
    });

    test('attack 89: a route with a parameter is guarded for every spelling of its path', async () => {
      const app = make();
      app.all('/:name', remote(), hello);
      const origin = await serve(asListener(app));
      for (const target of ['/mcp', '/m%63p', '/other', '/%2fmcp', '/MCP/'])
        expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
    });

    test('its documents are served first there too, and the guard stands for all the rest of a catch-all route', async () => {
      const app = make();
      app.all(all, remote(), hello);
      await request(app).get('/.well-known/oauth-protected-resource/mcp').expect(200);
      await request(app).get('/.well-known/openid-configuration/mcp').expect(404);
      await request(app).get('/anything').expect(401);
      await request(app).post('/.well-known/oauth-protected-resource/mcp').expect(401);
      expect(warnings.seen).toEqual([]);
    });

    test('`protect()` guards its route', async () => {
      const app = make();
      app.post('/rpc', remote().protect(), hello);
      await request(app).post('/rpc').expect(401);
      await request(app).post('/rpc').auth(READER, { type: 'bearer' }).expect(200);
    });
  });

  describe('with `req.route` set by somebody else', () => {
    test('a route left behind makes it guard, and warn once with the remedy', async () => {
      const app = make();
      app.all(all, pass);
      app.use(remote());
      app.use(hello);
      await request(app).get('/public').expect(401);
      await request(app).get('/health').expect(401);
      await request(app).get('/public').auth(READER, { type: 'bearer' }).expect(200);
      expect(codes()).toEqual(['MCP_AUTH_ROUTE']);
      expect(warnings.seen[0]?.text).toMatch(/app\.use|before|in front|route/i);
    });

    test('a guard that is wrapped in a route handler guards, and warns once', async () => {
      const app = make();
      const auth = remote();
      app.post('/rpc', (req, res, next) => auth(req, res, next), hello);
      await request(app).post('/rpc').expect(401);
      await request(app).post('/rpc').expect(401);
      await request(app).post('/rpc').auth(READER, { type: 'bearer' }).expect(200);
      expect(codes()).toEqual(['MCP_AUTH_ROUTE']);
    });

    test('no warning where it would have guarded anyhow', async () => {
      const app = make();
      const auth = remote();
      app.all(all, pass);
      app.use(auth);
      app.post('/mcp', (req, res, next) => auth(req, res, next), hello);
      await request(app).post('/mcp').expect(401);
      await request(app).post('/mcp/below').expect(401);
      expect(warnings.seen).toEqual([]);
    });

    test('each instance warns for itself', async () => {
      const app = make();
      app.all(all, pass);
      app.use(remote({ mcpPath: '/a' }), remote({ mcpPath: '/b' }));
      app.use(hello);
      await request(app).get('/public').auth(READER, { type: 'bearer' }).expect(200);
      await request(app).get('/public').auth(READER, { type: 'bearer' }).expect(200);
      expect(codes()).toEqual(['MCP_AUTH_ROUTE', 'MCP_AUTH_ROUTE']);
    });

    test('the documents are served behind a route that was left behind', async () => {
      const app = make();
      app.all(all, pass);
      app.use(remote());
      await request(app).get('/.well-known/oauth-protected-resource/mcp').expect(200);
      expect(warnings.seen).toEqual([]);
    });

    test('its own routes leave `req.route` as they found it', async () => {
      const app = make();
      const requests: express.Request[] = [];
      const routes: unknown[] = [];
      app.use((req, _res, next) => {
        requests.push(req);
        next();
      });
      app.use(remote());
      app.use((req, res) => {
        routes.push(req.route);
        res.end();
      });
      for (const path of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-authorization-server/mcp']) {
        await request(app).get(path);
        await request(app).post(path).auth(READER, { type: 'bearer' });
      }
      await request(app).get('/health').expect(200);
      await request(app).get('/mcp').auth(READER, { type: 'bearer' }).expect(200);
      expect(requests).toHaveLength(6);
      expect(requests.map(req => req.route)).toEqual(requests.map(() => undefined));
      expect(routes).toEqual(routes.map(() => undefined));
    });

    test('one instance’s documents never make the next instance think it stands on a route', async () => {
      const app = make();
      app.use(remote({ mcpPath: '/a' }), remote({ mcpPath: '/b', rootMetadata: false }));
      app.use(hello);
      await request(app).post('/.well-known/oauth-protected-resource/a').expect(200);
      await request(app).get('/health').expect(200);
      expect(warnings.seen).toEqual([]);
    });
  });

  describe('mounted', () => {
    test.each([
      ['app.use(path, auth)', (app: express.Express, auth: Auth) => app.use('/api', auth, hello)],
      [
        'a router',
        (app: express.Express, auth: Auth) => {
          const router = make.Router();
          router.use(auth);
          router.use(hello);
          app.use('/api', router);
        },
      ],
      [
        'an app of its own',
        (app: express.Express, auth: Auth) => {
          const inner = make();
          inner.use(auth);
          inner.use(hello);
          app.use('/api', inner);
        },
      ],
      [
        'a mount with a parameter',
        (app: express.Express, auth: Auth) => {
          app.use('/:tenant', auth, hello);
        },
      ],
    ])('in %s it guards everything below', async (_where, mount) => {
      const app = make();
      mount(app, remote({ baseUrl: `${BASE}/api` }));
      const origin = await serve(asListener(app));
      for (const target of ['/api', '/api/', '/api/mcp', '/API/other', '/api//x', '/api/%6dcp', '/api/x?y=/mcp'])
        expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
      expect((await send(origin, '/api/other', { headers: [bearer(READER)] })).status).toBe(200);
      expect(codes()).not.toContain('MCP_AUTH_ROUTE');
    });

    test('attack 89: mounted by Connect around or inside, everything below is guarded as well', async () => {
      const inside = connect();
      inside.use('/api', remote({ baseUrl: `${BASE}/api` }));
      const around = make();
      around.use(inside as unknown as express.RequestHandler, hello);
      const inner = make();
      inner.use(remote({ baseUrl: `${BASE}/api` }), hello);
      const outer = connect();
      outer.use('/api', inner as unknown as connect.HandleFunction);
      for (const app of [around, outer]) {
        const origin = await serve(app as unknown as RequestListener);
        for (const target of ['/api/mcp', '/api/other', '/api'])
          expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
        expect((await send(origin, '/api/other', { headers: [bearer(READER)] })).status).toBe(200);
      }
    });

    test('in a router without a path of its own it stands at the root', async () => {
      const app = make();
      const router = make.Router();
      router.use(remote());
      router.use(hello);
      app.use(router);
      await request(app).get('/mcp').expect(401);
      await request(app).get('/health').expect(200);
    });

    test('A1: below a mount path it warns once with the line that mounts `wellKnown` at the root', async () => {
      const app = make();
      app.use('/api', remote({ baseUrl: `${BASE}/api` }), hello);
      await request(app).get('/api/mcp').expect(401);
      await request(app).get('/api/mcp').auth(READER, { type: 'bearer' }).expect(200);
      expect(codes()).toEqual(['MCP_AUTH_MOUNT']);
      expect(warnings.seen[0]?.text).toContain('wellKnown');
    });

    test('A1: no warning where its `wellKnown` stands at the root, or where it has no documents', async () => {
      const app = make();
      const auth = remote({ baseUrl: `${BASE}/api` });
      app.use(auth.wellKnown);
      app.use('/api', auth, hello);
      app.use('/keys', multiAuth([keys()]), hello);
      await request(app).get('/api/mcp').expect(401);
      await request(app).get('/keys/mcp').expect(401);
      expect(warnings.seen).toEqual([]);
    });

    test('A1: no warning where it stands at the root itself and below a mount as well', async () => {
      const app = make();
      const auth = remote();
      app.use(auth);
      app.use('/admin', auth, hello);
      app.use('/mcp', auth, hello);
      await request(app).get('/.well-known/oauth-protected-resource/mcp').expect(200);
      await request(app).get('/admin').expect(401);
      await request(app).get('/mcp').auth(READER, { type: 'bearer' }).expect(200);
      expect(warnings.seen).toEqual([]);
    });

    test('A1: a route at the root serves no documents, so it does not count', async () => {
      const app = make();
      const auth = remote();
      app.post('/mcp', auth, hello);
      app.use('/admin', auth, hello);
      await request(app).post('/mcp').expect(401);
      await request(app).get('/admin').expect(401);
      expect(codes()).toEqual(['MCP_AUTH_MOUNT']);
    });

    test('A1: `wellKnown` after it does not count, `wellKnown` of another instance neither', async () => {
      const app = make();
      app.use(remote({ baseUrl: `${BASE}/api` }).wellKnown);
      app.use('/api', remote({ baseUrl: `${BASE}/api` }), hello);
      await request(app).get('/api/mcp').expect(401);
      expect(codes()).toEqual(['MCP_AUTH_MOUNT']);
    });

    test('a document that lies below the mount is served at its one address only', async () => {
      const app = make();
      const auth = remote({ baseUrl: `${BASE}/api` });
      app.use('/.well-known', auth);
      app.use('/api', auth, hello);
      await request(app).get('/.well-known/oauth-protected-resource/api/mcp').expect(200);
      await request(app).get('/api/.well-known/oauth-protected-resource/api/mcp').expect(401);
      await request(app).get('/.well-known/other').expect(401);
    });
  });

  describe('MCP traffic that no guard sees', () => {
    test.each(['Mcp-Session-Id', 'MCP-Protocol-Version'])(
      'a request with %s warns once, with its path and the line to add',
      async header => {
        const app = make();
        app.use(remote());
        app.use(hello);
        await request(app).post('/rpc').set(header, 'x').expect(200);
        await request(app).post('/other').set(header, 'x').expect(200);
        expect(codes()).toEqual(['MCP_AUTH_UNGUARDED']);
        expect(warnings.seen[0]?.text).toContain('/rpc');
        expect(warnings.seen[0]?.text).toMatch(/mcpPath/);
      },
    );

    test('guarded requests, discovery and plain requests warn nobody', async () => {
      const app = make();
      app.use(remote());
      app.use(hello);
      await request(app).post('/mcp').set('Mcp-Session-Id', 'x').expect(401);
      await request(app).post('/mcp').set('MCP-Protocol-Version', 'x').auth(READER, { type: 'bearer' }).expect(200);
      await request(app).get('/.well-known/oauth-protected-resource/mcp').set('MCP-Protocol-Version', 'x').expect(200);
      await request(app).get('/.well-known/openid-configuration/mcp').set('MCP-Protocol-Version', 'x').expect(404);
      await request(app).get('/.well-known/oauth-authorization-server').set('MCP-Protocol-Version', 'x').expect(200);
      await request(app).options('/rpc').set('MCP-Protocol-Version', 'x').expect(200);
      await request(app).get('/health').expect(200);
      expect(warnings.seen).toEqual([]);
    });

    test('the warning prints no token, session id or query', async () => {
      const app = make();
      app.use(remote());
      app.use(hello);
      await request(app)
        .post('/rpc?key=a-secret-in-the-query')
        .set({ 'Mcp-Session-Id': 'a-secret-session', authorization: 'Bearer a-secret-token' })
        .expect(200);
      expect(codes()).toEqual(['MCP_AUTH_UNGUARDED']);
      expect(warnings.seen[0]?.text).not.toMatch(/a-secret/);
    });
  });

  test('attack 95: a warning repeats no more of a long path than helps, in one line', async () => {
    const app = make();
    app.use(remote());
    app.use(hello);
    const origin = await serve(asListener(app));
    const target = `/rpc"%0a\\${'x'.repeat(8_000)}`;
    const headers = [['Mcp-Session-Id', 'x'] as const];
    expect((await send(origin, target, { headers })).status).toBe(200);
    expect(codes()).toEqual(['MCP_AUTH_UNGUARDED']);
    expect(warnings.seen[0]?.text).toMatch(/^[\x20-\x7e]{1,1000}$/);
  });

  test('J8: a body that was parsed before the guard or is parsed behind it arrives', async () => {
    for (const order of ['before', 'behind']) {
      const app = make();
      if (order === 'before') app.use(express.json());
      app.use(multiAuth([counted().verifier]));
      if (order === 'behind') app.use(express.json());
      app.post('/mcp', (req, res) => void res.json(req.body));
      const response = await request(app).post('/mcp').auth(READER, { type: 'bearer' }).send({ jsonrpc: '2.0' });
      expect([order, response.body]).toEqual([order, { jsonrpc: '2.0' }]);
    }
  });

  describe('path tricks against the routing of Express itself', () => {
    const pieces = [
      '/mcp',
      '/MCP',
      '/m%63p',
      '/%4d%43%50',
      '/',
      '//',
      'mcp',
      '/x',
      '.',
      '..',
      '/..',
      ';a',
      '?a',
      '#a',
      '%2f',
      '%5c',
      '\\',
      '%20',
      '%00',
      'http://localhost',
      '/health',
    ];

    /** What an app without any guard would answer decides what must not be answered behind one. */
    function twins() {
      const build = (front: express.RequestHandler) => {
        const app = make();
        app.use(front);
        app.all('/mcp', (_req, res) => void res.send('endpoint'));
        app.use('/mcp', (_req, res) => void res.send('endpoint'));
        app.all('/:name', (req, res, next) => {
          if (String(req.params.name).toLowerCase() === 'mcp') res.send('endpoint');
          else next();
        });
        app.use((_req, res) => void res.status(404).send('nothing'));
        app.use(((_error, _req, res, _next) => void res.status(400).send('error')) as express.ErrorRequestHandler);
        return serve(asListener(app));
      };
      return Promise.all([build(pass), build(remote())]);
    }

    test.each([
      '/mcp',
      '/MCP',
      '/mcp/',
      '/m%63p',
      '/mcp#x',
      '/mcp\\x#',
      'http://localhost/mcp',
      'http://localhost/m%63p?x',
    ])('attack 89: %j, which Express routes to the endpoint, does not reach it without a token', async target => {
      const [open, closed] = await twins();
      expect((await send(open, target)).text).toBe('endpoint');
      expect((await send(closed, target)).status).toBe(401);
      expect((await send(closed, target, { headers: [bearer(READER)] })).text).toBe('endpoint');
    });

    test('attack 89: no spelling that Express would route to the endpoint reaches it without a token', async () => {
      const [open, closed] = (await twins()).map(client) as [ReturnType<typeof client>, ReturnType<typeof client>];
      let reached = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 4 }), async parts => {
          const target = parts.join('');
          fc.pre(/^(\/|http:)/.test(target));
          const [without, behind] = await Promise.all([open.ask(target), closed.ask(target)]);
          expect(behind.status).toBeLessThan(500);
          expect(behind.text).not.toBe('endpoint');
          if (without.text !== 'endpoint') return;
          reached++;
          expect(behind.status).toBe(401);
        }),
        { numRuns: 150 },
      );
      open.end();
      closed.end();
      expect(reached).toBeGreaterThan(10);
    }, 30_000);

    test('what lies beside the endpoint stays open', async () => {
      const app = make();
      app.use(remote());
      app.use(hello);
      const { ask, end } = client(await serve(asListener(app)));
      await fc.assert(
        fc.asyncProperty(
          fc.stringMatching(/^[a-z0-9-]{1,12}$/).filter(segment => segment !== 'mcp'),
          fc.stringMatching(/^(\/[a-z0-9-]{1,8}){0,2}$/),
          async (segment, rest) => {
            expect((await ask(`/${segment}${rest}`)).status).toBe(200);
          },
        ),
        { numRuns: 40 },
      );
      end();
    }, 30_000);
  });

  test('two guards of different compositions each judge for themselves', async () => {
    const first = counted('first');
    const second = customVerifier({
      name: 'second',
      verify: token => (token === WRITER ? { token, clientId: 'w', scopes: [] } : null),
    });
    const app = make();
    app.use(multiAuth([first.verifier]));
    app.post('/both', multiAuth([second]).protect(), hello);
    await request(app).post('/both').auth(READER, { type: 'bearer' }).expect(401);
    await request(app).post('/both').auth(WRITER, { type: 'bearer' }).expect(401);
  });

  test('behind guards of two compositions getAuth and req.auth name the last, and each composition verified once', async () => {
    const first = counted('first');
    const second = counted('second');
    const [outer, inner] = [multiAuth([first.verifier]), multiAuth([second.verifier])];
    const sources: (string | undefined)[] = [];
    const look: express.RequestHandler = (req, _res, next) => {
      expect(authOf(req)).toBe(getAuth(req));
      sources.push(authOf(req)?.extra.source);
      next();
    };
    const app = make();
    app.use(outer, look, inner, look, outer.protect(), look, inner.protect(), inner, look, hello);
    await request(app).get('/').auth(READER, { type: 'bearer' }).expect(200);
    expect(sources).toEqual(['first', 'second', 'first', 'second']);
    expect([first.asked, second.asked]).toEqual([[READER], [READER]]);
  });

  test('the first guard settles the identity: what happens to the header or to req.auth in between changes nothing', async () => {
    const { asked, verifier } = counted();
    const auth = multiAuth([verifier]);
    const app = make();
    app.use(auth);
    app.use((req, _res, next) => {
      req.headers.authorization = 'Bearer something-else-entirely';
      Object.assign(req, { auth: { token: 'x', clientId: 'admin', scopes: ['admin'], extra: {} } });
      next();
    });
    app.post('/rpc', auth.protect(), hello);
    const response = await request(app).post('/rpc').auth(READER, { type: 'bearer' });
    expect(response.body).toEqual({ reached: true, clientId: 'reader' });
    expect(asked).toEqual([READER]);
    await request(app).post('/rpc').auth(READER, { type: 'bearer' }).expect(200);
    const scoped = make();
    scoped.use(auth);
    scoped.use((req, _res, next) => {
      authOf(req)?.scopes.push('admin');
      next();
    });
    scoped.post('/rpc', auth.protect({ requiredScopes: ['admin'] }), hello);
    const refused = await request(scoped).post('/rpc').auth(READER, { type: 'bearer' });
    expect(refused.status).toBe(403);
  });

  test('A4: the pointer of every challenge leads to a document of that resource, in every shape of mount', async () => {
    const shapes: [string, (app: express.Express, auth: Auth) => unknown][] = [
      [BASE, (app, auth) => app.use(auth)],
      [BASE, (app, auth) => app.use(auth.router).all('/mcp', auth.protect(), hello)],
      [`${BASE}/api`, (app, auth) => app.use(auth.wellKnown).use('/api', auth)],
      [`${BASE}/team`, (app, auth) => app.use(auth)],
      [`${BASE}/`, (app, auth) => app.use(auth)],
    ];
    for (const [baseUrl, mount] of shapes) {
      const app = make();
      const auth = remote({ baseUrl });
      mount(app, auth);
      const path = new URL(auth.resource as string).pathname;
      const refused = await request(app).post(path === '/team/mcp' || path === '/api/mcp' ? path : '/mcp');
      expect([baseUrl, refused.status]).toEqual([baseUrl, 401]);
      const pointer = challengeOf(refused.headers['www-authenticate']).params.resource_metadata as string;
      const document = await request(app).get(new URL(pointer).pathname);
      expect([baseUrl, document.status]).toEqual([baseUrl, 200]);
      expect(document.body.resource).toBe(auth.resource);
    }
  });
});

describe('`mcpPath`', () => {
  test.each([
    'mcp',
    '/mcp/:id',
    '/mcp*',
    '/mcp/{*x}',
    '/(mcp)',
    '/mcp?',
    '/mcp?x=1',
    '/mcp#x',
    '/a b',
    '/m%63p',
    '/mcp+',
    '/m\u00e9p',
    '/a//b',
    '\\mcp',
    'https://mcp.example.com/mcp',
    '/mcp\r\nX-Evil: 1',
  ])('%j is a ConfigError', mcpPath => {
    for (const make of [() => multiAuth([keys()], { mcpPath }), () => remote({ mcpPath })])
      expect(make).toThrow(expect.objectContaining({ name: 'ConfigError', option: 'mcpPath' }));
  });

  test.each(['/', '/mcp', '/v1/tools_x/a-b.c~d', '/MCP'])('%j is a path', async mcpPath => {
    const app = express();
    const auth = remote({ mcpPath });
    app.use(auth);
    app.use(hello);
    expect(auth.resource).toBe(mcpPath === '/' ? BASE : `${BASE}${mcpPath}`);
    await request(app).get(mcpPath).expect(401);
    await request(app).get(mcpPath.toLowerCase()).expect(401);
  });

  test('A7: one that ends in a slash guards both forms and has its document at both', async () => {
    const app = express();
    const auth = remote({ mcpPath: '/tools/' });
    app.use(auth);
    app.use(hello);
    expect(auth.resource).toBe(`${BASE}/tools/`);
    for (const path of ['/tools', '/tools/', '/tools/x']) await request(app).get(path).expect(401);
    for (const path of ['/tools', '/tools/']) {
      const document = await request(app).get(`/.well-known/oauth-protected-resource${path}`);
      expect(document.body.resource).toBe(auth.resource);
    }
    await request(app).get('/toolsx').expect(200);
  });

  test.each(['.', '+', '?'])('it is literal: %j in a path matches itself only', async character => {
    if (character !== '.') return void expect(() => multiAuth([keys()], { mcpPath: `/a${character}b` })).toThrow();
    const app = express();
    app.use(multiAuth([keys()], { mcpPath: '/a.b' }));
    app.use(hello);
    await request(app).get('/a.b').expect(401);
    await request(app).get('/aXb').expect(200);
  });
});

describe('an Auth', () => {
  test('says what it is bound to', () => {
    const auth = multiAuth(remote({ requiredScopes: ['read'], scopesSupported: ['read', 'write'] }), [], {
      name: 'front',
    });
    expect(typeof auth).toBe('function');
    const { name, baseUrl, resource, requiredScopes, scopesSupported } = auth;
    expect({ name, baseUrl, resource, requiredScopes, scopesSupported }).toEqual({
      name: 'front',
      baseUrl: BASE,
      resource: `${BASE}/mcp`,
      requiredScopes: ['read'],
      scopesSupported: ['read', 'write'],
    });
    expect(auth.length).toBe(3);
    const bare = multiAuth([keys()]);
    expect([bare.baseUrl, bare.resource]).toEqual([undefined, undefined]);
    expect([bare.requiredScopes, bare.scopesSupported]).toEqual([[], []]);
  });

  test('`remoteAuth` needs an issuer and a base URL', () => {
    const make = (options: object) => () => remoteAuth(options as Parameters<typeof remoteAuth>[0]);
    expect(make({ verifier: keys(), baseUrl: BASE, authorizationServers: [] })).toThrow(
      expect.objectContaining({ name: 'ConfigError' }),
    );
    expect(make({ verifier: keys(), authorizationServers: [ISSUER] })).toThrow(
      expect.objectContaining({ name: 'ConfigError' }),
    );
  });
});
