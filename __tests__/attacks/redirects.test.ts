import { describe, expect, test } from '@jest/globals';
import { oauthProxy } from 'express-mcp-auth';
import { formOf, OAuthClient, REDIRECT, register } from '../support/oauth-client.js';
import type { ProxyApp } from '../support/proxy-app.js';
import {
  authorizeAt,
  EVIL,
  expectAsked,
  expectFailure,
  expectNothingStored,
  expectPage,
  expectRedirectError,
  HOSTED,
  raw,
} from './support/verdicts.js';
import { world as proxyApp } from './support/worlds.js';

const hosted = (world: ProxyApp, uri = HOSTED) => world.client({ redirect_uris: [uri] });

describe('attack 1: an answer is asked for at an address that nobody registered (AS-10, PX-5)', () => {
  test.each([
    ['of an attacker', EVIL],
    ['that is another one allowed here', 'https://claude.ai/api/mcp/auth_callback'],
    ['on loopback', 'http://127.0.0.1:1/cb'],
  ])('an address %s is a page, and nothing is stored (attack 1)', async (_, uri) => {
    const world = await proxyApp();
    const client = await hosted(world);
    await expectNothingStored(world.store, async () => expectPage(await authorizeAt(client, uri)));
  });

  test('an unknown client is a page, whatever its address (attack 1, K39)', async () => {
    const world = await proxyApp();
    const stranger = new OAuthClient({ base: world.base }, { id: 'somebody', redirectUri: HOSTED });
    const page = await stranger.authorize();
    expectPage(page);
    expect(page.text).not.toContain(HOSTED);
  });

  test('without an address the only registered one counts, and with several none does (attack 1)', async () => {
    const world = await proxyApp();
    const one = await hosted(world);
    expectAsked(await one.authorize({ redirect_uri: undefined }));
    const two = await world.client({ redirect_uris: [HOSTED, 'https://client.example/other'] });
    expectPage(await two.authorize({ redirect_uri: undefined }));
  });
});

describe('attacks 2 and 3: an address that only looks like the registered one (AS-9, RFC 9700 section 4.1.3)', () => {
  const REGISTERED = 'https://a.test/cb';
  test.each([
    'https://a.test/cb/',
    'https://a.test/cb?x=1',
    'https://a.test/cb?',
    'https://a.test/cb#f',
    'https://a.test/cb#',
    'https://a.test/cb/../x',
    'https://a.test/./cb',
    'https://a.test/CB',
    'https://a.test:443/cb',
    'https://A.test/cb',
    'HTTPS://a.test/cb',
    'https://a.test%2f@evil.test/cb',
    'https://a.test/cb%00',
    'https://a.test/%63b',
    'https://a.test./cb',
    'https://a.test.evil.test/cb',
    'https://user@a.test/cb',
    'http://a.test/cb',
    '//a.test/cb',
    '/cb',
    'https://a.test/c',
  ])('%j is a page (attack 2)', async uri => {
    const client = await hosted(await proxyApp(), REGISTERED);
    expectPage(await authorizeAt(client, uri));
  });

  test.each([
    'https://evil.test\\@a.test/cb',
    'https:a.test/cb',
    'https:///a.test/cb',
    'https:\\\\a.test\\cb',
    'https://a.test/c\tb',
    'https://a.test/cb\n',
    ' https://a.test/cb',
    'https://a.test/cb ',
    'https://a.test/\u0000cb',
    'https://\uff41.test/cb',
    'https://\u0430.test/cb',
    'https://xn--80a.test/cb',
    'https://a\u3002test/cb',
  ])('%j, which parsers read in several ways, is a page and cannot be registered (attack 3)', async uri => {
    const world = await proxyApp();
    expectPage(await authorizeAt(await hosted(world, REGISTERED), uri));
    const { status, body } = await register({ base: world.base }, { redirect_uris: [uri] });
    if (uri === 'https://xn--80a.test/cb') expect(status).toBe(201);
    else expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_redirect_uri' });
  });

  test('the registered address itself passes, byte for byte (attack 2)', async () => {
    const client = await hosted(await proxyApp(), REGISTERED);
    expectAsked(await authorizeAt(client, REGISTERED));
  });
});

describe('attack 4: the port of a loopback address varies, and nothing else (RFC 8252 section 7.3)', () => {
  const REGISTERED = 'http://127.0.0.1:3000/cb';
  const loopback = async () => hosted(await proxyApp(), REGISTERED);

  test.each([
    'http://127.0.0.1.evil.test:1/cb',
    'http://127.0.0.1@evil.test/cb',
    'http://127.0.0.1:1@evil.test/cb',
    'http://127.1:1/cb',
    'http://2130706433/cb',
    'http://0x7f.0.0.1:1/cb',
    'http://0177.0.0.1:1/cb',
    'http://0.0.0.0:1/cb',
    'http://localhost:1/cb',
    'http://[::1]:1/cb',
    'http://[::ffff:127.0.0.1]:1/cb',
    'http://127.0.0.2:1/cb',
    'https://127.0.0.1:1/cb',
    'http://127.0.0.1:1/other',
    'http://127.0.0.1:1/cb/',
    'http://127.0.0.1:1/cb?x=1',
    'http://127.0.0.1:0/cb',
    'http://127.0.0.1:65536/cb',
    'http://127.0.0.1:03000/cb',
    'http://127.0.0.1:/cb',
    'http://127.0.0.1:1:2/cb',
    'http://127.0.0.1:+1/cb',
    'http://127.0.0.1:1\\.evil.test/cb',
  ])('%j is a page (attack 4)', async uri => {
    expectPage(await authorizeAt(await loopback(), uri));
  });

  test.each(['http://127.0.0.1:1/cb', 'http://127.0.0.1:65535/cb', 'http://127.0.0.1/cb'])(
    '%j passes, and is where the answer goes (attack 4)',
    async uri => {
      const client = await loopback();
      const { location } = await client.connect({ redirect_uri: uri });
      expect(location?.href.startsWith(`${uri}?code=`)).toBe(true);
    },
  );
});

describe('attack 5: schemes that run code or open files (K24, K17)', () => {
  test.each([
    'javascript:alert(1)//',
    'JaVaScRiPt:alert(1)',
    ' javascript:alert(1)',
    'java\tscript:alert(1)',
    '\u0001javascript:alert(1)',
    'javascript://client.example/%0aalert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:msgbox(1)',
    'file:///etc/passwd',
    'blob:https://client.example/1',
    'about:blank',
    'view-source:https://client.example/',
    'filesystem:https://client.example/',
    'intent://client.example/#Intent;end',
    'ftp://client.example/cb',
    'ws://client.example/cb',
    'unknown-app://callback',
    'http://client.example/cb',
  ])('%j cannot be registered, and nothing is stored (attack 5)', async uri => {
    const world = await proxyApp({ options: { clients: { registration: 'stored' } } });
    await expectNothingStored(world.store, async () =>
      expectFailure(
        await register({ base: world.base }, { redirect_uris: [HOSTED, uri] }),
        400,
        'invalid_redirect_uri',
      ),
    );
  });

  test('no option of the operator lets such a scheme in (attack 5)', async () => {
    const world = await proxyApp();
    for (const uri of [
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///x',
      'https://a.test/cb#x',
      'http://a.test/cb',
      'http://*.a.test/cb',
    ])
      for (const list of ['allow', 'only'])
        expect(() => oauthProxy({ ...world.options, clients: { redirectUris: { [list]: [uri] } } })).toThrow(
          /redirectUris/,
        );
  });

  test('an address that was registered and is allowed no more is a page at authorize, approve, deny and callback (attack 5, attack 73, K17)', async () => {
    const allowing = { clients: { redirectUris: { allow: ['myapp://callback'] } } };
    const world = await proxyApp({ options: allowing });
    const strict = await world.replica({ clients: {} });
    const client = await hosted(world, 'myapp://callback');
    const page = await client.authorize();
    expectAsked(page);
    const approved = await client.decide(page);
    const back = await client.signIn(approved);

    const { fields } = formOf(page);
    const { browser } = client;
    const elsewhere = (url: string) => url.replace(world.origin, strict.origin);
    for (const cookie of browser.cookies(world.origin)) browser.cookies(strict.origin).set(...cookie);
    expectPage(await browser.get(elsewhere(client.authorizeUrl())));
    for (const decision of ['approve', 'deny'])
      expectPage(
        await browser.post(`${strict.origin}/consent`, { ...fields, decision }, { origin: new URL(world.base).origin }),
      );
    const asked = world.provider.of('/token').length;
    expectPage(await browser.get(elsewhere(back)));
    expect(world.provider.of('/token').length).toBe(asked);
  });
});

describe('attack 6: patterns in allow-lists (K14)', () => {
  const allow = (pattern: string) => proxyApp({ options: { clients: { redirectUris: { only: [pattern] } } } });

  test.each([
    ['https://*.a.test/*', 'https://evil.test/?x=.a.test/'],
    ['https://*.a.test/*', 'https://evil.test/.a.test/cb'],
    ['https://*.a.test/*', 'https://evil.test#.a.test/cb'],
    ['https://*.a.test/*', 'https://evil.test\\.a.test/cb'],
    ['https://*.a.test/*', 'https://x@evil.test/.a.test/'],
    ['https://*.a.test/*', 'https://x.y.a.test/cb'],
    ['https://*.a.test/*', 'https://a.test/cb'],
    ['https://*.a.test/*', 'https://.a.test/cb'],
    ['https://*.a.test/*', 'https://x.a.test.evil.test/cb'],
    ['https://*.a.test/*', 'https://x.a.test:444/cb'],
    ['https://*.a.test/*', 'http://x.a.test/cb'],
    ['https://a.test/app/*', 'https://a.test/app/../other'],
    ['https://a.test/app/*', 'https://a.test/app/%2e%2e/other'],
    ['https://a.test/app/*', 'https://a.test/app/..;/other'],
    ['https://a.test/app/*', 'https://a.test/app/..;x=1/other'],
    ['https://a.test/app/*', 'https://a.test/app/..%3b/other'],
    ['https://a.test/app/*', 'https://a.test/app/..%3B/other'],
    ['https://a.test/app/*', 'https://a.test/app/%252e%252e/other'],
    ['https://a.test/app/*', 'https://a.test/app/..%2fother'],
    ['https://a.test/app/*', 'https://a.test/application'],
    ['http://127.0.0.1:*/cb', 'http://127.0.0.1:1@evil.test/cb'],
    ['http://127.0.0.1:*/cb', 'http://127.0.0.1:/cb'],
    ['https://a.test/cb', 'https://a.test/cbx'],
  ])('%j does not let %j in (attack 6)', async (pattern, uri) => {
    const { base } = await allow(pattern);
    expectFailure(await register({ base }, { redirect_uris: [uri] }), 400, 'invalid_redirect_uri');
  });

  test.each(['https://*', 'https://*/cb', 'https://*.test/cb', 'https://a*.test/cb', 'https://a.*/cb', '*', 'https:*'])(
    '%j is a ConfigError: it would cover strangers (attack 6)',
    async pattern => {
      const world = await proxyApp();
      expect(() => oauthProxy({ ...world.options, clients: { redirectUris: { only: [pattern] } } })).toThrow(
        /redirectUris/,
      );
    },
  );

  test('a pattern narrows what can be registered and replaces no comparison at authorize (attack 6)', async () => {
    const world = await allow('https://*.a.test/*');
    const client = await hosted(world, 'https://x.a.test/cb');
    expectPage(await authorizeAt(client, 'https://y.a.test/cb'));
    expectAsked(await authorizeAt(client, 'https://x.a.test/cb'));
  });

  test('long hostile addresses are judged at once (attack 6, attack 97, K14)', async () => {
    const { base } = await allow('https://*.a.test/*');
    const long = [`https://${'a.'.repeat(7_000)}a.test/`, `https://x.a.test/${'/.'.repeat(7_000)}`, 'a'.repeat(14_000)];
    const started = process.cpuUsage();
    for (const uri of long) expect((await register({ base }, { redirect_uris: [uri] })).status).toBe(400);
    expect(process.cpuUsage(started).user).toBeLessThan(1_000_000);
  });
});

describe('attack 7: this server as an open redirector (AS-11, RFC 9700 section 4.11.2)', () => {
  const faults = [
    ['an unknown scope', { scope: 'everything' }],
    ['no PKCE', { code_challenge: undefined }],
    ['another response_type', { response_type: 'token' }],
    ['a foreign resource', { resource: 'https://other.example/mcp' }],
    ['a request object', { request: 'e30' }],
  ] as const;

  test.each(faults)(
    '%s of a client that a stranger registered is a page with the host (attack 7)',
    async (_, fault) => {
      const world = await proxyApp();
      const client = await hosted(world, EVIL);
      const page = await client.authorize(fault);
      expectPage(page);
      expect(page.text).toContain('evil.test');
    },
  );

  test.each(faults)(
    '%s of a client on loopback, a known one or one of the operator is a redirect',
    async (_, fault) => {
      const own = { client_id: 'own', redirect_uris: ['https://own.example/cb'] };
      const world = await proxyApp({ options: { clients: { preRegistered: [own] } } });
      const known = 'https://claude.ai/api/mcp/auth_callback';
      for (const client of [
        await world.client(),
        await hosted(world, known),
        new OAuthClient({ base: world.base }, { id: 'own', redirectUri: 'https://own.example/cb' }),
      ])
        expectRedirectError(await client.authorize(fault), client.redirectUri, /^[a-z_]+$/, world.base);
    },
  );

  test('with knownClients off, a known address is a stranger again (attack 7)', async () => {
    const world = await proxyApp({ options: { clients: { knownClients: false } } });
    const client = await hosted(world, 'https://claude.ai/api/mcp/auth_callback');
    expectPage(await client.authorize({ scope: 'everything' }));
  });

  test('a person who denies is sent back, for that was a decision (attack 7)', async () => {
    const world = await proxyApp();
    const client = await hosted(world, EVIL);
    const denied = await client.decide(await client.authorize(), 'deny');
    expectRedirectError(denied, EVIL, 'access_denied', world.base);
  });

  test('a client that the operator turned away before the page is a page, too (attack 7, K28)', async () => {
    const world = await proxyApp({ options: { clients: { allow: () => false } } });
    expectPage(await (await hosted(world, EVIL)).authorize());
  });
});

describe('attack 8: markup and line breaks in what comes back (AS-13)', () => {
  const states = [
    'a\r\nSet-Cookie: x=1',
    'a%0d%0aSet-Cookie:x=1',
    '"><script>alert(1)</script>',
    '\u0000\u0001\u007f',
    'a+b%2Bc d&code=evil#x',
    'snow\u2603man\u{1f600}',
    `${'x'.repeat(2_048)}`,
  ];

  test.each(states)('the state %j comes back as it was, in one header (attack 8)', async state => {
    const world = await proxyApp();
    const client = await world.client();
    const denied = await client.decide(await client.authorize({ state }), 'deny');
    expectRedirectError(denied, REDIRECT, 'access_denied', world.base, state);
    expect(denied.headers.get('location')).toMatch(/^[\x21-\x7e]+$/);
    expect(denied.headers.getSetCookie().join('\n')).not.toContain('x=1');

    const { location } = await client.connect({ state });
    expect(location?.searchParams.getAll('state')).toEqual([state]);
    expect(location?.searchParams.getAll('code')).toHaveLength(1);
    expect(location?.hash).toBe('');
  });

  test('a longer state is refused, and the answer does not carry it off (attack 8)', async () => {
    const world = await proxyApp();
    const page = await (await world.client()).authorize({ state: 'x'.repeat(2_049) });
    expect(page.status).toBe(303);
    expect(page.location?.searchParams.get('error')).toBe('invalid_request');
  });

  test('a state that is no UTF-8 is refused or comes back byte for byte (attack 8, AS-13)', async () => {
    const world = await proxyApp();
    const client = await world.client();
    const url = `${client.authorizeUrl({ state: undefined })}&state=%ff%fe`;
    const page = await client.browser.get(url);
    if (page.status !== 200) return expect([303, 400]).toContain(page.status);
    const denied = await client.decide(page, 'deny');
    expect(denied.headers.get('location')).toMatch(/[?&]state=%ff%fe(&|$)/i);
  });

  test('a redirect URI keeps its own query, and adds nothing to it but our parameters (attack 8)', async () => {
    const world = await proxyApp();
    const uri = 'https://client.example/cb?tenant=1&code=theirs';
    const denied = await (await hosted(world, uri)).decide(await (await hosted(world, uri)).authorize(), 'deny');
    expect(denied.status).toBe(403);
    const client = await hosted(world, uri);
    const answer = await client.decide(await client.authorize(), 'deny');
    expect(answer.location?.href.startsWith(`${uri}&error=`)).toBe(true);
  });
});

describe('attack 9: a parameter that comes twice (RFC 6749 section 3.1)', () => {
  test.each([
    ['client_id', 'another'],
    ['redirect_uri', EVIL],
    ['redirect_uri', REDIRECT],
  ])('a second %s %j is a page, in whichever order (attack 9)', async (name, value) => {
    const world = await proxyApp();
    const client = await world.client();
    const url = client.authorizeUrl();
    expectPage(await client.browser.get(`${url}&${name}=${encodeURIComponent(value)}`));
    expectPage(await client.browser.get(url.replace('?', `?${name}=${encodeURIComponent(value)}&`)));
  });

  test.each([
    'state',
    'scope',
    'code_challenge',
    'code_challenge_method',
    'response_type',
    'response_mode',
    'resource',
    'request',
    'request_uri',
  ])('a second %s is invalid_request (attack 9)', async name => {
    const world = await proxyApp();
    const client = await world.client();
    const page = await client.browser.get(`${client.authorizeUrl({ [name]: 'x' })}&${name}=x`);
    const state = name === 'state' ? null : 'the-state';
    expectRedirectError(page, REDIRECT, 'invalid_request', world.base, state);
  });

  test('a POST is read from its body alone: nothing of the query counts (attack 9)', async () => {
    const world = await proxyApp();
    const client = await world.client();
    const [, query = ''] = client.authorizeUrl().split('?');
    expectPage(await client.browser.post(`${world.base}/authorize?${query}`, {}));
    const good = await client.browser.post(`${world.base}/authorize?redirect_uri=${EVIL}`, new URLSearchParams(query));
    expectAsked(good);
    const bad = new URLSearchParams(query);
    bad.append('redirect_uri', EVIL);
    expectPage(await client.browser.post(`${world.base}/authorize`, bad));
  });

  test('names that only a parser of objects would join are other names (attack 9, attack 76)', async () => {
    const client = await (await proxyApp()).client();
    expectAsked(await client.browser.get(`${client.authorizeUrl()}&redirect_uri[]=${EVIL}&state[x]=1`));
  });
});

describe('attacks 10 to 14: what a redirect carries, and how', () => {
  test('every redirect is a 303, without a body (attack 10)', async () => {
    const client = await (await proxyApp()).client();
    const approved = await client.decide(await client.authorize());
    const denied = await client.decide(await client.authorize(), 'deny');
    const back = await client.browser.get(await client.signIn(approved));
    for (const page of [approved, denied, back, await client.authorize({ scope: 'everything' })])
      expect({ status: page.status, text: page.text }).toEqual({ status: 303, text: '' });
  });

  test('no answer on the way lets a code leak by Referer or cache (attack 11)', async () => {
    const client = await (await proxyApp()).client();
    const approved = await client.decide(await client.authorize());
    const back = await client.browser.get(await client.signIn(approved));
    for (const { headers } of [approved, back]) {
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cache-control')).toBe('no-store');
    }
    const failed = await client.browser.get(`${client.url('/auth/callback')}?code=secret-code&state=unknown`);
    expectPage(failed);
    expect(failed.text).not.toContain('secret-code');
  });

  test('answers travel in the query, never in a fragment (attack 12)', async () => {
    const client = await (await proxyApp()).client();
    const { location } = await client.connect();
    expect(location?.hash).toBe('');
    expect(location?.searchParams.has('code')).toBe(true);
  });

  test.each([
    [{ response_mode: 'fragment' }, 'invalid_request'],
    [{ response_mode: 'form_post' }, 'invalid_request'],
    [{ response_mode: 'web_message' }, 'invalid_request'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'code token' }, 'unsupported_response_type'],
    [{ response_type: 'id_token' }, 'unsupported_response_type'],
    [{ response_type: 'none' }, 'unsupported_response_type'],
    [{ response_type: 'CODE' }, 'unsupported_response_type'],
    [{ response_type: undefined }, 'invalid_request'],
  ])('%j is refused (attack 13)', async (changes, error) => {
    const world = await proxyApp();
    const page = await (await world.client()).authorize(changes as Record<string, string>);
    expectRedirectError(page, REDIRECT, error, world.base);
  });

  test('response_mode=query is what happens anyway (attack 13)', async () => {
    expectAsked(await (await (await proxyApp()).client()).authorize({ response_mode: 'query' }));
  });

  test.each(['request_uri', 'request'])('a %s is refused and never fetched (attack 14)', async name => {
    const world = await proxyApp();
    const client = await world.client();
    const page = await client.authorize({ [name]: `${world.provider.origin}/request` });
    expectRedirectError(page, REDIRECT, `${name}_not_supported`, world.base);
    expect(world.provider.requests).toEqual([]);
  });
});

describe('attack 88: what the request says about our own host counts for nothing', () => {
  test('documents, redirects, pages and cookies come from the configuration (attack 88)', async () => {
    const world = await proxyApp();
    const client = await world.client();
    const lies = [
      ['host', 'evil.test'],
      ['x-forwarded-host', 'evil.test'],
      ['x-forwarded-proto', 'https'],
      ['x-forwarded-prefix', '/evil'],
      ['forwarded', 'host=evil.test;proto=https'],
    ] as const;
    const paths = [
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
      '/.well-known/oauth-protected-resource/mcp',
      '/mcp',
      client.authorizeUrl().slice(world.base.length),
      client.authorizeUrl({ scope: 'everything' }).slice(world.base.length),
      '/authorize?client_id=nobody',
    ];
    for (const path of paths) {
      const { text, headers } = await raw(world, 'GET', path, { headers: lies });
      expect(`${path} ${text} ${JSON.stringify(headers)}`).not.toContain('evil');
    }
  });

  test('an absolute request target with another host is answered like any other (attack 88)', async () => {
    const world = await proxyApp();
    const { text } = await raw(world, 'GET', 'http://evil.test/.well-known/oauth-authorization-server');
    expect(text).not.toContain('evil');
  });
});
