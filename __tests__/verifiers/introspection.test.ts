import { createServer, request as httpRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import express from 'express';
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
import supertest from 'supertest';
import { close, type IdentityProvider, identityProvider, listen } from '../support/identity-provider.js';
import { drain, heldFetch, type IntrospectionServer, introspectionServer } from '../support/introspection-server.js';
import { seconds } from '../support/keys.js';

type Options = Parameters<typeof introspectionVerifier>[0];

const RESOURCE = 'https://mcp.example.com/mcp';
const BASE = 'https://mcp.example.com';

let server: IntrospectionServer;
beforeAll(async () => {
  server = await introspectionServer();
});
afterAll(() => server.close());
afterEach(() => {
  server.questions.length = 0;
  server.tokens.clear();
  server.intercept = undefined;
});

/** What an endpoint says about a good token of this resource. */
const active = (members: Record<string, unknown> = {}) => ({
  active: true,
  client_id: 'client-1',
  sub: 'user-1',
  aud: RESOURCE,
  scope: 'read write',
  exp: seconds(3600),
  ...members,
});

/** A verifier of the server above whose audience is settled; options override. */
const verifier = (options: Partial<Options> = {}): Auth =>
  introspectionVerifier({
    introspectionUrl: server.url,
    clientId: 'resource-server',
    clientSecret: 'resource-secret',
    audience: RESOURCE,
    ...options,
  } as Options);

async function accepted(auth: Auth, token: string): Promise<AuthInfo> {
  const verdict = await auth.check(token);
  if (verdict.outcome !== 'accept') throw new Error(`expected an acceptance, got ${JSON.stringify(verdict)}`);
  return verdict.auth;
}

const outcome = async (auth: Auth, token: string) => (await auth.check(token)).outcome;

const unavailable = (auth: Auth, token: string) => expect(auth.check(token)).rejects.toBeInstanceOf(UnavailableError);

/** A JWT by shape alone: nothing here may need its signature. */
const jwtShaped = (payload: Record<string, unknown>) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', typ: 'at+jwt', kid: 'k' })}.${part(payload)}.${Buffer.from('signature').toString('base64url')}`;
};

function app(auth: Auth) {
  return express()
    .use(auth)
    .all('/mcp', (req, res) => {
      res.json({ source: getAuth(req).extra.source, clientId: getAuth(req).clientId });
    });
}

const ask = (auth: Auth, token: string) =>
  supertest(app(auth)).post('/mcp').set('Authorization', `Bearer ${token}`).send({});

describe('the question (RFC 7662 §2.1)', () => {
  test('N-1 attack 61: is one POST with a form body, and the token is in no URL', async () => {
    server.tokens.set('opaque-1', active());
    await accepted(verifier(), 'opaque-1');
    expect(server.questions).toHaveLength(1);
    const question = server.questions[0]!;
    expect(question.method).toBe('POST');
    expect(question.url).toBe('/introspect');
    expect(question.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded(;|$)/);
    expect(question.headers.accept).toContain('application/json');
    expect(question.params.getAll('token')).toEqual(['opaque-1']);
    expect(question.params.getAll('token_type_hint')).toEqual(['access_token']);
  });

  test('carries the client credentials as Basic by default and not in the body', async () => {
    server.tokens.set('opaque-1', active());
    await accepted(verifier(), 'opaque-1');
    const question = server.questions[0]!;
    expect(question.headers.authorization).toBe(
      `Basic ${Buffer.from('resource-server:resource-secret').toString('base64')}`,
    );
    expect(question.params.has('client_id')).toBe(false);
    expect(question.params.has('client_secret')).toBe(false);
  });

  test('form-encodes both halves of the Basic credentials (RFC 6749 §2.3.1)', async () => {
    const id = 'urn:app:1 é';
    const secret = 'p+a:s%s w/ö?&=';
    server.tokens.set('opaque-1', active());
    await accepted(verifier({ clientId: id, clientSecret: secret }), 'opaque-1');
    expect(server.questions[0]?.basic).toEqual({ id, secret });
    const raw = Buffer.from(String(server.questions[0]?.headers.authorization).slice(6), 'base64').toString('latin1');
    expect(raw).toMatch(/^[\x21-\x7e]+$/);
    expect(raw.split(':')).toHaveLength(2);
  });

  test('client_secret_post puts them in the body and sends no Authorization header', async () => {
    server.tokens.set('opaque-1', active());
    const auth = verifier({ clientAuthMethod: 'client_secret_post', clientSecret: 'a+b &c=ü' });
    await accepted(auth, 'opaque-1');
    const question = server.questions[0]!;
    expect(question.headers.authorization).toBeUndefined();
    expect(question.params.get('client_id')).toBe('resource-server');
    expect(question.params.get('client_secret')).toBe('a+b &c=ü');
    expect(question.params.get('token')).toBe('opaque-1');
  });

  test('sends every character of a token as it came', async () => {
    const token = 'a+b/c=d~e%20&token=other';
    server.tokens.set(token, active());
    await accepted(verifier(), token);
    expect(server.questions[0]?.params.getAll('token')).toEqual([token]);
  });

  test('goes through the injected fetch', async () => {
    const held = heldFetch();
    const check = verifier({ fetch: held.fetch }).check('opaque-1');
    (await held.call(1)).answer(active());
    expect((await check).outcome).toBe('accept');
    expect(server.questions).toHaveLength(0);
  });
});

describe('the answer (RFC 7662 §2.2)', () => {
  test.each([
    ['"true"', 'true'],
    ['1', 1],
    ['null', null],
    ['missing', undefined],
    ['an object', {}],
  ])('N-3 attack 61: active that is %s and no boolean is no answer at all', async (_name, value) => {
    server.tokens.set('opaque-1', active({ active: value }));
    await unavailable(verifier(), 'opaque-1');
  });

  test('N-3: an active that only the prototype carries accepts nothing', async () => {
    server.intercept = (_question, res) => {
      res.setHeader('content-type', 'application/json').end('{"__proto__":{"active":true},"client_id":"evil"}');
      return true;
    };
    await unavailable(verifier(), 'opaque-1');
  });

  test('an active token is accepted with its client, scopes, subject, issuer, expiry and claims', async () => {
    const exp = seconds(600);
    server.tokens.set('opaque-1', active({ exp, iss: 'https://idp.example.com', org: { id: 7 } }));
    const info = await accepted(verifier({ name: 'directory' }), 'opaque-1');
    expect(info).toMatchObject({
      token: 'opaque-1',
      clientId: 'client-1',
      scopes: ['read', 'write'],
      expiresAt: exp,
      extra: { source: 'directory', subject: 'user-1', issuer: 'https://idp.example.com' },
    });
    expect(info.extra.claims).toMatchObject({ sub: 'user-1', org: { id: 7 } });
  });

  test.each([
    ['a string', 'read write', ['read', 'write']],
    ['a string with stray blanks', '  read   write ', ['read', 'write']],
    ['a list', ['read', 'write'], ['read', 'write']],
    ['missing', undefined, []],
    ['an empty string', '', []],
  ])('scope as %s becomes a list', async (_name, scope, expected) => {
    server.tokens.set('opaque-1', active({ scope }));
    expect((await accepted(verifier(), 'opaque-1')).scopes).toEqual(expected);
  });

  test('a token that names no client has its subject as the client, and one without either the name of the source', async () => {
    server.tokens.set('no-client', active({ client_id: undefined }));
    server.tokens.set('nobody', active({ client_id: undefined, sub: undefined }));
    const auth = verifier({ name: 'directory' });
    expect((await accepted(auth, 'no-client')).clientId).toBe('user-1');
    expect((await accepted(auth, 'nobody')).clientId).toBe('directory');
  });

  test('C11: a token without exp is accepted and says nothing about expiry', async () => {
    server.tokens.set('opaque-1', active({ exp: undefined }));
    expect((await accepted(verifier(), 'opaque-1')).expiresAt).toBeUndefined();
  });

  test('N-3 RS-26: exp in the past is refused as expired although the endpoint says active', async () => {
    server.tokens.set('opaque-1', active({ exp: seconds(-60) }));
    expect(await verifier().check('opaque-1')).toMatchObject({ outcome: 'reject', reason: 'expired' });
  });

  test.each([
    ['zero', '0'],
    ['a string', `"${seconds(3600)}"`],
    ['milliseconds', String(Date.now() + 3_600_000)],
    ['too large for a number', '1e309'],
    ['a list', `[${seconds(3600)}]`],
  ])('C8 attack 49: exp that is %s accepts nothing', async (_name, exp) => {
    const body = JSON.stringify(active({ exp: 'EXP' })).replace('"EXP"', exp);
    server.intercept = (_question, res) => {
      res.setHeader('content-type', 'application/json').end(body);
      return true;
    };
    const verdict = await verifier()
      .check('opaque-1')
      .catch((error: unknown) => error);
    expect(verdict).not.toMatchObject({ outcome: 'accept' });
  });

  test('N-3 RS-26: nbf in the future is refused as not yet valid', async () => {
    server.tokens.set('opaque-1', active({ nbf: seconds(600) }));
    expect(await verifier().check('opaque-1')).toMatchObject({ outcome: 'reject', reason: 'not_yet_valid' });
  });

  test('N-3: an issuer other than the configured one accepts nothing', async () => {
    const auth = verifier({ issuer: 'https://idp.example.com' });
    server.tokens.set('good', active({ iss: 'https://idp.example.com' }));
    server.tokens.set('evil', active({ iss: 'https://idp.example.com.evil.test' }));
    server.tokens.set('slash', active({ iss: 'https://idp.example.com/' }));
    expect(await outcome(auth, 'good')).toBe('accept');
    expect(await outcome(auth, 'evil')).not.toBe('accept');
    expect(await outcome(auth, 'slash')).not.toBe('accept');
  });

  test.each([
    ['jkt', { jkt: 'thumbprint' }],
    ['x5t#S256', { 'x5t#S256': 'thumbprint' }],
  ])('N-3 MA-9: a token bound to a key by cnf %s is no bearer token', async (_name, cnf) => {
    server.tokens.set('opaque-1', active({ cnf }));
    expect(await verifier().check('opaque-1')).toMatchObject({ outcome: 'reject', reason: 'confirmation' });
  });

  test.each([
    ['token_type', 'DPoP'],
    ['token_type', 'refresh_token'],
    ['token_use', 'refresh_token'],
    ['token_use', 'id'],
    ['typ', 'Refresh'],
    ['typ', 'ID'],
  ])('C9 N-3 attack 46: an active token whose %s is %s is no access token', async (member, value) => {
    server.tokens.set('opaque-1', active({ [member]: value }));
    expect(await outcome(verifier(), 'opaque-1')).toBe('reject');
  });

  test('changing what one request got shows in no other request, cached or not', async () => {
    server.tokens.set('opaque-1', active({ org: { id: 7 } }));
    const auth = verifier();
    const first = await accepted(auth, 'opaque-1');
    first.scopes.push('admin');
    first.clientId = 'evil';
    expect(() => {
      (first.extra.claims.org as { id: number }).id = 8;
    }).toThrow(TypeError);
    const second = await accepted(auth, 'opaque-1');
    expect(second).toMatchObject({ clientId: 'client-1', scopes: ['read', 'write'] });
    expect(second.extra.claims.org).toEqual({ id: 7 });
    expect(server.questions).toHaveLength(1);
  });
});

describe('an inactive token', () => {
  test('N-2: is foreign where the verifier could not know it, so another source or a 401 decides', async () => {
    expect(await outcome(verifier(), 'unknown')).toBe('foreign');
    const response = await ask(verifier(), 'unknown').expect(401);
    expect(response.headers['www-authenticate']).toContain('error="invalid_token"');
  });

  test('is a reject with the reason inactive where accepts claimed it', async () => {
    const auth = verifier({ accepts: token => token.startsWith('at_') });
    expect(await auth.check('at_gone')).toMatchObject({ outcome: 'reject', reason: 'inactive' });
  });

  test('is a reject for a JWT of the configured issuer', async () => {
    const auth = verifier({ issuer: 'https://idp.example.com' });
    const token = jwtShaped({ iss: 'https://idp.example.com', aud: RESOURCE });
    expect(await auth.check(token)).toMatchObject({ outcome: 'reject', reason: 'inactive' });
    expect(server.questions).toHaveLength(1);
  });

  test('whose other members look good is still inactive', async () => {
    server.tokens.set('opaque-1', active({ active: false }));
    expect(await outcome(verifier(), 'opaque-1')).toBe('foreign');
  });
});

describe('which tokens are asked about', () => {
  test('accepts that says no makes a token foreign without a question', async () => {
    const auth = verifier({ accepts: token => token.startsWith('at_') });
    server.tokens.set('other', active());
    expect(await outcome(auth, 'other')).toBe('foreign');
    expect(server.questions).toHaveLength(0);
  });

  test('D7: with an issuer a JWT of another issuer, or of none, is foreign without a question', async () => {
    const auth = verifier({ issuer: 'https://idp.example.com' });
    expect(await outcome(auth, jwtShaped({ iss: 'https://other.example.com', aud: RESOURCE }))).toBe('foreign');
    expect(await outcome(auth, jwtShaped({ aud: RESOURCE }))).toBe('foreign');
    expect(await outcome(auth, jwtShaped({ iss: 'https://idp.example.com/', aud: RESOURCE }))).toBe('foreign');
    expect(server.questions).toHaveLength(0);
  });

  test('with an issuer an opaque token is still asked about', async () => {
    server.tokens.set('opaque-1', active({ iss: 'https://idp.example.com' }));
    expect(await outcome(verifier({ issuer: 'https://idp.example.com' }), 'opaque-1')).toBe('accept');
  });

  test('without an issuer a JWT is asked about as any other token', async () => {
    const token = jwtShaped({ iss: 'https://other.example.com' });
    server.tokens.set(token, active());
    expect(await outcome(verifier(), token)).toBe('accept');
  });

  test('accepts has the last word over the issuer of a JWT', async () => {
    const token = jwtShaped({ iss: 'https://other.example.com', aud: RESOURCE });
    const auth = verifier({ issuer: 'https://idp.example.com', accepts: () => true });
    expect(await auth.check(token)).toMatchObject({ outcome: 'reject', reason: 'inactive' });
    expect(server.questions).toHaveLength(1);
  });

  test('D7: a JWT of a known issuer costs no question, whatever the order', async () => {
    const idp = await identityProvider();
    const jwt = jwtVerifier({ issuer: idp.issuer, jwksUri: idp.jwksUri });
    const token = await idp.mint({ aud: RESOURCE, client_id: 'svc' });
    const expired = await idp.mint({ aud: RESOURCE, exp: seconds(-600) });
    for (const verifiers of [
      [verifier(), jwt],
      [jwt, verifier()],
    ]) {
      const auth = multiAuth(verifiers, { baseUrl: BASE });
      expect((await accepted(auth, token)).extra.source).toBe('jwtVerifier');
      expect(await auth.check(expired)).toMatchObject({ outcome: 'reject', reason: 'expired' });
    }
    expect(server.questions).toHaveLength(0);
    await idp.close();
  });

  test('an accepts that throws claims nothing', async () => {
    const auth = verifier({
      accepts: () => {
        throw new Error('a bug');
      },
    });
    expect(await outcome(auth, 'opaque-1')).toBe('foreign');
    expect(server.questions).toHaveLength(0);
  });

  test('MA-8 attack 54: a token above 16 KiB is refused without a question', async () => {
    const token = 'a'.repeat(16 * 1024 + 1);
    server.tokens.set(token, active());
    expect(await outcome(verifier(), token)).toBe('reject');
    expect(server.questions).toHaveLength(0);
  });

  test('a static key costs no question', async () => {
    const auth = multiAuth([verifier(), staticTokenVerifier({ 'static-key-0123456789': { clientId: 'ci' } })], {
      baseUrl: BASE,
    });
    expect((await accepted(auth, 'static-key-0123456789')).clientId).toBe('ci');
    expect(server.questions).toHaveLength(0);
  });
});

describe('the audience (RS-25)', () => {
  test('C5 attack 61: a token for another audience, or for none, is refused', async () => {
    server.tokens.set('other', active({ aud: 'https://other.example.com/mcp' }));
    server.tokens.set('prefix', active({ aud: `${RESOURCE}-evil` }));
    server.tokens.set('missing', active({ aud: undefined }));
    server.tokens.set('empty', active({ aud: [] }));
    server.tokens.set('number', active({ aud: 7 }));
    for (const token of ['other', 'prefix', 'missing', 'empty', 'number'])
      expect(await verifier().check(token)).toMatchObject({ outcome: 'reject', reason: 'audience' });
  });

  test('aud may be a list, and audience too', async () => {
    server.tokens.set('list', active({ aud: ['https://other.example.com', RESOURCE] }));
    server.tokens.set('second', active({ aud: 'api://second' }));
    expect(await outcome(verifier(), 'list')).toBe('accept');
    expect(await outcome(verifier({ audience: [RESOURCE, 'api://second'] }), 'second')).toBe('accept');
  });

  test('the default is the resource the verifier is bound to', async () => {
    const auth = multiAuth(verifier({ audience: undefined }), { baseUrl: BASE });
    server.tokens.set('ours', active());
    server.tokens.set('theirs', active({ aud: 'https://other.example.com/mcp' }));
    server.tokens.set('missing', active({ aud: undefined }));
    const info = await accepted(auth, 'ours');
    expect(info.resource).toBeInstanceOf(URL);
    expect(info.resource?.href).toBe(RESOURCE);
    expect(await auth.check('theirs')).toMatchObject({ outcome: 'reject', reason: 'audience' });
    expect(await auth.check('missing')).toMatchObject({ outcome: 'reject', reason: 'audience' });
  });

  test('dangerouslyAcceptAnyAudience takes any, and none', async () => {
    server.tokens.set('other', active({ aud: 'https://other.example.com/mcp' }));
    server.tokens.set('missing', active({ aud: undefined }));
    const auth = verifier({ audience: undefined, dangerouslyAcceptAnyAudience: true });
    expect(await outcome(auth, 'other')).toBe('accept');
    expect(await outcome(auth, 'missing')).toBe('accept');
  });

  test('C3: with neither an audience nor a resource the first use is a ConfigError and nothing is let through', async () => {
    server.tokens.set('opaque-1', active());
    const auth = verifier({ audience: undefined });
    expect(() => auth.protect()).toThrow(ConfigError);
    await expect((async () => auth.check('opaque-1'))()).rejects.toBeInstanceOf(ConfigError);
    let handled = 0;
    let seen: unknown;
    const server2 = express()
      .use(auth)
      .all('/mcp', (_req, res) => {
        handled++;
        res.end();
      })
      .use((error: unknown, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
        seen = error;
        res.status(500).end();
      });
    await supertest(server2).post('/mcp').set('Authorization', 'Bearer opaque-1').expect(500);
    expect(seen).toBeInstanceOf(ConfigError);
    expect(handled).toBe(0);
  });

  test('one verifier in two compositions judges one cached answer by the audience of each', async () => {
    const shared = verifier({ audience: undefined });
    const here = multiAuth(shared, { baseUrl: BASE });
    const there = multiAuth(shared, { baseUrl: 'https://there.example.com' });
    server.tokens.set('opaque-1', active());
    expect(await outcome(here, 'opaque-1')).toBe('accept');
    expect(await there.check('opaque-1')).toMatchObject({ outcome: 'reject', reason: 'audience' });
    expect(server.questions).toHaveLength(1);
  });
});

describe('scopes', () => {
  test('RS-14: a token that lacks a required scope is 403 and not 401', async () => {
    server.tokens.set('opaque-1', active({ scope: 'read' }));
    const response = await ask(verifier({ requiredScopes: ['read', 'write'] }), 'opaque-1').expect(403);
    expect(response.headers['www-authenticate']).toContain('error="insufficient_scope"');
    expect(response.headers['www-authenticate']).toContain('scope="read write"');
  });

  test('verifyToken answers null for an acceptance without the scopes', async () => {
    server.tokens.set('opaque-1', active({ scope: 'read' }));
    expect(await verifier({ requiredScopes: ['write'] }).verifyToken('opaque-1')).toBeNull();
    expect(await verifier({ requiredScopes: ['read'] }).verifyToken('opaque-1')).toMatchObject({
      clientId: 'client-1',
    });
  });
});

describe('an endpoint that gives no proper answer is an outage and refuses nobody', () => {
  const json = { 'content-type': 'application/json' };
  const answers: [string, number, Record<string, string>, string][] = [
    ['401 for its client credentials (a rotated secret)', 401, json, '{"error":"invalid_client"}'],
    ['400', 400, json, '{"error":"invalid_request"}'],
    ['403', 403, json, '{"active":false}'],
    ['404', 404, { 'content-type': 'text/html' }, '<h1>Not found</h1>'],
    ['429', 429, json, '{"active":false}'],
    ['500', 500, json, '{"active":false}'],
    ['502 with HTML', 502, { 'content-type': 'text/html' }, '<h1>Bad gateway</h1>'],
    ['201 with an active token', 201, json, JSON.stringify(active())],
    ['200 with HTML (a sign-in page)', 200, { 'content-type': 'text/html' }, '<form>Sign in</form>'],
    ['200 with broken JSON', 200, json, '{"active":tr'],
    ['200 with nothing', 200, json, ''],
    ['200 with null', 200, json, 'null'],
    ['200 with true', 200, json, 'true'],
    ['200 with a list', 200, json, `[${JSON.stringify(active())}]`],
    ['200 with an object of another kind', 200, json, '{"valid":true}'],
  ];

  test.each(answers)('attack 61 MA-4: %s', async (_name, status, headers, body) => {
    server.intercept = (_question, res) => {
      res.writeHead(status, headers).end(body);
      return true;
    };
    await unavailable(verifier(), 'opaque-1');
    await expect(verifier().verifyToken('opaque-1')).rejects.toBeInstanceOf(UnavailableError);
    const claimed = verifier({ accepts: () => true });
    const response = await ask(claimed, 'opaque-1').expect(503);
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(response.body).toMatchObject({ error: 'temporarily_unavailable' });
    expect(response.text + JSON.stringify(response.headers)).not.toContain('resource-secret');
  });

  test.each([301, 302, 303, 307, 308])('a %i redirect, and the credentials follow it nowhere', async status => {
    let followed = 0;
    const elsewhere = createServer((_req, res) => {
      followed++;
      res.setHeader('content-type', 'application/json').end(JSON.stringify(active()));
    });
    const location = `${await listen(elsewhere)}/introspect`;
    server.intercept = (_question, res) => {
      res.writeHead(status, { location }).end();
      return true;
    };
    await unavailable(verifier(), 'opaque-1');
    expect(followed).toBe(0);
    await close(elsewhere);
  });

  test('a connection that is refused', async () => {
    const gone = createServer();
    const origin = await listen(gone);
    await close(gone);
    await unavailable(verifier({ introspectionUrl: `${origin}/introspect` }), 'opaque-1');
  });

  test('a connection that is cut', async () => {
    server.intercept = (_question, res) => {
      res.socket?.destroy();
      return true;
    };
    await unavailable(verifier(), 'opaque-1');
  });

  test('an endpoint that never answers, after timeoutMs', async () => {
    server.intercept = () => true;
    await unavailable(verifier({ timeoutMs: 50 }), 'opaque-1');
  });

  test('an endpoint that starts a body and never ends it, after timeoutMs', async () => {
    server.intercept = (_question, res) => {
      res.writeHead(200, json).write('{"active":true,');
      return true;
    };
    await unavailable(verifier({ timeoutMs: 50 }), 'opaque-1');
  });

  test('a fetch that throws at once, and one that rejects with something that is no Error', async () => {
    const throwing = verifier({
      fetch: () => {
        throw new TypeError('fetch failed');
      },
    });
    await unavailable(throwing, 'opaque-1');
    const rejecting = verifier({ fetch: (() => Promise.reject('offline')) as unknown as typeof fetch });
    await unavailable(rejecting, 'opaque-1');
  });

  test('C12: a restored secret heals without a restart, and an answer that is still fresh outlives the outage', async () => {
    server.tokens.set('known', active());
    server.tokens.set('new', active());
    const auth = verifier();
    expect(await outcome(auth, 'known')).toBe('accept');
    server.intercept = (_question, res) => {
      res.writeHead(401, json).end('{"error":"invalid_client"}');
      return true;
    };
    for (let attempt = 0; attempt < 4; attempt++) await unavailable(auth, 'new');
    expect(await outcome(auth, 'known')).toBe('accept');
    server.intercept = undefined;
    expect(await outcome(auth, 'new')).toBe('accept');
  });

  test('an outage is not cached: the next check asks again', async () => {
    const held = heldFetch();
    const auth = verifier({ fetch: held.fetch });
    const first = auth.check('opaque-1');
    (await held.call(1)).answer('oops', 500);
    await expect(first).rejects.toBeInstanceOf(UnavailableError);
    const second = auth.check('opaque-1');
    (await held.call(2)).answer(active());
    expect((await second).outcome).toBe('accept');
  });

  test('MA-4 D5: in a composition another source may still accept, and if none does it is 503', async () => {
    server.intercept = (_question, res) => {
      res.writeHead(500).end();
      return true;
    };
    const custom = customVerifier({ name: 'legacy', verify: token => (token === 'k' ? { clientId: 'old' } : null) });
    const auth = multiAuth([verifier(), custom], { baseUrl: BASE });
    expect((await accepted(auth, 'k')).extra.source).toBe('legacy');
    await ask(auth, 'other').expect(503);
  });
});

describe('the cache', () => {
  let now: number;
  beforeEach(() => {
    now = 1_800_000_000_000;
  });
  const at = (offset: number) => Math.floor(now / 1000) + offset;
  const clocked = (options: Partial<Options> = {}) => verifier({ now: () => now, ...options });

  test('N-5 C16: keeps an active answer for 30 s and no longer', async () => {
    server.tokens.set('opaque-1', active({ exp: at(3600) }));
    const auth = clocked();
    await accepted(auth, 'opaque-1');
    now += 29_000;
    await accepted(auth, 'opaque-1');
    expect(server.questions).toHaveLength(1);
    now += 2_000;
    await accepted(auth, 'opaque-1');
    expect(server.questions).toHaveLength(2);
  });

  test('cacheTtlSeconds sets that time, and a revocation shows after it', async () => {
    server.tokens.set('opaque-1', active({ exp: at(36_000) }));
    const auth = clocked({ cacheTtlSeconds: 300 });
    await accepted(auth, 'opaque-1');
    server.tokens.delete('opaque-1');
    now += 299_000;
    expect(await outcome(auth, 'opaque-1')).toBe('accept');
    now += 2_000;
    expect(await outcome(auth, 'opaque-1')).toBe('foreign');
  });

  test('N-5: an answer accepts nothing past its exp', async () => {
    server.tokens.set('opaque-1', active({ exp: at(10) }));
    const auth = clocked();
    await accepted(auth, 'opaque-1');
    now += 20_000;
    expect(await auth.check('opaque-1')).toMatchObject({ outcome: 'reject', reason: 'expired' });
  });

  test('N-5: an answer is not kept past its exp, so a token that was prolonged meanwhile is accepted', async () => {
    server.tokens.set('opaque-1', active({ exp: at(10) }));
    const auth = clocked();
    await accepted(auth, 'opaque-1');
    server.tokens.set('opaque-1', active({ exp: at(3600) }));
    now += 20_000;
    expect(await outcome(auth, 'opaque-1')).toBe('accept');
    expect(server.questions).toHaveLength(2);
  });

  test('nbf is judged by the clock on a hit too', async () => {
    server.tokens.set('opaque-1', active({ exp: at(3600), nbf: at(20) }));
    const auth = clocked();
    expect(await auth.check('opaque-1')).toMatchObject({ outcome: 'reject', reason: 'not_yet_valid' });
    now += 25_000;
    expect(await outcome(auth, 'opaque-1')).toBe('accept');
  });

  test('attack 62: an inactive answer is kept, but for at most 10 s', async () => {
    const auth = clocked({ cacheTtlSeconds: 300 });
    expect(await outcome(auth, 'late')).toBe('foreign');
    expect(await outcome(auth, 'late')).toBe('foreign');
    expect(server.questions).toHaveLength(1);
    server.tokens.set('late', active({ exp: at(3600) }));
    now += 10_001;
    expect(await outcome(auth, 'late')).toBe('accept');
  });

  test('an inactive answer is kept no longer than cacheTtlSeconds where that is less', async () => {
    const auth = clocked({ cacheTtlSeconds: 2 });
    expect(await outcome(auth, 'late')).toBe('foreign');
    server.tokens.set('late', active({ exp: at(3600) }));
    now += 2_001;
    expect(await outcome(auth, 'late')).toBe('accept');
  });

  test('cacheTtlSeconds 0 turns both off', async () => {
    server.tokens.set('opaque-1', active({ exp: at(3600) }));
    const auth = clocked({ cacheTtlSeconds: 0 });
    await accepted(auth, 'opaque-1');
    await accepted(auth, 'opaque-1');
    expect(server.questions).toHaveLength(2);
    await outcome(auth, 'unknown');
    await outcome(auth, 'unknown');
    expect(server.questions).toHaveLength(4);
  });

  test('N-5: is bounded by maxCacheEntries', async () => {
    const auth = clocked({ maxCacheEntries: 2 });
    for (const token of ['a', 'b', 'c']) {
      server.tokens.set(token, active({ exp: at(3600), client_id: token }));
      await accepted(auth, token);
    }
    expect(server.questions).toHaveLength(3);
    expect((await accepted(auth, 'c')).clientId).toBe('c');
    expect(server.questions).toHaveLength(3);
    expect((await accepted(auth, 'a')).clientId).toBe('a');
    expect(server.questions).toHaveLength(4);
  });

  test('attack 62: a flood of inactive tokens leaves the cache bounded and a good token good', async () => {
    const asked: string[] = [];
    const auth = clocked({
      maxCacheEntries: 50,
      fetch: (async (_url: unknown, init?: RequestInit) => {
        const token = new URLSearchParams(String(init?.body)).get('token') ?? '';
        asked.push(token);
        return Response.json(token === 'good' ? active({ exp: at(3600) }) : { active: false });
      }) as typeof fetch,
    });
    await accepted(auth, 'good');
    for (let index = 0; index < 300; index++) await outcome(auth, `garbage-${index}`);
    asked.length = 0;
    await outcome(auth, 'garbage-0');
    await accepted(auth, 'good');
    await accepted(auth, 'good');
    expect(asked).toContain('garbage-0');
    expect(asked.filter(token => token === 'good').length).toBeLessThan(2);
  });

  test('C17: the whole token is the key, so a token that differs in one character never gets the other identity', async () => {
    const token = `t${'a'.repeat(4000)}`;
    server.tokens.set(token, active({ exp: at(3600) }));
    const auth = clocked();
    await accepted(auth, token);
    expect(await outcome(auth, `${token}b`)).toBe('foreign');
    expect(await outcome(auth, `${token.slice(0, -1)}b`)).toBe('foreign');
  });
});

describe('load', () => {
  test('attack 62: any number of checks of one token make one question, with the cache off too', async () => {
    for (const cacheTtlSeconds of [30, 0]) {
      const held = heldFetch();
      const auth = verifier({ fetch: held.fetch, cacheTtlSeconds });
      const checks = Array.from({ length: 40 }, () => auth.check('opaque-1'));
      const call = await held.call(1);
      await drain();
      expect(held.calls).toHaveLength(1);
      call.answer(active());
      for (const verdict of await Promise.all(checks)) expect(verdict.outcome).toBe('accept');
    }
  });

  test('each of those checks gets its own object', async () => {
    const held = heldFetch();
    const auth = verifier({ fetch: held.fetch });
    const checks = [accepted(auth, 'opaque-1'), accepted(auth, 'opaque-1')];
    (await held.call(1)).answer(active());
    const [one, two] = await Promise.all(checks);
    expect(one).not.toBe(two);
    expect(one?.scopes).not.toBe(two?.scopes);
  });

  test('attack 62 MA-8: at most 50 questions are under way, and every check is answered', async () => {
    const held = heldFetch();
    const auth = verifier({ fetch: held.fetch });
    const checks = Array.from({ length: 180 }, (_, index) =>
      auth.check(`token-${index}`).then(
        verdict => verdict.outcome,
        (error: unknown) => error,
      ),
    );
    await held.call(50);
    await drain();
    expect(held.pending).toHaveLength(50);
    let settled = false;
    const all = Promise.all(checks).finally(() => {
      settled = true;
    });
    while (!settled) {
      held.pending[0]?.answer(active());
      await drain(1);
    }
    expect(held.peak).toBe(50);
    const answers = await all;
    expect(answers.filter(answer => answer === 'accept').length).toBeGreaterThanOrEqual(50);
    for (const answer of answers) if (answer !== 'accept') expect(answer).toBeInstanceOf(UnavailableError);
  });

  test('attack 62: a thousand garbage tokens against five verifiers cost one bounded set of questions and no acceptance', async () => {
    const idp = await identityProvider();
    const auth = multiAuth(
      [
        verifier({ accepts: token => token.startsWith('at_') }),
        jwtVerifier({ issuer: idp.issuer, jwksUri: idp.jwksUri }),
        staticTokenVerifier({ 'static-key-0123456789': { clientId: 'ci' } }),
        customVerifier({ accepts: token => token.startsWith('v_'), verify: () => null }),
        verifier({ name: 'second', issuer: 'https://idp.example.com', accepts: token => token.startsWith('x_') }),
      ],
      { baseUrl: BASE },
    );
    const verdicts = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => auth.check(`garbage-${index}.${index % 3 ? 'a.b' : 'c'}`)),
    );
    expect(verdicts.some(verdict => verdict.outcome === 'accept')).toBe(false);
    expect(server.questions).toHaveLength(0);
    expect(idp.hits.size).toBe(0);
    await idp.close();
  });

  describe('after two failures in a row', () => {
    async function tripped() {
      const held = heldFetch();
      const auth = verifier({ fetch: held.fetch });
      for (const nth of [1, 2]) {
        const check = auth.check(`failing-${nth}`);
        (await held.call(nth)).answer('down', 500);
        await expect(check).rejects.toBeInstanceOf(UnavailableError);
      }
      return { held, auth };
    }

    test('one probe at a time is under way and the rest is answered at once', async () => {
      const { held, auth } = await tripped();
      const probe = auth.check('probe');
      const call = await held.call(3);
      for (let index = 0; index < 5; index++) await unavailable(auth, `other-${index}`);
      expect(held.calls).toHaveLength(3);
      expect(held.pending).toEqual([call]);
      call.answer(active());
      expect((await probe).outcome).toBe('accept');
    });

    test('a probe that fails is followed by the next, and one that succeeds ends the state for all', async () => {
      const { held, auth } = await tripped();
      const failing = auth.check('probe-1');
      (await held.call(3)).fail(new TypeError('fetch failed'));
      await expect(failing).rejects.toBeInstanceOf(UnavailableError);
      const healing = auth.check('probe-2');
      (await held.call(4)).answer(active());
      expect((await healing).outcome).toBe('accept');
      const together = [auth.check('x'), auth.check('y'), auth.check('z')];
      await held.call(7);
      expect(held.pending).toHaveLength(3);
      for (const call of [...held.pending]) call.answer(active());
      for (const verdict of await Promise.all(together)) expect(verdict.outcome).toBe('accept');
    });

    test('an inactive answer is an answer: it heals as an active one does', async () => {
      const { held, auth } = await tripped();
      const healing = auth.check('probe');
      (await held.call(3)).answer({ active: false });
      expect((await healing).outcome).toBe('foreign');
      const together = [auth.check('x'), auth.check('y')];
      await held.call(5);
      expect(held.pending).toHaveLength(2);
      for (const call of [...held.pending]) call.answer(active());
      for (const verdict of await Promise.all(together)) expect(verdict.outcome).toBe('accept');
    });

    test('a success between two failures keeps the questions parallel', async () => {
      const held = heldFetch();
      const auth = verifier({ fetch: held.fetch });
      for (const [nth, status] of [
        [1, 500],
        [2, 200],
        [3, 500],
      ] as const) {
        const check = auth.check(`token-${nth}`).catch(() => undefined);
        (await held.call(nth)).answer(status === 200 ? active() : 'down', status);
        await check;
      }
      const together = [auth.check('x'), auth.check('y')];
      await held.call(5);
      expect(held.pending).toHaveLength(2);
      for (const call of [...held.pending]) call.answer(active());
      await Promise.all(together);
    });

    test('a fresh cached answer is still used while the endpoint is down', async () => {
      const held = heldFetch();
      const auth = verifier({ fetch: held.fetch });
      const known = auth.check('known');
      (await held.call(1)).answer(active());
      await known;
      for (const nth of [2, 3]) {
        const check = auth.check(`failing-${nth}`);
        (await held.call(nth)).answer('down', 500);
        await expect(check).rejects.toBeInstanceOf(UnavailableError);
      }
      const probe = auth.check('probe');
      const call = await held.call(4);
      expect(await outcome(auth, 'known')).toBe('accept');
      call.answer(active());
      await probe;
    });
  });

  test('attack 98: a client that leaves while the question is under way disturbs nobody', async () => {
    const held = heldFetch();
    let handled = 0;
    const http = createServer(
      express()
        .use(verifier({ fetch: held.fetch }))
        .all('/mcp', (_req, res) => {
          handled++;
          res.end('ok');
        }),
    );
    const origin = await listen(http);
    const closed = new Promise<void>(resolve => {
      http.once('request', (_req, res) => res.once('close', () => resolve()));
    });
    const leaving = httpRequest(`${origin}/mcp`, { method: 'POST', headers: { authorization: 'Bearer leaving' } });
    leaving.on('error', () => {});
    leaving.end();
    const call = await held.call(1);
    leaving.destroy();
    await closed;
    call.answer('down', 500);
    await drain();
    const staying = fetch(`${origin}/mcp`, { method: 'POST', headers: { authorization: 'Bearer staying' } });
    (await held.call(2)).answer(active());
    expect((await staying).status).toBe(200);
    expect(handled).toBe(1);
    await close(http);
  });
});

describe('options', () => {
  const required = {
    introspectionUrl: 'https://idp.example.com/introspect',
    clientId: 'rs',
    clientSecret: 's3cr3t-value',
  };
  const failure = (options: unknown): ConfigError => {
    try {
      introspectionVerifier(options as Options);
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error('no ConfigError');
  };

  test.each(['introspectionUrl', 'clientId', 'clientSecret'])('%s is required', option => {
    const { [option as keyof typeof required]: _left, ...rest } = required;
    const error = failure(rest);
    expect(error.message).toContain('introspectionVerifier');
    expect(error.message).toContain(option);
    expect(error.message).not.toContain('s3cr3t-value');
  });

  test.each([
    ['clientSecret', undefined],
    ['clientSecret', ''],
    ['clientId', ''],
    ['clientId', 7],
    ['introspectionUrl', 'not a url'],
    ['introspectionUrl', '/introspect'],
    ['introspectionUrl', 'http://idp.example.com/introspect'],
    ['introspectionUrl', 'file:///etc/passwd'],
    ['clientAuthMethod', 'none'],
    ['clientAuthMethod', 'private_key_jwt'],
    ['audience', ''],
    ['audience', []],
    ['audience', [7]],
    ['issuer', 7],
    ['issuer', ''],
    ['requiredScopes', 'read'],
    ['requiredScopes', ['with blank']],
    ['cacheTtlSeconds', -1],
    ['cacheTtlSeconds', Number.NaN],
    ['cacheTtlSeconds', '30'],
    ['maxCacheEntries', -1],
    ['maxCacheEntries', Number.NaN],
    ['timeoutMs', 0],
    ['timeoutMs', -5],
    ['timeoutMs', '5000'],
    ['accepts', 'at_'],
    ['fetch', {}],
    ['now', 0],
  ])('%s: %p is a ConfigError that names the option', (option, value) => {
    const error = failure({ ...required, [option]: value });
    expect(error).toMatchObject({ factory: 'introspectionVerifier', option });
    expect(error.message).not.toContain('s3cr3t-value');
  });

  test.each([
    ['introspectionUri', 'introspectionUrl'],
    ['client_secret', 'clientSecret'],
    ['cacheTTLSeconds', 'cacheTtlSeconds'],
    ['requiredScope', 'requiredScopes'],
  ])('L3: the unknown key %s is refused with the nearest known name, and its value is not shown', (key, nearest) => {
    const error = failure({ ...required, [key]: 'value-to-hide' });
    expect(error.message).toContain(key);
    expect(error.message).toContain(nearest);
    expect(error.message).not.toContain('value-to-hide');
  });

  test('an option that is present but undefined is as if absent', () => {
    const auth = introspectionVerifier({
      ...required,
      audience: RESOURCE,
      clientAuthMethod: undefined,
      cacheTtlSeconds: undefined,
      timeoutMs: undefined,
      accepts: undefined,
      name: undefined,
    } as unknown as Options);
    expect(auth.name).toBe('introspectionVerifier');
  });

  test('plain http is fine on loopback alone', () => {
    expect(() => introspectionVerifier({ ...required, introspectionUrl: 'http://localhost:9/i' })).not.toThrow();
    expect(() => introspectionVerifier({ ...required, introspectionUrl: 'http://127.0.0.1:9/i' })).not.toThrow();
  });

  test('nothing is asked when the factory is called, and ready() needs no endpoint', async () => {
    const held = heldFetch();
    const auth = verifier({ fetch: held.fetch });
    await auth.ready();
    await auth.close();
    expect(held.calls).toHaveLength(0);
  });

  test('the router of a verifier serves nothing', async () => {
    await supertest(express().use(verifier().router)).get('/.well-known/oauth-protected-resource').expect(404);
  });
});

describe('L13: the answers of six vendors', () => {
  const exp = seconds(3600);
  const vendors: [string, Record<string, unknown>, Partial<AuthInfo> & { subject?: string; issuer?: string }][] = [
    [
      'Keycloak',
      {
        exp,
        iat: seconds(-1),
        jti: 'onrtac:5f5b6f6e',
        iss: 'https://sso.example.com/realms/main',
        aud: [RESOURCE, 'account'],
        sub: 'f3a1c8de-77aa-4b19-9c3e-0d3b1f6f2a10',
        typ: 'Bearer',
        azp: 'desktop',
        sid: 'c1',
        acr: '1',
        realm_access: { roles: ['offline_access'] },
        scope: 'openid mcp:read',
        client_id: 'desktop',
        username: 'alice',
        token_type: 'Bearer',
        active: true,
      },
      {
        clientId: 'desktop',
        scopes: ['openid', 'mcp:read'],
        subject: 'f3a1c8de-77aa-4b19-9c3e-0d3b1f6f2a10',
        issuer: 'https://sso.example.com/realms/main',
      },
    ],
    [
      'Ory Hydra',
      {
        active: true,
        aud: [RESOURCE],
        client_id: 'b1946ac9-2f7a-4a57-b9b2-7a8a2d1d5c11',
        exp,
        ext: { role: 'member' },
        iat: seconds(-1),
        iss: 'https://hydra.example.com/',
        nbf: seconds(-1),
        scope: 'mcp:read offline',
        sub: 'alice',
        token_type: 'Bearer',
        token_use: 'access_token',
      },
      {
        clientId: 'b1946ac9-2f7a-4a57-b9b2-7a8a2d1d5c11',
        scopes: ['mcp:read', 'offline'],
        subject: 'alice',
        issuer: 'https://hydra.example.com/',
      },
    ],
    [
      'Okta',
      {
        active: true,
        scope: 'mcp:read',
        username: 'alice@example.com',
        exp,
        iat: seconds(-1),
        sub: 'alice@example.com',
        aud: RESOURCE,
        iss: 'https://example.okta.com/oauth2/default',
        jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
        token_type: 'Bearer',
        client_id: '0oa1gm',
        uid: '00ukoe',
      },
      {
        clientId: '0oa1gm',
        scopes: ['mcp:read'],
        subject: 'alice@example.com',
        issuer: 'https://example.okta.com/oauth2/default',
      },
    ],
    [
      'ZITADEL',
      {
        active: true,
        aud: ['189783469117890817@mcp', RESOURCE],
        client_id: '189783469117890817@mcp',
        exp,
        iat: seconds(-1),
        iss: 'https://example.zitadel.cloud',
        jti: 'V2_1',
        nbf: seconds(-1),
        scope: 'openid profile',
        sub: '168096711839990017',
        token_type: 'Bearer',
        'urn:zitadel:iam:user:resourceowner:id': '168096711822299137',
        username: 'alice',
      },
      {
        clientId: '189783469117890817@mcp',
        scopes: ['openid', 'profile'],
        subject: '168096711839990017',
        issuer: 'https://example.zitadel.cloud',
      },
    ],
    [
      'PingFederate',
      { scope: 'mcp:read', token_type: 'Bearer', exp, client_id: 'ac_client', active: true, aud: RESOURCE },
      { clientId: 'ac_client', scopes: ['mcp:read'] },
    ],
    [
      'Connect2id (a machine, scopes as a list)',
      {
        active: true,
        client_id: 'svc-reports',
        scope: ['mcp:read', 'mcp:write'],
        sub: 'svc-reports',
        aud: [RESOURCE],
        iss: 'https://c2id.example.com',
        exp,
        token_type: 'Bearer',
      },
      {
        clientId: 'svc-reports',
        scopes: ['mcp:read', 'mcp:write'],
        subject: 'svc-reports',
        issuer: 'https://c2id.example.com',
      },
    ],
  ];

  test.each(vendors)('%s', async (_vendor, answer, expected) => {
    server.tokens.set('opaque-1', answer);
    const info = await accepted(verifier(), 'opaque-1');
    expect(info).toMatchObject({ clientId: expected.clientId, scopes: expected.scopes, expiresAt: exp });
    expect(info.extra.subject).toBe(expected.subject);
    expect(info.extra.issuer).toBe(expected.issuer);
    expect(info.extra.claims).toMatchObject({ active: true });
  });
});

describe('RS-29: nothing secret leaves', () => {
  test('neither the token nor the client secret is in an error of an outage', async () => {
    server.intercept = (_question, res) => {
      res
        .writeHead(500, { 'content-type': 'text/plain' })
        .end('token=opaque-secret-token&client_secret=resource-secret');
      return true;
    };
    const error = await verifier()
      .check('opaque-secret-token')
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(error).toBeInstanceOf(UnavailableError);
    const chain: string[] = [];
    for (let link: unknown = error; link instanceof Error; link = link.cause)
      chain.push(`${link.message}\n${link.stack}`);
    expect(chain.join('\n')).not.toContain('opaque-secret-token');
    expect(chain.join('\n')).not.toContain('resource-secret');
  });

  test('a remoteAuth over it publishes the resource and the issuer, and no endpoint or credential', async () => {
    const auth = remoteAuth({
      verifier: verifier({ audience: undefined }),
      authorizationServers: ['https://idp.example.com'],
      baseUrl: BASE,
    });
    const response = await supertest(express().use(auth)).get('/.well-known/oauth-protected-resource/mcp').expect(200);
    expect(response.body).toMatchObject({ resource: RESOURCE, authorization_servers: ['https://idp.example.com'] });
    expect(response.text).not.toMatch(/introspect|resource-server|resource-secret/);
  });
});

describe('identity of the provider in the process', () => {
  let idp: IdentityProvider;
  beforeAll(async () => {
    idp = await identityProvider();
  });
  afterAll(() => idp.close());

  test('a real JWT that the endpoint of its issuer calls revoked is refused, whatever its signature says', async () => {
    const token = await idp.mint({ aud: RESOURCE });
    const auth = verifier({ issuer: idp.issuer });
    expect(await auth.check(token)).toMatchObject({ outcome: 'reject', reason: 'inactive' });
  });
});
