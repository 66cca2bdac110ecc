import { describe, expect, test } from '@jest/globals';
import { type ConsentView, oauthProxy } from 'express-mcp-auth';
import helmet from 'helmet';
import { Browser, type Fields, formOf, OAuthClient, type Page, REDIRECT } from '../support/oauth-client.js';
import { type ProxyApp, protectedApp } from '../support/proxy-app.js';
import {
  EVIL,
  expectAsked,
  expectNothingStored,
  expectPage,
  expectPageHeaders,
  expectRedirectError,
  HOSTED,
} from './support/verdicts.js';
import { world } from './support/worlds.js';

const HTTPS = 'https://mcp.example.com';
const hosted = (app: ProxyApp, uri = HOSTED, browser?: Browser, name = 'Test Client') =>
  app.client({ redirect_uris: [uri], client_name: name }, browser);

/** No tag but ours, and no tag with a handler, whatever stands in the values of its attributes. */
function expectInert({ text }: Page): void {
  const tags = text.replace(/"[^"]*"/g, '""').match(/<[^>]*>/g) ?? [];
  expect(tags.filter(tag => /^<(script|img|iframe|object)|\son|srcdoc/i.test(tag))).toEqual([]);
}

/** The state of the transaction, which the provider saw. */
const upstreamState = (page: Page) => page.location?.searchParams.get('state') ?? '';

describe('attack 22: mix-up (RFC 9207, AS-12)', () => {
  test('iss is in every answer once, exactly as published, errors included (attack 22)', async () => {
    const app = await world();
    const { issuer } = (await (await fetch(`${app.base}/.well-known/oauth-authorization-server`)).json()) as {
      issuer: string;
    };
    const client = await app.client();
    const answers = [
      await client.connect(),
      await client.decide(await client.authorize(), 'deny'),
      await client.authorize({ scope: 'everything' }),
    ];
    app.provider.behaviour.signInError = 'access_denied';
    answers.push(await client.connect());
    for (const { location } of answers) expect(location?.searchParams.getAll('iss')).toEqual([issuer]);
  });
});

describe('attack 23: CSRF on the consent form (PX-3, F1)', () => {
  test('the page and the token of an attacker do nothing in the browser of a victim (attack 23)', async () => {
    const app = await world();
    const attacker = await hosted(app, EVIL);
    const { action, fields } = formOf(await attacker.authorize());
    const victim = app.browser();
    const form = { ...fields, decision: 'approve' };
    await expectNothingStored(app.store, async () => {
      expectPage(await victim.post(action, form), 403);
      await (await hosted(app, HOSTED, victim)).authorize();
      expectPage(await victim.post(action, form), 403);
    });
    expect(victim.received.filter(line => line.includes('-txn-'))).toEqual([]);
  });

  test('the token of one page does not approve another request in the same browser (attack 23)', async () => {
    const app = await world();
    const client = await app.client();
    const harmless = formOf(await client.authorize({ scope: 'read' }));
    const { fields } = formOf(await client.authorize({ scope: 'read write' }));
    expectPage(
      await client.browser.post(harmless.action, { ...fields, csrf: harmless.fields.csrf ?? '', decision: 'approve' }),
      403,
    );
  });

  test.each([
    ['no token', ''],
    ['an empty signature', 'nonce.'],
    ['an unsigned token', 'nonce.c2lnbmF0dXJl'],
    ['another shape', '.'],
  ])('%s is a 403 page (attack 23)', async (_, csrf) => {
    const app = await world();
    const client = await app.client();
    const { action, fields } = formOf(await client.authorize());
    await expectNothingStored(app.store, async () =>
      expectPage(await client.browser.post(action, { ...fields, csrf, decision: 'approve' }), 403),
    );
  });

  test.each<Fields>([
    { origin: 'https://evil.test' },
    { origin: 'http://127.0.0.1:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', origin: 'null' },
    { 'sec-fetch-site': 'same-origin', origin: 'https://evil.test' },
    { 'sec-fetch-site': 'anything' },
  ])('a form that is posted with %j is a 403 page, token or not (attack 23)', async headers => {
    const app = await world();
    const client = await app.client();
    const page = await client.authorize();
    await expectNothingStored(app.store, async () => expectPage(await client.decide(page, 'approve', headers), 403));
    await expectNothingStored(app.store, async () => expectPage(await client.decide(page, 'deny', headers), 403));
  });

  test.each<Fields>([
    {},
    { origin: 'null' },
    { origin: 'null', 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
  ])('what an honest browser sends, %j, passes', async headers => {
    const client = await (await world()).client();
    expect((await client.decide(await client.authorize(), 'approve', headers)).status).toBe(303);
  });

  test('a cookie of another shape than ours is replaced, not signed for (attack 23, attack 93)', async () => {
    const app = await world();
    const client = await app.client();
    await client.authorize();
    const [name = ''] = [...client.browser.cookies(app.base).keys()];
    for (const planted of ['', 'x', 'a b', 'x'.repeat(5_000)]) {
      client.browser.cookies(app.base).set(name, planted);
      await client.authorize();
      expect(client.browser.cookies(app.base).get(name)).toMatch(/^[\w-]{43}$/);
    }
  });
});

describe('attack 24: a decision by GET', () => {
  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH'])('%s /consent changes nothing (attack 24)', async method => {
    const app = await world();
    const client = await app.client();
    const { action, fields } = formOf(await client.authorize());
    await expectNothingStored(app.store, async () => {
      const query = new URLSearchParams({ ...fields, decision: 'approve' });
      const cookie = [...client.browser.cookies(app.base)].map(pair => pair.join('=')).join('; ');
      const answer = await fetch(`${action}?${query}`, { method, headers: { cookie }, redirect: 'manual' });
      expect([404, 405]).toContain(answer.status);
    });
  });

  test('a decision in the query of a POST counts for nothing (attack 24, attack 77)', async () => {
    const client = await (await world()).client();
    const { action, fields } = formOf(await client.authorize());
    expectPage(await client.browser.post(`${action}?decision=approve`, fields));
  });

  test.each([['approve', 'deny'], ['approve', 'approve'], [''], ['maybe'], ['APPROVE']])(
    'the decision %j %j is none (attack 9)',
    async (...decisions) => {
      const app = await world();
      const client = await app.client();
      const { action, fields } = formOf(await client.authorize());
      const form = new URLSearchParams(fields);
      for (const decision of decisions) form.append('decision', decision as string);
      await expectNothingStored(app.store, async () => expectPage(await client.browser.post(action, form)));
    },
  );
});

describe('attack 25: the callback in another browser than the one that approved (PX-6, K2)', () => {
  test.each(['always', 'dangerouslySkip'])(
    'in the mode %j it is a 403 page that changes nothing (attack 25, K2)',
    async consent => {
      const app = await world({ options: { consent } });
      const attacker = await hosted(app, EVIL);
      const first = await attacker.authorize();
      const approved = first.location === undefined ? await attacker.decide(first) : first;
      const back = await attacker.signIn(approved);
      const victim = app.browser();
      await expectNothingStored(app.store, async () => expectPage(await victim.get(back), 403));
      expect(app.provider.of('/token')).toEqual([]);
      // The one who approved can still finish.
      expect((await attacker.browser.get(back)).location?.searchParams.has('code')).toBe(true);
    },
  );

  test('in the modes external and remember as well (attack 25)', async () => {
    const external = await world({
      options: { consent: 'external', clients: { redirectUris: { only: [HOSTED] } } },
    });
    const client = await hosted(external);
    expectPage(await external.browser().get(await client.signIn(await client.authorize())), 403);

    const remembering = await world({ options: { consent: 'remember' } });
    const known = await hosted(remembering);
    await known.connect();
    const again = await known.authorize({}, { 'sec-fetch-site': 'none' });
    expect(again.status).toBe(303);
    expectPage(await remembering.browser().get(await known.signIn(again)), 403);
  });

  test('the cookie of another sign-in, of the same person or not, does not do (attack 25, attack 93)', async () => {
    const app = await world();
    const one = await app.client();
    const two = await app.client();
    const [pageOne, pageTwo] = [await one.decide(await one.authorize()), await two.decide(await two.authorize())];
    const [backOne, backTwo] = [await one.signIn(pageOne), await two.signIn(pageTwo)];
    const [jarOne, jarTwo] = [one.browser.cookies(app.base), two.browser.cookies(app.base)];
    const nameOf = (jar: Map<string, string>) => [...jar.keys()].find(name => name.includes('-txn-')) as string;
    const [nameOne, nameTwo] = [nameOf(jarOne), nameOf(jarTwo)];
    const valueTwo = jarTwo.get(nameTwo) as string;
    jarOne.set(nameTwo, valueTwo);
    jarOne.set(nameOne, valueTwo);
    expectPage(await one.browser.get(backOne), 403);
    jarTwo.set(nameTwo, `${valueTwo}x`);
    expectPage(await two.browser.get(backTwo), 403);
    jarTwo.set(nameTwo, '0.');
    expectPage(await two.browser.get(backTwo), 403);
    expect(app.provider.of('/token')).toEqual([]);
  });

  test('a replica with other secrets takes no cookie of ours (attack 25)', async () => {
    const app = await world();
    const foreign = await app.replica({ secrets: 'another-secret-of-the-proxy-that-is-long-enough' });
    const client = await app.client();
    const back = await client.signIn(await client.decide(await client.authorize()));
    for (const cookie of client.browser.cookies(app.origin)) client.browser.cookies(foreign.origin).set(...cookie);
    const page = await client.browser.get(back.replace(app.origin, foreign.origin));
    expectPage(page);
  });
});

describe('attack 26: the state comes twice, late, or was never ours', () => {
  test('the callback works once, also when it comes ten times at once (attack 26)', async () => {
    const app = await world();
    const client = await app.client();
    const back = await client.signIn(await client.decide(await client.authorize()));
    const jar = new Map(client.browser.cookies(app.base));
    const pages = await Promise.all(
      Array.from({ length: 10 }, () => {
        const tab = app.browser();
        for (const cookie of jar) tab.cookies(app.base).set(...cookie);
        return tab.get(back);
      }),
    );
    expect(pages.filter(({ location }) => location?.searchParams.has('code'))).toHaveLength(1);
    for (const page of pages) if (page.status !== 303) expectPage(page);
    expect(app.provider.of('/token', 'authorization_code')).toHaveLength(1);
    for (const cookie of jar) client.browser.cookies(app.base).set(...cookie);
    expectPage(await client.browser.get(back));
  });

  test('after its time the state is unknown, and so is the form (attack 26, PX-6)', async () => {
    const app = await world();
    const client = await app.client();
    const late = await client.authorize();
    const back = await client.signIn(await client.decide(await client.authorize()));
    app.clock.pass(601);
    expectPage(await client.browser.get(back));
    await expectNothingStored(app.store, async () => expectPage(await client.decide(late)));
    expect(app.provider.of('/token')).toEqual([]);
  });

  test('a form that was answered cannot be sent in again once the sign-in is over (attack 26)', async () => {
    const app = await world();
    const client = await app.client();
    const page = await client.authorize();
    await client.browser.get(await client.signIn(await client.decide(page)));
    await expectNothingStored(app.store, async () => expectPage(await client.decide(page)));
  });

  test.each(['', 'unknown', '__proto__', '../x', 'a\u0000b', 'x'.repeat(4_000)])(
    'the state %j is a page (attack 26, attack 85)',
    async state => {
      const app = await world();
      await expectNothingStored(app.store, async () =>
        expectPage(await app.browser().get(`${app.base}/auth/callback?${new URLSearchParams({ code: 'c', state })}`)),
      );
      expect(app.provider.requests).toEqual([]);
    },
  );

  test('two states, or none, are a page (attack 9, attack 26)', async () => {
    const app = await world();
    const client = await app.client();
    const back = await client.signIn(await client.decide(await client.authorize()));
    expectPage(await client.browser.get(`${back}&state=x`));
    expectPage(await client.browser.get(`${app.base}/auth/callback?code=c`));
    expect(app.provider.of('/token')).toEqual([]);
  });

  test('states are random, 256 bits, and never repeat (attack 26, PX-6)', async () => {
    const client = await (await world()).client();
    const states = new Set<string>();
    for (let index = 0; index < 5; index++) states.add(upstreamState(await client.decide(await client.authorize())));
    expect(states.size).toBe(5);
    for (const state of states) expect(state).toMatch(/^[\w-]{43}$/);
  });
});

describe('attack 27: what is set before approval (PX-7)', () => {
  test('a consent page sets the CSRF cookie, and that one alone is no ticket for the callback (attack 27)', async () => {
    const app = await world();
    const client = await app.client();
    await expectNothingStored(app.store, () => client.authorize());
    expect(client.browser.received.map(line => line.split('=')[0])).toEqual([expect.stringMatching(/^mcp-csrf-/)]);
    const other = await app.client();
    const back = await other.signIn(await other.decide(await other.authorize()));
    expectPage(await client.browser.get(back), 403);
  });

  test('a denial stores nothing and sets nothing (attack 27)', async () => {
    const app = await world();
    const client = await app.client();
    const page = await client.authorize();
    const before = client.browser.received.length;
    await expectNothingStored(app.store, () => client.decide(page, 'deny'));
    expect(client.browser.received.length).toBe(before);
  });
});

describe('attacks 28 and 29: the approval of one client used by another (PX-1, K1)', () => {
  test('every client is asked about, every time (attack 28, K1)', async () => {
    const app = await world();
    const a = await hosted(app);
    await a.connect();
    expectAsked(await a.authorize());
    expectAsked(await (await hosted(app, EVIL, a.browser)).authorize());
  });

  test('remembered is exactly what was approved: another address, name, scope or resource is asked about (attack 29)', async () => {
    const app = await world({ options: { consent: 'remember' } });
    const own = { 'sec-fetch-site': 'none' };
    const a = await hosted(app);
    const { browser } = a;
    await a.connect({ scope: 'read' });
    expect((await a.authorize({ scope: 'read' }, own)).status).toBe(303);
    expectAsked(await a.authorize({ scope: 'read write' }, own));
    expectAsked(await (await hosted(app, EVIL, browser)).authorize({ scope: 'read' }, own));
    expectAsked(await (await hosted(app, `${HOSTED}2`, browser)).authorize({ scope: 'read' }, own));
    expectAsked(await (await hosted(app, HOSTED, browser, 'Another name')).authorize({ scope: 'read' }, own));
    const more = await app.client({ redirect_uris: [HOSTED, EVIL] }, browser);
    expectAsked(await more.authorize({ scope: 'read' }, own));
    expectAsked(
      await new OAuthClient(a.endpoints, { id: a.id, redirectUri: HOSTED }).authorize({ scope: 'read' }, own),
    );
  });

  test('the approval of one address of a client is none of its other ones (attack 29)', async () => {
    const app = await world({ options: { consent: 'remember' } });
    const client = await app.client({ redirect_uris: [HOSTED, EVIL] });
    await client.connect({ redirect_uri: HOSTED });
    const own = { 'sec-fetch-site': 'none' };
    expect((await client.authorize({ redirect_uri: HOSTED }, own)).status).toBe(303);
    expectAsked(await client.authorize({ redirect_uri: EVIL }, own));
  });

  test('loopback and private schemes are never remembered: any program could be behind them (attack 29)', async () => {
    const app = await world({ options: { consent: 'remember', clients: { redirectUris: { allow: ['myapp://cb'] } } } });
    for (const uri of [REDIRECT, 'myapp://cb']) {
      const client = await app.client({ redirect_uris: [uri] });
      await client.connect();
      expectAsked(await client.authorize({}, { 'sec-fetch-site': 'none' }));
    }
  });

  test('a made-up or foreign cookie remembers nothing (attack 29, attack 93)', async () => {
    const app = await world({ options: { consent: 'remember' } });
    const foreign = await app.replica({ secrets: 'another-secret-of-the-proxy-that-is-long-enough' });
    const client = await hosted(app);
    await client.connect();
    const jar = client.browser.cookies(app.base);
    const name = [...jar.keys()].find(key => key.includes('-consents-')) as string;
    const good = jar.get(name) as string;
    const own = { 'sec-fetch-site': 'none' };
    for (const bad of ['', 'x', good.slice(1), `${good}AA`, 'x'.repeat(3_000)]) {
      jar.set(name, bad);
      expectAsked(await client.authorize({}, own));
    }
    const elsewhere = await foreign.client({ redirect_uris: [HOSTED] });
    elsewhere.browser.cookies(foreign.origin).set(name, good);
    const url = elsewhere.authorizeUrl().replace(app.origin, foreign.origin);
    elsewhere.browser.cookies(foreign.origin);
    expect((await elsewhere.browser.get(url, own)).status).not.toBe(303);
  });
});

describe('attack 30: AS-in-the-middle (PX-12, K3)', () => {
  test.each<Fields>([
    { 'sec-fetch-site': 'cross-site' },
    {},
    { 'sec-fetch-site': 'weird' },
    { 'sec-fetch-site': '' },
    // A sibling site that a stranger may write to: no navigation of the person's.
    { 'sec-fetch-site': 'same-site', 'sec-fetch-dest': 'image' },
    { 'sec-fetch-site': 'same-site', 'sec-fetch-dest': 'iframe' },
    { 'sec-fetch-site': 'same-site', 'sec-fetch-dest': 'empty' },
  ])('a remembered consent is not silent for %j (attack 30, K3)', async headers => {
    const app = await world({ options: { consent: 'remember' } });
    const client = await hosted(app);
    await client.connect();
    const own = { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await client.authorize({}, own)).status).toBe(303);
    expectAsked(await client.authorize({}, headers));
  });

  test('the page names this server and its URL (attack 30, PX-12)', async () => {
    const app = await world({ options: { resourceName: 'Notes of Alice' } });
    const { text } = await (await app.client()).authorize();
    expect(text).toContain('Notes of Alice');
    expect(text).toContain(app.base);
  });
});

describe('attack 31: clickjacking (PX-3)', () => {
  test('no page can be framed, whichever it is and whatever the app has set before (attack 31)', async () => {
    for (const withHelmet of [false, true]) {
      const app = await world({
        app: proxy => {
          const outer = protectedApp(proxy);
          if (!withHelmet) return outer as never;
          const headers = helmet({
            frameguard: false,
            contentSecurityPolicy: { directives: { scriptSrc: ["'unsafe-inline'"] } },
          });
          return ((req: never, res: never) =>
            headers(req, res, () => (outer as never as (...both: never[]) => void)(req, res))) as never;
        },
      });
      const client = await hosted(app, EVIL);
      const asked = await client.authorize();
      const pages = [
        asked,
        await client.authorize({ scope: 'everything' }),
        await client.authorize({ redirect_uri: HOSTED }),
        await client.authorize({ client_id: 'nobody' }),
        await client.authorize({ client_id: undefined }),
        await client.decide(asked, 'maybe'),
        await client.decide(asked, 'approve', { origin: 'https://evil.test' }),
        await client.browser.post(`${app.base}/consent`, {}),
        await client.browser.get(`${app.base}/auth/callback?state=x&code=y`),
      ];
      app.store.down = true;
      pages.push(await client.decide(asked));
      expect(pages.map(({ status }) => status)).toEqual([200, 400, 400, 400, 400, 400, 403, 400, 400, 503]);
      pages.forEach(expectPageHeaders);
    }
  });
});

describe('attacks 32 to 34: what a stranger writes on the page (PX-3, AS-19)', () => {
  const NAMES = [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '</title></style><script>alert(1)</script>',
    '&lt;script&gt;',
    '{{7*7}}<%= 7*7 %>',
  ];

  test.each(NAMES)('the name %j is text and nothing else (attack 32, K5)', async name => {
    const app = await world();
    const client = await hosted(app, EVIL, undefined, name);
    for (const page of [await client.authorize(), await client.authorize({ scope: 'everything' })]) {
      expectInert(page);
      expect(page.text.match(/<title>/g)).toHaveLength(1);
    }
  });

  test.each(NAMES)('nor do ids, addresses, states and scopes like %j do anything (attack 32, K5)', async text => {
    const app = await world();
    const client = await hosted(app, EVIL);
    const pages = [
      await client.authorize({ client_id: text }),
      await client.authorize({ redirect_uri: text }),
      await client.authorize({ scope: text }),
      await client.authorize({ state: text }),
      await client.authorize({ resource: text }),
      await client.authorize({ response_type: text, state: text }),
      await client.browser.get(
        `${app.base}/auth/callback?${new URLSearchParams({ error: text, error_description: text, state: text, code: text })}`,
      ),
    ];
    pages.forEach(expectInert);
  });

  test('a name cannot turn the page round, hide in it, or fill it (attack 32)', async () => {
    const app = await world();
    const tricky = await (await hosted(app, EVIL, undefined, '\u202eedualC\u202c\u0000 \u200b\ufeffX')).authorize();
    expect(tricky.text).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b\ufeff]/u);
    expect(tricky.text).not.toContain('\u0000');
    const long = await app.client({ redirect_uris: [EVIL], client_name: 'W'.repeat(200) });
    expect((await long.authorize()).text).not.toContain('W'.repeat(100));
  });

  test.each(['javascript:alert(1)', 'data:text/html,x', 'https://claude.ai@evil.test/', 'https://a.test/"onclick=x'])(
    'a website like %j is no link (attack 32)',
    async client_uri => {
      const app = await world();
      const { text } = await (await app.client({ redirect_uris: [EVIL], client_uri })).authorize();
      expect(
        [...text.matchAll(/href="([^"]*)"/g)]
          .map(([, href]) => href)
          .filter(href => !href?.startsWith('data:image/svg')),
      ).toEqual([]);
    },
  );

  test('a website that is one is linked without handing on where it was clicked (attack 32)', async () => {
    const app = await world();
    const { text } = await (await app.client({ redirect_uris: [EVIL], client_uri: 'https://a.test/' })).authorize();
    expect(text).toMatch(/<a [^>]*href="https:\/\/a\.test\/"[^>]*rel="noreferrer noopener"/);
  });

  test('a client that calls itself Claude is marked as unverified, and its host is shown (attack 33)', async () => {
    const app = await world();
    const { text } = await (await hosted(app, EVIL, undefined, 'Claude')).authorize();
    expect(text).toContain('Unverified name');
    expect(text).toMatch(/class="host">.{0,40}evil\.test/);
  });

  test('a client on loopback comes with a warning, and a hosted one does not (attack 34)', async () => {
    const app = await world();
    expect((await (await app.client()).authorize()).text).toContain('Any program on it could be the one that asks');
    expect((await (await hosted(app)).authorize()).text).not.toContain('role="alert"');
    const mixed = await app.client({ redirect_uris: [HOSTED, REDIRECT] });
    expect((await mixed.authorize({ redirect_uri: REDIRECT })).text).toContain('role="alert"');
  });

  test('a page of the app gets all of it as text, and headers that let no script run (attack 32)', async () => {
    let view: ConsentView | undefined;
    const app = await world({
      options: {
        consentPage: (given: ConsentView) => {
          view = given;
          return '<!doctype html><title>x</title>';
        },
      },
    });
    const page = await (await hosted(app, EVIL, undefined, NAMES[0] as string)).authorize();
    expect(view?.client.name).toBe(NAMES[0]);
    expect(view?.redirectHost).toBe('evil.test');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('content-security-policy')).not.toContain('script-src');
    expect(page.headers.get('x-frame-options')).toBe('DENY');
  });
});

describe('attack 35: a page that the browser fetches in case', () => {
  test.each<Fields>([{ 'sec-purpose': 'prefetch' }, { 'sec-purpose': 'prefetch;prerender' }, { purpose: 'prefetch' }])(
    '%j starts nothing, also where no page is shown (attack 35)',
    async headers => {
      for (const consent of ['always', 'dangerouslySkip']) {
        const app = await world({ options: { consent } });
        const client = await app.client();
        const page = await expectNothingStored(app.store, () => client.authorize({}, headers));
        expect(page.location).toBeUndefined();
        expect(client.browser.received.filter(line => line.includes('-txn-'))).toEqual([]);
      }
    },
  );
});

describe('attack 93: cookies (PX-4)', () => {
  test('on https every cookie is __Host-, Secure, HttpOnly, Lax and without a domain (attack 93)', async () => {
    const app = await world({ base: HTTPS, options: { consent: 'remember' } });
    const client = await hosted(app, HOSTED);
    await client.connect();
    expect(client.browser.received.length).toBeGreaterThanOrEqual(4);
    for (const line of client.browser.received) {
      expect(line).toMatch(/^__Host-mcp-(csrf|txn|consents)-[\w-]+=/);
      expect(line).toMatch(/; Path=\/(;|$)/);
      expect(line).toContain('; HttpOnly');
      expect(line).toContain('; Secure');
      expect(line).toContain('; SameSite=Lax');
      expect(line).not.toMatch(/domain=/i);
    }
  });

  test('a sub-domain that plants our cookie without the prefix gets nowhere (attack 93)', async () => {
    const app = await world({ base: HTTPS });
    const attacker = await hosted(app, EVIL);
    const { action, fields } = formOf(await attacker.authorize());
    const victim = app.browser();
    for (const [name, value] of attacker.browser.cookies(HTTPS))
      victim.cookies(HTTPS).set(name.replace('__Host-', ''), value);
    expectPage(await victim.post(action, { ...fields, decision: 'approve' }), 403);
  });

  test('a browser that starts many sign-ins keeps the newest ten, and no header grows without end (attack 93)', async () => {
    const app = await world();
    const client = await app.client();
    for (let index = 0; index < 14; index++) {
      app.clock.pass(1);
      await client.decide(await client.authorize());
    }
    const kept = [...client.browser.cookies(app.base).keys()].filter(name => name.includes('-txn-'));
    expect(kept).toHaveLength(10);
  });

  test('garbage in the Cookie header is no fault of the server (attack 93)', async () => {
    const app = await world();
    const client = await app.client();
    const url = client.authorizeUrl();
    for (const cookie of ['=', ';;;', 'a', '%', `__proto__=x`, `mcp-csrf-x=%E0%A4%A`, 'x='.repeat(2_000)])
      expectAsked(await new Browser().get(url, { cookie }));
  });
});

describe('attack 36 and modes: what only the operator can switch off', () => {
  test('external is refused where a stranger can register a client that the provider never names', async () => {
    const { options } = await world();
    expect(() => oauthProxy({ ...options, consent: 'external' })).toThrow(/consent/);
    expect(() => oauthProxy({ ...options, consent: 'external', clients: { registration: 'stored' } })).toThrow(
      /consent/,
    );
  });

  // Attack 36, login CSRF, has no login page to attack here: people sign in at the provider, in the browser that
  // approved (attack 25).
  test('a provider that refuses ends the sign-in with the error, state and iss, once (attack 36)', async () => {
    const app = await world();
    app.provider.behaviour.signInError = 'access_denied';
    const client = await app.client();
    const page = await client.connect();
    expectRedirectError(page, REDIRECT, 'access_denied', app.base);
  });
});
