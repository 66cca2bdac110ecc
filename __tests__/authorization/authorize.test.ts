import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { send } from '../support/app.js';
import { formOf, OAuthClient, type Page, REDIRECT, register } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp } from '../support/proxy-app.js';
import { type RegistrationName, registrations } from '../support/registrations.js';
import { recordServerEvents } from '../support/server-events.js';

let world: ProxyApp;
/** Redirects to loopback: errors are sent there. */
let local: OAuthClient;
/** Registered by a stranger: errors are a page. */
let stranger: OAuthClient;
/** Registered by the operator. */
let trusted: OAuthClient;
const FAR = 'https://client.example.com/cb?keep=1';
beforeAll(async () => {
  world = await proxyApp({
    options: {
      scopesSupported: ['read', 'write', 'offline_access'],
      clients: { preRegistered: [{ client_id: 'operators-own', redirect_uris: ['https://own.example.com/cb'] }] },
    },
  });
  local = await world.client();
  stranger = await world.client({ redirect_uris: [FAR] });
  trusted = new OAuthClient(local.endpoints, { id: 'operators-own', redirectUri: 'https://own.example.com/cb' });
});
afterAll(closeAll);

const isConsent = (page: Page) => page.status === 200 && /name="decision"/.test(page.text);
const errorOf = (page: Page) => page.location?.searchParams.get('error');
/** Nothing went anywhere, and nothing was stored. */
async function refusedHere(page: Page, status = 400): Promise<void> {
  expect([page.status, page.location]).toEqual([status, undefined]);
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect(page.headers.get('x-frame-options')).toBe('DENY');
  expect(page.headers.get('cache-control')).toBe('no-store');
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  expect(page.headers.get('access-control-allow-origin')).toBeNull();
}

describe('a good authorization request', () => {
  test('is a consent page, and stores nothing (PX-1)', async () => {
    const before = world.store.calls.length;
    const page = await local.authorize({ scope: 'read', resource: `${world.base}/mcp` });
    expect(isConsent(page)).toBe(true);
    expect(page.text).toContain('Test Client');
    expect(page.text).toContain('127.0.0.1:33999');
    expect(world.store.calls.length).toBe(before);
    expect(world.provider.of('/authorize')).toEqual([]);
  });

  test('may be posted, which keeps it out of histories (O-9)', async () => {
    const url = new URL(local.authorizeUrl());
    expect(isConsent(await local.browser.post(`${url.origin}/authorize`, url.searchParams))).toBe(true);
  });

  test('of another site or a prefetch is a page too, without effects (attacks 30, 35)', async () => {
    const before = world.store.calls.length;
    for (const headers of [{ 'sec-purpose': 'prefetch' }, { 'sec-fetch-site': 'cross-site' }] as Record<
      string,
      string
    >[])
      expect(isConsent(await local.authorize({}, headers))).toBe(true);
    expect(world.store.calls.length).toBe(before);
  });

  test('ignores parameters that it does not know, and takes empty ones for absent (O-9)', async () => {
    const page = await local.authorize({ prompt: 'login', scope: '', resource: '', response_mode: '', foo: 'bar' });
    expect(isConsent(page)).toBe(true);
  });

  test('may leave out its redirect URI when there is one, and only then (O-5)', async () => {
    const one = await local.authorize({ redirect_uri: undefined });
    expect(isConsent(one)).toBe(true);
    const denied = await local.decide(one, 'deny');
    expect(denied.location?.href.startsWith(`${REDIRECT}?`)).toBe(true);
    const two = await world.client({ redirect_uris: [REDIRECT, 'http://localhost:1/cb'] });
    await refusedHere(await two.authorize({ redirect_uri: undefined }));
  });

  test.each(Object.keys(registrations) as RegistrationName[])(
    'of %s, as that client registers, is a consent page for every redirect URI (B8, B15, B17, R-8)',
    async name => {
      const body = registrations[name];
      const answer = await register(local.endpoints, body);
      expect([answer.status, answer.body.error_description]).toEqual([201, undefined]);
      expect(String(answer.body.client_id).length).toBeLessThanOrEqual(255);
      expect(String(answer.body.client_id)).toMatch(/^[A-Za-z0-9_-]+$/);
      for (const uri of body.redirect_uris) {
        const client = new OAuthClient(local.endpoints, { id: String(answer.body.client_id), redirectUri: uri });
        expect(isConsent(await client.authorize())).toBe(true);
        if (/^http:\/\/(127|localhost)/.test(uri)) {
          const redirect_uri = uri.replace(/^(http:\/\/[^:/]+)(:\d+)?/, '$1:54321');
          expect(isConsent(await client.authorize({ redirect_uri }))).toBe(true);
        }
      }
    },
  );
});

describe('scopes of an authorization request', () => {
  test.each<[string, string | undefined, string[]]>([
    ['none named: what is required', undefined, ['read']],
    ['one that is supported: with what is required', 'write', ['write', 'read']],
    ['identity scopes that mean nothing here: dropped (B27)', 'openid profile email read', ['read']],
    ['an identity scope that is supported: kept', 'offline_access read', ['offline_access', 'read']],
    ['one twice: once (C-4)', 'read read', ['read']],
    ['odd spacing', '  read   write ', ['read', 'write']],
  ])('%s', async (_, scope, shown) => {
    const page = await local.authorize({ scope });
    const listed = [...page.text.matchAll(/<ul class="scopes">(.*)<\/ul>/g)][0]?.[1] ?? '';
    const names = [...listed.replace(/<\/?(?:bdi|code)>/g, '').matchAll(/<li>([^<]*)<\/li>/g)].map(([, name]) => name);
    expect(names.sort()).toEqual([...shown].sort());
  });

  test.each(['read admin', 'READ', 'read\nadmin', 'read"', 'read,write', 'read\\'])(
    '%j is invalid_scope (attack 81)',
    async scope => {
      const page = await local.authorize({ scope });
      expect([errorOf(page), page.location?.searchParams.get('state')]).toEqual(['invalid_scope', 'the-state']);
    },
  );

  test('what was registered without, or with other scopes, limits nothing (B9, B10)', async () => {
    const narrow = await world.client({ scope: 'read' });
    expect(isConsent(await narrow.authorize({ scope: 'read write' }))).toBe(true);
  });

  test('defaultScopes stand for a missing scope, always with what is required', async () => {
    const wide = await proxyApp({ options: { defaultScopes: ['write'] } });
    const client = await wide.client();
    const { scope } = await client.tokens();
    expect(scope.split(' ').sort()).toEqual(['read', 'write']);
  });
});

describe('an unknown client or redirect URI (AS-10, O-6)', () => {
  test('is a page for people, with the way to reset the client (B18)', async () => {
    for (const client of [
      new OAuthClient(local.endpoints, { id: 'unknown' }),
      new OAuthClient(local.endpoints, { id: `${local.id.slice(0, -1)}x` }),
    ]) {
      const page = await client.authorize();
      await refusedHere(page);
      expect(page.headers.get('content-type')).toMatch(/^text\/html/);
      expect(page.text).toMatch(/Cursor|Claude Code|VS Code/);
    }
  });

  test('is JSON for programs, with where to register', async () => {
    const client = new OAuthClient(local.endpoints, { id: 'unknown' });
    const page = await client.authorize({}, { accept: 'application/json' });
    expect([page.status, page.location]).toEqual([400, undefined]);
    expect(JSON.parse(page.text)).toMatchObject({
      error: 'invalid_client',
      error_description: expect.stringMatching(/./),
      registration_endpoint: `${world.base}/register`,
    });
    const address = await local.authorize({ redirect_uri: 'https://evil.test/cb' }, { accept: '*/*' });
    expect(JSON.parse(address.text)).toMatchObject({ error: 'invalid_request' });
  });

  test.each([
    'https://evil.test',
    'https://client.example.com/cb',
    'https://client.example.com/cb?keep=1&x=1',
    'https://client.example.com/cb?keep=1#f',
    'https://client.example.com/cb/?keep=1',
    'https://client.example.com/CB?keep=1',
    'https://client.example.com/x/../cb?keep=1',
    'https://client.example.com:443/cb?keep=1',
    'https://CLIENT.example.com/cb?keep=1',
    'https://client.example.com%2f@evil.test/cb?keep=1',
    'https://client.example.com/cb%00?keep=1',
    'https://client.example.com/%63b?keep=1',
    'https://evil.test\\@client.example.com/cb?keep=1',
    'https:client.example.com/cb?keep=1',
    'https:///client.example.com/cb?keep=1',
    'https://client.example.com/cb?keep=1\n',
    ' https://client.example.com/cb?keep=1',
    'https://client.example.com\t/cb?keep=1',
    'https://client\uff0eexample.com/cb?keep=1',
    'http://client.example.com/cb?keep=1',
    'javascript:alert(1)',
  ])('%j is not the registered URI (attacks 1, 2, 3)', async redirect_uri => {
    await refusedHere(await stranger.authorize({ redirect_uri }));
  });

  test.each([
    'http://127.0.0.1.evil.test:1/callback',
    'http://127.0.0.1@evil.test/callback',
    'http://127.1:1/callback',
    'http://2130706433/callback',
    'http://0x7f.0.0.1:1/callback',
    'http://0.0.0.0:1/callback',
    'http://localhost:1/callback',
    'http://[::1]:1/callback',
    'https://127.0.0.1:1/callback',
    'http://127.0.0.1:1/callback/',
    'http://127.0.0.1:1/callback?x=1',
    'http://127.0.0.1:0/callback',
    'http://127.0.0.1:65536/callback',
    'http://127.0.0.1:99999/callback',
    'http://127.0.0.1:+1/callback',
    'http://127.0.0.1: 1/callback',
  ])('%j is not the loopback URI with another port (attack 4)', async redirect_uri => {
    await refusedHere(await local.authorize({ redirect_uri }));
  });

  test.each(['http://127.0.0.1:1/callback', 'http://127.0.0.1:65535/callback', 'http://127.0.0.1/callback'])(
    '%s is: only the port differs (O-30, B8)',
    async redirect_uri => {
      const page = await local.authorize({ redirect_uri });
      expect(isConsent(page)).toBe(true);
      expect((await local.decide(page, 'deny')).location?.href.startsWith(`${redirect_uri}?`)).toBe(true);
    },
  );

  test('repeated, missing or empty client_id or redirect_uri: a page (attack 9)', async () => {
    const url = local.authorizeUrl();
    for (const wrong of [
      `${url}&client_id=${local.id}`,
      `${url}&redirect_uri=${encodeURIComponent(REDIRECT)}`,
      `${url}&redirect_uri=https%3A%2F%2Fevil.test`,
      url.replace(/client_id=[^&]*&/, ''),
      url.replace(/client_id=[^&]*/, 'client_id='),
    ])
      await refusedHere(await local.browser.get(wrong));
  });

  test('the address is asked about again where the operator has narrowed it since (E22)', async () => {
    const narrowed = await world.replica({
      clients: { redirectUris: { only: ['https://only.example.com/cb'] } },
    });
    const same = new OAuthClient({ base: narrowed.origin }, { id: stranger.id, redirectUri: FAR });
    await refusedHere(await same.authorize());
    expect((await register({ base: narrowed.origin }, { redirect_uris: [FAR] })).body.error).toBe(
      'invalid_redirect_uri',
    );
  });
});

const faults: [string, Record<string, string | undefined>, string][] = [
  ['no response_type (O-15)', { response_type: undefined }, 'invalid_request'],
  ['response_type token (attack 13)', { response_type: 'token' }, 'unsupported_response_type'],
  ['response_type code token', { response_type: 'code token' }, 'unsupported_response_type'],
  ['response_type none', { response_type: 'none' }, 'unsupported_response_type'],
  ['response_mode fragment (attack 13)', { response_mode: 'fragment' }, 'invalid_request'],
  ['response_mode form_post', { response_mode: 'form_post' }, 'invalid_request'],
  ['no challenge (AS-8, attack 19, K-2)', { code_challenge: undefined }, 'invalid_request'],
  ['an empty challenge', { code_challenge: '' }, 'invalid_request'],
  ['no challenge method, which means plain', { code_challenge_method: undefined }, 'invalid_request'],
  ['challenge method plain (K-4)', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['challenge method s256', { code_challenge_method: 's256' }, 'invalid_request'],
  ['a challenge of 42 characters (O-14)', { code_challenge: 'x'.repeat(42) }, 'invalid_request'],
  ['a challenge of 129 characters', { code_challenge: 'x'.repeat(129) }, 'invalid_request'],
  ['a challenge that is not base64url', { code_challenge: `${'x'.repeat(42)}=` }, 'invalid_request'],
  ['another resource (X-3)', { resource: 'https://other.example.com/mcp' }, 'invalid_target'],
  ['a resource with a fragment', { resource: 'RESOURCE#x' }, 'invalid_target'],
  ['a resource that is no URL', { resource: 'mcp' }, 'invalid_target'],
  ['a resource below ours', { resource: 'RESOURCE/deeper' }, 'invalid_target'],
  ['an unknown scope', { scope: 'admin' }, 'invalid_scope'],
  ['a request object', { request: 'eyJ' }, 'request_not_supported'],
  ['a request_uri (attack 14)', { request_uri: 'http://169.254.169.254/' }, 'request_uri_not_supported'],
];

describe.each(faults)('%s', (_, given, error) => {
  const changes = () =>
    Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, value?.replace('RESOURCE', `${world.base}/mcp`)]),
    );

  test('goes to a loopback client as a redirect with error, state and iss (AS-12, AS-13)', async () => {
    const before = world.store.calls.length;
    const page = await local.authorize({ state: 'a+b%2B/=', ...changes() });
    expect(page.status).toBe(303);
    expect(page.location?.href.startsWith(`${REDIRECT}?`)).toBe(true);
    const params = page.location?.searchParams;
    expect([params?.get('error'), params?.get('state'), params?.getAll('iss')]).toEqual([
      error,
      'a+b%2B/=',
      [world.base],
    ]);
    expect(params?.get('error_description')).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
    expect(params?.has('code')).toBe(false);
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    expect(world.store.calls.length).toBe(before);
  });

  test('goes to a client of the operator as a redirect', async () => {
    const page = await trusted.authorize(changes());
    expect([page.status, errorOf(page)]).toEqual([303, error]);
  });

  test('is a page for a client that a stranger registered, with its host and a link (AS-11, attack 7)', async () => {
    const page = await stranger.authorize(changes());
    await refusedHere(page);
    expect(page.text).toContain('client.example.com');
    const href = /<a[^>]*href="([^"]*)"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&').replaceAll('&#38;', '&');
    const link = new URL(String(href));
    expect(link.href.startsWith('https://client.example.com/cb?keep=1&')).toBe(true);
    expect([link.searchParams.get('error'), link.searchParams.get('state')]).toEqual([error, 'the-state']);
    expect(link.searchParams.get('iss')).toBe(world.base);
  });
});

describe('where an error may be sent to before a person has decided', () => {
  test('a known client\u2019s own address is trusted, unless knownClients is off', async () => {
    const redirect_uris = ['https://claude.ai/api/mcp/auth_callback'];
    const claude = await world.client({ redirect_uris });
    expect(errorOf(await claude.authorize({ scope: 'admin' }))).toBe('invalid_scope');
    const plain = await proxyApp({ options: { clients: { knownClients: false } } });
    const other = await plain.client({ redirect_uris });
    const page = await other.authorize({ scope: 'admin' });
    expect([page.status, page.location]).toEqual([400, undefined]);
  });

  test.each([
    ['scope', 'read'],
    ['state', 'other'],
    ['code_challenge', 'x'.repeat(43)],
    ['response_type', 'code'],
    ['resource', 'https://other.example.com/mcp'],
  ])('%s twice is invalid_request, also with equal values (attack 9)', async (name, value) => {
    const url = local.authorizeUrl({ scope: 'read', resource: `${world.base}/mcp` });
    const page = await local.browser.get(`${url}&${name}=${encodeURIComponent(value)}`);
    expect(errorOf(page)).toBe('invalid_request');
    if (name === 'state') expect(page.location?.searchParams.has('state')).toBe(false);
  });
});

describe('state', () => {
  test.each([
    ['a plus and a percent', 'a+b%2B%20c d&e=f'],
    ['unicode', '\u6f22\u5b57 \u{1f511} \u00e9\u0301'],
    ['line breaks, encoded and nothing else (attack 8)', 'a\r\nSet-Cookie: x=1'],
    ['2,048 characters', 's'.repeat(2_048)],
    ['markup', '"><script>alert(1)</script>'],
  ])('of %s comes back byte for byte, on success and denial (AS-13)', async (_, state) => {
    const approved = await local.connect({ state });
    expect(approved.location?.searchParams.get('state')).toBe(state);
    expect(approved.headers.get('set-cookie')).not.toContain('x=1');
    const denied = await local.decide(await local.authorize({ state }), 'deny');
    expect(denied.location?.searchParams.get('state')).toBe(state);
  });

  test('is left out where there was none', async () => {
    const approved = await local.connect({ state: undefined });
    expect(approved.location?.searchParams.has('state')).toBe(false);
    expect(approved.location?.searchParams.getAll('iss')).toEqual([world.base]);
  });

  test('of more than 2,048 characters is invalid_request', async () => {
    expect(errorOf(await local.authorize({ state: 's'.repeat(2_049) }))).toBe('invalid_request');
  });

  test('never makes a stored transaction larger than 6 kB, whatever its characters', async () => {
    const uris = Array.from({ length: 8 }, (_, index) => `https://client-${index}.example.com/${'p'.repeat(60)}/cb`);
    const large = await world.client({ redirect_uris: uris, client_name: 'Large Client' });
    for (const state of ['s', '\u6f22', '\u0001', '"'].map(character => character.repeat(2_048))) {
      const before = world.store.writes.length;
      const url = new URL(large.authorizeUrl({ state, scope: 'read write' }));
      // Posted: in a URL such a state is longer than the headers that Node takes.
      await large.decide(await large.browser.post(`${url.origin}/authorize`, url.searchParams));
      const stored = world.store.writes.slice(before);
      expect(stored).toHaveLength(1);
      expect(stored[0]?.value.length).toBeLessThanOrEqual(6 * 1_024);
    }
  });

  test('an ordinary transaction is at most 2 kB', async () => {
    const before = world.store.writes.length;
    await local.decide(
      await local.authorize({ state: 's'.repeat(43), resource: `${world.base}/mcp`, scope: 'read write' }),
    );
    expect(world.store.writes.length - before).toBe(1);
    expect(world.store.writes.at(-1)?.value.length).toBeLessThanOrEqual(2_048);
    expect(world.store.writes.at(-1)?.ttlSeconds).toBeLessThanOrEqual(600);
  });
});

describe('redirects to the client', () => {
  test('keep the query of the redirect URI and carry code, state and iss once (O-3, attack 22, X-5)', async () => {
    const page = await stranger.connect();
    expect(page.status).toBe(303);
    expect(page.location?.href.startsWith('https://client.example.com/cb?keep=1&')).toBe(true);
    for (const [name, value] of [
      ['keep', '1'],
      ['state', 'the-state'],
      ['iss', world.base],
      ['code', expect.stringMatching(/^mcp_ac_/)],
    ] as const)
      expect(page.location?.searchParams.getAll(name)).toEqual([value]);
  });

  test('work for the private scheme of a known client', async () => {
    const cursor = await world.client({ redirect_uris: ['cursor://anysphere.cursor-mcp/oauth/callback'] });
    const page = await cursor.connect();
    expect(page.location?.href.startsWith('cursor://anysphere.cursor-mcp/oauth/callback?')).toBe(true);
    expect((await cursor.redeem(String(page.location?.searchParams.get('code')))).status).toBe(200);
  });
});

describe('the authorization endpoint and other origins', () => {
  test('has no CORS, for any method (B-7, attack 92)', async () => {
    for (const path of ['/authorize', '/consent', '/auth/callback'])
      for (const method of ['OPTIONS', 'GET', 'POST']) {
        const { lines } = await send(world.origin, path, {
          method,
          headers: [
            ['Origin', 'https://evil.test'],
            ['Access-Control-Request-Method', 'POST'],
          ],
        });
        expect(lines.filter(([name]) => name.startsWith('access-control-'))).toEqual([]);
      }
  });

  test('a host header changes nothing that is said or set (attack 88)', async () => {
    const url = new URL(local.authorizeUrl());
    const { status, text } = await send(world.origin, url.pathname + url.search, {
      headers: [
        ['Host', 'evil.test'],
        ['X-Forwarded-Host', 'evil.test'],
        ['X-Forwarded-Proto', 'https'],
        ['Forwarded', 'host=evil.test;proto=https'],
        ['Accept', 'text/html'],
      ],
    });
    expect(status).toBe(200);
    expect(text).not.toContain('evil.test');
    expect(formOf({ text } as Page).action).toBe(`${world.base}/consent`);
  });
});

describe('registration through the endpoint', () => {
  const events = recordServerEvents();
  afterAll(() => events.stop());

  test('answers 201 with what was registered, and never with a secret for none (R-5, R-6, E16)', async () => {
    events.clear();
    const { status, headers, body } = await register(local.endpoints, {
      client_name: 'Echo',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
      scope: 'read admin openid',
      client_id: 'chosen',
      client_secret: 'chosen',
      registration_access_token: 'chosen',
      logo_uri: 'https://client.example.com/logo.png',
    });
    expect(status).toBe(201);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      client_id: expect.stringMatching(/^[A-Za-z0-9_-]+$/),
      client_id_issued_at: world.clock.seconds,
      client_name: 'Echo',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      scope: 'read',
    });
    expect(events.of('client_registered')).toEqual([
      { clientId: body.client_id, clientName: 'Echo', redirectUris: [REDIRECT] },
    ]);
  });

  test('gives a secret that does not expire, and never the upstream one (R-5)', async () => {
    const { body } = await register(local.endpoints, { redirect_uris: [REDIRECT] });
    expect(body).toMatchObject({
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: expect.stringMatching(/^[A-Za-z0-9_-]{22,}$/),
      client_secret_expires_at: 0,
    });
  });

  test('stores nothing (CR-14, attack 74)', async () => {
    const before = world.store.calls.length;
    for (let count = 0; count < 20; count++) await world.client({ client_name: `Client ${count}` });
    expect(world.store.calls.length).toBe(before);
  });

  test.each([
    'javascript:alert(1)//',
    'JaVaScRiPt:alert(1)',
    ' javascript:alert(1)',
    'java\tscript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://x',
    'http://client.example.com/cb',
    'https://client.example.com/cb#f',
    'https://user@client.example.com/cb',
    'unknown-app://callback',
    'https://client.example.com/\u0000',
    '',
    'callback',
  ])('%j is invalid_redirect_uri, and refuses the whole registration (attack 5, R-7)', async uri => {
    const { status, headers, body } = await register(local.endpoints, { redirect_uris: [REDIRECT, uri] });
    expect([status, body.error]).toEqual([400, 'invalid_redirect_uri']);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).not.toHaveProperty('client_id');
  });

  test.each([
    ['no redirect URIs', {}],
    ['an empty list', { redirect_uris: [] }],
    ['a string', { redirect_uris: REDIRECT }],
    ['eleven', { redirect_uris: Array.from({ length: 11 }, (_, index) => `https://c${index}.example.com/`) }],
    ['numbers', { redirect_uris: [1] }],
  ])('%s is invalid_redirect_uri (R-2)', async (_, metadata) => {
    expect((await register(local.endpoints, metadata)).body.error).toBe('invalid_redirect_uri');
  });

  test.each([
    ['inline jwks', { jwks: { keys: [] } }],
    ['private_key_jwt', { token_endpoint_auth_method: 'private_key_jwt' }],
    ['an unknown method', { token_endpoint_auth_method: 'magic' }],
    ['only the password grant (attack 75)', { grant_types: ['password'] }],
    ['a name of 10 kB', { client_name: 'x'.repeat(10_000) }],
    ['a name that is no text', { client_name: { first: 'x' } }],
    [
      'more than fits into 1,024 characters',
      {
        redirect_uris: Array.from(
          { length: 10 },
          (_, index) =>
            `https://client.example.com/${[1, 2].map(part => createHash('sha512').update(`${part}${index}`).digest('hex')).join('')}`,
        ),
      },
    ],
  ])('%s is invalid_client_metadata', async (_, metadata) => {
    const { status, body } = await register(local.endpoints, { redirect_uris: [REDIRECT], ...metadata });
    expect([status, body.error]).toEqual([400, 'invalid_client_metadata']);
  });

  test.each([
    ['not JSON', '{', 'application/json'],
    ['a list', '[]', 'application/json'],
    ['a form', 'redirect_uris=x', 'application/x-www-form-urlencoded'],
    ['40 kB', `{"x":"${'x'.repeat(40_000)}"}`, 'application/json'],
    ['deep JSON (attack 97)', `{"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'application/json'],
    [
      'a polluting member (attack 76)',
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
      'application/json',
    ],
  ])('%s is refused as JSON', async (_, body, type) => {
    const response = await fetch(`${world.origin}/register`, {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    });
    expect([400, 413]).toContain(response.status);
    expect(((await response.json()) as Record<string, unknown>).error).toMatch(/^invalid_/);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('is not there, nor announced, with registration: false', async () => {
    const closed = await proxyApp({
      options: {
        clients: {
          registration: false,
          preRegistered: [{ client_id: 'known', client_secret: 'its-secret', redirect_uris: [REDIRECT] }],
        },
      },
    });
    expect((await fetch(`${closed.origin}/register`, { method: 'POST', body: '{}' })).status).toBe(404);
    const document = await (await fetch(`${closed.origin}/.well-known/oauth-authorization-server`)).json();
    expect(document).not.toHaveProperty('registration_endpoint');
    const known = new OAuthClient({ base: closed.origin }, { id: 'known', secret: 'its-secret' });
    expect((await known.tokens()).scope).toBe('read');
    const sealed = new OAuthClient({ base: closed.origin }, { id: local.id });
    await refusedHere(await sealed.authorize());
  });
});
