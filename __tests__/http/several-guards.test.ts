import type { IncomingMessage } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import express from 'express';
import { type AuthInfo, getAuth, multiAuth, type RequestHandler, staticTokenVerifier } from 'express-mcp-auth';
import { mcpStrategy } from 'express-mcp-auth/passport';
import request from 'supertest';
import { authOf, counted, READER } from '../support/app.js';
import { challenge, recordEvents } from '../support/composition.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const KEY = 'several-guards-key-0123456789';
const keyed = (...scopes: string[]) =>
  multiAuth([staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes, subject: 'robot', claims: { team: 'blue' } } })], {
    requiredScopes: ['base'],
    baseUrl: 'https://mcp.example.com',
  });
const post = (app: express.Express, token = KEY) => request(app).post('/mcp').auth(token, { type: 'bearer' });
const hello: express.RequestHandler = (req, res) => void res.json(getAuth(req));

describe('RS-14: a 403 names all scopes that the request needs', () => {
  test('those of the guards before too, in the challenge and in the event', async () => {
    const auth = keyed('base', 'a', 'b');
    const app = express();
    app.use(auth);
    app.use('/mcp', auth.protect({ requiredScopes: ['a'] }), auth.protect({ requiredScopes: ['b', 'a'] }));
    app.post('/mcp', auth.protect(), auth.protect({ requiredScopes: ['c'] }), hello);
    const events = recordEvents();
    const refused = await post(app).expect(403);
    events.stop();
    expect(challenge(refused).scope?.split(' ').sort()).toEqual(['a', 'b', 'base', 'c']);
    expect(events.of('scope_refused')).toMatchObject([{ required: ['base', 'a', 'b', 'c'], rule: 'protect' }]);
  });

  test('and of none that the request did not meet: each request starts anew', async () => {
    const auth = keyed('base', 'a');
    const app = express();
    app.use('/mcp/a', auth.protect({ requiredScopes: ['a'] }));
    app.post('/mcp/a', hello);
    app.post('/mcp', auth.protect({ requiredScopes: ['b'] }), hello);
    await request(app).post('/mcp/a').auth(KEY, { type: 'bearer' }).expect(200);
    expect(challenge(await post(app).expect(403)).scope).toBe('base b');
  });

  test('the guards of another composition ask for themselves', async () => {
    const [first, second] = [keyed('base', 'a'), keyed('base', 'a')];
    const app = express();
    app.use('/mcp', first.protect({ requiredScopes: ['a'] }));
    app.post('/mcp', second.protect({ requiredScopes: ['b'] }), hello);
    expect(challenge(await post(app).expect(403)).scope).toBe('base b');
  });

  test('behind the strategy of passport too', async () => {
    const auth = keyed('base', 'a');
    const strategy = mcpStrategy(auth);
    const app = express();
    app.use((req, _res, next) => {
      const worker = Object.assign(Object.create(strategy), { success: () => next(), fail: next, error: next });
      worker.authenticate(req);
    });
    app.use(auth.protect({ requiredScopes: ['a'] }));
    app.post('/mcp', auth.protect({ requiredScopes: ['b'] }), hello);
    expect(challenge(await post(app).expect(403)).scope).toBe('base a b');
  });
});

describe('J7: behind a second guard of the same composition', () => {
  test('req.auth is whole again, whatever a handler in between did to it', async () => {
    const auth = keyed('base');
    const seen: AuthInfo[] = [];
    const app = express();
    app.use(auth);
    app.use((req, _res, next) => {
      const info = getAuth(req);
      seen.push(info);
      Object.assign(info, { clientId: 'root', token: 'x', expiresAt: 1 });
      info.scopes.push('admin');
      info.extra.subject = 'somebody else';
      info.extra.tenant = 'another';
      if (info.resource) info.resource.pathname = '/other';
      next();
    });
    app.post('/mcp', auth.protect(), (req, res) => {
      seen.push(getAuth(req));
      expect(authOf(req)).toBe(getAuth(req));
      res.end();
    });
    await post(app).expect(200);
    const [first, second] = seen as [AuthInfo, AuthInfo];
    expect(second).not.toBe(first);
    expect(second).toEqual({
      token: KEY,
      clientId: 'ci',
      scopes: ['base'],
      resource: new URL('https://mcp.example.com/mcp'),
      extra: { source: 'staticTokenVerifier', subject: 'robot', claims: { team: 'blue' } },
    });
  });

  test('it still costs no verification', async () => {
    const { asked, verifier } = counted();
    const auth = multiAuth([verifier]);
    const app = express();
    app.use(auth, auth.protect(), auth.protect({ requiredScopes: ['read'] }));
    app.post('/mcp', hello);
    await post(app, READER).expect(200);
    expect(asked).toEqual([READER]);
  });
});

describe('what was settled is settled for one request', () => {
  type Copy = (req: IncomingMessage, headers: Record<string, string>) => IncomingMessage;
  const copies: [how: string, copy: Copy][] = [
    ['a spread', (req, headers) => ({ ...req, headers, rawHeaders: [] }) as unknown as IncomingMessage],
    ['Object.assign', (req, headers) => Object.assign({}, req, { headers, rawHeaders: [] }) as IncomingMessage],
    [
      'a prototype',
      (req, headers) => Object.assign(Object.create(req), { headers, rawHeaders: [] }) as IncomingMessage,
    ],
    ['a spread with the same list of headers', (req, headers) => ({ ...req, headers }) as IncomingMessage],
    [
      'a prototype with the same list of headers',
      (req, headers) => Object.assign(Object.create(req), { headers }) as IncomingMessage,
    ],
  ];

  test.each(copies)('a copy made by %s is judged by its own credentials', async (_how, copy) => {
    const auth = keyed('base');
    const guard = auth.protect() as RequestHandler;
    const run = (req: IncomingMessage) =>
      new Promise<string>(resolve => {
        const res = { setHeader() {}, hasHeader: () => false, getHeader() {}, end: () => resolve(`refused`) };
        guard(req, res as never, () => resolve(getAuth(req).clientId));
      });
    const words: string[] = [];
    const app = express();
    app.use(auth);
    app.post('/mcp', async (req, res) => {
      for (const headers of [{ authorization: `Bearer ${'z'.repeat(20)}` }, {}, { authorization: `Bearer ${KEY}` }])
        words.push(await run(copy(req, headers as Record<string, string>)));
      words.push(getAuth(req).clientId);
      expect(() => getAuth(copy(req, {}))).toThrow(
        expect.objectContaining({ name: 'ConfigError', factory: 'getAuth' }),
      );
      res.end();
    });
    await post(app).expect(200);
    expect(words).toEqual(['refused', 'refused', 'ci', 'ci']);
  });

  test('the request itself keeps it when its prototype or its members change', async () => {
    const auth = keyed('base');
    const app = express();
    app.use(auth);
    app.use((req, _res, next) => {
      Object.setPrototypeOf(req, Object.create(Object.getPrototypeOf(req)));
      req.headers.authorization = 'Bearer other';
      next();
    });
    app.use('/', express().post('/mcp', auth.protect(), hello));
    expect((await post(app).expect(200)).body.clientId).toBe('ci');
  });

  test.each([
    ['its headers', { headers: {} }],
    ['req.auth', { auth: { clientId: 'somebody else' } }],
    ['req.auth by nothing', { auth: undefined }],
  ])('a request keeps it when the app replaces %s', async (_what, changes) => {
    const { asked, verifier } = counted();
    const auth = multiAuth([verifier]);
    const app = express();
    app.use(auth);
    app.use((req, _res, next) => {
      Object.assign(req, changes);
      expect(getAuth(req).scopes).toEqual(['read']);
      next();
    });
    app.post('/mcp', auth.protect(), hello);
    await post(app, READER).expect(200);
    expect(asked).toEqual([READER]);
  });

  test('a request that the app gives another list of headers is judged anew, and nobody let it through until then', async () => {
    const { asked, verifier } = counted();
    const auth = multiAuth([verifier]);
    const app = express();
    app.use(auth);
    app.use((req, _res, next) => {
      req.rawHeaders = [...req.rawHeaders];
      expect(() => getAuth(req)).toThrow(expect.objectContaining({ name: 'ConfigError', factory: 'getAuth' }));
      next();
    });
    app.post('/mcp', auth.protect(), hello);
    await post(app, READER).expect(200);
    expect(asked).toEqual([READER, READER]);
  });

  test('whoever keeps the caller or the headers of a request does not keep the request', async () => {
    const auth = keyed('base');
    const app = express();
    const kept: unknown[] = [];
    const requests: WeakRef<object>[] = [];
    app.use(auth);
    app.post('/mcp', (req, res) => {
      kept.push(getAuth(req), authOf(req), req.headers);
      requests.push(new WeakRef(req));
      res.end();
    });
    for (let count = 0; count < 20; count++) await post(app).expect(200);
    // A weak reference holds on until the turn that made it is over; the last request of a connection may stay longer.
    await new Promise(setImmediate);
    collectGarbage();
    expect(requests.filter(request => request.deref() !== undefined).length).toBeLessThan(5);
    expect(kept).toHaveLength(60);
  });

  test('guards of two compositions that judge at once lose nothing of each other', async () => {
    const worlds = [counted(), counted()];
    const guards = worlds.map(({ verifier }) => multiAuth([verifier]).protect() as RequestHandler);
    const app = express();
    app.post('/mcp', async (req, res) => {
      const run = (guard: RequestHandler) => new Promise(resolve => guard(req, res, resolve));
      await Promise.all(guards.map(run));
      for (const guard of guards) await run(guard);
      res.end();
    });
    await post(app, READER).expect(200);
    expect(worlds.map(({ asked }) => asked)).toEqual([[READER], [READER]]);
  });

  test('requests that an adapter gave one list of headers keep each its own', async () => {
    const list: string[] = [];
    const auth = keyed('base');
    const guard = auth.protect() as RequestHandler;
    const res = { setHeader() {}, hasHeader: () => false, getHeader() {} };
    const requests = [1, 2, 3].map(
      () => ({ method: 'POST', url: '/mcp', headers: { authorization: `Bearer ${KEY}` }, rawHeaders: list }) as never,
    );
    for (const req of requests) {
      await new Promise(resolve => guard(req, res as never, resolve));
      Object.assign(req, { auth: undefined });
    }
    expect(requests.map(req => getAuth(req).clientId)).toEqual(['ci', 'ci', 'ci']);
    expect(new Set(requests.map(req => getAuth(req))).size).toBe(3);
  });
});
