import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import {
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  OAuthError,
  remoteAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import request from 'supertest';
import {
  accepted,
  BASE,
  call,
  type EventName,
  type IntrospectionEndpoint,
  introspectionEndpoint,
  type Message,
  RESOURCE,
  recordEvents,
  thrown,
  vendor,
} from '../support/composition.js';
import { type IdentityProvider, identityProvider } from '../support/identity-provider.js';
import { seconds, signingKey } from '../support/keys.js';

const KEY = 'events-key-0123456789abcdef';
const keys = (requiredScopes?: readonly string[]) =>
  staticTokenVerifier(
    { [KEY]: { clientId: 'ci', scopes: ['read'], subject: 'robot' } },
    { name: 'keys', ...(requiredScopes ? { requiredScopes } : {}) },
  );

let idp: IdentityProvider;
let opaque: IntrospectionEndpoint;
let events: ReturnType<typeof recordEvents>;
beforeAll(async () => {
  [idp, opaque] = await Promise.all([identityProvider(), introspectionEndpoint()]);
});
afterAll(() => Promise.all([idp.close(), opaque.close()]));
beforeEach(() => {
  events = recordEvents();
});
afterEach(() => events.stop());

const jwt = (options: Partial<Parameters<typeof jwtVerifier>[0]> = {}) =>
  jwtVerifier({ name: 'jwt', issuer: idp.issuer, ...options });
/** The one message of an event; there must be exactly one. */
function only(event: EventName): Message {
  const messages = events.of(event);
  expect([event, messages.length]).toEqual([event, 1]);
  return messages[0] as Message;
}
const shape = (message: Message) => JSON.parse(JSON.stringify(message)) as Record<string, unknown>;

describe('what a stranger sent', () => {
  test('forges no line of a log: what does not print is a question mark (attack 96)', async () => {
    const issuer = 'https://x.test\r\n[FATAL] forged \u001b[31m\u202e\u2028';
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'RS256' })}.${part({ iss: issuer, exp: 4e9 })}.c2ln`;
    const auth = remoteAuth({ baseUrl: BASE, authorizationServers: [idp.issuer], verifier: jwt() });
    expect((await call(auth, token)).status).toBe(401);
    expect(only('rejected').received).toBe('iss https://x.test??[FATAL] forged ?[31m??');
  });
});

describe('accepted', () => {
  test('names source, client, subject, issuer and scopes of a JWT', async () => {
    const token = await idp.mint({ aud: RESOURCE, sub: 'user-1', client_id: 'app', scope: 'read write' });
    await call(multiAuth([jwt()], { baseUrl: BASE }), token);
    expect(shape(only('accepted'))).toEqual({
      source: 'jwt',
      clientId: 'app',
      subject: 'user-1',
      issuer: idp.issuer,
      scopes: ['read', 'write'],
    });
    expect(events.of('rejected')).toEqual([]);
  });

  test('has no subject and no issuer where the source knows none', async () => {
    await call(vendor(accepted('app', 'read'), { name: 'vendor' }).source, 'token');
    expect(shape(only('accepted'))).toEqual({ source: 'vendor', clientId: 'app', scopes: ['read'] });
  });

  test('the message shares nothing with the identity of the request', async () => {
    const auth = keys();
    await auth.verifyToken(KEY);
    await call(auth, KEY);
    const message = events.of('accepted').at(-1) as Message;
    try {
      (message.scopes as string[]).push('admin');
    } catch {
      // A frozen list is fine too.
    }
    expect((await auth.verifyToken(KEY))?.scopes).toEqual(['read']);
  });
});

describe('rejected', () => {
  test('I1: an expired JWT says expired', async () => {
    await call(multiAuth([jwt()], { baseUrl: BASE }), await idp.mint({ aud: RESOURCE, exp: seconds(-3600) }));
    expect(only('rejected')).toMatchObject({ source: 'jwt', reason: 'expired' });
    expect(events.of('accepted')).toEqual([]);
  });

  test('I5: a foreign audience says what was expected and what came', async () => {
    await call(multiAuth([jwt()], { baseUrl: BASE }), await idp.mint({ aud: 'https://other.example.com/mcp' }));
    const message = only('rejected');
    expect(message).toMatchObject({ source: 'jwt', reason: 'audience' });
    expect(JSON.stringify(message.expected)).toContain(RESOURCE);
    expect(JSON.stringify(message.received)).toContain('https://other.example.com/mcp');
  });

  test('a signature by another key says signature', async () => {
    const forged = await (await signingKey('ES256', idp.keys[0]?.kid)).sign({
      iss: idp.issuer,
      aud: RESOURCE,
      exp: seconds(60),
    });
    await call(multiAuth([jwt()], { baseUrl: BASE }), forged);
    expect(only('rejected')).toMatchObject({ source: 'jwt', reason: 'signature' });
  });

  test('an inactive token of an introspection verifier says inactive', async () => {
    const auth = introspectionVerifier({
      name: 'opaque',
      introspectionUrl: opaque.url,
      clientId: 'rs',
      clientSecret: 'rs-secret-value',
      audience: RESOURCE,
      accepts: () => true,
    });
    await call(auth, 'revoked-token');
    expect(only('rejected')).toMatchObject({ source: 'opaque', reason: 'inactive' });
  });

  test('a token that is nobody’s is one rejection without a source', async () => {
    await call(multiAuth([jwt(), keys()], { baseUrl: BASE }), 'unknown-token');
    const message = only('rejected');
    expect(message.source).toBeUndefined();
    expect(message.reason).toEqual(expect.stringMatching(/^[a-z_]+$/));
  });

  test('D1: each source refuses for its own reason', async () => {
    const refusing = (name: string) =>
      vendor(() => Promise.reject(new OAuthError('invalid_token', `${name} says no`)), { name }).source;
    await call(multiAuth([refusing('a'), refusing('b')]), 'token');
    const rejected = events.of('rejected').filter(message => message.source !== undefined);
    expect(rejected.map(message => message.source)).toEqual(['a', 'b']);
    for (const message of rejected) expect(message.reason).toEqual(expect.any(String));
  });
});

describe('unavailable', () => {
  test('D5: names the source, the cause and the delay', async () => {
    const down = vendor(() => Promise.reject(new UnavailableError('the store is down', { retryAfterSeconds: 9 })), {
      name: 'store',
    }).source;
    expect((await call(multiAuth([down]), 'token')).status).toBe(503);
    expect(shape(only('unavailable'))).toEqual({
      source: 'store',
      message: expect.stringContaining('the store is down'),
      retryAfterSeconds: 9,
    });
    expect(events.of('rejected')).toEqual([]);
  });

  test('an issuer that is out of reach is reported with its URL', async () => {
    const gone = await identityProvider();
    const token = await gone.mint({ aud: RESOURCE });
    await gone.close();
    await call(
      multiAuth([jwtVerifier({ name: 'gone', issuer: gone.issuer, jwksUri: gone.jwksUri })], { baseUrl: BASE }),
      token,
    );
    expect(only('unavailable')).toMatchObject({ source: 'gone', message: expect.any(String) });
    expect(events.of('keys_failed')[0]).toMatchObject({ url: gone.jwksUri, message: expect.any(String) });
  });
});

describe('scope_refused: whose rule it was', () => {
  const AS = ['https://login.example.com'];

  test('the composition’s', async () => {
    await call(multiAuth([keys(['read'])], { requiredScopes: ['admin'] }), KEY);
    expect(shape(only('scope_refused'))).toEqual({
      source: 'keys',
      clientId: 'ci',
      required: ['admin'],
      granted: ['read'],
      rule: 'composition',
    });
  });

  test('the source’s', async () => {
    await call(multiAuth([keys(['write'])]), KEY);
    expect(only('scope_refused')).toMatchObject({ source: 'keys', required: ['write'], rule: 'source' });
  });

  test('the server’s', async () => {
    const server = remoteAuth({ verifier: jwt(), authorizationServers: AS, baseUrl: BASE, requiredScopes: ['openid'] });
    await call(multiAuth(server, [keys()]), KEY);
    expect(only('scope_refused')).toMatchObject({ source: 'keys', required: ['openid'], rule: 'server' });
  });

  test('that of protect()', async () => {
    const auth = multiAuth([keys()]);
    const app = express();
    app.post('/mcp', auth.protect({ requiredScopes: ['write'] }), (_req, res) => {
      res.end();
    });
    expect((await call(app, KEY)).status).toBe(403);
    expect(only('scope_refused')).toMatchObject({ source: 'keys', clientId: 'ci', granted: ['read'], rule: 'protect' });
    expect(only('scope_refused').required).toContain('write');
  });

  test('that of protect(), where a broad scope satisfies the source’s own rule', async () => {
    const auth = multiAuth([keys(['list'])], {
      scopeSatisfies: (granted, required) => required === 'list' && granted.includes('read'),
    });
    const app = express();
    app.post('/mcp', auth.protect({ requiredScopes: ['write'] }), (_req, res) => {
      res.end();
    });
    expect((await call(app, KEY)).status).toBe(403);
    expect(only('scope_refused')).toMatchObject({ source: 'keys', rule: 'protect' });
  });

  test('a win of a later source after a shortfall is accepted and no refusal', async () => {
    const auth = multiAuth([vendor(accepted('narrow')).source, vendor(accepted('broad', 'admin')).source], {
      requiredScopes: ['admin'],
    });
    expect((await call(auth, 'token')).status).toBe(200);
    expect(only('accepted')).toMatchObject({ clientId: 'broad' });
  });
});

describe('keys_fetched and keys_failed', () => {
  test('keys_fetched names the URL and what came', async () => {
    const fresh = await identityProvider();
    const auth = multiAuth([jwtVerifier({ issuer: fresh.issuer })], { baseUrl: BASE });
    await call(auth, await fresh.mint({ aud: RESOURCE }));
    await call(auth, await fresh.mint({ aud: RESOURCE, sub: 'again' }));
    const message = only('keys_fetched');
    expect(message.url).toBe(fresh.jwksUri);
    expect(message).toHaveProperty('keys');
    await fresh.close();
  });

  test('keys_failed names the URL and why', async () => {
    const fresh = await identityProvider();
    fresh.intercept = (_req, res, path) => {
      if (path !== '/jwks') return false;
      res.writeHead(500).end('internal');
      return true;
    };
    const auth = multiAuth([jwtVerifier({ issuer: fresh.issuer })], { baseUrl: BASE });
    expect((await call(auth, await fresh.mint({ aud: RESOURCE }))).status).toBe(503);
    expect(events.of('keys_failed')[0]).toMatchObject({ url: fresh.jwksUri, message: expect.stringMatching(/./) });
    expect(events.of('keys_fetched')).toEqual([]);
    await fresh.close();
  });
});

describe('what every message holds and never holds', () => {
  test('RS-29: no message carries a token, a key, a secret or a header, however it is printed; the request is there and not enumerable', async () => {
    const clientSecret = 'introspection-secret-value';
    const down = await identityProvider();
    const api = vendor(
      async token => {
        if (token.endsWith('bug')) throw new Error(`cannot read token ${token}`);
        if (token.endsWith('down')) throw new UnavailableError(`no answer for ${token}`);
        if (token.endsWith('no')) throw new OAuthError('invalid_token', `refused ${token}`);
        return { token, clientId: 'app', scopes: [], extra: { claims: { secret: token } } };
      },
      { name: 'vendor', accepts: (token: string) => token.startsWith('sk_') },
    );
    const opaqueSource = introspectionVerifier({
      introspectionUrl: opaque.url,
      clientId: 'rs',
      clientSecret,
      accepts: token => token.startsWith('op_'),
    });
    const sources = [
      jwt(),
      jwtVerifier({ name: 'down', issuer: down.issuer }),
      keys(['admin']),
      opaqueSource,
      api.source,
    ];
    const auth = multiAuth(sources, { baseUrl: BASE });
    opaque.answers.set('op_other_audience_4711', { active: true, aud: 'https://other.example.com', exp: seconds(60) });
    const lost = await down.mint({ aud: RESOURCE });
    await down.close();
    const tokens = [
      await idp.mint({ aud: RESOURCE }),
      await idp.mint({ aud: RESOURCE, exp: seconds(-3600) }),
      await idp.mint({ aud: 'https://other.example.com' }),
      await idp.mint({ aud: RESOURCE }, { kid: 'unknown' }),
      await (await signingKey('ES256', idp.keys[0]?.kid)).sign({ iss: idp.issuer, aud: RESOURCE, exp: seconds(60) }),
      lost,
      KEY,
      'op_inactive_4711',
      'op_other_audience_4711',
      'sk_good_4711',
      'sk_4711_bug',
      'sk_4711_down',
      'sk_4711_no',
      'unknown-token-4711',
    ];
    const statuses = new Set<number>();
    for (const token of tokens) {
      const before = events.messages.length;
      statuses.add((await call(auth, token)).status);
      const published = events.messages.slice(before);
      expect([token, published.length > 0]).toEqual([token, true]);
      for (const { event, message } of published) {
        const printed = JSON.stringify(message) + inspect(message, { depth: 8 }) + Object.keys(message).join();
        for (const secret of [token, clientSecret, token.split('.')[2] ?? token]) expect(printed).not.toContain(secret);
        expect(printed).not.toMatch(/bearer|rawHeaders/i);
        if (event.startsWith('keys_')) continue;
        expect(Object.keys(message)).not.toContain('request');
        expect((message.request as { url?: string } | undefined)?.url).toBe('/mcp');
      }
    }
    expect([...statuses].sort()).toEqual([200, 401, 403, 503]);
    expect(new Set(events.messages.map(entry => entry.event))).toEqual(
      new Set<EventName>(['accepted', 'rejected', 'unavailable', 'scope_refused', 'keys_fetched', 'keys_failed']),
    );
  });

  const TOKEN = 'sk_abc+/def=ghi+/jkl=hush-hush';
  const quotations: [how: string, error: () => Error][] = [
    ['in a URL', () => new Error(`GET https://api.example.com/v?token=${encodeURIComponent(TOKEN)} failed`)],
    ['cut short', () => new TypeError(`bad token: ${TOKEN.slice(0, -1)}`)],
    ['in base64', () => new Error(Buffer.from(`Bearer ${TOKEN}`).toString('base64'))],
    ['as JSON', () => new Error(JSON.stringify({ token: TOKEN }).slice(0, -6))],
    ['in its name', () => Object.assign(new Error('no'), { name: `Refused ${TOKEN}` })],
    ['in its code', () => Object.assign(new Error('no'), { code: TOKEN })],
    ['in its cause', () => new Error('no', { cause: Object.assign(new Error(TOKEN), { code: TOKEN }) })],
    ['beside a secret', () => new Error('POST https://api.example.com/?client_secret=hush-hush failed')],
    ['in our own error, at the end of a long text', () => new UnavailableError(`${'x'.repeat(170)} ${TOKEN}`)],
    ['in an outage', () => Object.assign(new Error(`no answer for ${TOKEN}`), { code: 'ECONNRESET' })],
  ];
  test.each(quotations)('RS-29: an error that quotes the token %s is published without its words', async (_, error) => {
    const heard =
      (await vendor(() => Promise.reject(error()))
        .source.check(TOKEN)
        .catch(() => null)) ?? {};
    expect(events.messages.length).toBeGreaterThan(0);
    const printed = JSON.stringify([events.messages, heard]);
    for (const part of ['abc', 'hush', Buffer.from('Bearer sk_abc').toString('base64').slice(0, 12)])
      expect(printed).not.toContain(part);
  });

  test('I1: name and code of an error are there', async () => {
    const errors = [
      new RangeError('x'),
      Object.assign(new Error('x'), { code: 'ERR_SOMETHING' }),
      new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) }),
      'text',
    ];
    for (const error of errors) await call(vendor(() => Promise.reject(error)).source, 'token');
    const words = events.messages.map(({ message }) => message.detail ?? message.message);
    expect(words.map(String)).toEqual([
      'RangeError',
      'Error, ERR_SOMETHING',
      'TypeError, ECONNREFUSED',
      'something that is no Error was thrown',
    ]);
  });

  test('RS-29: keys_fetched and keys_failed show no query of the key set URL', async () => {
    const fresh = await identityProvider();
    const jwksUri = `${fresh.jwksUri}?api_key=hush-hush`;
    const auth = jwtVerifier({ issuer: fresh.issuer, audience: 'api', jwksUri });
    await auth.ready();
    await fresh.close();
    await jwtVerifier({ issuer: fresh.issuer, audience: 'api', jwksUri })
      .ready()
      .catch(() => {});
    expect([only('keys_fetched').url, only('keys_failed').url]).toEqual([fresh.jwksUri, fresh.jwksUri]);
    expect(JSON.stringify(events.messages)).not.toContain('hush');
  });

  test('RS-29: what goes to the client carries no token either', async () => {
    const bad = vendor(token => Promise.reject(new Error(`cannot read ${token}`))).source;
    const response = await call(multiAuth([bad]), 'token-4711-secret');
    expect(response.text + JSON.stringify(response.headers)).not.toContain('4711');
  });

  test('check() publishes without a request', async () => {
    await keys().check(KEY);
    for (const { message } of events.messages) expect(message.request).toBeUndefined();
    expect(
      await thrown(() => multiAuth([vendor(() => Promise.reject(new UnavailableError('down'))).source]).check('t')),
    ).toBeInstanceOf(UnavailableError);
  });

  test('a call without credentials accepts and rejects nobody, and a document none either', async () => {
    const auth = remoteAuth({ verifier: keys(), authorizationServers: ['https://login.example.com'], baseUrl: BASE });
    await call(auth);
    await request(express().use(auth)).get('/.well-known/oauth-protected-resource/mcp');
    expect(events.of('accepted')).toEqual([]);
    expect(events.messages.filter(({ message }) => message.source !== undefined)).toEqual([]);
  });

  test('after the last listener has gone nothing is published and everything still works', async () => {
    events.stop();
    expect((await call(keys(), KEY)).status).toBe(200);
    expect(events.messages).toEqual([]);
  });
});
