import { request as clientRequest, METHODS } from 'node:http';
import { afterAll, describe, expect, test } from '@jest/globals';
import { type Auth, customVerifier, getAuth, jwtVerifier, multiAuth, UnavailableError } from 'express-mcp-auth';
import request from 'supertest';
import {
  authOf,
  BASE,
  bearer,
  challengeOf,
  counted,
  endpoint,
  express4,
  ISSUER,
  keys,
  METADATA,
  NARROW,
  platforms,
  READER,
  remote,
  type Step,
  send,
  serve,
  stopAll,
  UNKNOWN,
  WRITER,
} from '../support/app.js';

afterAll(stopAll);

const asStep = (auth: unknown) => auth as Step;

/** Answers by what the token says, each in its own way of failing. */
const moody = () =>
  customVerifier({
    name: 'moody',
    accepts: token => token.startsWith('moody-'),
    verify: token => {
      if (token === 'moody-sync-throw') throw new Error('thrown "at once"\r\nX-Evil: 1');
      if (token === 'moody-throw') return Promise.reject(new Error('rejected later'));
      if (token === 'moody-nothing') return Promise.reject(undefined);
      if (token === 'moody-down') return Promise.reject(new UnavailableError('down "x"\r\nX-Evil: 1'));
      if (token === 'moody-down-7') throw new UnavailableError('down', { retryAfterSeconds: 7 });
      if (token === 'moody-network') return Promise.reject(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }));
      return Promise.resolve({ token, clientId: 'moody', scopes: ['read'] });
    },
  });

const composition = () => multiAuth(remote({ requiredScopes: ['read'] }), [moody()]);

describe.each(platforms)('the guard on $name', platform => {
  async function guarded(auth: Auth = composition()) {
    const target = endpoint();
    const origin = await serve(platform.app(asStep(auth), target.step));
    return { auth, origin, calls: target.calls };
  }

  test('RS-12 C-9 A14 A24: a request without credentials gets 401 with resource_metadata and scope and no error code', async () => {
    const { origin, calls } = await guarded();
    const response = await request(origin).post('/mcp').send({ jsonrpc: '2.0' });
    expect(response.status).toBe(401);
    expect(challengeOf(response.headers['www-authenticate'])).toEqual({
      scheme: 'Bearer',
      params: { resource_metadata: METADATA, scope: 'read' },
    });
    expect(response.body.error).toBe('unauthorized');
    expect(calls).toEqual([]);
  });

  test.each(['Bearer', 'bearer', 'Bearer  ', 'Basic cmVhZGVyOnJlYWRlcg==', 'Digest a="b"', `Token ${WRITER}`, ''])(
    'RS-12 attack 55: `Authorization: %s` counts as no credentials',
    async value => {
      const { origin, calls } = await guarded();
      const answer = await send(origin, '/mcp', { headers: [['Authorization', value]] });
      expect(answer.status).toBe(401);
      expect(challengeOf(answer.header('www-authenticate')).params).toEqual({
        resource_metadata: METADATA,
        scope: 'read',
      });
      expect(calls).toEqual([]);
    },
  );

  test('RS-13 C-9 A24: an unknown token gets 401 invalid_token with a way to recover', async () => {
    const { origin, calls } = await guarded();
    const response = await request(origin).get('/mcp').auth(UNKNOWN, { type: 'bearer' });
    expect(response.status).toBe(401);
    const { params } = challengeOf(response.headers['www-authenticate']);
    expect(params).toMatchObject({ error: 'invalid_token', resource_metadata: METADATA, scope: 'read' });
    expect(Object.keys(params).sort()).toEqual(['error', 'error_description', 'resource_metadata', 'scope']);
    expect(response.body).toMatchObject({ error: 'invalid_token', error_description: expect.any(String) });
    expect(response.text).not.toContain(UNKNOWN);
    expect(calls).toEqual([]);
  });

  test('RS-14 RS-15 C-9 A14: a token without the scope gets 403 with every scope the request needs', async () => {
    const { origin, calls } = await guarded(remote({ requiredScopes: ['read', 'write'] }));
    for (const token of [NARROW, READER]) {
      const response = await request(origin).get('/mcp').auth(token, { type: 'bearer' });
      expect(response.status).toBe(403);
      const { params } = challengeOf(response.headers['www-authenticate']);
      expect(params).toMatchObject({ error: 'insufficient_scope', resource_metadata: METADATA });
      expect(params.scope?.split(' ').sort()).toEqual(['read', 'write']);
      expect(response.body.error).toBe('insufficient_scope');
    }
    expect(calls).toEqual([]);
  });

  test.each([
    ['two words', `Bearer ${READER} ${READER}`],
    ['a list', `Bearer ${READER},${READER}`],
    ['a list with a second scheme', `Bearer ${READER}, Basic eA==`],
    ['quotes', `Bearer "${READER}"`],
    ['a parameter', `Bearer token="${READER}"`],
    ['characters beyond ASCII', `Bearer ${READER}\xe9`],
  ])('RS-18 C-7 attack 55: %s after Bearer is 400 invalid_request', async (_what, value) => {
    const { origin, calls } = await guarded();
    const answer = await send(origin, '/mcp', { headers: [['Authorization', value]] });
    expect(answer.status).toBe(400);
    expect(challengeOf(answer.header('www-authenticate')).params).toMatchObject({
      error: 'invalid_request',
      resource_metadata: METADATA,
    });
    expect(JSON.parse(answer.text)).toMatchObject({ error: 'invalid_request' });
    expect(calls).toEqual([]);
  });

  test.each([
    ['the same good token twice', [bearer(READER), bearer(READER)]],
    ['a good token first', [bearer(READER), bearer(UNKNOWN)]],
    ['a good token last', [bearer(UNKNOWN), bearer(READER)]],
    ['Basic first', [['Authorization', 'Basic eA=='] as const, bearer(READER)]],
    ['Basic last', [bearer(READER), ['authorization', 'Basic eA=='] as const]],
    ['an empty one first', [['Authorization', ''] as const, bearer(READER)]],
    ['other headers between', [bearer(READER), ['X-A', '1'] as const, ['AUTHORIZATION', `Bearer ${READER}`] as const]],
  ] as const)('RS-18 attack 55: two Authorization lines are 400, %s', async (_what, headers) => {
    const { origin, calls } = await guarded();
    const answer = await send(origin, '/mcp', { method: 'POST', headers });
    expect(answer.status).toBe(400);
    expect(challengeOf(answer.header('www-authenticate')).params).toMatchObject({
      error: 'invalid_request',
      resource_metadata: METADATA,
    });
    expect(calls).toEqual([]);
  });

  test('RS-18 RS-23 attack 53: a token in the query is 401 alone and 400 beside a header, good as it may be', async () => {
    const { origin, calls } = await guarded();
    const alone = await request(origin).get(`/mcp?a=1&access_token=${READER}`);
    expect(alone.status).toBe(401);
    expect(challengeOf(alone.headers['www-authenticate']).params).toMatchObject({
      error: 'invalid_request',
      resource_metadata: METADATA,
    });
    const both = await request(origin).get(`/mcp?access_token=${READER}`).auth(READER, { type: 'bearer' });
    expect(both.status).toBe(400);
    expect(challengeOf(both.headers['www-authenticate']).params).toMatchObject({ error: 'invalid_request' });
    expect(`${alone.text}${both.text}`).not.toContain(READER);
    expect(calls).toEqual([]);
  });

  test('RS-23 attack 53: a token in a form body or a cookie authenticates nobody', async () => {
    const { origin, calls } = await guarded();
    const form = await request(origin).post('/mcp').type('form').send({ access_token: READER });
    const cookie = await request(origin).get('/mcp').set('Cookie', `access_token=${READER}; Authorization=Bearer`);
    expect([form.status, cookie.status]).toEqual([401, 401]);
    expect(calls).toEqual([]);
  });

  test.each([
    ['moody-down', undefined],
    ['moody-down-7', '7'],
    ['moody-network', undefined],
  ])(
    'MA-4 attack 98: a source that cannot tell (%s) is 503 with Retry-After and no challenge',
    async (token, after) => {
      const { origin, calls } = await guarded();
      const response = await request(origin).get('/mcp').auth(token, { type: 'bearer' });
      expect(response.status).toBe(503);
      expect(response.headers['www-authenticate']).toBeUndefined();
      expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/);
      if (after) expect(response.headers['retry-after']).toBe(after);
      expect(response.body.error).toBe('temporarily_unavailable');
      expect(response.headers['x-evil']).toBeUndefined();
      expect(response.text).not.toContain('down');
      expect(calls).toEqual([]);
    },
  );

  test.each(['moody-throw', 'moody-sync-throw', 'moody-nothing'])(
    'MA-5 RS-19 attack 98: a verifier that breaks (%s) is 401, tells strangers nothing and leaves no rejection unhandled',
    async token => {
      const { origin, calls } = await guarded();
      const response = await request(origin).get('/mcp').auth(token, { type: 'bearer' });
      expect(response.status).toBe(401);
      expect(challengeOf(response.headers['www-authenticate']).params.error).toBe('invalid_token');
      expect(response.headers['x-evil']).toBeUndefined();
      expect(`${response.text}${response.headers['www-authenticate']}`).not.toMatch(/thrown|later|stack|\.ts/);
      expect(calls).toEqual([]);
      // The server is still there, and a rejection left behind would have failed this test by now.
      await request(origin).get('/mcp').auth(READER, { type: 'bearer' }).expect(200);
    },
  );

  test.each([READER, UNKNOWN, 'moody-down', undefined])(
    'RS-21 I9: what is refused is never stored (%s)',
    async token => {
      const { origin } = await guarded(multiAuth(remote({ requiredScopes: ['write'] }), [moody()]));
      const response = await request(origin)
        .get('/mcp')
        .set(token ? { authorization: `Bearer ${token}` } : {});
      expect(response.status).toBeGreaterThanOrEqual(401);
      expect(response.headers['cache-control']).toBe('no-store');
      expect(response.headers['content-type']).toMatch(/^application\/json/);
      expect(response.headers['set-cookie']).toBeUndefined();
    },
  );

  test('RS-23: the scheme is compared without case, and the handler sees who called', async () => {
    const { origin, calls } = await guarded();
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
      const response = await request(origin).get('/mcp').set('Authorization', `${scheme} ${READER}`);
      expect(response.status).toBe(200);
      expect(response.body).toMatchObject({ reached: true, clientId: 'reader' });
    }
    expect(calls).toHaveLength(4);
  });

  test('J8: the body of a request is whole after a verification that took its time', async () => {
    const { origin } = await guarded(multiAuth([counted().verifier]));
    const body = JSON.stringify({ text: 'x'.repeat(100_000) });
    const response = await request(origin)
      .post('/mcp')
      .type('json')
      .set('Authorization', `Bearer ${READER}`)
      .send(body);
    expect(response.status).toBe(200);
    expect(response.body.sent).toBe(body);
  });

  test('RS-24 RS-31 A23 attack 90: every method is challenged before the handler can answer 404, 405 or 406', async () => {
    const { origin, calls } = await guarded();
    for (const method of METHODS.filter(name => name !== 'CONNECT' && name !== 'OPTIONS')) {
      const answer = await send(origin, '/mcp', {
        method,
        headers: [
          ['Mcp-Session-Id', 'a-session'],
          ['X-HTTP-Method-Override', 'OPTIONS'],
          ['Accept', 'text/html'],
        ],
      });
      expect([method, answer.status]).toEqual([method, 401]);
      expect(answer.text === '').toBe(method === 'HEAD');
      expect(challengeOf(answer.header('www-authenticate')).params.resource_metadata).toBe(METADATA);
    }
    expect(calls).toEqual([]);
  });

  test('RS-22 J6: the guard answers OPTIONS itself, with 204 and the headers that were asked for', async () => {
    const { origin, calls } = await guarded();
    for (const authorization of [undefined, `Bearer ${READER}`]) {
      const response = await request(origin)
        .options('/mcp')
        .set({
          origin: 'https://app.example.org',
          'access-control-request-method': 'DELETE',
          'access-control-request-headers': 'authorization, content-type,mcp-protocol-version, x-custom',
          ...(authorization && { authorization }),
        });
      expect(response.status).toBe(204);
      expect(response.headers['www-authenticate']).toBeUndefined();
      expect(response.headers['access-control-allow-origin']).toBe('*');
      expect(response.headers['access-control-allow-credentials']).toBeUndefined();
      expect(response.headers['access-control-allow-methods']).toMatch(/\bDELETE\b/);
      const allowed = (response.headers['access-control-allow-headers'] as string).toLowerCase().split(/ *, */);
      expect(allowed).toEqual(
        expect.arrayContaining(['authorization', 'content-type', 'mcp-protocol-version', 'x-custom']),
      );
    }
    expect(calls).toEqual([]);
  });

  test('RS-22: OPTIONS below the endpoint and without any preflight header never reaches the handler either', async () => {
    const { origin, calls } = await guarded();
    for (const target of ['/mcp', '/MCP/', '/mcp/below', '//mcp', '/m%63p']) {
      const answer = await send(origin, target, { method: 'OPTIONS' });
      expect([target, answer.status]).toEqual([target, 204]);
      expect(answer.header('access-control-allow-headers')).toMatch(/authorization/i);
    }
    expect(calls).toEqual([]);
  });

  test('RS-22: with `cors: false` OPTIONS is challenged as any other method and no CORS header is set', async () => {
    const { origin, calls } = await guarded(remote({ cors: false }));
    const refused = await request(origin).options('/mcp').set('origin', 'https://app.example.org');
    expect(refused.status).toBe(401);
    expect(calls).toEqual([]);
    const passed = await request(origin).options('/mcp').auth(READER, { type: 'bearer' });
    expect(passed.status).toBe(200);
    for (const response of [refused, passed])
      expect(Object.keys(response.headers).filter(name => name.startsWith('access-control'))).toEqual([]);
    expect(calls).toEqual(['OPTIONS /mcp']);
  });

  test('RS-22 I4: refusals and answers of the handler name the headers a browser client must read', async () => {
    const { origin } = await guarded();
    for (const token of [READER, UNKNOWN, NARROW, 'moody-down']) {
      const response = await request(origin)
        .get('/mcp')
        .set({ authorization: `Bearer ${token}`, origin: 'https://app.example.org' });
      expect(response.headers['access-control-allow-origin']).toBe('*');
      expect(response.headers['access-control-allow-credentials']).toBeUndefined();
      const exposed = (response.headers['access-control-expose-headers'] as string).toLowerCase().split(/ *, */);
      expect(exposed).toEqual(expect.arrayContaining(['www-authenticate', 'mcp-session-id', 'retry-after']));
    }
  });

  test.each([
    '/mcp',
    '/mcp/',
    '/MCP',
    '/Mcp/',
    '//mcp',
    '///mcp//',
    '/m%63p',
    '/%6D%43p/',
    '/mcp?x=/health',
    '/mcp/?',
    '/mcp/below',
    '/MCP//below/deeper',
    '/mcp/..',
    '/mcp/../health',
    '/mcp/..;/x',
    '/mcp/.well-known',
    '/mcp/%2e%2e/health',
    '/mcp.json',
    '//elsewhere/mcp',
    'http://elsewhere.example.org/mcp',
    'http://elsewhere.example.org/MCP/?x',
  ])('attack 89: %s does not slip past the guard', async target => {
    const { origin, calls } = await guarded();
    for (const method of ['GET', 'POST', 'HEAD']) {
      const answer = await send(origin, target, { method });
      expect([method, answer.status]).toEqual([method, 401]);
    }
    expect(calls).toEqual([]);
    const answer = await send(origin, target, { headers: [bearer(READER)] });
    expect(answer.status).toBe(200);
  });

  test.each(['/mcp/%zz', '/mcp/%', '/mcp/%c0%ae', '/%6dcp/%ff', '/mcp#x', '/mcp\\x#', '/%2fmcp/%zz'])(
    'attack 89: the undecodable %j is refused or passed by, never a server error',
    async target => {
      const { origin } = await guarded();
      const answer = await send(origin, target);
      expect(answer.status).toBeLessThan(500);
      if (target.startsWith('/mcp/')) expect([400, 401]).toContain(answer.status);
    },
  );

  if (platform.name !== 'Connect 3')
    // Connect itself throws for these before any handler runs.
    test.each(['http://[/mcp', 'http://a[b/mcp', 'http://[::1/mcp?x'])(
      'attack 89: the target %s, which cannot be parsed, is in doubt and reaches no handler without a token',
      async target => {
        const { origin, calls } = await guarded();
        expect((await send(origin, target)).status).toBeLessThan(500);
        expect(calls).toEqual([]);
      },
    );

  test.each([
    '/',
    '/health',
    '/mcpx',
    '/mcp-other',
    '/x/mcp',
    '/other.json',
    '/.well-known/security.txt',
    '/favicon.ico',
  ])('every other path goes through untouched: %s', async target => {
    const { origin, calls } = await guarded();
    const response = await request(origin).get(target).set('origin', 'https://app.example.org');
    expect(response.status).toBe(200);
    expect(response.body.clientId).toBeUndefined();
    expect(Object.keys(response.headers)).not.toContain('access-control-allow-origin');
    expect(calls).toEqual([`GET ${target}`]);
  });

  test('RS-1 RS-2 RS-4 RS-6 RS-10: the documents are served in front of the guard, without credentials', async () => {
    const { origin, calls } = await guarded(remote({ scopesSupported: ['read', 'write'] }));
    for (const path of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource']) {
      const response = await request(origin).get(path);
      expect(response.status).toBe(200);
      expect(response.headers['content-type']).toMatch(/^application\/json/);
      expect(response.headers['access-control-allow-origin']).toBe('*');
      expect(response.headers['cache-control']).toMatch(/max-age=[1-9]/);
      expect(response.headers['set-cookie']).toBeUndefined();
      expect(response.body).toEqual({
        resource: `${BASE}/mcp`,
        authorization_servers: [ISSUER],
        scopes_supported: ['read', 'write'],
        bearer_methods_supported: ['header'],
      });
      const head = await request(origin).head(path);
      expect(head.status).toBe(200);
      expect(head.headers['content-type']).toBe(response.headers['content-type']);
      expect(head.text ?? '').toBe('');
    }
    expect(calls).toEqual([]);
  });

  test('only GET, HEAD and OPTIONS of a document are taken, other methods are the next one’s', async () => {
    const { origin, calls } = await guarded();
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await send(origin, '/.well-known/oauth-protected-resource/mcp', { method });
      expect([method, answer.status]).toEqual([method, 200]);
    }
    expect(calls.map(call => call.split(' ')[0])).toEqual(['POST', 'PUT', 'PATCH', 'DELETE']);
    const options = await send(origin, '/.well-known/oauth-protected-resource/mcp', { method: 'OPTIONS' });
    expect(options.status).toBe(204);
    expect(calls).toHaveLength(4);
  });

  test('with `cors: false` OPTIONS of a document is the next one’s too', async () => {
    const { origin, calls } = await guarded(remote({ cors: false }));
    await send(origin, '/.well-known/oauth-protected-resource/mcp', { method: 'OPTIONS' });
    expect(calls).toEqual(['OPTIONS /.well-known/oauth-protected-resource/mcp']);
    const document = await request(origin).get('/.well-known/oauth-protected-resource/mcp');
    expect(document.status).toBe(200);
    expect(document.headers['access-control-allow-origin']).toBeUndefined();
  });

  test.each([
    '/.well-known/oauth-authorization-server/mcp',
    '/.well-known/openid-configuration/mcp',
    '/mcp/.well-known/oauth-authorization-server',
    '/mcp/.well-known/openid-configuration',
    '/mcp/.well-known/oauth-protected-resource',
    '/.well-known/oauth-authorization-server/mcp/below',
    '/.well-known/oauth-protected-resource/mcp/below',
  ])('RS-11 A21: a probe of %s meets a 404 in JSON', async path => {
    const { origin, calls } = await guarded();
    const response = await request(origin).get(path).set('accept', 'text/html');
    expect(response.status).toBe(404);
    expect(response.headers['content-type']).toMatch(/^application\/json/);
    expect(JSON.parse(response.text)).toEqual(expect.any(Object));
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect(calls).toEqual([]);
  });

  test.each([
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
    '/.well-known/oauth-protected-resource/other',
    '/.well-known/oauth-protected-resource/mcpx',
    '/.well-known/jwks.json',
    '/.well-known/change-password/mcp',
    '/other/.well-known/openid-configuration',
  ])('A12: %s belongs to the app or another instance', async path => {
    const { origin, calls } = await guarded();
    await request(origin).get(path).expect(200);
    expect(calls).toEqual([`GET ${path}`]);
  });

  test.each(['POST', 'PUT', 'DELETE'])(
    'attack 89: %s to a probed name below the endpoint opens no way to the handler',
    async method => {
      const { origin, calls } = await guarded();
      for (const name of ['oauth-authorization-server', 'openid-configuration', 'oauth-protected-resource']) {
        const answer = await send(origin, `/mcp/.well-known/${name}`, { method });
        expect([401, 404]).toContain(answer.status);
      }
      expect(calls).toEqual([]);
    },
  );

  test('without routes and without `mcpPath` everything that arrives is guarded', async () => {
    for (const auth of [
      multiAuth([keys()]),
      multiAuth(null, [keys()]),
      multiAuth(null, [keys()], { baseUrl: BASE }),
      keys(),
    ]) {
      const { origin, calls } = await guarded(auth);
      for (const target of [
        '/',
        '/mcp',
        '/health',
        '/.well-known/security.txt',
        '/.well-known/oauth-protected-resource',
        '/a/b/c',
      ])
        expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
      expect(calls).toEqual([]);
      expect((await send(origin, '/health', { headers: [bearer(READER)] })).status).toBe(200);
    }
  });

  test('without routes an explicit `mcpPath` is guarded alone', async () => {
    const { origin, calls } = await guarded(multiAuth([keys()], { mcpPath: '/tools/v1' }));
    for (const target of ['/tools/v1', '/TOOLS/v1/', '/tools//v1/x', '/tools/%761'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
    for (const target of ['/', '/mcp', '/tools', '/tools/v2', '/tools/v11', '/v1'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 200]);
    expect(calls).toHaveLength(6);
  });

  test('RS-2: `mcpPath: "/"` guards all but its own documents and adds nothing to the resource', async () => {
    const { origin, calls, auth } = await guarded(remote({ mcpPath: '/' }));
    expect(auth.resource).toBe(BASE);
    for (const target of ['/', '/mcp', '/health', '/.well-known/security.txt', '//'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
    const document = await request(origin).get('/.well-known/oauth-protected-resource');
    expect(document.status).toBe(200);
    expect(document.body.resource).toBe(BASE);
    for (const name of ['oauth-authorization-server', 'openid-configuration', 'oauth-protected-resource/mcp'])
      expect([name, (await send(origin, `/.well-known/${name}`)).status]).toEqual([name, 404]);
    expect(calls).toEqual([]);
  });

  test('J4: the endpoint is guarded at `mcpPath`, below the path of `baseUrl` and at the path of the resource', async () => {
    const auth = remote({ baseUrl: `${BASE}/team`, resourceBaseUrl: 'https://public.example.com/gateway' });
    expect(auth.resource).toBe('https://public.example.com/gateway/mcp');
    const { origin, calls } = await guarded(auth);
    for (const target of ['/mcp', '/team/mcp', '/gateway/mcp', '/gateway/mcp/x', '/TEAM//mcp/'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
    expect(calls).toEqual([]);
    for (const target of ['/team', '/gateway', '/other/mcp', '/team/gateway/mcp'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 200]);
    await request(origin).get('/.well-known/oauth-protected-resource/gateway/mcp').expect(200);
  });

  test('an app that rewrites the URL before the guard cannot open the endpoint', async () => {
    const target = endpoint();
    const rewrite: Step = (req, _res, next) => {
      req.url = req.url?.replace('/alias', '/mcp');
      next();
    };
    const origin = await serve(platform.app(rewrite, asStep(remote()), target.step));
    expect((await send(origin, '/alias')).status).toBe(401);
    expect(target.calls).toEqual([]);
  });

  test('two compositions live side by side: each has its documents and neither takes the other’s tokens', async () => {
    const first = remote({ baseUrl: `${BASE}/a`, mcpPath: '/x', verifier: keys(), rootMetadata: false, name: 'first' });
    const second = remote({
      baseUrl: `${BASE}/b`,
      mcpPath: '/y',
      verifier: counted().verifier,
      rootMetadata: false,
      authorizationServers: ['https://other.example.com'],
    });
    const target = endpoint();
    const origin = await serve(platform.app(asStep(first), asStep(second), target.step));
    for (const [path, auth, issuer] of [
      ['/a/x', first, ISSUER],
      ['/b/y', second, 'https://other.example.com'],
    ] as const) {
      const refused = await request(origin).get(path);
      expect(refused.status).toBe(401);
      const pointer = challengeOf(refused.headers['www-authenticate']).params.resource_metadata as string;
      expect(pointer).toBe(`${BASE}/.well-known/oauth-protected-resource${path}`);
      const document = await request(origin).get(new URL(pointer).pathname);
      expect(document.body).toMatchObject({ resource: auth.resource, authorization_servers: [issuer] });
    }
    // WRITER is known to the first only.
    expect((await send(origin, '/a/x', { headers: [bearer(WRITER)] })).status).toBe(200);
    expect((await send(origin, '/b/y', { headers: [bearer(WRITER)] })).status).toBe(401);
    // RS-3 A12: no root document, no reflection of unknown paths.
    for (const name of ['', '/c/z', '/a', '/b/x']) {
      const response = await request(origin).get(`/.well-known/oauth-protected-resource${name}`);
      expect(response.body.reached).toBe(true);
    }
  });

  test('`protect()` behind the guard of its composition reuses the verdict: one verification for four guards', async () => {
    const { asked, verifier } = counted();
    const auth = multiAuth([verifier]);
    const target = endpoint();
    const origin = await serve(
      platform.app(
        asStep(auth),
        asStep(auth),
        asStep(auth.protect()),
        asStep(auth.protect({ requiredScopes: ['read'] })),
        target.step,
      ),
    );
    const response = await request(origin).get('/mcp').auth(READER, { type: 'bearer' });
    expect(response.status).toBe(200);
    expect(response.body.clientId).toBe('reader');
    expect(asked).toEqual([READER]);
    // Not a cache: the next request is verified again.
    await request(origin).get('/mcp').auth(READER, { type: 'bearer' }).expect(200);
    expect(asked).toEqual([READER, READER]);
  });

  test('`protect({ requiredScopes })` adds to what the composition requires', async () => {
    const auth = remote({ requiredScopes: ['read'] });
    const target = endpoint();
    const origin = await serve(platform.app(asStep(auth.protect({ requiredScopes: ['write'] })), target.step));
    const without = await send(origin, '/any');
    expect(challengeOf(without.header('www-authenticate')).params.scope?.split(' ').sort()).toEqual(['read', 'write']);
    const refused = await send(origin, '/any', { headers: [bearer(READER)] });
    expect(refused.status).toBe(403);
    expect(challengeOf(refused.header('www-authenticate')).params.scope?.split(' ').sort()).toEqual(['read', 'write']);
    expect(target.calls).toEqual([]);
    expect((await send(origin, '/any', { headers: [bearer(WRITER)] })).status).toBe(200);
  });

  test('`router` and `wellKnown` serve documents and guard nothing', async () => {
    for (const pick of ['router', 'wellKnown'] as const) {
      const auth = remote();
      const target = endpoint();
      const origin = await serve(platform.app(asStep(auth[pick]), target.step));
      await request(origin).get('/.well-known/oauth-protected-resource/mcp').expect(200);
      const passed = await request(origin).get('/mcp');
      expect(passed.body).toEqual({ reached: true, sent: '' });
    }
  });

  test('where an audience is missing the ConfigError goes to next(err) for every request, and nothing is let through', async () => {
    const auth = jwtVerifier({ issuer: 'https://idp.example.com', secret: 's'.repeat(32) });
    const { origin, calls } = await guarded(auth);
    for (const headers of [[], [bearer('a.b.c')], [bearer(READER)]])
      for (const method of ['GET', 'POST']) {
        const answer = await send(origin, '/mcp', { method, headers });
        expect([answer.status, answer.header('x-error')]).toEqual([500, 'ConfigError']);
      }
    expect(calls).toEqual([]);
    expect(() => auth.protect()).toThrow(expect.objectContaining({ name: 'ConfigError' }));
    await expect((async () => auth.check('a.b.c'))()).rejects.toMatchObject({ name: 'ConfigError' });
  });

  test.each([
    ['accepts', () => Promise.resolve({ token: READER, clientId: 'late', scopes: [] })],
    ['refuses', () => Promise.resolve(null)],
    ['breaks', () => Promise.reject(new Error('late'))],
    ['cannot tell', () => Promise.reject(new UnavailableError('late'))],
  ])('attack 98: a client that hangs up before the verifier %s harms nobody', async (_what, outcome) => {
    let entered = () => {};
    let answer = () => {};
    const inside = new Promise<void>(resolve => {
      entered = resolve;
    });
    const gate = new Promise<void>(resolve => {
      answer = resolve;
    });
    const slow = customVerifier({
      name: 'slow',
      accepts: token => token === 'slow-token',
      verify: async () => {
        entered();
        await gate;
        return outcome();
      },
    });
    let gone = () => {};
    const closed = new Promise<void>(resolve => {
      gone = resolve;
    });
    const watch: Step = (req, res, next) => {
      if (req.headers.authorization === 'Bearer slow-token') res.on('close', gone);
      next();
    };
    const target = endpoint();
    const origin = await serve(platform.app(watch, asStep(multiAuth([slow, keys()])), target.step));
    const client = clientRequest(`${origin}/mcp`, { headers: { authorization: 'Bearer slow-token' } });
    const hungUp = new Promise(resolve => client.on('error', resolve));
    client.end();
    await inside;
    client.destroy();
    await Promise.all([hungUp, closed]);
    answer();
    const after = await request(origin).get('/mcp').auth(READER, { type: 'bearer' });
    expect(after.status).toBe(200);
    expect(after.body.clientId).toBe('reader');
  });

  test.each(['refuses', 'cannot tell'])(
    'attack 98: an app that answered before the verifier %s is not answered over',
    async what => {
      let response: { end(): unknown; statusCode: number } | undefined;
      const verifier = customVerifier({
        name: 'slow',
        accepts: token => token === 'slow-token',
        verify: async () => {
          if (response) response.statusCode = 504;
          response?.end();
          await new Promise(resolve => setImmediate(resolve));
          if (what === 'refuses') return null;
          throw new UnavailableError('late');
        },
      });
      const hold: Step = (_req, res, next) => {
        response = res;
        next();
      };
      const target = endpoint();
      const origin = await serve(platform.app(hold, asStep(multiAuth([verifier, keys()])), target.step));
      expect((await send(origin, '/mcp', { headers: [bearer('slow-token')] })).status).toBe(504);
      await request(origin).get('/mcp').auth(READER, { type: 'bearer' }).expect(200);
      expect(target.calls).toHaveLength(1);
    },
  );

  test('a value somebody left in req.auth is overwritten, and getAuth agrees with it', async () => {
    const forge: Step = (req, _res, next) => {
      Object.assign(req, { auth: { token: 'x', clientId: 'admin', scopes: ['admin'], extra: {} } });
      next();
    };
    const seen: unknown[] = [];
    const look: Step = (req, res) => {
      seen.push(authOf(req), getAuth(req as never));
      res.end();
    };
    const origin = await serve(platform.app(forge, asStep(remote()), look));
    expect((await send(origin, '/mcp')).status).toBe(401);
    expect((await send(origin, '/mcp', { headers: [bearer(READER)] })).status).toBe(200);
    expect(seen).toHaveLength(2);
    for (const auth of seen) expect(auth).toMatchObject({ token: READER, clientId: 'reader', scopes: ['read'] });
  });

  test('getAuth throws where no guard of this package ran, whatever is in req.auth', async () => {
    const thrown: unknown[] = [];
    const handler: Step = (req, res) => {
      Object.assign(req, { auth: { token: 'x', clientId: 'admin', scopes: ['admin'], extra: { claims: {} } } });
      try {
        getAuth(req as never);
      } catch (error) {
        thrown.push(error);
      }
      res.end();
    };
    const origin = await serve(platform.app(asStep(remote()), handler));
    await send(origin, '/health', { headers: [bearer(READER)] });
    expect(thrown).toEqual([expect.any(Error)]);
  });

  if (platform.mounts) {
    test('under a mount everything below it is guarded, and nothing beside it', async () => {
      const target = endpoint();
      const origin = await serve(platform.app(['/api', asStep(remote({ baseUrl: `${BASE}/api` }))], target.step));
      for (const path of [
        '/api',
        '/api/',
        '/api/mcp',
        '/API/mcp',
        '/api/other',
        '/api/a/b/c',
        '/api//',
        '/api/.well-known/x',
      ])
        expect([path, (await send(origin, path)).status]).toEqual([path, 401]);
      expect(target.calls).toEqual([]);
      for (const path of ['/', '/mcp', '/apix']) expect([path, (await send(origin, path)).status]).toEqual([path, 200]);
      expect((await send(origin, '/api/other', { headers: [bearer(READER)] })).status).toBe(200);
    });

    test('A1: `wellKnown` at the root serves the documents of an instance that is mounted below', async () => {
      const auth = remote({ baseUrl: `${BASE}/api` });
      const target = endpoint();
      const origin = await serve(platform.app(asStep(auth.wellKnown), ['/api', asStep(auth)], target.step));
      const refused = await request(origin).post('/api/mcp');
      const pointer = challengeOf(refused.headers['www-authenticate']).params.resource_metadata as string;
      expect(pointer).toBe(`${BASE}/.well-known/oauth-protected-resource/api/mcp`);
      const document = await request(origin).get(new URL(pointer).pathname);
      expect(document.status).toBe(200);
      expect(document.body.resource).toBe(`${BASE}/api/mcp`);
    });
  }
});

describe('an Express 4 app', () => {
  test('attack 98: a handler that throws behind the guard is reported once', async () => {
    for (const express of [express4, (await import('express')).default]) {
      const app = express();
      const errors: unknown[] = [];
      app.use(multiAuth([counted().verifier]));
      app.use(() => {
        throw new Error('the handler’s own');
      });
      app.use((error: Error, _req: unknown, res: { status(code: number): { end(): void } }, _next: unknown) => {
        errors.push(error.message);
        res.status(500).end();
      });
      const response = await request(app).get('/').auth(READER, { type: 'bearer' });
      expect(response.status).toBe(500);
      expect(response.headers['www-authenticate']).toBeUndefined();
      expect(errors).toEqual(['the handler’s own']);
    }
  });
});
