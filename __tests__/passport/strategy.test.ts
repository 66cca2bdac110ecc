import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import express, { type NextFunction, type Request, type Response } from 'express';
import {
  type Auth,
  type AuthInfo,
  ConfigError,
  customVerifier,
  getAuth,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import { mcpStrategy } from 'express-mcp-auth/passport';
import passport from 'passport';
import supertest from 'supertest';
import { close, identityProvider, listen } from '../support/identity-provider.js';
import { seconds } from '../support/keys.js';

const express4 = createRequire(import.meta.url)('express4') as typeof express;

const KEY = 'static-key-0123456789';
const BASE = 'https://mcp.example.com';
const METADATA = `${BASE}/.well-known/oauth-protected-resource/mcp`;

/** A composition with metadata: a key with `read`, a key with nothing, and tokens that begin with `down` cannot be judged. */
const composition = (options: { requiredScopes?: string[] } = {}): Auth =>
  remoteAuth({
    verifier: [
      staticTokenVerifier({
        [KEY]: { clientId: 'ci', scopes: ['read'], subject: 'robot' },
        'other-key-0123456789': { clientId: 'poor' },
      }),
      customVerifier({
        name: 'flaky',
        accepts: token => token.startsWith('down'),
        verify: () => {
          throw new UnavailableError('directory is down', { retryAfterSeconds: 7 });
        },
      }),
    ],
    authorizationServers: ['https://idp.example.com'],
    baseUrl: BASE,
    requiredScopes: ['read'],
    ...options,
  });

/** An API-key strategy as apps write them; its refusal has a challenge only where one is given. */
class ApiKeyStrategy extends passport.Strategy {
  override name = 'apikey';
  constructor(challenge?: string) {
    super();
    this.authenticate = function (this: passport.StrategyCreated<ApiKeyStrategy>, req: IncomingMessage) {
      if (req.headers['x-api-key'] === 'sesame') this.success({ id: 7, kind: 'api-key' });
      else if (challenge === undefined) this.fail();
      else this.fail(challenge, 401);
    } as passport.Strategy['authenticate'];
  }
}

interface Seen {
  user?: unknown;
  auth?: unknown;
  read?: AuthInfo | undefined;
  error?: unknown;
}

/** An app with one passport and one route; what the handler saw is in `seen`. */
function app(auth: Auth, names: string | string[] = 'mcp', options: Record<string, unknown> = {}, build = express) {
  const seen: Seen[] = [];
  const authenticator = new passport.Passport();
  authenticator.use(mcpStrategy(auth));
  authenticator.use(new ApiKeyStrategy());
  const application = build()
    .use(build.json())
    .use(build.urlencoded({ extended: false }))
    .all('/mcp', authenticator.authenticate(names, { session: false, ...options }), (req: Request, res: Response) => {
      const here: Seen = { user: req.user, auth: (req as { auth?: unknown }).auth };
      try {
        here.read = getAuth(req);
      } catch (error) {
        here.error = error;
      }
      seen.push(here);
      res.json({ user: req.user });
    })
    .use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      seen.push({ error });
      const status = (error as { status?: number }).status ?? 500;
      res.status(status).json({ failed: String(error) });
    });
  return { application, seen };
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe('mcpStrategy lets passport.authenticate run on an Auth', () => {
  test('its name is mcp, and it is a strategy that passport takes', () => {
    const strategy = mcpStrategy(composition());
    expect(strategy.name).toBe('mcp');
    expect(() => new passport.Passport().use(strategy)).not.toThrow();
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a function of someone else', () => {}],
    ['an object', { protect: () => {} }],
  ])('given %s instead of an Auth it is a ConfigError', (_name, value) => {
    expect(() => mcpStrategy(value as never)).toThrow(ConfigError);
  });

  test.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('req.user, req.auth and getAuth(req) agree on %s', async (_version, build) => {
    const { application, seen } = app(composition(), 'mcp', {}, build);
    await supertest(application).post('/mcp').set(bearer(KEY)).send({}).expect(200);
    expect(seen[0]?.error).toBeUndefined();
    expect(seen[0]?.user).toEqual(seen[0]?.read);
    expect(seen[0]?.auth).toEqual(seen[0]?.read);
    expect(seen[0]?.read).toMatchObject({
      token: KEY,
      clientId: 'ci',
      scopes: ['read'],
      resourceMetadataUrl: METADATA,
      extra: { source: 'staticTokenVerifier', subject: 'robot' },
    });
    expect(seen[0]?.read?.resource?.href).toBe(`${BASE}/mcp`);
  });

  test('RS-23: the scheme is compared without regard to case', async () => {
    const { application } = app(composition());
    await supertest(application).post('/mcp').set('Authorization', `bEaReR ${KEY}`).send({}).expect(200);
  });

  test('each request gets its own object', async () => {
    const { application, seen } = app(composition());
    for (let round = 0; round < 2; round++) await supertest(application).get('/mcp').set(bearer(KEY)).expect(200);
    expect(seen[0]?.user).not.toBe(seen[1]?.user);
  });

  test('protect() behind it asks for more scopes of the same verdict', async () => {
    let asked = 0;
    const auth = multiAuth(
      customVerifier({
        verify: () => {
          asked++;
          return { clientId: 'ci', scopes: ['read'] };
        },
      }),
      { baseUrl: BASE },
    );
    const authenticator = new passport.Passport();
    authenticator.use(mcpStrategy(auth));
    const application = express()
      .use(authenticator.authenticate('mcp', { session: false }))
      .get('/read', auth.protect({ requiredScopes: ['read'] }), (_req, res) => {
        res.end();
      })
      .get('/admin', auth.protect({ requiredScopes: ['admin'] }), (_req, res) => {
        res.end();
      });
    await supertest(application).get('/read').set(bearer('t')).expect(200);
    await supertest(application).get('/admin').set(bearer('t')).expect(403);
    expect(asked).toBe(2);
  });
});

describe('only the Authorization header carries a credential', () => {
  test('RS-23 attack 53: a query token never authenticates', async () => {
    const { application, seen } = app(composition());
    const response = await supertest(application).get(`/mcp?access_token=${KEY}`).expect(401);
    expect(response.headers['www-authenticate']).toContain('error="invalid_request"');
    expect(response.headers['www-authenticate']).toContain(`resource_metadata="${METADATA}"`);
    expect(seen).toHaveLength(0);
  });

  test('attack 53: a token in a JSON or a form body never authenticates and changes nothing', async () => {
    const { application, seen } = app(composition());
    for (const type of ['json', 'form']) {
      const response = await supertest(application).post('/mcp').type(type).send({ access_token: KEY }).expect(401);
      expect(response.headers['www-authenticate']).toContain(`resource_metadata="${METADATA}"`);
      expect(response.headers['www-authenticate']).not.toContain('error=');
    }
    expect(seen).toHaveLength(0);
    await supertest(application).post('/mcp').set(bearer(KEY)).send({ access_token: 'a JSON-RPC member' }).expect(200);
    expect(seen).toHaveLength(1);
  });

  test('RS-18: a header and a query token together are 400', async () => {
    const { application } = app(composition());
    const response = await supertest(application).get(`/mcp?access_token=${KEY}`).set(bearer(KEY)).expect(400);
    expect(response.headers['www-authenticate']).toContain('error="invalid_request"');
  });

  test.each(['Bearer a b', 'Bearer a,b', 'Bearer a"b'])(
    'RS-18 attack 55: %p is 400 with our challenge, although passport sets none',
    async value => {
      const { application } = app(composition());
      const response = await supertest(application).get('/mcp').set('Authorization', value).expect(400);
      expect(response.headers['www-authenticate']).toContain('error="invalid_request"');
      expect(response.headers['www-authenticate']).toContain(`resource_metadata="${METADATA}"`);
    },
  );

  test('RS-18: two Authorization lines are 400', async () => {
    const http = createServer(app(composition()).application);
    const origin = new URL(await listen(http));
    const status = await new Promise<number>((resolve, reject) => {
      httpRequest(
        {
          host: origin.hostname,
          port: origin.port,
          path: '/mcp',
          headers: ['Host', origin.host, 'Authorization', `Bearer ${KEY}`, 'Authorization', 'Bearer other'],
        } as never,
        res => {
          res.resume();
          resolve(res.statusCode ?? 0);
        },
      )
        .on('error', reject)
        .end();
    });
    expect(status).toBe(400);
    await close(http);
  });
});

describe('refusals go through fail(challenge, status) with the headers of the guard', () => {
  test('RS-12: no credentials are 401 with resource_metadata and scope and no error; the body is passport’s', async () => {
    const { application } = app(composition());
    for (const value of [undefined, 'Bearer', 'Bearer ', 'Basic dXNlcjpwYXNz']) {
      const request = supertest(application).post('/mcp').send({});
      const response = await (value === undefined ? request : request.set('Authorization', value)).expect(401);
      expect(response.headers['www-authenticate']).toMatch(/^Bearer /);
      expect(response.headers['www-authenticate']).toContain(`resource_metadata="${METADATA}"`);
      expect(response.headers['www-authenticate']).toContain('scope="read"');
      expect(response.headers['www-authenticate']).not.toContain('error');
      expect(response.headers['cache-control']).toContain('no-store');
      expect(response.text).toBe('Unauthorized');
    }
  });

  test('RS-13: a bad token is 401 invalid_token', async () => {
    const response = await supertest(app(composition()).application).get('/mcp').set(bearer('wrong')).expect(401);
    expect(response.headers['www-authenticate']).toContain('error="invalid_token"');
    expect(response.headers['www-authenticate']).toContain('error_description="');
    expect(response.headers['www-authenticate']).toContain(`resource_metadata="${METADATA}"`);
    expect(response.headers['cache-control']).toContain('no-store');
  });

  test('RS-14: a missing scope is 403 with its challenge, although passport sets none', async () => {
    const response = await supertest(app(composition()).application)
      .get('/mcp')
      .set(bearer('other-key-0123456789'))
      .expect(403);
    expect(response.headers['www-authenticate']).toContain('error="insufficient_scope"');
    expect(response.headers['www-authenticate']).toContain('scope="read"');
    expect(response.headers['www-authenticate']).toContain(`resource_metadata="${METADATA}"`);
    expect(response.headers['cache-control']).toContain('no-store');
    expect(response.text).toBe('Forbidden');
  });

  test('MA-4 C12: an outage is 503 with Retry-After and no challenge', async () => {
    const response = await supertest(app(composition()).application).get('/mcp').set(bearer('down-1')).expect(503);
    expect(response.headers['retry-after']).toBe('7');
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect(response.headers['cache-control']).toContain('no-store');
  });

  test('there is exactly one challenge in each refusal', async () => {
    const { application } = app(composition());
    for (const headers of [{}, bearer('wrong'), bearer('other-key-0123456789'), { Authorization: 'Bearer a b' }]) {
      const response = await supertest(application).get('/mcp').set(headers);
      expect(response.headers['www-authenticate']?.match(/Bearer /g)).toHaveLength(1);
    }
  });

  test('the statuses and challenges are those of the guard of the same composition', async () => {
    const auth = composition();
    const { application } = app(auth);
    const guarded = express()
      .use(auth)
      .all('/mcp', (_req, res) => {
        res.end();
      });
    for (const [headers, query] of [
      [{}, ''],
      [{ Authorization: 'Bearer' }, ''],
      [bearer('wrong'), ''],
      [bearer('other-key-0123456789'), ''],
      [{ Authorization: 'Bearer a b' }, ''],
      [{ Authorization: 'Digest x' }, ''],
      [bearer('down-1'), ''],
      [{}, '?access_token=x'],
      [bearer(KEY), '?access_token=x'],
    ] as const) {
      const ours = await supertest(application).get(`/mcp${query}`).set(headers);
      const guards = await supertest(guarded).get(`/mcp${query}`).set(headers);
      expect({ status: ours.status, challenge: ours.headers['www-authenticate'] }).toEqual({
        status: guards.status,
        challenge: guards.headers['www-authenticate'],
      });
      expect(ours.headers['retry-after']).toBe(guards.headers['retry-after']);
    }
  });

  test('CORS and preflights are the app’s', async () => {
    const { application } = app(composition());
    const refusal = await supertest(application).get('/mcp').set('Origin', 'https://app.example.com').expect(401);
    expect(refusal.headers['access-control-allow-origin']).toBeUndefined();
    expect(refusal.headers['access-control-expose-headers']).toBeUndefined();
    const preflight = await supertest(application).options('/mcp').set('Origin', 'https://app.example.com');
    expect(preflight.status).toBe(401);
  });

  test('a refusal leaves neither req.user nor an identity of someone else behind', async () => {
    const auth = composition();
    const authenticator = new passport.Passport();
    authenticator.use(mcpStrategy(auth));
    let seen: unknown = 'nothing';
    const application = express()
      .use((req, _res, next) => {
        (req as { auth?: unknown }).auth = { clientId: 'forged', scopes: ['read'], extra: { source: 'forged' } };
        next();
      })
      .get(
        '/mcp',
        (req, res, next) =>
          authenticator.authenticate('mcp', { session: false }, () => {
            try {
              seen = getAuth(req);
            } catch (error) {
              seen = error;
            }
            res.status(401).end();
          })(req, res, next),
        (_req, res) => {
          res.end();
        },
      );
    await supertest(application).get('/mcp').set(bearer('wrong')).expect(401);
    expect(seen).toBeInstanceOf(Error);
  });

  test('a forged req.auth is overwritten by an acceptance', async () => {
    const authenticator = new passport.Passport();
    authenticator.use(mcpStrategy(composition()));
    const application = express()
      .use((req, _res, next) => {
        (req as { auth?: unknown }).auth = { clientId: 'forged' };
        next();
      })
      .get('/mcp', authenticator.authenticate('mcp', { session: false }), (req, res) => {
        res.json({ clientId: getAuth(req).clientId, plain: (req as { auth?: { clientId?: string } }).auth?.clientId });
      });
    const response = await supertest(application).get('/mcp').set(bearer(KEY)).expect(200);
    expect(response.body).toEqual({ clientId: 'ci', plain: 'ci' });
  });
});

describe('among other strategies', () => {
  const clean = (response: supertest.Response) => {
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect(response.headers['retry-after']).toBeUndefined();
    expect(response.headers['cache-control'] ?? '').not.toContain('no-store');
  };

  test.each([
    ['no credentials', {}],
    ['a bad token', bearer('wrong')],
    ['a missing scope', bearer('other-key-0123456789')],
    ['a malformed header', { Authorization: 'Bearer a b' }],
    ['an outage', bearer('down-1')],
  ])('after %s the next one is asked, and its acceptance carries no header of our refusal', async (_case, headers) => {
    const { application, seen } = app(composition(), ['mcp', 'apikey']);
    const response = await supertest(application).get('/mcp').set(headers).set('x-api-key', 'sesame').expect(200);
    clean(response);
    expect(seen[0]?.user).toEqual({ id: 7, kind: 'api-key' });
    expect(seen[0]?.error).toBeInstanceOf(Error);
    expect(seen[0]?.auth).toBeUndefined();
  });

  test.each([
    ['req.user', {}],
    ['a property of the app’s choice', { assignProperty: 'principal' }],
    ['that property and no info', { assignProperty: 'principal', authInfo: false }],
  ])(
    'accepted by another into %s, an answer of the handler with our status is not taken for our refusal',
    async (_where, options) => {
      const authenticator = new passport.Passport();
      authenticator.use(mcpStrategy(composition()));
      authenticator.use(new ApiKeyStrategy());
      const application = express().get(
        '/mcp',
        authenticator.authenticate(['mcp', 'apikey'], { session: false, ...options }),
        (req, res) => {
          res.status(Number(req.query.status)).end();
        },
      );
      for (const [status, headers] of [
        [401, bearer('wrong')],
        [403, bearer('other-key-0123456789')],
        [503, bearer('down-1')],
      ] as const)
        clean(await supertest(application).get(`/mcp?status=${status}`).set(headers).set('x-api-key', 'sesame'));
    },
  );

  test('in either order our token is accepted', async () => {
    for (const names of [
      ['mcp', 'apikey'],
      ['apikey', 'mcp'],
    ]) {
      const { application, seen } = app(composition(), names);
      clean(await supertest(application).get('/mcp').set(bearer(KEY)).expect(200));
      expect(seen[0]?.read).toMatchObject({ clientId: 'ci' });
    }
  });

  test('where all refuse, the status and the headers of ours are there', async () => {
    const { application } = app(composition(), ['mcp', 'apikey']);
    const bad = await supertest(application).get('/mcp').set(bearer('wrong')).expect(401);
    expect(bad.headers['www-authenticate']).toContain('error="invalid_token"');
    const scope = await supertest(application).get('/mcp').set(bearer('other-key-0123456789')).expect(403);
    expect(scope.headers['www-authenticate']).toContain('error="insufficient_scope"');
    const outage = await supertest(application).get('/mcp').set(bearer('down-1')).expect(503);
    expect(outage.headers['retry-after']).toBe('7');
    expect(outage.headers['www-authenticate']).toBeUndefined();
  });

  test('where another refuses with a challenge too, a 401 carries both', async () => {
    const authenticator = new passport.Passport();
    authenticator.use(mcpStrategy(composition()));
    authenticator.use(new ApiKeyStrategy('ApiKey realm="app"'));
    const application = express().get('/mcp', authenticator.authenticate(['mcp', 'apikey'], { session: false }));
    const response = await supertest(application).get('/mcp').set(bearer('wrong')).expect(401);
    expect(response.headers['www-authenticate']).toContain('error="invalid_token"');
    expect(response.headers['www-authenticate']).toContain('ApiKey realm="app"');
    expect(response.headers['www-authenticate']?.match(/Bearer /g)).toHaveLength(1);
  });

  test('two of ours under their own names are asked in turn', async () => {
    const second = multiAuth(staticTokenVerifier({ 'second-key-0123456789': { clientId: 'second' } }), {
      baseUrl: BASE,
    });
    const authenticator = new passport.Passport();
    authenticator.use('first', mcpStrategy(composition()));
    authenticator.use('second', mcpStrategy(second));
    const application = express().get(
      '/mcp',
      authenticator.authenticate(['first', 'second'], { session: false }),
      (req, res) => {
        res.json({ clientId: getAuth(req).clientId });
      },
    );
    const response = await supertest(application).get('/mcp').set(bearer('second-key-0123456789')).expect(200);
    expect(response.body).toEqual({ clientId: 'second' });
    clean(response);
  });
});

describe('passport’s own ways of answering', () => {
  test('failWithError hands the app an error with the status, and the headers are there', async () => {
    const { application, seen } = app(composition(), 'mcp', { failWithError: true });
    const bad = await supertest(application).get('/mcp').set(bearer('wrong')).expect(401);
    expect(bad.headers['www-authenticate']).toContain('error="invalid_token"');
    const scope = await supertest(application).get('/mcp').set(bearer('other-key-0123456789')).expect(403);
    expect(scope.headers['www-authenticate']).toContain('error="insufficient_scope"');
    const outage = await supertest(application).get('/mcp').set(bearer('down-1')).expect(503);
    expect(outage.headers['retry-after']).toBe('7');
    expect(seen.map(({ error }) => (error as Error).name)).toEqual(Array(3).fill('AuthenticationError'));
  });

  test('a custom callback gets the user, or the challenge and the status', async () => {
    const authenticator = new passport.Passport();
    authenticator.use(mcpStrategy(composition()));
    const calls: { user: unknown; info: unknown; status: unknown; read: unknown }[] = [];
    const application = express().get('/mcp', (req, res, next) => {
      const answer = (error: unknown, user: unknown, info: unknown, status: unknown) => {
        let read: unknown;
        try {
          read = getAuth(req);
        } catch {}
        calls.push({ user, info, status, read });
        res.status(error || !user ? 418 : 200).end();
      };
      authenticator.authenticate('mcp', { session: false }, answer)(req, res, next);
    });
    await supertest(application).get('/mcp').set(bearer(KEY)).expect(200);
    await supertest(application).get('/mcp').set(bearer('wrong')).expect(418);
    await supertest(application).get('/mcp').set(bearer('other-key-0123456789')).expect(418);
    await supertest(application).get('/mcp').set(bearer('down-1')).expect(418);
    expect(calls[0]?.user).toMatchObject({ clientId: 'ci' });
    expect(calls[0]?.read).toMatchObject({ clientId: 'ci' });
    expect(calls.slice(1).map(({ user, status, read }) => ({ user, status, read }))).toEqual([
      { user: false, status: 401, read: undefined },
      { user: false, status: 403, read: undefined },
      { user: false, status: 503, read: undefined },
    ]);
    expect(calls[1]?.info).toContain('error="invalid_token"');
    expect(calls[2]?.info).toContain('error="insufficient_scope"');
  });

  test('assignProperty puts the same identity elsewhere', async () => {
    const authenticator = new passport.Passport();
    authenticator.use(mcpStrategy(composition()));
    const application = express().get(
      '/mcp',
      authenticator.authenticate('mcp', { session: false, assignProperty: 'principal' }),
      (req, res) => {
        const { principal } = req as unknown as { principal: AuthInfo };
        res.json({ principal: principal.clientId, read: getAuth(req).clientId });
      },
    );
    const response = await supertest(application).get('/mcp').set(bearer(KEY)).expect(200);
    expect(response.body).toEqual({ principal: 'ci', read: 'ci' });
  });

  test('a configuration that cannot judge is an error for the app and lets nothing through', async () => {
    const unbound = jwtVerifier({ issuer: 'https://idp.example.com' });
    let refused: unknown;
    let handled = 0;
    let application: express.Express | undefined;
    try {
      const authenticator = new passport.Passport();
      authenticator.use(mcpStrategy(unbound));
      application = express()
        .get('/mcp', authenticator.authenticate('mcp', { session: false }), (_req, res) => {
          handled++;
          res.end();
        })
        .use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
          refused = error;
          res.status(500).end();
        }) as express.Express;
    } catch (error) {
      refused = error;
    }
    if (application) await supertest(application).get('/mcp').set(bearer('a.b.c')).expect(500);
    expect(refused).toBeInstanceOf(ConfigError);
    expect(handled).toBe(0);
  });
});

describe('parallel requests', () => {
  /** Verifications wait until the test lets them go, by token. */
  function gated() {
    const gates = new Map<string, () => void>();
    const arrivals = new Map<string, () => void>();
    const arrived = (token: string) =>
      gates.has(token) ? Promise.resolve() : new Promise<void>(resolve => arrivals.set(token, resolve));
    const auth = multiAuth(
      customVerifier({
        accepts: token => !token.startsWith('bad'),
        verify: async token => {
          await new Promise<void>(resolve => {
            gates.set(token, resolve);
            arrivals.get(token)?.();
          });
          return token.startsWith('no') ? null : { clientId: token, scopes: [] };
        },
      }),
      { baseUrl: BASE },
    );
    return { auth, arrived, release: (token: string) => gates.get(token)?.() };
  }

  test.each(['as an object', 'by name'])(
    'attack 98: given %s, each answers its own request in any order',
    async how => {
      const { auth, arrived, release } = gated();
      const authenticator = new passport.Passport();
      const strategy = mcpStrategy(auth);
      authenticator.use(strategy);
      const http = createServer(
        express().get(
          '/mcp',
          authenticator.authenticate((how === 'by name' ? 'mcp' : strategy) as string, { session: false }),
          (req, res) => {
            res.json({ user: (req.user as AuthInfo).clientId, read: getAuth(req).clientId });
          },
        ),
      );
      const origin = await listen(http);
      const get = async (token: string) => {
        const response = await fetch(`${origin}/mcp`, { headers: bearer(token) });
        return { status: response.status, body: response.status === 200 ? await response.json() : undefined };
      };
      const tokens = ['alice', 'nobody', 'bob', 'carol'];
      const answers: Promise<{ status: number; body: unknown }>[] = [];
      for (const token of tokens) {
        answers.push(get(token));
        await arrived(token);
      }
      expect((await get('bad')).status).toBe(401);
      for (const token of [...tokens].reverse()) release(token);
      expect(await Promise.all(answers)).toEqual([
        { status: 200, body: { user: 'alice', read: 'alice' } },
        { status: 401, body: undefined },
        { status: 200, body: { user: 'bob', read: 'bob' } },
        { status: 200, body: { user: 'carol', read: 'carol' } },
      ]);
      await close(http);
    },
  );
});

describe('over the network sources', () => {
  test('a JWT of a real issuer is judged as by the guard', async () => {
    const idp = await identityProvider();
    const auth = multiAuth(jwtVerifier({ name: 'backend', issuer: idp.issuer }), { baseUrl: BASE });
    const { application, seen } = app(auth);
    await supertest(application)
      .get('/mcp')
      .set(bearer(await idp.mint({ aud: `${BASE}/mcp`, client_id: 'svc', scope: 'read' })))
      .expect(200);
    expect(seen[0]?.read).toMatchObject({ clientId: 'svc', extra: { source: 'backend', issuer: idp.issuer } });
    const expired = await supertest(application)
      .get('/mcp')
      .set(bearer(await idp.mint({ aud: `${BASE}/mcp`, exp: seconds(-600) })))
      .expect(401);
    expect(expired.headers['www-authenticate']).toContain('error="invalid_token"');
    await idp.close();
  });

  test('MA-4: an introspection endpoint that is gone is 503 and not 401', async () => {
    const gone = createServer();
    const origin = await listen(gone);
    await close(gone);
    const auth = multiAuth(
      introspectionVerifier({ introspectionUrl: `${origin}/introspect`, clientId: 'rs', clientSecret: 'secret' }),
      { baseUrl: BASE },
    );
    const response = await supertest(app(auth).application).get('/mcp').set(bearer('opaque')).expect(503);
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  });
});
