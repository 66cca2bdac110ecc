import type { RequestListener } from 'node:http';
import { Agent, request as clientRequest } from 'node:http';
import { afterAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import {
  type Auth,
  ConfigError,
  customVerifier,
  jwtVerifier,
  multiAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import fc from 'fast-check';
import request from 'supertest';
import {
  BASE,
  bearer,
  challengeOf,
  client,
  counted,
  ISSUER,
  keys,
  METADATA,
  NARROW,
  READER,
  remote,
  send,
  serve,
  stopAll,
  UNKNOWN,
  WRITER,
} from '../support/app.js';
import { seconds, signingKey } from '../support/keys.js';

afterAll(stopAll);

function appOf(...handlers: express.RequestHandler[]) {
  const app = express();
  for (const handler of handlers) app.use(handler);
  app.use((_req, res) => void res.json({ reached: true }));
  return app;
}
const listening = (...handlers: express.RequestHandler[]) => serve(appOf(...handlers) as unknown as RequestListener);

describe('the Authorization header (RFC 6750 §2.1, RFC 9110 §11.4)', () => {
  /** What DESIGN's table says of a value as Node hands it over; undefined where it leaves room (a tab, a comma in the scheme). */
  function expected(value: string): string | undefined {
    const trimmed = value.replace(/^[ \t]+|[ \t]+$/g, '');
    if (/^(bearer)?$/i.test(trimmed)) return '401';
    const [, scheme = '', gap = '', rest = ''] = /^([^ \t]*)([ \t]*)(.*)$/s.exec(trimmed) ?? [];
    if (/[^A-Za-z]/.test(scheme) && /^bearer[^A-Za-z]/i.test(scheme)) return undefined;
    if (scheme.toLowerCase() !== 'bearer') return '401';
    if (gap !== ' ') return undefined;
    if (!/^[\x21\x23-\x2b\x2d-\x7e]+$/.test(rest)) return '400 invalid_request';
    return rest === READER ? '200' : '401 invalid_token';
  }

  const pieces = [
    'Bearer',
    'bearer',
    'BEARER',
    ' ',
    '  ',
    '\t',
    READER,
    READER.slice(0, -1),
    ',',
    '"',
    '=',
    'Basic',
    'x',
    '\xe9',
    '\x7f',
    '\\',
  ];
  const values = fc.oneof(
    fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map(parts => parts.join('')),
    fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map(code => String.fromCharCode(code)), maxLength: 40 }),
    fc
      .string({ unit: fc.integer({ min: 0x20, max: 0xff }).map(code => String.fromCharCode(code)), maxLength: 30 })
      .map(rest => `Bearer ${rest}`),
    fc.constantFrom(
      `Bearer ${READER}`,
      `bearer ${READER}`,
      `Bearer ${READER}.`,
      `Bearer ${READER}=`,
      `Bearer x${READER}`,
    ),
  );

  test('attack 55 attack 97: any value gets the answer of the table, never a server error, and garbage is never let in', async () => {
    const origin = await listening(remote());
    const { ask, end } = client(origin);
    const outcomes = new Set<string>();
    // DEL is no character of a header in Node's client, and none in its parser.
    await fc.assert(
      fc.asyncProperty(values, async raw => {
        const value = raw.replaceAll('\x7f', '');
        const { status, challenge } = await ask('/mcp', { Authorization: value });
        const error = challenge === undefined ? undefined : challengeOf(challenge).params.error;
        const outcome = error ? `${status} ${error}` : String(status);
        const wanted = expected(value);
        if (wanted !== undefined) {
          outcomes.add(wanted);
          expect([value, outcome]).toEqual([value, wanted]);
        } else {
          expect(['200', '400 invalid_request', '401', '401 invalid_token']).toContain(outcome);
          if (status === 200) expect(value.replace(/^[ \t]*bearer[ \t]+/i, '').trim()).toBe(READER);
        }
      }),
      { numRuns: 500 },
    );
    end();
    expect([...outcomes].sort()).toEqual(['200', '400 invalid_request', '401', '401 invalid_token']);
  }, 30_000);

  test('MA-8 attack 54: a token beyond the limit is refused before any source is asked', async () => {
    const { asked, verifier } = counted();
    const jwt = jwtVerifier({ issuer: ISSUER, secret: 's'.repeat(32), audience: 'a' });
    const origin = await serve(appOf(multiAuth([jwt, verifier])) as unknown as RequestListener, {
      maxHeaderSize: 4_000_000,
    });
    for (const token of ['x'.repeat(1_000_000), `${'x'.repeat(500_000)}.${'y'.repeat(500_000)}.z`]) {
      const answer = await send(origin, '/mcp', { headers: [bearer(token)] });
      expect(answer.status).toBe(401);
      expect(challengeOf(answer.header('www-authenticate')).params.error).toBe('invalid_token');
      expect(answer.text.length).toBeLessThan(2_000);
      expect(answer.header('www-authenticate')?.length).toBeLessThan(2_000);
    }
    expect(asked).toEqual([]);
    const plain = await listening(multiAuth([verifier]));
    expect((await send(plain, '/mcp', { headers: [bearer('x'.repeat(100_000))] })).status).toBe(431);
  });

  test.each([
    'access_token=',
    'a=b&access_token=',
    'access_token[]=',
    'ACCESS_TOKEN=',
    '%61ccess_token=',
    'access_token%20=',
  ])('RS-23 attack 53: `?%s…` authenticates nobody', async query => {
    const response = await request(await listening(remote())).get(`/mcp?${query}${READER}`);
    expect(response.status).toBe(401);
    expect(response.text).not.toContain(READER);
  });

  test('RS-18: a query token counts on the raw URL, below a mount and on a route too', async () => {
    const auth = remote({ baseUrl: `${BASE}/api` });
    const app = express();
    app.use(auth.wellKnown);
    app.use('/api', auth);
    app.post('/rpc', auth, (_req, res) => void res.json({}));
    for (const path of ['/api/mcp', '/rpc']) {
      const response = await request(app).post(`${path}?access_token=${READER}`).auth(READER, { type: 'bearer' });
      expect([path, response.status]).toEqual([path, 400]);
    }
  });

  test('RS-18: a rewritten `req.url` hides no query token', async () => {
    const rewrite: express.RequestHandler = (req, _res, next) => {
      req.url = req.url.replace(/\?.*/, '');
      next();
    };
    const response = await request(await listening(rewrite, remote()))
      .get(`/mcp?access_token=${READER}`)
      .auth(READER, { type: 'bearer' });
    expect(response.status).toBe(400);
  });

  test('attack 97: very long targets and headers of any pattern are answered', async () => {
    const origin = await serve(appOf(remote()) as unknown as RequestListener, { maxHeaderSize: 4_000_000 });
    for (const unit of ['/', '%', '%2f', '/..', '\\', '/mcp', '/.well-known', '?access_token', '&a=b', ';'])
      expect((await send(origin, `/mcp/${unit.repeat(200_000 / unit.length)}`)).status).toBe(401);
    for (const unit of [',', ' ', 'a,', 'Bearer ', '"', '\\"', '=']) {
      const value = unit.repeat(200_000 / unit.length);
      const refused = await send(origin, '/mcp', { headers: [['Authorization', `Bearer ${value}.`]] });
      expect([400, 401]).toContain(refused.status);
      const headers = [['Access-Control-Request-Headers', value] as const];
      const preflight = await send(origin, '/mcp', { method: 'OPTIONS', headers });
      expect(preflight.status).toBe(204);
      expect(preflight.header('access-control-allow-headers')?.length).toBeLessThan(20_000);
    }
  }, 30_000);

  test('a query token on a path that is not guarded is the app’s own business', async () => {
    await request(await listening(remote()))
      .get('/health?access_token=x')
      .expect(200);
  });

  test('RS-18: duplicated Authorization lines on a path that is not guarded are the app’s own business', async () => {
    const origin = await listening(remote());
    expect((await send(origin, '/health', { headers: [bearer('a'), bearer('b')] })).status).toBe(200);
  });

  test('two requests on one connection are judged each by its own header', async () => {
    const origin = await listening(remote());
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const statuses: (number | undefined)[] = [];
    for (const token of [READER, undefined, UNKNOWN, READER]) {
      statuses.push(
        await new Promise<number | undefined>((resolve, reject) => {
          clientRequest(
            `${origin}/mcp`,
            { agent, headers: token ? { authorization: `Bearer ${token}` } : {} },
            response => {
              response.resume();
              response.on('end', () => resolve(response.statusCode));
            },
          )
            .on('error', reject)
            .end();
        }),
      );
    }
    agent.destroy();
    expect(statuses).toEqual([200, 401, 401, 200]);
  });
});

describe('the WWW-Authenticate header (RFC 6750 §3, RFC 9728 §5.1)', () => {
  test('a body says that the challenge tells where to get a token only where it does', async () => {
    const described = async (auth: Auth) => {
      const { body, headers } = await request(express().use(auth)).get('/mcp').expect(401);
      return [
        /says where to get one/.test(body.error_description),
        /resource_metadata=/.test(`${headers['www-authenticate']}`),
      ];
    };
    expect(await described(remote())).toEqual([true, true]);
    expect(await described(staticTokenVerifier({ [READER]: { clientId: 'reader' } }))).toEqual([false, false]);
  });

  test('C-8 RS-19: scope is left out where none is required, and no parameter comes twice', async () => {
    const response = await request(await listening(remote())).get('/mcp');
    expect(challengeOf(response.headers['www-authenticate']).params).toEqual({ resource_metadata: METADATA });
  });

  test('A22: a challenge names a metadata document only when that document is served', async () => {
    for (const auth of [multiAuth([keys()]), multiAuth([keys()], { baseUrl: BASE }), keys()]) {
      const origin = await listening(auth);
      for (const [headers, status] of [
        [[], 401],
        [[bearer(UNKNOWN)], 401],
        [[bearer(READER), bearer(READER)], 400],
      ] as const) {
        const answer = await send(origin, '/mcp', { headers });
        expect(answer.status).toBe(status);
        expect(answer.header('www-authenticate')).toMatch(/^Bearer/);
        expect(answer.header('www-authenticate')).not.toContain('resource_metadata');
      }
    }
  });

  test('RS-17 RS-7 A17: `offline_access` appears neither in a challenge nor in the protected-resource document', async () => {
    const origin = await listening(
      remote({
        requiredScopes: ['read'],
        scopesSupported: ['read', 'offline_access'],
        challengeScopes: ['read', 'offline_access'],
      }),
    );
    for (const headers of [[], [bearer(UNKNOWN)], [bearer(NARROW)]]) {
      const answer = await send(origin, '/mcp', { headers });
      expect(challengeOf(answer.header('www-authenticate')).params.scope).toBe('read');
    }
    const document = await request(origin).get('/.well-known/oauth-protected-resource/mcp');
    expect(document.body.scopes_supported).toEqual(['read']);
  });

  test('RS-15: one challenge names the scopes of the composition and of `protect()` together', async () => {
    const auth = remote({ requiredScopes: ['read'] });
    const app = express();
    app.use(auth);
    app.post('/mcp', auth.protect({ requiredScopes: ['write', 'read', 'admin'] }), (_req, res) => void res.json({}));
    const response = await request(app).post('/mcp').auth(READER, { type: 'bearer' });
    expect(response.status).toBe(403);
    const { scope = '' } = challengeOf(response.headers['www-authenticate']).params;
    expect(scope.split(' ').sort()).toEqual(['admin', 'read', 'write']);
  });

  test('A16: `challengeScopes` says what a challenge asks for, `requiredScopes` what a token needs', async () => {
    const auth = remote({
      requiredScopes: ['read'],
      challengeScopes: required => required.map(scope => `api://id/${scope}`),
    });
    expect(auth.challengeScopes()).toEqual(['api://id/read']);
    expect(auth.challengeScopes(['write'])).toEqual(['api://id/write']);
    const origin = await listening(auth);
    const refused = await send(origin, '/mcp', { headers: [bearer(NARROW)] });
    expect(challengeOf(refused.header('www-authenticate')).params.scope).toBe('api://id/read');
    expect((await send(origin, '/mcp', { headers: [bearer(READER)] })).status).toBe(200);
    const listed = remote({ requiredScopes: ['read'], challengeScopes: ['openid', 'read'] });
    expect(listed.challengeScopes()).toEqual(['openid', 'read']);
    const more = await send(await listening(listed.protect({ requiredScopes: ['write'] })), '/');
    expect(challengeOf(more.header('www-authenticate')).params.scope?.split(' ').sort()).toEqual([
      'openid',
      'read',
      'write',
    ]);
  });

  test.each([['x"y'], ['x\r\nX-Evil: 1'], ['a b"'], ['\u00e9\u{1f600}'], ['x\\']])(
    'RS-19: a `challengeScopes` function that answers %j injects nothing and breaks nothing',
    async scope => {
      const origin = await listening(remote({ requiredScopes: ['read'], challengeScopes: () => [scope] }));
      for (const headers of [[], [bearer(UNKNOWN)], [bearer(NARROW)]]) {
        const answer = await send(origin, '/mcp', { headers });
        expect([401, 403]).toContain(answer.status);
        expect(answer.header('x-evil')).toBeUndefined();
        expect(challengeOf(answer.header('www-authenticate')).params.resource_metadata).toBe(METADATA);
      }
    },
  );

  const hostile = ['x"y', 'x"\r\nX-Evil: 1', 'x, error="', 'a\\', 'a\nb', '\u00e9', '\u{1f600}', '', ' '];

  test.each(hostile)(
    'RS-19 attack 95: the required scope %j is refused at the start or quoted, never injected',
    async scope => {
      const makes: (() => Auth)[] = [
        () => remote({ requiredScopes: [scope] }),
        () => multiAuth([keys({ name: 'keys', requiredScopes: [scope] })]),
        () => remote({ challengeScopes: [scope] }),
        () => remote({ scopesSupported: [scope] }),
      ];
      for (const make of makes) {
        let auth: Auth;
        try {
          auth = make();
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          continue;
        }
        const answer = await send(await listening(auth), '/mcp', { headers: [bearer(NARROW)] });
        expect(answer.status).toBeLessThan(500);
        expect(answer.header('x-evil')).toBeUndefined();
        if (answer.header('www-authenticate')) challengeOf(answer.header('www-authenticate'));
      }
      expect(() => remote().protect({ requiredScopes: ['x"\r\nX-Evil: 1'] })).toThrow(ConfigError);
    },
  );

  test.each(hostile)('RS-19 attack 95: names and texts with %j in them inject nothing', async text => {
    const makes: (() => Auth)[] = [
      () => remote({ name: text }),
      () => remote({ resourceName: text }),
      () => multiAuth([customVerifier({ name: text, verify: () => null })]),
      () => multiAuth(null, [keys({ name: text })], { baseUrl: BASE, authorizationServers: [ISSUER], name: text }),
      () =>
        multiAuth([
          customVerifier({
            verify: () => {
              throw new Error(text);
            },
          }),
        ]),
      () =>
        multiAuth([
          customVerifier({
            verify: () => {
              throw Object.assign(new Error(text), { code: 'invalid_token', error_description: text });
            },
          }),
        ]),
    ];
    for (const make of makes) {
      let auth: Auth;
      try {
        auth = make();
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        continue;
      }
      for (const headers of [[], [bearer(UNKNOWN)]]) {
        const answer = await send(await listening(auth), '/mcp', { headers });
        expect(answer.status).toBe(401);
        expect(answer.lines.filter(([name]) => name === 'www-authenticate')).toHaveLength(1);
        expect(answer.header('x-evil')).toBeUndefined();
        challengeOf(answer.header('www-authenticate'));
      }
    }
  });

  test.each([
    'https://mcp.example.com/"x',
    'https://mcp.example.com/\r\nX-Evil: 1',
    'https://mcp.example.com/a b',
    'https://mcp.example.com/\u00e9',
    'https://mcp.example.com/a\\b',
  ])('RS-19 A22: the base URL %j is refused at the start, or its pointer is quoted', async baseUrl => {
    let auth: Auth;
    try {
      auth = remote({ baseUrl });
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return;
    }
    const answer = await send(await listening(auth), '/mcp');
    expect(answer.status).toBe(401);
    expect(answer.header('x-evil')).toBeUndefined();
    expect(
      () => new URL(challengeOf(answer.header('www-authenticate')).params.resource_metadata as string),
    ).not.toThrow();
  });

  test('RS-19 RS-29 attack 95: nothing of a token’s claims reaches the answer', async () => {
    const key = await signingKey();
    const auth = remote({
      verifier: jwtVerifier({ issuer: ISSUER, jwks: { keys: [key.publicJwk] } }),
      requiredScopes: ['read'],
    });
    const origin = await listening(auth);
    const evil = 'evil"\r\nX-Evil: 1';
    const claims = { iss: ISSUER, aud: `${BASE}/mcp`, exp: seconds(60), scope: evil, sub: evil, client_id: evil };
    const lacking = await send(origin, '/mcp', { headers: [bearer(await key.sign(claims))] });
    const foreign = await send(origin, '/mcp', {
      headers: [bearer(await key.sign({ ...claims, iss: `${ISSUER}/${evil}` }))],
    });
    const wrong = await send(origin, '/mcp', { headers: [bearer(await key.sign({ ...claims, aud: evil }))] });
    const oddKid = await send(origin, '/mcp', { headers: [bearer(await key.sign(claims, { kid: evil }))] });
    expect([lacking.status, foreign.status, wrong.status]).toEqual([403, 401, 401]);
    expect(oddKid.status).toBeLessThan(500);
    for (const answer of [lacking, foreign, wrong]) {
      expect(answer.header('x-evil')).toBeUndefined();
      expect(JSON.stringify([answer.lines, answer.text])).not.toContain('evil');
      challengeOf(answer.header('www-authenticate'));
    }
  });

  test('RS-13 RS-25 RS-26 attack 96: every bad token gets the same text, the reason stays with the operator', async () => {
    const key = await signingKey();
    const other = await signingKey();
    const origin = await listening(
      remote({ verifier: jwtVerifier({ issuer: ISSUER, jwks: { keys: [key.publicJwk] } }) }),
    );
    const good = { iss: ISSUER, aud: `${BASE}/mcp`, exp: seconds(60), sub: 'u' };
    const { exp: _none, ...timeless } = good;
    const { aud: _unbound, ...unbound } = good;
    const bad: Record<string, string> = {
      expired: await key.sign({ ...good, exp: seconds(-60) }),
      'not yet valid': await key.sign({ ...good, nbf: seconds(60) }),
      'without exp': await key.sign(timeless),
      'of another audience': await key.sign({ ...good, aud: `${BASE}/mcp-evil` }),
      'without audience': await key.sign(unbound),
      'of another issuer': await key.sign({ ...good, iss: 'https://evil.example.org' }),
      'signed by another key': await other.sign(good, { kid: key.kid }),
      malformed: 'a.b.c',
      opaque: UNKNOWN,
    };
    const answers = new Map<string, string>();
    for (const [what, token] of Object.entries(bad)) {
      const answer = await send(origin, '/mcp', { headers: [bearer(token)] });
      expect([what, answer.status]).toEqual([what, 401]);
      expect(challengeOf(answer.header('www-authenticate')).params.error).toBe('invalid_token');
      answers.set(what, JSON.stringify([answer.header('www-authenticate'), answer.text]));
    }
    expect(new Set(answers.values()).size).toBe(1);
    expect((await send(origin, '/mcp', { headers: [bearer(await key.sign(good))] })).status).toBe(200);
  });
});

describe('could not tell', () => {
  test.each([0, -1, Number.NaN, 1.2, 1e12, Number.POSITIVE_INFINITY, undefined])(
    'MA-4: a source that suggests to retry after %p still makes a Retry-After that is a whole number of seconds',
    async retryAfterSeconds => {
      const verifier = customVerifier({
        verify: () => {
          throw new UnavailableError('down', { retryAfterSeconds: retryAfterSeconds as number });
        },
      });
      const response = await request(await listening(multiAuth([verifier])))
        .get('/')
        .auth(UNKNOWN, { type: 'bearer' });
      expect(response.status).toBe(503);
      expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/);
      expect(response.headers['www-authenticate']).toBeUndefined();
      expect(response.headers['cache-control']).toBe('no-store');
    },
  );

  test('MA-4: a rejection by one source outweighs the outage of another, an acceptance outweighs both', async () => {
    const down = customVerifier({
      name: 'down',
      verify: () => Promise.reject(new UnavailableError('down')),
    });
    const no = customVerifier({
      name: 'no',
      verify: token => {
        if (token === UNKNOWN) throw Object.assign(new Error('no'), { code: 'invalid_token' });
        return null;
      },
    });
    const origin = await listening(multiAuth([down, no, keys()]));
    expect((await send(origin, '/', { headers: [bearer(UNKNOWN)] })).status).toBe(401);
    expect((await send(origin, '/', { headers: [bearer('some-other-token')] })).status).toBe(503);
    expect((await send(origin, '/', { headers: [bearer(READER)] })).status).toBe(200);
  });
});

describe('cross-origin clients', () => {
  const ours = ['www-authenticate', 'mcp-session-id', 'retry-after'];
  const exposed = (headers: Record<string, string>) =>
    (headers['access-control-expose-headers'] ?? '').toLowerCase().split(/ *, */);

  const credentialed: express.RequestHandler = (_req, res, next) => {
    res.setHeader('Access-Control-Allow-Origin', 'https://app.example.org');
    res.setHeader('Access-Control-Allow-Credentials', 'true');
    res.setHeader('Access-Control-Expose-Headers', 'X-Own');
    next();
  };

  test('RS-22 I4: an origin that the app allowed before is kept, and only the exposed names are added', async () => {
    const origin = await listening(credentialed, remote());
    for (const token of [READER, UNKNOWN]) {
      const response = await request(origin).get('/mcp').auth(token, { type: 'bearer' });
      expect(response.headers['access-control-allow-origin']).toBe('https://app.example.org');
      expect(response.headers['access-control-allow-credentials']).toBe('true');
      expect(exposed(response.headers)).toEqual(expect.arrayContaining(['x-own', ...ours]));
      expect(exposed(response.headers)).toHaveLength(4);
    }
  });

  test('J6: never a wildcard together with credentials, in a preflight neither', async () => {
    const origin = await listening(credentialed, remote());
    const response = await request(origin).options('/mcp').set({
      origin: 'https://app.example.org',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    });
    expect(response.status).toBe(204);
    expect(response.headers['access-control-allow-origin']).toBe('https://app.example.org');
    expect(response.headers['access-control-allow-headers']?.toLowerCase()).toContain('authorization');
  });

  test('what the app sets later wins', async () => {
    const app = express();
    app.use(remote());
    app.use((_req, res) => {
      res.setHeader('Access-Control-Allow-Origin', 'https://later.example.org');
      res.setHeader('Access-Control-Expose-Headers', 'X-Later');
      res.json({});
    });
    const response = await request(app).get('/mcp').auth(READER, { type: 'bearer' });
    expect(response.headers['access-control-allow-origin']).toBe('https://later.example.org');
    expect(response.headers['access-control-expose-headers']).toContain('X-Later');
  });

  test('a handler that calls writeHead itself, as both MCP SDKs do, still answers with the exposed names', async () => {
    const app = express();
    app.use(remote());
    app.use((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 's' });
      res.end('data: 1\n\n');
    });
    const response = await request(app).get('/mcp').auth(READER, { type: 'bearer' });
    expect(response.headers['content-type']).toBe('text/event-stream');
    expect(exposed(response.headers)).toEqual(expect.arrayContaining(ours));
    expect(response.headers['access-control-allow-origin']).toBe('*');
  });

  test('behind two guards each name is exposed once', async () => {
    const auth = remote();
    const app = express();
    app.use(auth);
    app.all('/mcp', auth.protect(), (_req, res) => void res.json({}));
    const response = await request(app).get('/mcp').auth(READER, { type: 'bearer' });
    expect(exposed(response.headers).sort()).toEqual([...ours].sort());
  });

  test('an answer that has begun in front of the guard goes on as it was', async () => {
    const app = express();
    app.use((_req, res, next) => {
      res.write('begun, ');
      next();
    });
    app.use(remote());
    app.use((_req, res) => void res.end('done'));
    const response = await request(app).get('/mcp').auth(READER, { type: 'bearer' });
    expect(response.text).toBe('begun, done');
    expect(response.headers['access-control-allow-origin']).toBeUndefined();
  });

  test('with `cors: false` what the app set before stays as it is', async () => {
    const response = await request(await listening(credentialed, remote({ cors: false })))
      .get('/mcp')
      .auth(UNKNOWN, { type: 'bearer' });
    expect(response.headers['access-control-expose-headers']).toBe('X-Own');
  });

  test('RS-10 J6: a preflight of a document allows MCP-Protocol-Version', async () => {
    const response = await request(await listening(remote()))
      .options('/.well-known/oauth-protected-resource/mcp')
      .set({
        origin: 'https://app.example.org',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      });
    expect(response.status).toBe(204);
    expect(response.headers['access-control-allow-origin']).toBe('*');
    expect(response.headers['access-control-allow-headers']?.toLowerCase()).toContain('mcp-protocol-version');
    expect(response.headers['access-control-allow-credentials']).toBeUndefined();
  });

  test('a preflight’s question is answered without breaking a header, whatever it asks', async () => {
    const origin = await listening(remote());
    await fc.assert(
      fc.asyncProperty(
        fc.string({
          unit: fc
            .integer({ min: 0x20, max: 0xff })
            .filter(code => code !== 0x7f)
            .map(code => String.fromCharCode(code)),
          maxLength: 30,
        }),
        async asked => {
          const answer = await send(origin, '/mcp', {
            method: 'OPTIONS',
            headers: [
              ['Origin', 'https://app.example.org'],
              ['Access-Control-Request-Headers', asked],
              ['Access-Control-Request-Method', asked],
            ],
          });
          expect(answer.status).toBe(204);
          expect(answer.header('access-control-allow-headers')?.toLowerCase()).toContain('authorization');
        },
      ),
      { numRuns: 60 },
    );
  }, 30_000);
});

describe('RS-9 J3 attack 88: the request’s idea of where it is', () => {
  test('Host and forwarded headers change no byte of documents and challenges', async () => {
    const app = appOf(remote({ requiredScopes: ['read'] }));
    app.set('trust proxy', true);
    const origin = await serve(app as unknown as RequestListener);
    const lies: [string, string][] = [
      ['Host', 'evil.example.org'],
      ['X-Forwarded-Host', 'evil.example.org'],
      ['X-Forwarded-Proto', 'http'],
      ['X-Forwarded-Prefix', '/evil'],
      ['X-Original-URL', '/health'],
      ['X-Rewrite-URL', '/health'],
      ['Forwarded', 'host=evil.example.org;proto=http'],
    ];
    const dateless = ({ lines, text }: Awaited<ReturnType<typeof send>>) =>
      JSON.stringify([lines.filter(([name]) => name !== 'date'), text]);
    for (const target of [
      '/mcp',
      '/.well-known/oauth-protected-resource/mcp',
      '/.well-known/oauth-protected-resource',
      '/.well-known/openid-configuration/mcp',
    ])
      for (const token of [NARROW, UNKNOWN, WRITER]) {
        const honest = await send(origin, target, { headers: [bearer(token)] });
        const lied = await send(origin, target, { headers: [...lies, bearer(token)] });
        expect(lied.status).toBe(honest.status);
        expect(dateless(lied)).toBe(dateless(honest));
        expect(dateless(lied)).not.toContain('evil');
      }
    const absolute = await send(origin, 'http://evil.example.org/.well-known/oauth-protected-resource/mcp');
    expect(JSON.parse(absolute.text).resource).toBe(`${BASE}/mcp`);
  });
});
