import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { formOf, OAuthClient, type Page, REDIRECT } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';

const BASE = 'https://mcp.example.com';
const HOSTED = 'https://client.example.com/cb';

let world: ProxyApp;
let client: OAuthClient;
let events: ReturnType<typeof recordServerEvents>;
const start = async (options: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}) => {
  world = await proxyApp({ base: BASE, options });
  client = await world.client(metadata);
};
beforeEach(() => {
  events = recordServerEvents();
});
afterEach(async () => {
  events.stop();
  await closeAll();
});
afterAll(closeAll);

const isConsent = (page: Page) => page.status === 200 && /name="decision"/.test(page.text);
const isOnItsWay = (page: Page) => [page.status, page.location?.origin].join() === [303, world.provider.origin].join();
/** A page here, and nothing stored or sent anywhere. */
function refused(page: Page, status: number): void {
  expect([page.status, page.location]).toEqual([status, undefined]);
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect(page.headers.get('x-frame-options')).toBe('DENY');
  expect(page.headers.getSetCookie().filter(line => /txn/.test(line))).toEqual([]);
  expect(world.store.writes).toEqual([]);
  expect(world.provider.of('/authorize')).toEqual([]);
}

describe('the consent page', () => {
  test('says who asks, where it leads, for what, and who we are (AS-19, PX-3, PX-12, F12)', async () => {
    await start({ name: 'Notes' }, { client_name: 'Claude', redirect_uris: [HOSTED] });
    const page = await client.authorize({ scope: 'read write' });
    for (const text of ['Claude', 'client.example.com', 'read', 'write', 'Notes', BASE, `${BASE}/mcp`])
      expect(page.text).toContain(text);
    expect(page.text).toMatch(/unverified/i);
    expect(page.text).not.toMatch(/own computer/);
  });

  test('warns where anyone on the machine could be the client (attack 34)', async () => {
    await start();
    expect((await client.authorize()).text).toMatch(/own computer/);
  });

  test('cannot be framed, cached or scripted, and names no form-action (PX-13, F5, attack 31, O-27)', async () => {
    await start();
    const { headers, text } = await client.authorize();
    const csp = headers.get('content-security-policy') ?? '';
    expect(csp).toContain("frame-ancestors 'none'");
    expect(csp).toContain("default-src 'none'");
    expect(csp).not.toContain('form-action');
    expect(csp).not.toMatch(/script-src|'unsafe-inline'/);
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(text).not.toMatch(/<script|\son\w+=|https?:\/\/[^"' ]+\.(?:js|css|png|svg)/);
  });

  test('shows hostile metadata as text (attack 32, F10)', async () => {
    await start(
      {},
      { client_name: '"><img src=x onerror=alert(1)><script>alert(2)</script>', client_uri: 'javascript:alert(3)' },
    );
    const { text } = await client.authorize();
    expect(text).not.toMatch(/<img|<script|href="javascript/i);
    expect(text).toContain('&lt;script&gt;');
  });

  test('sets the CSRF cookie alone, host-only and for the duration of the sign-in (PX-4, PX-7, attack 27)', async () => {
    await start();
    const { headers } = await client.authorize();
    const lines = headers.getSetCookie();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^__Host-[^=]+=[A-Za-z0-9_-]{22,}; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  });

  test('approval sets one binding cookie named by issuer and transaction, and goes upstream with 303 (attack 10)', async () => {
    await start();
    const page = await client.decide(await client.authorize());
    expect(isOnItsWay(page)).toBe(true);
    const lines = page.headers.getSetCookie();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^__Host-mcp-txn-[^=]+=[^;]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    expect(lines[0]).not.toContain(String(page.location?.searchParams.get('state')));
    const next = await client.decide(await client.authorize());
    expect(next.headers.getSetCookie()[0]?.split('=')[0]).not.toBe(lines[0]?.split('=')[0]);
  });

  test('on http the cookies have no prefix and are not Secure, as browsers demand', async () => {
    world = await proxyApp();
    client = await world.client();
    await client.decide(await client.authorize());
    expect(client.browser.received).toHaveLength(2);
    for (const line of client.browser.received) {
      expect(line).not.toMatch(/__Host-|Secure/);
      expect(line).toMatch(/HttpOnly.*SameSite=Lax/);
    }
  });

  test('needs the store only when it is approved, and says so when that is out of reach', async () => {
    await start();
    world.store.down = true;
    const page = await client.authorize();
    expect(isConsent(page)).toBe(true);
    const denied = await client.decide(page, 'deny');
    expect(denied.location?.searchParams.get('error')).toBe('access_denied');
    const broken = await client.decide(page);
    expect([broken.status, broken.location]).toEqual([503, undefined]);
    expect(broken.headers.get('content-type')).toMatch(/^text\/html/);
    expect(Number(broken.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    world.store.down = false;
    expect(isOnItsWay(await client.decide(page))).toBe(true);
  });
});

describe('the decision', () => {
  test('approved twice is approved once: the same way upstream, one transaction (F8)', async () => {
    await start();
    const page = await client.authorize();
    const first = await client.decide(page);
    const second = await client.decide(page);
    expect(second.location?.href).toBe(first.location?.href);
    expect(world.store.writes).toHaveLength(1);
    expect((await client.browser.get(await client.signIn(second))).location?.searchParams.get('code')).toMatch(
      /^mcp_ac_/,
    );
  });

  test('approved by two clicks at the same time is approved once (F8)', async () => {
    await start();
    const page = await client.authorize();
    const both = await Promise.all([client.decide(page), client.decide(page)]);
    expect(both[0]?.location?.href).toBe(both[1]?.location?.href);
    expect(world.store.writes).toHaveLength(1);
  });

  test('approved again after the sign-in is a page that says it was used', async () => {
    await start();
    const page = await client.authorize();
    const callback = await client.signIn(await client.decide(page));
    await client.browser.get(callback);
    const again = await client.decide(page);
    expect([again.status, again.location]).toEqual([400, undefined]);
    expect(again.text).toMatch(/used already/);
  });

  test('denied is access_denied with state and iss, stores nothing, and asks nobody', async () => {
    await start({}, { redirect_uris: [HOSTED] });
    const page = await client.decide(await client.authorize(), 'deny');
    expect(page.status).toBe(303);
    expect(page.location?.href.startsWith(`${HOSTED}?`)).toBe(true);
    const params = page.location?.searchParams;
    expect([params?.get('error'), params?.get('state'), params?.get('iss')]).toEqual([
      'access_denied',
      'the-state',
      BASE,
    ]);
    expect(world.store.calls).toEqual([]);
    expect(world.provider.requests).toEqual([]);
    expect(events.of('consent_denied')).toEqual([{ clientId: client.id }]);
  });

  test('denied after it was allowed: who went back has not allowed anything, and the sign-in under way ends', async () => {
    await start({}, { redirect_uris: [HOSTED] });
    const page = await client.authorize();
    const allowed = await client.decide(page);
    const back = await client.signIn(allowed);
    const denied = await client.decide(page, 'deny');
    expect(denied.location?.searchParams.get('error')).toBe('access_denied');
    const returned = await client.browser.get(back);
    expect([returned.status, returned.location]).toEqual([400, undefined]);
    expect(returned.text).toMatch(/used already/);
    expect(events.of('code_issued')).toEqual([]);
  });

  test('denied after it was allowed, while the store is out of reach, says so and denies nothing', async () => {
    await start({}, { redirect_uris: [HOSTED] });
    const page = await client.authorize();
    const back = await client.signIn(await client.decide(page));
    world.store.down = true;
    expect((await client.decide(page, 'deny')).status).toBe(503);
    world.store.down = false;
    expect((await client.browser.get(back)).location?.searchParams.get('code')).toMatch(/^mcp_ac_/);
  });

  test('of two renders both stay good, each with a token of its own (PX-14, F7)', async () => {
    await start();
    const url = client.authorizeUrl();
    const [first, second] = [await client.browser.get(url), await client.browser.get(url)];
    expect(formOf(first).fields).not.toEqual(formOf(second).fields);
    expect(isOnItsWay(await client.decide(first))).toBe(true);
    expect(isOnItsWay(await client.decide(second))).toBe(true);
  });

  test('missing, repeated or unknown is a page', async () => {
    await start();
    const { action, fields } = formOf(await client.authorize());
    const repeated = new URLSearchParams([...Object.entries(fields), ['decision', 'deny'], ['decision', 'approve']]);
    for (const form of [fields, { ...fields, decision: 'yes' }, repeated])
      refused(await client.browser.post(action, form), 400);
  });

  test('after transactionTtlSeconds the page has expired', async () => {
    await start({ tokens: { transactionTtlSeconds: 300 } });
    const page = await client.authorize();
    world.clock.pass(299);
    expect(isOnItsWay(await client.decide(page))).toBe(true);
    world.store.writes.length = 0;
    world.provider.requests.length = 0;
    world.clock.pass(2);
    refused(await client.decide(page), 400);
  });

  test('by GET does nothing (attack 24)', async () => {
    await start();
    const { action, fields } = formOf(await client.authorize());
    const page = await client.browser.get(`${action}?${new URLSearchParams({ ...fields, decision: 'approve' })}`);
    expect([page.status, page.location, world.store.writes]).toEqual([404, undefined, []]);
  });

  test('publishes consent_given with scopes and resource', async () => {
    await start();
    await client.decide(await client.authorize({ scope: 'read write' }));
    expect(events.of('consent_given')).toEqual([
      { clientId: client.id, scopes: ['read', 'write'], resource: `${BASE}/mcp` },
    ]);
    expect(events.messages.find(each => each.event === 'consent_given')?.message.request).toBeDefined();
  });
});

describe('a consent form that is not this browser\u2019s own (attack 23, F3)', () => {
  test('without its cookie, or with another browser\u2019s, is 403', async () => {
    await start();
    const { action, fields } = formOf(await client.authorize());
    const form = { ...fields, decision: 'approve' };
    refused(await world.browser().post(action, form), 403);
    const attacker = await OAuthClient.register(client.endpoints, {}, world.browser());
    await attacker.authorize();
    refused(await attacker.browser.post(action, form), 403);
    expect(isOnItsWay(await client.browser.post(action, form))).toBe(true);
  });

  test('with the token of another request, a changed token or none is 403', async () => {
    await start();
    const one = formOf(await client.authorize());
    const two = formOf(await client.authorize());
    for (const csrf of [two.fields.csrf, `${one.fields.csrf}x`, `x${one.fields.csrf}`, '', '.', undefined]) {
      const { csrf: _, ...rest } = one.fields;
      const form = { ...rest, decision: 'approve', ...(csrf !== undefined && { csrf }) };
      refused(await client.browser.post(one.action, form), 403);
    }
  });

  test('with a request that was changed or is not ours is a page', async () => {
    await start();
    const { action, fields } = formOf(await client.authorize());
    const sealed = fields.request ?? '';
    for (const request of [`${sealed.slice(0, -2)}AA`, `A${sealed.slice(1)}`, '', 'x', client.id])
      refused(await client.browser.post(action, { ...fields, request, decision: 'approve' }), 400);
  });

  test.each<[string, Record<string, string>]>([
    ['another origin', { origin: 'https://evil.test' }],
    ['our host on another port', { origin: `${BASE}:8443` }],
    ['our host without TLS', { origin: 'http://mcp.example.com' }],
    ['a cross-site post', { 'sec-fetch-site': 'cross-site' }],
    ['a cross-site post with no origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
  ])('from %s is 403, even with token and cookie', async (_, headers) => {
    await start();
    refused(await client.decide(await client.authorize(), 'approve', headers), 403);
    refused(await client.decide(await client.authorize(), 'deny', headers), 403);
    expect(events.names()).not.toContain('consent_denied');
  });

  test.each<[string, Record<string, string>]>([
    ['our own origin', { origin: BASE, 'sec-fetch-site': 'same-origin' }],
    ['null, as under no-referrer', { origin: 'null' }],
    ['null with same-origin', { origin: 'null', 'sec-fetch-site': 'same-origin' }],
    ['no header at all', {}],
  ])('%s is fine with token and cookie', async (_, headers) => {
    await start();
    expect(isOnItsWay(await client.decide(await client.authorize(), 'approve', headers))).toBe(true);
  });

  test('a CSRF cookie that somebody planted is replaced when it is none of ours (attack 93)', async () => {
    await start();
    const [name = ''] = [...client.browser.cookies(BASE).keys()];
    expect(name).toBe('');
    await client.authorize();
    const [own = ''] = [...client.browser.cookies(BASE).keys()];
    client.browser.cookies(BASE).set(own, 'x');
    const page = await client.authorize();
    expect(client.browser.cookies(BASE).get(own)).not.toBe('x');
    expect(isOnItsWay(await client.decide(page))).toBe(true);
  });
});

describe('binding cookies', () => {
  test('of the newest ten sign-ins are kept; older ones are cleared (F9)', async () => {
    await start();
    const waiting: { callback: string; cookie: string }[] = [];
    for (let count = 0; count < 14; count++) {
      const known = new Set(client.browser.cookies(BASE).keys());
      const callback = await client.signIn(await client.decide(await client.authorize()));
      const cookie = [...client.browser.cookies(BASE).keys()].find(name => /txn/.test(name) && !known.has(name));
      waiting.push({ callback, cookie: String(cookie) });
      world.clock.pass(1);
    }
    const kept = [...client.browser.cookies(BASE).keys()].filter(name => /txn/.test(name));
    expect(kept.sort()).toEqual(
      waiting
        .slice(4)
        .map(each => each.cookie)
        .sort(),
    );
    expect((await client.browser.get(waiting[3]?.callback ?? '')).status).toBe(403);
    expect((await client.browser.get(waiting[4]?.callback ?? '')).status).toBe(303);
    expect((await client.browser.get(waiting[13]?.callback ?? '')).status).toBe(303);
  });

  test('of 100 approved clients make no header that servers refuse', async () => {
    await start({ consent: 'remember' });
    for (let count = 0; count < 100; count++) {
      const next = await OAuthClient.register(
        client.endpoints,
        { client_name: `Client ${count}`, redirect_uris: [HOSTED] },
        client.browser,
      );
      expect(isOnItsWay(await next.decide(await next.authorize()))).toBe(true);
    }
    const header = [...client.browser.cookies(BASE)].map(([name, value]) => `${name}=${value}`).join('; ');
    expect(header.length).toBeLessThan(4_096);
  });
});

describe("consent: 'remember'", () => {
  const NAVIGATION = { 'sec-fetch-site': 'none' };
  const remembering = async (metadata: Record<string, unknown> = {}, options: Record<string, unknown> = {}) => {
    await start({ consent: 'remember', ...options }, { redirect_uris: [HOSTED], ...metadata });
    expect(isConsent(await client.authorize({}, NAVIGATION))).toBe(true);
    expect(isOnItsWay(await client.decide(await client.authorize({}, NAVIGATION)))).toBe(true);
  };

  test.each(['same-origin', 'same-site', 'none'])('asks no more on a navigation of %s', async site => {
    await remembering();
    const page = await client.authorize({}, { 'sec-fetch-site': site });
    expect(isOnItsWay(page)).toBe(true);
    expect((await client.browser.get(await client.signIn(page))).location?.searchParams.get('code')).toMatch(
      /^mcp_ac_/,
    );
  });

  test.each<[string, Record<string, string>]>([
    ['cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['unknown: no header', {}],
  ])('asks again when the navigation is %s (PX-12, F4, attack 30)', async (_, headers) => {
    await remembering();
    expect(isConsent(await client.authorize({}, headers))).toBe(true);
  });

  test('asks again for more scopes, but not for the same ones in another order (attack 29)', async () => {
    await remembering();
    expect(isConsent(await client.authorize({ scope: 'read write' }, NAVIGATION))).toBe(true);
    await client.decide(await client.authorize({ scope: 'read write' }, NAVIGATION));
    expect(isOnItsWay(await client.authorize({ scope: 'write read' }, NAVIGATION))).toBe(true);
  });

  test.each([
    ['another name', { client_name: 'Test Client 2' }],
    ['another client_uri', { client_uri: 'https://other.example.com' }],
    ['another redirect URI', { redirect_uris: ['https://client.example.com/cb2'] }],
    ['one redirect URI more', { redirect_uris: [HOSTED, 'https://client.example.com/cb2'] }],
  ])('asks for a client with %s (attacks 28, 29)', async (_, metadata) => {
    await remembering();
    const other = await OAuthClient.register(
      client.endpoints,
      { redirect_uris: [HOSTED], ...metadata },
      client.browser,
    );
    expect(isConsent(await other.authorize({}, NAVIGATION))).toBe(true);
  });

  test('knows a client again that registered anew with the same metadata', async () => {
    await remembering();
    world.clock.pass(60);
    const again = await OAuthClient.register(client.endpoints, { redirect_uris: [HOSTED] }, client.browser);
    expect(again.id).not.toBe(client.id);
    expect(isOnItsWay(await again.authorize({}, NAVIGATION))).toBe(true);
  });

  test.each([[[REDIRECT]], [['cursor://anysphere.cursor-mcp/oauth/callback']]])(
    'never for %s, which any program can take',
    async redirect_uris => {
      await start({ consent: 'remember' }, { redirect_uris });
      await client.decide(await client.authorize({}, NAVIGATION));
      expect(isConsent(await client.authorize({}, NAVIGATION))).toBe(true);
    },
  );

  test('is remembered by this browser only, and not after a denial', async () => {
    await remembering();
    const elsewhere = new OAuthClient(client.endpoints, {
      id: client.id,
      redirectUri: HOSTED,
      browser: world.browser(),
    });
    expect(isConsent(await elsewhere.authorize({}, NAVIGATION))).toBe(true);
    await elsewhere.decide(await elsewhere.authorize({}, NAVIGATION), 'deny');
    expect(isConsent(await elsewhere.authorize({}, NAVIGATION))).toBe(true);
  });

  test('is forgotten when the person goes back and denies, and by any later denial (attack 29)', async () => {
    await start({ consent: 'remember' }, { redirect_uris: [HOSTED] });
    const page = await client.authorize({}, NAVIGATION);
    await client.decide(page);
    await client.decide(page, 'deny');
    const asked = await client.authorize({}, NAVIGATION);
    expect(isConsent(asked)).toBe(true);
    await client.decide(asked);
    expect(isOnItsWay(await client.authorize({}, NAVIGATION))).toBe(true);
    await client.decide(await client.authorize({}, { 'sec-fetch-site': 'cross-site' }), 'deny');
    expect(isConsent(await client.authorize({}, NAVIGATION))).toBe(true);
  });

  test('a denial of one thing does not forget another', async () => {
    await remembering();
    await client.decide(await client.authorize({ scope: 'read write' }, NAVIGATION), 'deny');
    expect(isOnItsWay(await client.authorize({}, NAVIGATION))).toBe(true);
  });

  test('a cookie that was tampered with counts for nothing (attack 93)', async () => {
    await remembering();
    const jar = client.browser.cookies(BASE);
    for (const [name, value] of jar) if (/consents/.test(name)) jar.set(name, `${value.slice(0, -2)}AA`);
    expect(isConsent(await client.authorize({}, NAVIGATION))).toBe(true);
  });

  test('a prefetch starts nothing (attack 35)', async () => {
    await remembering();
    const before = world.store.writes.length;
    const page = await client.authorize({}, { ...NAVIGATION, 'sec-purpose': 'prefetch' });
    expect(page.location).toBeUndefined();
    expect(world.store.writes.length).toBe(before);
  });
});

describe.each([
  ['external', { consent: 'external', clients: { redirectUris: { only: [HOSTED] } } }],
  ['dangerouslySkip', { consent: 'dangerouslySkip' }],
])("consent: '%s'", (_, options) => {
  test('shows no page, stores at authorize, and binds the browser all the same', async () => {
    await start(options, { redirect_uris: [HOSTED] });
    const page = await client.authorize();
    expect(isOnItsWay(page)).toBe(true);
    expect(world.store.writes).toHaveLength(1);
    expect(page.headers.getSetCookie()).toEqual([expect.stringMatching(/^__Host-mcp-txn-/)]);
    const callback = await client.signIn(page);
    expect((await world.browser().get(callback)).status).toBe(403);
    expect((await client.browser.get(callback)).location?.searchParams.get('code')).toMatch(/^mcp_ac_/);
  });

  test('a prefetch starts nothing (attack 35)', async () => {
    await start(options, { redirect_uris: [HOSTED] });
    const page = await client.authorize({}, { 'sec-purpose': 'prefetch;prerender' });
    expect([page.location, world.store.writes]).toEqual([undefined, []]);
  });

  test('an error of a client that a stranger registered is a page here too', async () => {
    await start(options, { redirect_uris: [HOSTED] });
    refused(await client.authorize({ scope: 'admin' }), 400);
  });
});

describe('a page of the app\u2019s own', () => {
  test('gets everything it needs, unescaped, and its form works', async () => {
    const views: Record<string, unknown>[] = [];
    await start(
      {
        name: 'Notes',
        consentPage: async (view: Record<string, unknown> & { action: string; fields: Record<string, string> }) => {
          views.push(view);
          const inputs = Object.entries(view.fields).map(
            ([name, value]) => `<input type="hidden" name="${name}" value="${value}">`,
          );
          return `<h1>mine</h1><form method="post" action="${view.action}">${inputs.join('')}</form>`;
        },
      },
      { client_name: '<b>Bold</b>', client_uri: 'https://client.example.com' },
    );
    const page = await client.authorize({ scope: 'read write' });
    expect(page.text).toContain('<h1>mine</h1>');
    expect(views).toEqual([
      {
        client: { id: client.id, name: '<b>Bold</b>', uri: 'https://client.example.com' },
        redirectHost: '127.0.0.1:33999',
        scopes: ['read', 'write'],
        server: { name: 'Notes', url: BASE },
        resource: `${BASE}/mcp`,
        warnings: [expect.stringMatching(/^[A-Z].*\.$/)],
        action: `${BASE}/consent`,
        fields: expect.objectContaining({ csrf: expect.any(String) }),
      },
    ]);
    const csp = page.headers.get('content-security-policy') ?? '';
    expect(csp).toContain("frame-ancestors 'none'");
    expect(csp).not.toContain('form-action');
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    expect(isOnItsWay(await client.decide(page))).toBe(true);
  });

  test('has the policy of consentCsp, or none with false (F6)', async () => {
    await start({ consentCsp: "default-src 'self'" });
    expect((await client.authorize()).headers.get('content-security-policy')).toBe("default-src 'self'");
    await start({ consentCsp: false });
    expect((await client.authorize()).headers.get('content-security-policy')).toBeNull();
  });

  test('that fails is a page of ours, and nothing of the fault', async () => {
    await start({
      consentPage: () => {
        throw new Error('template broke at line 7');
      },
    });
    const page = await client.authorize();
    expect(page.status).toBeGreaterThanOrEqual(500);
    expect(page.text).not.toContain('line 7');
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
  });
});

describe('the callback', () => {
  const approve = async () => client.signIn(await client.decide(await client.authorize()));

  test('in another browser is 403 and changes nothing: the right one still finishes (F2, PX-6, attack 25)', async () => {
    await start();
    const callback = await approve();
    const before = new Map(world.store.live);
    const page = await world.browser().get(callback);
    expect([page.status, page.location]).toEqual([403, undefined]);
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(world.store.live).toEqual(before);
    expect(world.provider.of('/token')).toEqual([]);
    expect((await client.browser.get(callback)).location?.searchParams.get('code')).toMatch(/^mcp_ac_/);
  });

  test('with the cookie of another sign-in of the same browser is 403 (attack 93)', async () => {
    await start();
    const one = await approve();
    const [first = '', value = ''] = [...client.browser.cookies(BASE)].find(([name]) => /txn/.test(name)) ?? [];
    client.browser.cookies(BASE).delete(first);
    const two = await approve();
    const [second = ''] = [...client.browser.cookies(BASE)].find(([name]) => /txn/.test(name)) ?? [];
    client.browser.cookies(BASE).set(second, value);
    expect((await client.browser.get(two)).status).toBe(403);
    client.browser.cookies(BASE).set(first, value);
    expect((await client.browser.get(one)).status).toBe(303);
  });

  test('with a cookie of another browser\u2019s own sign-in is 403: the victim finishes no attacker\u2019s (attack 25)', async () => {
    await start();
    const attackers = await approve();
    const victim = new OAuthClient(client.endpoints, { id: client.id, browser: world.browser() });
    await victim.signIn(await victim.decide(await victim.authorize()));
    expect((await victim.browser.get(attackers)).status).toBe(403);
  });

  test('twice gives one code; the second is a page, even with the cookie put back (attack 26)', async () => {
    await start();
    const callback = await approve();
    const jar = [...client.browser.cookies(BASE)];
    const first = await client.browser.get(callback);
    expect(first.status).toBe(303);
    expect(first.headers.getSetCookie()).toEqual([expect.stringMatching(/^__Host-mcp-txn-[^=]+=; Max-Age=0/)]);
    for (const [name, value] of jar) client.browser.cookies(BASE).set(name, value);
    const second = await client.browser.get(callback);
    expect([second.status, second.location]).toEqual([400, undefined]);
    expect(second.text).toMatch(/used already/);
    expect(world.provider.of('/token')).toHaveLength(1);
  });

  test('ten times at once gives one code (attack 17)', async () => {
    await start();
    const callback = await approve();
    const pages = await Promise.all(Array.from({ length: 10 }, () => client.browser.get(callback)));
    expect(pages.filter(page => page.location !== undefined)).toHaveLength(1);
    expect(world.provider.of('/token')).toHaveLength(1);
  });

  test('after its time, with an unknown state, two states or none is a page (attack 26, E6)', async () => {
    await start();
    const callback = await approve();
    const url = new URL(callback);
    const state = url.searchParams.get('state') ?? '';
    for (const wrong of [
      callback.replace(state, `${state}x`),
      callback.replace(state, client.id),
      `${callback}&state=${state}`,
      callback.replace(/state=[^&]*/, ''),
      `${BASE}/auth/callback`,
    ]) {
      const page = await client.browser.get(wrong);
      expect([page.status, page.location]).toEqual([400, undefined]);
    }
    world.clock.pass(601);
    const late = await client.browser.get(callback);
    expect([late.status, late.location]).toEqual([400, undefined]);
    expect(world.provider.of('/token')).toEqual([]);
  });

  test('leaves a spent mark for the rest of the time of the transaction only', async () => {
    await start();
    const callback = await approve();
    world.clock.pass(200);
    await client.browser.get(callback);
    const marks = world.store.writes.filter(({ ttlSeconds }) => ttlSeconds > 390 && ttlSeconds <= 400);
    expect(marks).toHaveLength(1);
  });

  test('of a redirect URI that is allowed no more is a page (E22)', async () => {
    await start();
    const callback = await approve();
    const replica = await world.replica({ clients: { redirectUris: { only: [HOSTED] } } });
    const cookie = [...client.browser.cookies(BASE)].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(replica.rewrite(callback), { headers: { cookie }, redirect: 'manual' });
    expect([response.status, response.headers.get('location')]).toEqual([400, null]);
    expect(world.provider.of('/token')).toEqual([]);
  });

  test('while the store is out of reach is a page with 503, and works when it is back', async () => {
    await start();
    const callback = await approve();
    world.store.down = true;
    const page = await client.browser.get(callback);
    expect([page.status, page.location]).toEqual([503, undefined]);
    expect(Number(page.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    world.store.down = false;
    expect((await client.browser.get(callback)).status).toBe(303);
  });

  test.each(['stateless', 'stored'])(
    'after which the store is out of reach says to start again, and leaves no session at the provider; clients are %s',
    async registration => {
      await start({ clients: { registration } });
      const callback = await approve();
      world.provider.intercept.set('/token', () => {
        world.store.down = true;
        return false;
      });
      const page = await client.browser.get(callback);
      expect([page.status, page.location]).toEqual([503, undefined]);
      expect(page.text).toContain('Go back to your application and connect again.');
      expect(page.text).not.toMatch(/load (the|this) page again/);
      expect(world.provider.of('/revoke')).toHaveLength(1);
      const token = world.provider.secrets.find(secret => secret.startsWith('up-access-'));
      expect(world.provider.whoIs(String(token))).toBeNull();
      expect(events.of('sign_in_refused')).toEqual([{ clientId: client.id, reason: 'the store is out of reach' }]);
      world.store.down = false;
      expect((await client.browser.get(callback)).status).toBe(400);
    },
  );

  test('finishes on any replica', async () => {
    await start();
    const callback = await approve();
    const replica = await world.replica();
    const cookie = [...client.browser.cookies(BASE)].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(replica.rewrite(callback), { headers: { cookie }, redirect: 'manual' });
    const code = new URL(response.headers.get('location') ?? '').searchParams.get('code');
    expect((await client.redeem(String(code))).status).toBe(200);
  });
});
