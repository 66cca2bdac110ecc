import { connect } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import express from 'express';
import { formOf, OAuthClient, post, register } from '../support/oauth-client.js';
import { type ProxyApp, protectedApp } from '../support/proxy-app.js';
import { SERVER_EVENTS } from '../support/server-events.js';
import { expectFailure, expectNothingStored, expectPage, expectTokens, HOSTED, raw } from './support/verdicts.js';
import { world } from './support/worlds.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
const confidential = (app: ProxyApp, method = 'client_secret_basic') =>
  app.client({ token_endpoint_auth_method: method });

/** An app whose own parsers have read every body before we see it. */
const parsedBefore = (...parsers: unknown[]) =>
  world({
    app: proxy => {
      const app = express();
      for (const parser of parsers) app.use(parser as never);
      app.use(protectedApp(proxy));
      return app as never;
    },
  });

describe('attack 9 at the token endpoint: a parameter that comes twice', () => {
  test.each([
    'grant_type',
    'code',
    'code_verifier',
    'redirect_uri',
    'refresh_token',
    'scope',
    'resource',
    'client_id',
    'client_secret',
  ])('a second %s is invalid_request, also when it is the same (attack 9)', async name => {
    const app = await world();
    const client = await confidential(app, 'client_secret_post');
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code: await client.code(),
      code_verifier: client.verifier,
      client_id: client.id,
      client_secret: client.secret ?? '',
    });
    const value = form.get(name) ?? 'x';
    form.set(name, value);
    form.append(name, value);
    await expectNothingStored(app.store, async () =>
      expectFailure(await post({ base: app.base }, '/token', form), 400, 'invalid_request'),
    );
  });
});

describe('attacks 54 and 97: too much', () => {
  test.each(['/token', '/revoke', '/register', '/consent', '/authorize'])(
    'a body of 100 kB to %s is refused, with the right kind of answer (attack 54)',
    async path => {
      const app = await world();
      const headers = path === '/register' ? { 'content-type': 'application/json' } : FORM;
      await expectNothingStored(app.store, async () => {
        const answer = await fetch(app.base + path, { method: 'POST', body: `a=${'x'.repeat(100_000)}`, headers });
        expect([400, 413]).toContain(answer.status);
      });
    },
  );

  test('a body without an announced length is cut off as well (attack 54)', async () => {
    const app = await world();
    const { hostname, port } = new URL(app.origin);
    const text = await new Promise<string>((resolve, reject) => {
      let received = '';
      const socket = connect(Number(port), hostname, () => {
        socket.write(
          `POST /token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: ${FORM['content-type']}\r\n\r\n`,
        );
        const chunk = 'x'.repeat(16_000);
        for (let index = 0; index < 6; index++) socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
      });
      socket.on('data', data => {
        received += String(data);
        if (received.includes('}')) resolve(received);
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(received));
    });
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('a token of 16 kB, 10,000 parameters and deep JSON are refused at once (attack 54, attack 97)', async () => {
    const app = await world();
    const client = await app.client();
    const started = process.cpuUsage();
    expect((await app.call(`mcp_at_${'A'.repeat(12_000)}`)).status).toBe(401);
    const many = Array.from({ length: 8_000 }, (_, n) => `${n}=`)
      .join('&')
      .slice(0, 32_000);
    expectFailure(await post({ base: app.base }, '/token', many, FORM), 400, 'invalid_request');
    const deep = `{"redirect_uris":${'['.repeat(15_000)}${']'.repeat(15_000)}}`;
    expectFailure(
      await post({ base: app.base }, '/register', deep, { 'content-type': 'application/json' }),
      400,
      'invalid_redirect_uri',
    );
    expectFailure(
      await client.token({ grant_type: 'refresh_token', refresh_token: 'mcp_rt_'.repeat(3_000) }),
      401,
      'invalid_grant',
    );
    expectFailure(
      await client.token({ grant_type: 'authorization_code', code: 'x', code_verifier: 'a'.repeat(20_000) }),
      401,
      'invalid_grant',
    );
    expectPage(await client.browser.post(`${app.base}/consent`, { request: 'A'.repeat(30_000) }));
    expect(process.cpuUsage(started).user).toBeLessThan(2_000_000);
  });

  test('10,000 scopes cost no more than reading them (attack 54, attack 97)', async () => {
    const app = await world();
    const client = await app.client();
    const scopes = Array.from({ length: 4_000 }, (_, n) => `s${n}`).join(' ');
    const { fields } = { fields: new URLSearchParams(client.authorizeUrl({ scope: scopes }).split('?')[1]) };
    const page = await client.browser.post(`${app.base}/authorize`, fields);
    expect(page.location?.searchParams.get('error')).toBe('invalid_scope');
  });
});

describe('attack 76: prototypes and nesting in bodies', () => {
  test.each([
    '__proto__[x]=1',
    'constructor.prototype.x=1',
    'constructor[prototype][x]=1',
    'a[b]=c',
    '__proto__=1',
    'toString=1',
  ])('%j is an unknown parameter, on every endpoint (attack 76)', async junk => {
    const app = await world();
    const client = await app.client();
    const tokens = await client.tokens();
    const form = `${junk}&grant_type=refresh_token&client_id=${client.id}&refresh_token=${tokens.refresh_token}`;
    expectTokens(await post({ base: app.base }, '/token', form, FORM));
    expect((await client.browser.get(`${client.authorizeUrl()}&${junk}`)).status).toBe(200);
    expect((await post({ base: app.base }, '/revoke', `${junk}&token=x&client_id=${client.id}`, FORM)).status).toBe(
      200,
    );
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('a form that the app parsed into lists and objects is invalid_request (attack 76, attack 9)', async () => {
    const app = await parsedBefore(express.urlencoded({ extended: true }), express.json());
    const client = await app.client();
    const tokens = await client.tokens();
    for (const junk of ['client_id=x&client_id=y', 'refresh_token[]=x', 'scope[a]=b', 'grant_type=a&grant_type=b']) {
      const form = `grant_type=refresh_token&client_id=${client.id}&refresh_token=${tokens.refresh_token}&${junk}`;
      expectFailure(await post({ base: app.base }, '/token', form, FORM), 400, 'invalid_request');
    }
    for (const body of [
      '{"grant_type":["refresh_token"]}',
      '{"grant_type":{}}',
      '{"client_id":1}',
      '[]',
      '[1]',
      '{"a":null}',
    ]) {
      const answer = await post({ base: app.base }, '/token', body, { 'content-type': 'application/json' });
      expect([400, 401]).toContain(answer.status);
    }
    expectTokens(await client.refresh(tokens.refresh_token));
  });

  test.each([
    ['text', express.text({ type: '*/*' })],
    ['raw', express.raw({ type: '*/*' })],
    ['simple forms', express.urlencoded({ extended: false })],
  ])('the whole flow works where the app has read every body as %s', async (_, parser) => {
    const app = await parsedBefore(parser);
    const client = await app.client();
    const tokens = await client.tokens();
    expectTokens(await client.refresh(tokens.refresh_token));
  });
});

describe('attack 77: bodies and methods of the wrong kind', () => {
  test.each([
    ['JSON', JSON.stringify({ grant_type: 'refresh_token' }), 'application/json'],
    [
      'multipart',
      '--x\r\ncontent-disposition: form-data; name="grant_type"\r\n\r\nrefresh_token\r\n--x--',
      'multipart/form-data; boundary=x',
    ],
    ['plain text', 'grant_type=refresh_token', 'text/plain'],
    ['no type', 'grant_type=refresh_token', undefined],
    ['another type', 'grant_type=refresh_token', 'application/xml'],
  ])('%s to /token and /revoke is invalid_request (attack 77)', async (_, body, type) => {
    const app = await world();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens();
    const headers = type === undefined ? [] : ([['content-type', type]] as const);
    const good = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: token,
      token,
      client_id: client.id,
    });
    // As it is, and with all that would be needed if it were read as a form.
    for (const sent of [body, String(good)])
      for (const path of ['/token', '/revoke'])
        await expectNothingStored(app.store, async () => {
          const { status, text } = await raw(app, 'POST', path, { body: sent, headers });
          expect({ status, error: JSON.parse(text).error }).toEqual({ status: 400, error: 'invalid_request' });
        });
  });

  test('an empty body, and one in another charset, are faults and not crashes (attack 77)', async () => {
    const app = await world();
    expectFailure(await post({ base: app.base }, '/token', '', FORM), 400, 'invalid_request');
    const utf7 = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-7' };
    expectFailure(await post({ base: app.base }, '/token', '+AGcAcgBhAG4AdA-=x', utf7), 400, 'invalid_request');
    expectFailure(
      await post({ base: app.base }, '/token', new Uint8Array([0xff, 0x00, 0xfe]) as unknown as string, FORM),
      400,
      'invalid_request',
    );
    for (const [body, type] of [
      ['', 'application/json'],
      ['{', 'application/json'],
      ['redirect_uris=x', FORM['content-type']],
      ['null', 'application/json'],
      ['"x"', 'application/json'],
      ['[]', 'application/json'],
    ] as const)
      expectFailure(
        await post({ base: app.base }, '/register', body, { 'content-type': type }),
        400,
        'invalid_client_metadata',
      );
  });

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'TRACE'])(
    '%s is not answered by /token, /revoke, /register (attack 77, attack 83)',
    async method => {
      const app = await world();
      const client = await app.client();
      const tokens = await client.tokens();
      const query = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: tokens.refresh_token,
        token: tokens.refresh_token,
        client_id: client.id,
      });
      await expectNothingStored(app.store, async () => {
        for (const path of ['/token', '/revoke', '/register']) {
          const { status } = await raw(app, method, `${path}?${query}`);
          expect([400, 404, 405]).toContain(status);
        }
      });
      expect((await app.call(tokens.access_token)).status).toBe(200);
    },
  );

  test('the query of a POST is no part of its body (attack 77, O-8)', async () => {
    const app = await world();
    const client = await app.client();
    const { refresh_token } = await client.tokens();
    const query = new URLSearchParams({ grant_type: 'refresh_token', refresh_token, client_id: client.id });
    expectFailure(await post({ base: app.base }, `/token?${query}`, '', FORM), 400, 'invalid_request');
  });
});

describe('attack 78: client authentication (RFC 6749 section 2.3, K18, K22)', () => {
  test('two ways at once are invalid_request (attack 78)', async () => {
    const app = await world();
    const client = await confidential(app);
    const params = { grant_type: 'refresh_token', refresh_token: 'x' };
    const both = await client.token(params, basic(client.id, client.secret ?? ''));
    expectFailure(both, 400, 'invalid_request');
    const asserted = await client.token({ ...params, client_assertion: 'x', client_assertion_type: 'y' });
    expectFailure(asserted, 400, 'invalid_request');
  });

  test('Basic for one client and client_id of another is invalid_request (attack 78)', async () => {
    const app = await world();
    const [one, two] = [await confidential(app), await confidential(app)];
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x', client_id: two.id });
    expectFailure(
      await post({ base: app.base }, '/token', form, basic(one.id, one.secret ?? '')),
      400,
      'invalid_request',
    );
  });

  test.each([
    ['a public client with a secret', 'none', 'made-up'],
    ['a confidential client without one', 'client_secret_basic', undefined],
    ['an empty secret', 'client_secret_post', ''],
    ['a wrong secret', 'client_secret_basic', 'wrong'],
    ['a secret of 10 kB', 'client_secret_post', 'x'.repeat(10_000)],
  ])('%s is invalid_client (attack 78, K18)', async (_, method, secret) => {
    const app = await world();
    const client = await confidential(app, method);
    const answer = await client.token({ grant_type: 'refresh_token', refresh_token: 'x', client_secret: secret });
    expectFailure(answer, 401, 'invalid_client');
    expect(answer.headers.has('www-authenticate')).toBe(false);
  });

  test.each([
    'Basic',
    'Basic ',
    'Basic !!!',
    'Basic OmFi',
    `Basic ${Buffer.from('no colon').toString('base64')}`,
    'Basic /w==',
    `Basic ${'A'.repeat(15_000)}`,
  ])('the header %j is invalid_client with a challenge for Basic (attack 78)', async authorization => {
    const app = await world();
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x' });
    const answer = await post({ base: app.base }, '/token', form, { authorization });
    expectFailure(answer, 401, 'invalid_client');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /);
  });

  test('another scheme, and credentials in the query, count as none (attack 78)', async () => {
    const app = await world();
    const client = await confidential(app);
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x' });
    for (const authorization of ['Bearer x', 'Digest x', 'basicx y', ''])
      expectFailure(await post({ base: app.base }, '/token', form, { authorization }), 400, 'invalid_request');
    const query = new URLSearchParams({ client_id: client.id, client_secret: client.secret ?? '' });
    expectFailure(await post({ base: app.base }, `/token?${query}`, form), 400, 'invalid_request');
  });

  test('assertions are refused: no method of theirs is offered (attack 79)', async () => {
    const app = await world();
    const client = await app.client();
    const answer = await client.token({
      grant_type: 'refresh_token',
      refresh_token: 'x',
      client_assertion: 'a.b.c',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
    expectFailure(answer, 401, 'invalid_client');
  });
});

describe('attack 63: what answers and times tell (RFC 9700 section 4.13)', () => {
  test('an unknown client and a wrong secret get one and the same answer (attack 63)', async () => {
    const app = await world();
    const client = await confidential(app, 'client_secret_post');
    const params = { grant_type: 'refresh_token', refresh_token: 'x', client_secret: 'wrong' };
    const known = await client.token(params);
    const unknown = await new OAuthClient({ base: app.base }, { id: 'nobody' }).token(params);
    expect([unknown.status, unknown.body]).toEqual([known.status, known.body]);
  });

  test('all refused grants get one and the same answer (attack 63)', async () => {
    const app = await world();
    const client = await app.client();
    const other = await app.client();
    const spent = await client.code();
    await client.redeem(spent);
    const tokens = await other.tokens();
    const answers = [
      await client.redeem('garbage'),
      await client.redeem(spent),
      await client.refresh('garbage'),
      await client.refresh(tokens.refresh_token),
      await client.refresh(`${tokens.refresh_token}x`),
    ];
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
  });
});

describe('attack 82: guessing (RFC 9700 section 4.13)', () => {
  const routes = [
    ['token', '/token', 'POST'],
    ['revoke', '/revoke', 'POST'],
    ['register', '/register', 'POST'],
    ['consent', '/consent', 'POST'],
    ['authorize', '/authorize', 'GET'],
    ['callback', '/auth/callback', 'GET'],
  ] as const;

  test.each(routes)('%s is limited, by itself, and says when to come back (attack 82)', async (name, path, method) => {
    const app = await world({ options: { rateLimit: { [name]: { limit: 2, windowSeconds: 60 } } } });
    const ask = () => fetch(app.base + path, { method, redirect: 'manual' });
    const statuses = [];
    for (let index = 0; index < 4; index++) statuses.push((await ask()).status);
    expect(statuses.slice(2)).toEqual([429, 429]);
    expect(statuses.slice(0, 2)).not.toContain(429);
    const answer = await ask();
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    for (const [, other, how] of routes)
      if (other !== path) expect((await fetch(app.base + other, { method: how })).status).not.toBe(429);
  });

  test('an address in X-Forwarded-For that nobody vouches for gives nobody a bucket of his own (attack 82)', async () => {
    const app = await world({ options: { rateLimit: { token: { limit: 1, windowSeconds: 60 } } } });
    let refused = 0;
    for (let index = 0; index < 12; index++)
      refused += Number(
        (await fetch(`${app.base}/token`, { method: 'POST', headers: { 'x-forwarded-for': `10.0.0.${index}` } }))
          .status === 429,
      );
    expect(refused).toBe(2);
  });

  test('behind a proxy that Express trusts, each caller counts by itself; an IPv6 household counts as one (attack 82, K29, K34)', async () => {
    const app = await world({
      options: { rateLimit: { token: { limit: 1, windowSeconds: 60 } } },
      app: proxy => {
        const inner = protectedApp(proxy);
        inner.set('trust proxy', 1);
        return inner as never;
      },
    });
    const from = async (address: string) =>
      (await fetch(`${app.base}/token`, { method: 'POST', headers: { 'x-forwarded-for': address } })).status;
    expect([await from('192.0.2.1'), await from('192.0.2.2'), await from('192.0.2.1')]).toEqual([400, 400, 429]);
    expect([await from('::ffff:192.0.2.3'), await from('::ffff:192.0.2.4'), await from('::ffff:192.0.2.3')]).toEqual([
      400, 400, 429,
    ]);
    expect([await from('2001:db8::1'), await from('2001:db8::2'), await from('2001:db8:0:1::1')]).toEqual([
      400, 429, 400,
    ]);
    expect(await from('198.51.100.9, 192.0.2.1')).toBe(429);
  });

  test('other tabs go on: the limit of one route does not close the MCP endpoint (attack 82)', async () => {
    const app = await world({ options: { rateLimit: { token: { limit: 1, windowSeconds: 60 } } } });
    const client = await app.client();
    const tokens = await client.tokens();
    expect((await client.refresh(tokens.refresh_token)).status).toBe(429);
    expect((await app.call(tokens.access_token)).status).toBe(200);
  });
});

describe('attack 92: CORS (AS-22)', () => {
  test.each(['GET', 'POST', 'OPTIONS'])(
    '%s to authorize, consent and callback allows no origin (attack 92)',
    async method => {
      const app = await world();
      const headers = { origin: 'https://evil.test', 'access-control-request-method': 'POST' };
      for (const path of ['/authorize', '/consent', '/auth/callback']) {
        const answer = await fetch(app.base + path, { method, headers, redirect: 'manual' });
        expect([...answer.headers.keys()].filter(name => name.startsWith('access-control-'))).toEqual([]);
      }
    },
  );

  test('nor do the redirects of a whole sign-in (attack 92)', async () => {
    const app = await world();
    const client = await app.client();
    const origin = { origin: app.base };
    const approved = await client.decide(await client.authorize({}, origin), 'approve', origin);
    const pages = [
      approved,
      await client.decide(await client.authorize({}, origin), 'deny', origin),
      await client.authorize({ scope: 'everything' }, origin),
      await client.browser.get(await client.signIn(approved), origin),
    ];
    for (const { status, headers } of pages) {
      expect(status).toBe(303);
      expect([...headers.keys()].filter(name => name.startsWith('access-control-'))).toEqual([]);
    }
  });

  test.each(['/token', '/revoke', '/register', '/.well-known/oauth-authorization-server'])(
    '%s allows any origin, without credentials (attack 92)',
    async path => {
      const app = await world();
      for (const method of ['OPTIONS', path.startsWith('/.') ? 'GET' : 'POST']) {
        const answer = await fetch(app.base + path, { method, headers: { origin: 'https://evil.test' } });
        expect(answer.headers.get('access-control-allow-origin')).toBe('*');
        expect(answer.headers.has('access-control-allow-credentials')).toBe(false);
      }
    },
  );

  test('an app that allows every origin with credentials opens no page of ours (attack 92)', async () => {
    const app = await world({
      app: proxy => {
        const inner = express();
        inner.use((req, res, next) => {
          res.setHeader('Access-Control-Allow-Origin', req.headers.origin ?? '*');
          res.setHeader('Access-Control-Allow-Credentials', 'true');
          next();
        });
        inner.use(protectedApp(proxy));
        return inner as never;
      },
    });
    const page = await (await app.client()).authorize({}, { origin: 'https://evil.test' });
    expect(page.status).toBe(200);
    expect(page.headers.has('access-control-allow-origin')).toBe(false);
    expect(page.headers.has('access-control-allow-credentials')).toBe(false);
  });
});

describe('attack 89: paths', () => {
  test.each([
    '/token/',
    '//token',
    '/TOKEN',
    '/token%2f',
    '/x/../token',
    '/token;x',
    '/register/x',
    '/auth/callback/..',
    '/authorize%00',
    '/.well-known/../token',
  ])('POST and GET %s is answered as the endpoint or not at all (attack 89)', async path => {
    const app = await world();
    for (const method of ['GET', 'POST']) {
      const { status } = await raw(app, method, path);
      expect([400, 401, 404]).toContain(status);
    }
  });

  test('the endpoints take nothing of the guard away: every spelling of /mcp is guarded (attack 89)', async () => {
    const app = await world();
    for (const path of [
      '/mcp',
      '/mcp/',
      '/MCP',
      '//mcp',
      '/mcp%2f',
      '/%6dcp',
      '/x/../mcp',
      '/mcp?x=/token',
      '/mcp/token',
      '/mcp/authorize',
    ])
      for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'HEAD'])
        expect((await raw(app, method, path)).status).toBe(401);
  });
});

describe('attacks 96 and 98: faults', () => {
  test('a store that is down is 503 everywhere, with nothing of its error, and all works after it (attack 96, attack 98)', async () => {
    const app = await world();
    const client = await app.client();
    const asked = await client.authorize();
    const back = await client.signIn(await client.decide(await client.authorize()));
    const code = await client.code();
    const tokens = await client.tokens();
    app.store.down = true;
    const answers = [
      await client.redeem(code),
      await client.refresh(tokens.refresh_token),
      await client.revoke(tokens.access_token),
    ];
    for (const answer of answers) expectFailure(answer, 503, 'temporarily_unavailable');
    const pages = [await client.decide(asked), await client.browser.get(back)];
    for (const page of pages) expectPage(page, 503);
    const guarded = await app.call(tokens.access_token);
    expect(guarded.status).toBe(503);
    expect(JSON.stringify([answers, guarded.body, pages.map(({ text }) => text)])).not.toMatch(
      /connection refused|at .*\.ts|Error:/,
    );
    app.store.down = false;
    const jar = client.browser.cookies(app.base);
    expect(jar.size).toBeGreaterThan(0);
    expect((await client.browser.get(back)).location?.searchParams.has('code')).toBe(true);
    expectTokens(await client.refresh(tokens.refresh_token));
    expect((await app.call(tokens.access_token)).status).toBe(200);
  });

  test.each(['allow', 'consentPage', 'grantScopes', 'verifier'])(
    'an error in %s is one answer, without its text (attack 96, attack 98)',
    async where => {
      const boom = () => {
        throw new Error('secret detail');
      };
      const later = async () => boom();
      for (const fail of [boom, later]) {
        const app = await world({
          upstream: where === 'grantScopes' ? { scopes: ['api'] } : {},
          options: {
            ...(where === 'allow' && { clients: { allow: fail } }),
            ...(where === 'consentPage' && { consentPage: fail }),
            ...(where === 'grantScopes' && { grantScopes: fail }),
          },
        });
        if (where === 'verifier') app.verifier.down = true;
        const client = await app.client();
        const first = await client.authorize();
        const last =
          first.status === 200 ? await client.browser.get(await client.signIn(await client.decide(first))) : first;
        expect([303, 503]).toContain(last.status);
        expect(last.location?.searchParams.has('code') ?? false).toBe(false);
        expect(`${last.text} ${last.location?.href}`).not.toContain('secret detail');
      }
    },
  );

  test('a client that leaves in the middle of a body hurts nobody (attack 98)', async () => {
    const app = await world();
    const { hostname, port } = new URL(app.origin);
    for (const path of ['/token', '/register', '/consent', '/revoke'])
      await new Promise<void>(resolve => {
        const socket = connect(Number(port), hostname, () => {
          socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nabc`, () => socket.destroy());
        });
        socket.on('close', () => resolve());
      });
    expect((await register({ base: app.base }, { redirect_uris: [HOSTED] })).status).toBe(201);
  });

  test('a client that leaves before the answer hurts nobody, and the next one is served (attack 98)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const leaving = new AbortController();
    app.provider.intercept.set('/token', () => false);
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      code_verifier: client.verifier,
      client_id: client.id,
    });
    const asked = fetch(`${app.base}/token`, { method: 'POST', body: form, signal: leaving.signal });
    leaving.abort();
    await expect(asked).rejects.toThrow();
    expect((await app.client()).id).toBeTruthy();
  });
});

describe('attack 95: what ends up in logs', () => {
  test('no event of a whole flow, its faults included, holds a secret (attack 95)', async () => {
    const { channel } = await import('node:diagnostics_channel');
    const names = [...SERVER_EVENTS, 'accepted', 'rejected', 'unavailable', 'scope_refused'];
    const heard: string[] = [];
    const listen = (message: unknown, name: string | symbol) =>
      void heard.push(`${String(name)} ${JSON.stringify(message)}`);
    for (const name of names) channel(`express-mcp-auth:${name}`).subscribe(listen);
    try {
      const app = await world();
      const client = await app.client({
        token_endpoint_auth_method: 'client_secret_post',
        client_name: 'Line\r\nbreak',
      });
      const page = await client.authorize();
      const { fields } = formOf(page);
      await client.decide(await client.authorize(), 'deny');
      const code = await client.code();
      const first = (await client.redeem(code)).body;
      await client.redeem(code);
      const second = (await client.refresh(first.refresh_token)).body;
      await client.token({ grant_type: 'refresh_token', refresh_token: 'x', client_secret: 'guessed-secret' });
      await app.call(String(second.access_token));
      await app.call('mcp_at_guessed');
      app.clock.pass(31);
      await client.refresh(first.refresh_token);
      app.provider.behaviour.signInError = 'access_denied';
      await client.connect();
      const secrets = [
        code,
        first.access_token,
        first.refresh_token,
        second.access_token,
        second.refresh_token,
        client.secret,
        client.verifier,
        'guessed',
        ...app.provider.secrets,
        ...Object.values(fields),
        ...client.browser.cookies(app.base).values(),
      ];
      expect(heard.length).toBeGreaterThan(8);
      for (const secret of secrets) expect(heard.filter(line => line.includes(String(secret)))).toEqual([]);
      expect(heard.filter(line => /[\r\n]|\\r|\\n/.test(line))).toEqual([]);
    } finally {
      for (const name of names) channel(`express-mcp-auth:${name}`).unsubscribe(listen);
    }
  });
});
