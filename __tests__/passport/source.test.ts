import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import {
  ServerError as ServerErrorV1,
  TemporarilyUnavailableError as TemporarilyUnavailableErrorV1,
} from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { OAuthError as OAuthErrorV2 } from '@modelcontextprotocol/server';
import express from 'express';
import {
  type Auth,
  type AuthInfo,
  ConfigError,
  getAuth,
  jwtVerifier,
  multiAuth,
  UnavailableError,
} from 'express-mcp-auth';
import { mcpStrategy, passportVerifier } from 'express-mcp-auth/passport';
import { SignJWT } from 'jose';
import passport from 'passport';
import supertest from 'supertest';
import { close, identityProvider, listen } from '../support/identity-provider.js';
import { drain } from '../support/introspection-server.js';
import { seconds } from '../support/keys.js';

type Done = (error: unknown, user?: unknown, info?: unknown) => void;
interface JwtOptions {
  jwtFromRequest: (req: { headers: { authorization?: string } }) => string | null;
  secretOrKey?: string;
  secretOrKeyProvider?: (req: unknown, token: string, done: (error: unknown, key?: string) => void) => void;
  algorithms?: string[];
  audience?: string;
}
const load = createRequire(import.meta.url);
const { Strategy: BearerStrategy } = load('passport-http-bearer') as {
  Strategy: new (verify: (token: string, done: Done) => void) => passport.Strategy;
};
const { Strategy: JwtStrategy, ExtractJwt } = load('passport-jwt') as {
  Strategy: new (
    options: JwtOptions,
    verify: (payload: Record<string, unknown>, done: Done) => void,
  ) => passport.Strategy;
  ExtractJwt: { fromAuthHeaderAsBearerToken(): JwtOptions['jwtFromRequest'] };
};

const BASE = 'https://mcp.example.com';

/** What a strategy may do, as passport gives it. */
interface Actions {
  success(user: unknown, info?: unknown): void;
  fail(challenge?: unknown, status?: unknown): void;
  error(error: unknown): void;
  redirect(url: string, status?: number): void;
  pass(): void;
}
interface Received {
  method: unknown;
  url: unknown;
  headers: Record<string, unknown>;
  query: Record<string, unknown>;
  body: Record<string, unknown>;
}

/** A strategy whose `authenticate` is the given function. */
function strategy(authenticate: (actions: Actions, req: Received) => unknown): passport.Strategy {
  class TestStrategy extends passport.Strategy {
    override name = 'test';
    override authenticate(req: unknown) {
      return authenticate(this as unknown as Actions, req as Received);
    }
  }
  return new TestStrategy();
}

const source = (
  authenticate: (actions: Actions, req: Received) => unknown,
  options?: Parameters<typeof passportVerifier>[1],
): Auth => passportVerifier(strategy(authenticate), options);

async function accepted(auth: Auth, token = 'token'): Promise<AuthInfo> {
  const verdict = await auth.check(token);
  if (verdict.outcome !== 'accept') throw new Error(`expected an acceptance, got ${JSON.stringify(verdict)}`);
  return verdict.auth;
}

const outcome = async (auth: Auth, token = 'token') => (await auth.check(token)).outcome;
const unavailable = (auth: Auth, token = 'token') => expect(auth.check(token)).rejects.toBeInstanceOf(UnavailableError);
const mine = { accepts: () => true };

describe('success accepts', () => {
  test('with scopes, client and subject read from info and user, and the user as it came', async () => {
    const user = { sub: 'user-1', id: 9, name: 'Alice' };
    const auth = source(self => self.success(user, { scope: 'read write', client_id: 'desktop' }), { name: 'staff' });
    const info = await accepted(auth);
    expect(info).toMatchObject({
      token: 'token',
      clientId: 'desktop',
      scopes: ['read', 'write'],
      extra: { source: 'staff', subject: 'user-1' },
    });
    expect((info.extra as { user?: unknown }).user).toBe(user);
    expect(info.expiresAt).toBeUndefined();
  });

  test.each([
    ['a string', 'read  write', ['read', 'write']],
    ['a list', ['read', 'write'], ['read', 'write']],
    ['missing', undefined, []],
  ])('scope as %s becomes a list', async (_name, scope, expected) => {
    expect((await accepted(source(self => self.success({ id: 1 }, { scope })))).scopes).toEqual(expected);
  });

  test('without info there are no scopes and the client is the source', async () => {
    const info = await accepted(source(self => self.success({ id: 1 })));
    expect(info.scopes).toEqual([]);
    expect(info.clientId).toBe('passportVerifier');
  });

  test.each([
    ['sub before id', { sub: 'a', id: 'b' }, 'a'],
    ['a number', { id: 42 }, '42'],
    ['a string id', { id: 'u-1' }, 'u-1'],
    ['neither', { name: 'x' }, undefined],
    ['a user that is no object', 'alice', undefined],
  ])('the subject with %s', async (_name, user, subject) => {
    const info = await accepted(source(self => self.success(user)));
    expect(info.extra.subject).toBe(subject);
    expect((info.extra as { user?: unknown }).user).toBe(user);
  });

  test('may come later', async () => {
    const auth = source(self => {
      setImmediate(() => self.success({ id: 1 }));
    });
    expect(await outcome(auth)).toBe('accept');
  });
});

describe('what each other action means', () => {
  const failures: [string, (self: Actions) => unknown][] = [
    ['fail()', self => self.fail()],
    ['fail(challenge)', self => self.fail('Bearer realm="Users"')],
    ['fail(status)', self => self.fail(400)],
    ['fail(challenge, 401)', self => self.fail({ message: 'no such key' }, 401)],
    ['fail(an ordinary error)', self => self.fail(new Error('jwt expired'))],
    ['redirect', self => self.redirect('https://idp.example.com/login')],
    ['pass', self => self.pass()],
  ];
  test.each(failures)('%s is foreign without accepts and a reject with it', async (_name, authenticate) => {
    expect(await outcome(source(authenticate))).toBe('foreign');
    expect(await outcome(source(authenticate, mine))).toBe('reject');
  });

  const broken: [string, (self: Actions) => unknown][] = [
    ['error', self => self.error(new Error('a bug'))],
    ['error with something that is no Error', self => self.error('a bug')],
    [
      'a throw',
      () => {
        throw new Error('a bug');
      },
    ],
    ['a rejected promise', async () => Promise.reject(new Error('a bug'))],
  ];
  test.each(broken)('C12 MA-5: %s is a reject', async (_name, authenticate) => {
    expect(await outcome(source(authenticate))).toBe('reject');
    expect(await outcome(source(authenticate, mine))).toBe('reject');
  });

  const outages: [string, unknown][] = [
    ['UnavailableError', new UnavailableError('directory is down')],
    ['a refused connection', Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:389'), { code: 'ECONNREFUSED' })],
    ['a failed name look-up', Object.assign(new Error('getaddrinfo ENOTFOUND db'), { code: 'ENOTFOUND' })],
    ['a reset', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })],
    ['a network that was reset', Object.assign(new Error('connect ENETRESET'), { code: 'ENETRESET' })],
    ['a failed handshake', Object.assign(new Error('write EPROTO'), { code: 'EPROTO' })],
    ['a certificate that ran out', Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' })],
    ['a failed fetch', new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }) })],
    ['a time-out', new DOMException('The operation timed out', 'TimeoutError')],
    ['an abort', new DOMException('This operation was aborted', 'AbortError')],
    ['server_error as SDK v2 says it', new OAuthErrorV2('server_error', 'upstream')],
    ['temporarily_unavailable as SDK v2 says it', new OAuthErrorV2('temporarily_unavailable', 'upstream')],
    ['server_error as SDK v1 says it', new ServerErrorV1('upstream')],
    ['temporarily_unavailable as SDK v1 says it', new TemporarilyUnavailableErrorV1('upstream')],
    ['a time-out of a key set', Object.assign(new Error('request timed out'), { code: 'ERR_JWKS_TIMEOUT' })],
  ];
  test.each(outages)('MA-4 D5: %s could not tell, by error, fail, throw or rejection', async (_name, reason) => {
    await unavailable(source(self => self.error(reason)));
    await unavailable(source(self => self.fail(reason)));
    await unavailable(source(async () => Promise.reject(reason)));
    await unavailable(
      source(() => {
        throw reason;
      }),
    );
  });

  test('the first answer counts', async () => {
    const late = source(self => {
      self.success({ id: 1 });
      self.fail();
      self.error(new Error('later'));
    });
    expect(await outcome(late)).toBe('accept');
    const early = source(self => {
      self.fail();
      self.success({ id: 1 });
    }, mine);
    expect(await outcome(early)).toBe('reject');
    const thrown = source(self => {
      self.success({ id: 1 });
      throw new Error('after the answer');
    });
    expect(await outcome(thrown)).toBe('accept');
    const rejected = source(async self => {
      self.success({ id: 1 });
      throw new Error('after the answer');
    });
    expect(await outcome(rejected)).toBe('accept');
  });

  test('no answer within timeoutMs could not tell, and one that comes later changes nothing', async () => {
    let late: Actions | undefined;
    const auth = source(
      self => {
        late = self;
      },
      { timeoutMs: 20 },
    );
    await unavailable(auth);
    expect(() => late?.success({ id: 1 })).not.toThrow();
    expect(() => late?.error(new Error('late'))).not.toThrow();
    await drain();
  });

  test('attack 98: a promise that rejects after the time-out is nobody’s unhandled rejection', async () => {
    let reject: ((reason: unknown) => void) | undefined;
    const auth = source(
      () =>
        new Promise((_resolve, no) => {
          reject = no;
        }),
      { timeoutMs: 20 },
    );
    await unavailable(auth);
    reject?.(new Error('late'));
    await drain();
  });
});

describe('the request a strategy sees', () => {
  test('is its own, with the token in the Authorization header and nothing else', async () => {
    const seen: Received[] = [];
    const auth = source((self, req) => {
      seen.push(req);
      self.success({ id: 1 });
    });
    await accepted(auth, 'first');
    expect(seen[0]).toEqual({
      method: 'GET',
      url: '/',
      headers: { authorization: 'Bearer first' },
      query: {},
      body: {},
    });
  });

  test('is never shared, nor are the actions, between calls that run at once', async () => {
    const seen: { self: Actions; req: Received }[] = [];
    const auth = source((self, req) => {
      seen.push({ self, req: structuredClone(req) });
      req.headers['x-left-behind'] = 'yes';
      req.query.left = 'yes';
    });
    const checks = ['a', 'b'].map(token => accepted(auth, token));
    while (seen.length < 2) await drain(1);
    const [one, two] = seen as [(typeof seen)[0], (typeof seen)[0]];
    expect(two.req).toEqual({ ...one.req, headers: { authorization: 'Bearer b' } });
    for (const { self, req } of [two, one]) self.success({ id: String(req.headers.authorization) });
    expect((await Promise.all(checks)).map(info => info.extra.subject)).toEqual(['Bearer a', 'Bearer b']);
    const third = accepted(auth, 'c');
    while (seen.length < 3) await drain(1);
    expect(seen[2]?.req).toEqual({ ...one.req, headers: { authorization: 'Bearer c' } });
    seen[2]?.self.success({ id: 1 });
    await third;
  });

  test('leaves the strategy object as it was', async () => {
    const plain = strategy(self => self.success({ id: 1 }));
    const before = Object.getOwnPropertyNames(plain);
    await accepted(passportVerifier(plain));
    expect(Object.getOwnPropertyNames(plain)).toEqual(before);
  });

  test('gives strategies that use their own fields those fields', async () => {
    class Directory extends passport.Strategy {
      override name = 'directory';
      readonly known = new Map([['k-1', 'alice']]);
      override authenticate(req: { headers: { authorization?: string } }) {
        const self = this as unknown as Actions;
        const user = this.known.get(String(req.headers.authorization).slice(7));
        if (user) self.success({ id: user });
        else self.fail();
      }
    }
    const auth = passportVerifier(new Directory() as passport.Strategy);
    expect((await accepted(auth, 'k-1')).extra.subject).toBe('alice');
    expect(await outcome(auth, 'k-2')).toBe('foreign');
  });
});

describe('options', () => {
  const good = strategy(self => self.success({ id: 1 }, { scope: 'read' }));

  test('accepts that says no keeps the strategy unasked', async () => {
    let asked = 0;
    const auth = source(
      self => {
        asked++;
        self.success({ id: 1 });
      },
      { accepts: token => token.startsWith('pat_') },
    );
    expect(await outcome(auth, 'other')).toBe('foreign');
    expect(asked).toBe(0);
    expect(await outcome(auth, 'pat_1')).toBe('accept');
  });

  test('D2: requiredScopes are asked of its own acceptances', async () => {
    const application = express()
      .use(multiAuth(passportVerifier(good, { requiredScopes: ['read', 'write'] }), { baseUrl: BASE }))
      .get('/mcp', (_req, res) => {
        res.end();
      });
    const response = await supertest(application).get('/mcp').set('Authorization', 'Bearer t').expect(403);
    expect(response.headers['www-authenticate']).toContain('scope="read write"');
  });

  test.each([
    ['no strategy', undefined, {}],
    ['null', null, {}],
    ['a name instead of a strategy', 'bearer', {}],
    ['an object without authenticate', { name: 'x' }, {}],
    ['timeoutMs 0', good, { timeoutMs: 0 }],
    ['timeoutMs NaN', good, { timeoutMs: Number.NaN }],
    ['accepts that is no function', good, { accepts: 'pat_' }],
    ['requiredScopes that is a string', good, { requiredScopes: 'read' }],
    ['an empty name', good, { name: '' }],
    ['an unknown key', good, { timeout: 5 }],
  ])('%s is a ConfigError', (_name, given, options) => {
    expect(() => passportVerifier(given as passport.Strategy, options as never)).toThrow(ConfigError);
  });

  test('L3: an unknown key is answered with the nearest known one', () => {
    expect(() => passportVerifier(good, { timeoutMS: 5 } as never)).toThrow(/timeoutMs/);
  });
});

describe('real strategies', () => {
  test('passport-http-bearer: user, no user, message and error', async () => {
    const auth = passportVerifier(
      new BearerStrategy((token, done) => {
        if (token === 'good') done(null, { id: 'u1' }, { scope: 'read' });
        else if (token === 'down') done(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
        else if (token === 'bug') done(new Error('undefined is not a function'));
        else done(null, false, { message: 'unknown "token"' });
      }),
      { name: 'bearer' },
    );
    expect(await accepted(auth, 'good')).toMatchObject({
      scopes: ['read'],
      extra: { source: 'bearer', subject: 'u1' },
    });
    expect(await outcome(auth, 'bad')).toBe('foreign');
    expect(await outcome(auth, 'bug')).toBe('reject');
    await unavailable(auth, 'down');
  });

  test('passport-jwt: good, expired, wrongly signed, and a key look-up that failed', async () => {
    const secret = 'a-shared-secret-of-at-least-32-bytes!';
    const sign = (claims: Record<string, unknown>, key = secret) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(key));
    const make = (options: Partial<JwtOptions>, accepts?: () => boolean) =>
      passportVerifier(
        new JwtStrategy(
          { jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), algorithms: ['HS256'], ...options },
          (payload, done) => {
            if (payload.sub === 'gone') done(null, false);
            else done(null, { sub: payload.sub }, { scope: payload.scope, client_id: payload.azp });
          },
        ),
        accepts ? { accepts } : {},
      );
    const good = await sign({ sub: 'u1', scope: 'read', azp: 'desktop', exp: seconds(600) });
    const auth = make({ secretOrKey: secret });
    expect(await accepted(auth, good)).toMatchObject({
      clientId: 'desktop',
      scopes: ['read'],
      extra: { subject: 'u1' },
    });
    const expired = await sign({ sub: 'u1', exp: seconds(-600) });
    const forged = await sign({ sub: 'u1', exp: seconds(600) }, 'another-secret-of-at-least-32-bytes!!');
    const gone = await sign({ sub: 'gone', exp: seconds(600) });
    for (const token of [expired, forged, gone]) {
      expect(await outcome(auth, token)).toBe('foreign');
      expect(
        await outcome(
          make({ secretOrKey: secret }, () => true),
          token,
        ),
      ).toBe('reject');
    }
    const outage = make({
      secretOrKeyProvider: (_req, _token, done) =>
        done(Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:443'), { code: 'ECONNREFUSED' })),
    });
    await unavailable(outage, good);
    const unknownKey = make(
      { secretOrKeyProvider: (_req, _token, done) => done(new Error('no such kid')) },
      () => true,
    );
    expect(await outcome(unknownKey, good)).toBe('reject');
  });

  test('passport-jwt with keys that come over the network: an outage of the key server is no refusal', async () => {
    const gone = createServer();
    const origin = await listen(gone);
    await close(gone);
    const auth = passportVerifier(
      new JwtStrategy(
        {
          jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
          secretOrKeyProvider: (_req, _token, done) => {
            fetch(`${origin}/jwks`).then(
              () => done(null, 'never'),
              (error: unknown) => done(error),
            );
          },
        },
        (_payload, done) => done(null, { sub: 'never' }),
      ),
    );
    await unavailable(auth, 'a.b.c');
  });

  test('an API-key strategy that reads the Authorization header', async () => {
    const keys = new Map([['k-123', { id: 12, client: 'billing', scopes: ['read'] }]]);
    const auth = source(
      async (self, req) => {
        const entry = keys.get(String(req.headers.authorization).replace(/^Bearer /, ''));
        if (entry) self.success(entry, { scope: entry.scopes, client_id: entry.client });
        else self.fail('unknown key');
      },
      { name: 'api-keys', accepts: token => token.startsWith('k-') },
    );
    expect(await accepted(auth, 'k-123')).toMatchObject({
      clientId: 'billing',
      scopes: ['read'],
      extra: { source: 'api-keys', subject: '12' },
    });
    expect(await outcome(auth, 'k-999')).toBe('reject');
    expect(await outcome(auth, 'other')).toBe('foreign');
  });
});

describe('in a composition', () => {
  test('D1 D7: it stands beside jwtVerifier, and a JWT of the known issuer never reaches it', async () => {
    const idp = await identityProvider();
    const seen: string[] = [];
    const directory = source(
      (self, req) => {
        seen.push(String(req.headers.authorization));
        if (req.headers.authorization === 'Bearer legacy-key') self.success({ id: 1 }, { scope: 'read' });
        else self.fail();
      },
      { name: 'directory' },
    );
    const auth = multiAuth([directory, jwtVerifier({ name: 'backend', issuer: idp.issuer })], { baseUrl: BASE });
    const application = express()
      .use(auth)
      .all('/mcp', (req, res) => {
        res.json({ source: getAuth(req).extra.source });
      });
    const ask = (token: string) => supertest(application).post('/mcp').set('Authorization', `Bearer ${token}`);
    const jwt = await idp.mint({ aud: `${BASE}/mcp` });
    expect((await ask(jwt).expect(200)).body).toEqual({ source: 'backend' });
    await ask(await idp.mint({ aud: 'https://other.example.com' })).expect(401);
    expect(seen).toEqual([]);
    expect((await ask('legacy-key').expect(200)).body).toEqual({ source: 'directory' });
    await ask('wrong').expect(401);
    expect(seen).toEqual(['Bearer legacy-key', 'Bearer wrong']);
    await idp.close();
  });

  test('MA-4: its outage is 503 while another source may still accept', async () => {
    const auth = multiAuth(
      [
        source(self => self.error(new UnavailableError('down', { retryAfterSeconds: 11 })), { name: 'directory' }),
        source((self, req) => {
          if (req.headers.authorization === 'Bearer second') self.success({ id: 2 });
          else self.fail();
        }),
      ],
      { baseUrl: BASE },
    );
    const application = express()
      .use(auth)
      .all('/mcp', (req, res) => {
        res.json({ source: getAuth(req).extra.source });
      });
    await supertest(application).get('/mcp').set('Authorization', 'Bearer second').expect(200, {
      source: 'passportVerifier',
    });
    const response = await supertest(application).get('/mcp').set('Authorization', 'Bearer other').expect(503);
    expect(response.headers['retry-after']).toBe('11');
  });

  test('a passport source inside an mcpStrategy goes the whole way round', async () => {
    const auth = multiAuth(
      passportVerifier(
        new BearerStrategy((token, done) => (token === 'good' ? done(null, { id: 'u1' }) : done(null, false))),
        { name: 'inner' },
      ),
      { baseUrl: BASE },
    );
    const authenticator = new passport.Passport();
    authenticator.use(mcpStrategy(auth));
    const application = express().get('/mcp', authenticator.authenticate('mcp', { session: false }), (req, res) => {
      res.json({ source: getAuth(req).extra.source, subject: (req.user as AuthInfo).extra.subject });
    });
    await supertest(application)
      .get('/mcp')
      .set('Authorization', 'Bearer good')
      .expect(200, { source: 'inner', subject: 'u1' });
    await supertest(application).get('/mcp').set('Authorization', 'Bearer bad').expect(401);
  });

  test('each request gets its own extra, while the user is the one object of the strategy', async () => {
    const user = { id: 1, tags: ['a'] };
    const auth = source(self => self.success(user));
    const one = await accepted(auth);
    const two = await accepted(auth);
    expect(one.extra).not.toBe(two.extra);
    expect((one.extra as { user?: unknown }).user).toBe((two.extra as { user?: unknown }).user);
    expect(Object.isFrozen(user)).toBe(false);
  });
});
