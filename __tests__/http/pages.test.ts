import { createHash } from 'node:crypto';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import type { ConsentView } from 'express-mcp-auth';
import fc from 'fast-check';
import helmet from 'helmet';
import { consentPage } from '../../lib/http/pages/consent.js';
import { displayed } from '../../lib/http/pages/display.js';
import { html } from '../../lib/http/pages/html.js';
import { messagePage, redirectNoticePage } from '../../lib/http/pages/message.js';
import { unknownClientJson, unknownClientPage } from '../../lib/http/pages/unknown-client.js';
import { CUSTOM_PAGE_CSP, keepOpener, sendPage } from '../../lib/http/send-page.js';
import { nodesOf, readTree } from '../package/source-tree.js';
import { anyText } from '../support/any-text.js';
import { express4 } from '../support/app.js';
import { close, listen as listenOn } from '../support/identity-provider.js';

const server = { name: 'Notes', url: 'https://notes.example.com' };
const view: ConsentView = {
  client: { id: 'client-1', name: 'Assistant', uri: 'https://assistant.example.net/' },
  redirectHost: 'assistant.example.net',
  scopes: ['read', 'write'],
  server,
  resource: 'https://notes.example.com/mcp',
  warnings: ['Mind the gap.'],
  action: 'https://notes.example.com/consent',
  fields: { request: 'sealed', csrf: 'token' },
};

const unescaped = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|#39|ldquo|rdquo);/g, (_, name: string) => {
    const characters: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
    return characters[name] ?? '"';
  });

interface Tag {
  name: string;
  attributes: Record<string, string>;
}

/** The tags of a page as a browser reads them; every attribute has to be quoted. */
function tagsOf(page: string): Tag[] {
  return [...page.matchAll(/<(\/?[a-z!][^\s>]*)([^>]*)>/gi)].map(([, name = '', rest = '']) => {
    const attributes: Record<string, string> = {};
    const left = rest.replace(/\s([a-z:-]+)(?:="([^"]*)")?(?=\s|\/|$)/gi, (_, attribute: string, value = '') => {
      attributes[attribute.toLowerCase()] = unescaped(value);
      return '';
    });
    if (!/^\s*\/?$/.test(left)) throw new Error(`not an attribute: ${left}`);
    return { name: name.toLowerCase(), attributes };
  });
}

const skeletonOf = (page: string) =>
  tagsOf(page)
    .map(({ name, attributes }) => [name, ...Object.keys(attributes)].join(' '))
    .join('\n');
const count = (page: string, name: string) => tagsOf(page).filter(tag => tag.name === name).length;
const hiddenOf = (page: string) =>
  tagsOf(page).flatMap(({ attributes: { type, name, value } }) => (type === 'hidden' ? [[name, value]] : []));
const textOf = (page: string) =>
  unescaped(page.replace(/<style>.*<\/style>/s, '').replace(/<[^>]*>/g, '')).replace(/\s+/g, ' ');
const hrefsOf = (page: string) =>
  tagsOf(page).flatMap(({ name, attributes }) => (name === 'a' ? [attributes.href] : []));

const corpus = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</style><script>alert(1)</script>',
  '</title><svg/onload=alert(1)>',
  '</form><form action="https://evil.example">',
  '<!--',
  '--><script>',
  '<![CDATA[<script>]]>',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '&#60;script&#62;',
  '\u0000<script>alert(1)</script>',
  '\ud800<script>',
  '\\u003cscript\\u003e',
  '$& $` $1 {{7*7}}',
  '<input type="hidden" name="decision" value="approve">',
  '<meta http-equiv=refresh content="0;url=https://evil.example">',
];

/** Every page with one text everywhere where a stranger, a provider or an operator may put one. */
function pagesWith(text: string): Record<string, string> {
  const hostile = { name: text, url: text };
  return {
    consent: consentPage({
      client: { id: text, name: `n${text}` },
      redirectHost: text,
      scopes: [text, text],
      server: hostile,
      resource: text,
      warnings: [text],
      action: text,
      fields: { [text]: text, csrf: text },
    }),
    message: messagePage({
      title: text,
      heading: text,
      paragraphs: [text],
      details: { [`d${text}`]: text },
      link: { href: 'https://a.example/', text, host: text },
      server: hostile,
    }),
    notice: redirectNoticePage({
      message: text,
      error: text,
      clientName: text,
      href: 'https://a.example/',
      host: text,
      server: hostile,
    }),
    unknown: unknownClientPage({ clientId: text, redirectUri: text, note: text, server: hostile }),
  };
}

describe('html', () => {
  test('escapes what is between its braces, also in attributes, and nothing twice', () => {
    expect(String(html`<a title="${`"'<>&`}">${'<b>'}${html`<i>${'&'}</i>`}</a>`)).toBe(
      '<a title="&quot;&#39;&lt;&gt;&amp;">&lt;b&gt;<i>&amp;</i></a>',
    );
  });

  test('takes lists and numbers, and leaves out what is undefined or false', () => {
    expect(String(html`${[1, html`<br>`, '<']}${undefined}${false}`)).toBe('1<br>&lt;');
  });

  test('takes no object for HTML that it did not make', () => {
    const forged = { text: '<b>', toString: () => '<b>' };
    expect(String(html`${forged as never}`)).toBe('&lt;b&gt;');
  });
});

describe("strangers' text (attack 32, F-10)", () => {
  test('is cut to its limit, with a mark, at whole characters', () => {
    expect(displayed('x'.repeat(10_000), { limit: 80 })).toBe(`${'x'.repeat(80)}\u2026`);
    expect(displayed('\u{1f600}'.repeat(9), { limit: 3 })).toBe(`${'\u{1f600}'.repeat(3)}\u2026`);
    expect(displayed('x'.repeat(80), { limit: 80 })).toBe('x'.repeat(80));
  });

  test('keeps the end of a host: anybody can put a known name in front', () => {
    const host = `claude.ai.${'a.'.repeat(400)}evil.example`;
    expect(displayed(host, { limit: 20, keep: 'end' })).toBe(`\u2026${host.slice(-20)}`);
  });

  test.each([
    ['a right-to-left override', 'ab\u202ecd\u202c', 'abcd'],
    ['isolates', '\u2066a\u2067b\u2068c\u2069', 'abc'],
    ['direction marks', 'a\u200e\u200f\u061cb', 'ab'],
    ['zero-width characters', 'Cl\u200baude\u200d\ufeff\u2060', 'Claude'],
    ['soft hyphens and fillers', 'a\u00ad\u3164\u115f\uffa0b', 'ab'],
    ['tags', 'a\u{e0041}\u{e007f}b', 'ab'],
    ['control characters', 'a\u0000\u0007\u001b[31m\u007f\u009bb', 'a[31mb'],
    ['line breaks', 'a\r\nb\u2028c\td', 'a b c d'],
    ['lone surrogates', 'a\ud800b\udc00', 'ab'],
    ['private and unassigned characters', 'a\ue000\u{10fffd}\u0378b', 'ab'],
    ['blanks that are letters', '\u2800\u3000a\u00a0 b\u2800', 'a b'],
    ['piles of marks', `e${'\u0301'.repeat(50)}`, `e${'\u0301'.repeat(3)}`],
  ])('loses %s', (_, text, left) => expect(displayed(text, { limit: 80 })).toBe(left));

  test.each(['Caf\u00e9', '\u65e5\u672c\u8a9e', '\u05e9\u05dc\u05d5\u05dd', 'caf\u0065\u0301', '\u{1f512} Notes'])(
    'keeps %s',
    text => expect(displayed(text, { limit: 80 })).toBe(text),
  );

  test('takes no time even when it is megabytes', () => {
    const started = performance.now();
    for (const piece of ['\u202e', ' ', '\u0301', 'a\u0301', '<']) displayed(piece.repeat(2_000_000), { limit: 80 });
    expect(performance.now() - started).toBeLessThan(500);
  });

  test('stands in an element of its own direction', () => {
    const page = consentPage({ ...view, client: { id: '1', name: '\u05e9\u05dc\u05d5\u05dd' } });
    expect(page).toContain('<bdi>\u05e9\u05dc\u05d5\u05dd</bdi>');
  });
});

describe('no text gets out of its place on any page (attack 32, F-10)', () => {
  const calm = pagesWith('calm');
  const skeletons = Object.fromEntries(Object.entries(calm).map(([name, page]) => [name, skeletonOf(page)]));

  test.each(corpus)('%j', text => {
    for (const [name, page] of Object.entries(pagesWith(text))) {
      expect(`${name}: ${skeletonOf(page)}`).toBe(`${name}: ${skeletons[name]}`);
    }
  });

  test('nor does any other text', () => {
    const text = fc.oneof(anyText(), fc.string({ unit: fc.constantFrom(...'<>"\'&=/ !-`a') }));
    fc.assert(
      fc.property(text, written => {
        const visible = `x${written}`;
        for (const [name, page] of Object.entries(pagesWith(visible))) expect(skeletonOf(page)).toBe(skeletons[name]);
      }),
      { numRuns: 100 },
    );
  });

  test('there is no script, handler, frame or thing from elsewhere on any page', () => {
    for (const page of Object.values(calm)) {
      for (const { name, attributes } of tagsOf(page)) {
        expect(name).not.toMatch(/^(script|iframe|object|embed|base|img|video|audio|link\/)$/);
        expect(Object.keys(attributes).filter(attribute => /^on|^style$|^src/.test(attribute))).toEqual([]);
        if (name === 'link') expect(attributes.href).toMatch(/^data:image\/svg\+xml,/);
        if (name === 'meta') expect(attributes['http-equiv']).toBeUndefined();
      }
      expect(page).not.toMatch(/url\(|@import/);
    }
  });
});

describe('the consent page (PX-3, F-12)', () => {
  const page = consentPage(view);

  test('has one form, with the fields and two decisions', () => {
    expect(count(page, 'form')).toBe(1);
    expect(tagsOf(page).find(({ name }) => name === 'form')?.attributes).toMatchObject({
      method: 'post',
      action: view.action,
    });
    expect(hiddenOf(page)).toEqual(Object.entries(view.fields));
    const buttons = tagsOf(page).filter(({ name }) => name === 'button');
    expect(buttons.map(({ attributes }) => [attributes.type, attributes.name, attributes.value])).toEqual([
      ['submit', 'decision', 'deny'],
      ['submit', 'decision', 'approve'],
    ]);
  });

  test('posts fields byte for byte, whatever is in them', () => {
    const fields = { 'a"b': '<>&"\' \u202e x', empty: '', long: 'y'.repeat(5_000) };
    expect(hiddenOf(consentPage({ ...view, fields }))).toEqual(Object.entries(fields));
  });

  test('names the client, where the browser goes, the scopes, this server and the resource', () => {
    const text = textOf(page);
    for (const said of ['"Assistant"', 'client-1', 'assistant.example.net', 'read', 'write', 'Mind the gap.'])
      expect(text).toContain(said);
    for (const said of [server.name, server.url, view.resource]) expect(text).toContain(said);
    expect(page).toContain('<p class="host"><bdi>assistant.example.net</bdi></p>');
  });

  test('marks the name as unverified (attack 33)', () => {
    expect(textOf(page)).toContain('Unverified name');
    expect(textOf(consentPage({ ...view, client: { id: '1' } }))).toContain('given no name');
    // A name of invisible characters is none.
    expect(textOf(consentPage({ ...view, client: { id: '1', name: '\u200b\u202e ' } }))).toContain('given no name');
  });

  test('shows warnings in an alert, and no alert without one (attack 34)', () => {
    expect(tagsOf(page).filter(({ attributes }) => attributes.role === 'alert')).toHaveLength(1);
    expect(consentPage({ ...view, warnings: [] })).not.toContain('role="alert"');
  });

  test('says so in words when there is no scope', () => {
    const bare = consentPage({ ...view, scopes: [] });
    expect(count(bare, 'ul')).toBe(0);
    expect(textOf(bare)).toContain('no particular permissions');
  });

  test('shows every scope', () => {
    const scopes = Array.from({ length: 60 }, (_, index) => `scope:${index}`);
    for (const scope of scopes) expect(consentPage({ ...view, scopes })).toContain(`<bdi>${scope}</bdi>`);
  });

  test('shows the whole of a long host', () => {
    const redirectHost = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.example:65535`;
    expect(consentPage({ ...view, redirectHost })).toContain(`<bdi>${redirectHost}</bdi>`);
  });

  test('links the website of the client, saying where it leads and taking nothing along', () => {
    const link = tagsOf(page).find(({ name }) => name === 'a');
    expect(link?.attributes).toMatchObject({ href: 'https://assistant.example.net/', rel: 'noreferrer noopener' });
    expect(textOf(page)).toContain('Website');
  });

  test.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    ' javascript:alert(1)',
    'java\tscript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://a.example/1',
    'https://notes.example.com@evil.example/',
    '//evil.example',
    'not a url',
    'ftp://a.example/',
  ])('never links %j (attack 5, attack 32)', uri => {
    const bad = consentPage({ ...view, client: { ...view.client, uri } });
    expect(hrefsOf(bad)).toEqual([]);
    expect(textOf(bad)).not.toContain('Website');
  });
});

describe('the other pages', () => {
  test('a message says what happened, with details and one link that shows its host', () => {
    const link = { href: 'https://a.example/cb?error=x&state=1', text: 'Return', host: 'a.example' };
    const page = messagePage({
      title: 'Stopped',
      heading: 'H',
      paragraphs: ['P'],
      details: { Error: 'e' },
      link,
      server,
    });
    expect(textOf(page)).toMatch(/H.*P.*a\.example.*Return.*Error.*e/);
    const [anchor] = tagsOf(page).filter(({ name }) => name === 'a');
    expect(anchor?.attributes).toMatchObject({ href: link.href, rel: 'noreferrer noopener' });
    expect(page).toContain('<title>Stopped - Notes</title>');
  });

  test.each([
    'javascript:alert(1)//',
    'JAVASCRIPT:alert(1)',
    ' javascript:x',
    'java\nscript:x',
    'data:text/html,x',
    'vbscript:x',
    'file:///x',
    'blob:x',
    'view-source:x',
    '\u0001javascript:x',
    '/relative',
  ])('a message never links %j (attack 5)', href => {
    const page = messagePage({
      title: 'T',
      heading: 'H',
      paragraphs: [],
      link: { href, text: 'Go', host: 'x' },
      server,
    });
    expect(hrefsOf(page)).toEqual([]);
    expect(textOf(page)).toContain('Go');
  });

  test.each([
    'https://a.example/cb?x=1',
    'http://127.0.0.1:1/cb',
    'cursor://anysphere.cursor-mcp/oauth/callback?error=x',
  ])('a refused request shows where its link %s leads, and goes nowhere by itself (attack 7)', href => {
    const page = redirectNoticePage({
      message: 'No such scope.',
      error: 'invalid_scope',
      href,
      host: 'a.example',
      server,
    });
    expect(hrefsOf(page)).toEqual([href]);
    expect(textOf(page)).toMatch(/No such scope\..*a\.example.*invalid_scope/);
    expect(page).not.toMatch(/http-equiv/i);
  });

  test('the page for an unknown client says how to reset each known client (I-6, B-16, B-18)', () => {
    const text = textOf(unknownClientPage({ clientId: 'gone', server }));
    for (const client of [
      'Claude',
      'Claude Code',
      'ChatGPT',
      'Cursor',
      'VS Code',
      'Codex',
      'Gemini CLI',
      'MCP Inspector',
      'mcp-remote',
    ])
      expect(text).toContain(client);
    for (const step of [
      'gone',
      'rm -rf ~/.mcp-auth',
      'codex mcp logout NAME',
      'claude mcp logout NAME',
      'Clear All MCP Tokens',
    ])
      expect(text).toContain(step);
    expect(text).toContain('Authentication: Remove Dynamic Authentication Providers');
  });

  test('a known client with a foreign address is told apart', () => {
    const text = textOf(
      unknownClientPage({ clientId: 'c', redirectUri: 'https://evil.example/cb', note: 'A note.', server }),
    );
    expect(text).toMatch(/address is not registered.*A note\..*https:\/\/evil\.example\/cb/);
    expect(hrefsOf(unknownClientPage({ clientId: 'c', redirectUri: 'https://evil.example/cb', server }))).toEqual([]);
  });

  test('programs get the same as JSON (I-6)', () => {
    const registrationEndpoint = 'https://notes.example.com/register';
    expect(unknownClientJson({ clientId: 'gone"\\\u202e', registrationEndpoint })).toEqual({
      error: 'invalid_client',
      error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*gone[\x20-\x21\x23-\x5b\x5d-\x7e]*$/),
      registration_endpoint: registrationEndpoint,
    });
    expect(unknownClientJson({ clientId: 'c', redirectUri: 'https://a.example', note: 'A note.' })).toEqual({
      error: 'invalid_request',
      error_description: expect.stringContaining('A note.'),
    });
  });

  test('every page names this server, has a language, a title and one main heading', () => {
    for (const page of Object.values({ ...pagesWith('calm'), own: consentPage(view) })) {
      expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
      expect([count(page, 'h1'), count(page, 'main'), count(page, 'header'), count(page, 'title')]).toEqual([
        1, 1, 1, 1,
      ]);
      expect(
        tagsOf(page)
          .filter(({ attributes }) => attributes['aria-labelledby'])
          .map(({ attributes }) => attributes['aria-labelledby']),
      ).toEqual(tagsOf(page).flatMap(({ attributes }) => attributes.id ?? []));
    }
    expect(textOf(consentPage(view))).toContain(`${server.name}${server.url}`);
  });
});

describe('the colours of the style', () => {
  const style = /<style>(.*)<\/style>/s.exec(consentPage(view))?.[1] as string;
  const palettes = [...style.matchAll(/:root \{([^}]*)\}/g)].map(([, body = '']) =>
    Object.fromEntries([...body.matchAll(/--([a-z-]+): #([0-9a-f]{6});/g)].map(([, name, value]) => [name, value])),
  );
  const luminance = (hex: string) => {
    const [red = 0, green = 0, blue = 0] = [0, 2, 4]
      .map(at => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
      .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: string, other: string) => {
    const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  test.each(['light', 'dark'])('are readable (WCAG AA), %s', name => {
    const colour = palettes[name === 'light' ? 0 : 1] as Record<string, string>;
    const texts = [
      ['text', 'card'],
      ['text', 'page'],
      ['text', 'tint'],
      ['muted', 'card'],
      ['muted', 'page'],
      ['muted', 'tint'],
      ['on-warn', 'warn'],
      ['accent', 'card'],
      ['on-accent', 'accent'],
      ['on-accent', 'accent-strong'],
    ] as const;
    for (const [ink, paper] of texts)
      expect([ink, paper, contrast(colour[ink] as string, colour[paper] as string) >= 4.5]).toEqual([ink, paper, true]);
    for (const paper of ['card', 'page'])
      expect(contrast(colour.edge as string, colour[paper] as string)).toBeGreaterThanOrEqual(3);
  });
});

describe('sendPage', () => {
  const open: Server[] = [];
  afterEach(() => Promise.all(open.splice(0).map(close)));
  const page = consentPage(view);
  const listen = (listener: (req: IncomingMessage, res: ServerResponse) => void) => {
    const one = createServer(listener);
    open.push(one);
    return listenOn(one);
  };
  const style = /<style>(.*)<\/style>/s.exec(page)?.[1] as string;
  const hash = createHash('sha256').update(style).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'`;
  const expected = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy,
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'cross-origin-opener-policy': 'unsafe-none',
  };
  const headersOf = (response: Response) => Object.fromEntries(response.headers);

  const expressApps = { 'Express 5': express, 'Express 4': express4 };
  const appWith = (create: typeof express, ...before: express.RequestHandler[]) => {
    const app = create();
    for (const handler of before) app.use(handler);
    app.get('/page', (req, res, next) => void sendPage(req, res, 400, page).catch(next));
    app.get('/other', (_req, res) => void res.send('other'));
    return app;
  };

  test.each(Object.entries(expressApps))('sends its headers on %s (attack 11, attack 31)', async (_, create) => {
    const response = await fetch(`${await listen(appWith(create))}/page`);
    expect([response.status, await response.text()]).toEqual([400, page]);
    expect(headersOf(response)).toMatchObject(expected);
    expect(headersOf(response)).not.toHaveProperty('x-powered-by');
    expect(headersOf(response)).not.toHaveProperty('strict-transport-security');
    expect(headersOf(response)).not.toHaveProperty('origin-agent-cluster');
  });

  test.each(Object.entries(expressApps))(
    'replaces those of the app on %s, for this page only (F-5, F-6)',
    async (_, create) => {
      const strict = helmet({ xFrameOptions: { action: 'sameorigin' } });
      const origin = await listen(appWith(create, strict));
      const before = headersOf(await fetch(`${origin}/other`));
      const own = headersOf(await fetch(`${origin}/page`));
      expect(own).toMatchObject(expected);
      expect(own['content-security-policy']).not.toContain('form-action');
      // The transport is the app's affair.
      expect(own['strict-transport-security']).toBe(before['strict-transport-security']);
      const after = headersOf(await fetch(`${origin}/other`));
      const { date: _before, ...same } = before;
      expect(after).toMatchObject(same);
      expect(after['content-security-policy']).toContain("form-action 'self'");
      expect(after['cross-origin-opener-policy']).toBe('same-origin');
    },
  );

  test('leaves an app without helmet without its headers elsewhere', async () => {
    const origin = await listen(appWith(express));
    await fetch(`${origin}/page`);
    const other = headersOf(await fetch(`${origin}/other`));
    for (const name of ['content-security-policy', 'x-frame-options', 'referrer-policy', 'cross-origin-opener-policy'])
      expect(other).not.toHaveProperty(name);
  });

  test('sends its headers on bare node:http, and no body for HEAD', async () => {
    const origin = await listen((req, res) => void sendPage(req, res, 403, page));
    const got = await fetch(origin);
    expect([got.status, await got.text()]).toEqual([403, page]);
    expect(headersOf(got)).toMatchObject(expected);
    const head = await fetch(origin, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([403, '']);
    expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(page)));
  });

  test('its policy is the hash of the style that every page has, and allows no inline style besides', () => {
    for (const one of Object.values(pagesWith('calm')))
      expect([...one.matchAll(/<style>(.*?)<\/style>/gs)].map(([, body]) => body)).toEqual([style]);
    expect(policy).not.toContain('unsafe-inline');
    expect(policy).not.toContain('form-action');
  });

  test('lets no other site read a page, whatever the CORS of the app', async () => {
    const cors: express.RequestHandler = (req, res, next) => {
      res.set('Access-Control-Allow-Origin', req.get('origin') ?? '*').set('Access-Control-Allow-Credentials', 'true');
      res.set('Access-Control-Expose-Headers', 'X-Any');
      next();
    };
    const origin = await listen(appWith(express, cors));
    const response = await fetch(`${origin}/page`, { headers: { origin: 'https://evil.example' } });
    expect(Object.keys(headersOf(response)).filter(name => name.startsWith('access-control'))).toEqual([]);
  });

  test('a policy of the operator replaces ours, in report-only mode too', async () => {
    const csp = "default-src 'self'; frame-ancestors 'none'";
    const origin = await listen((req, res) => {
      res.setHeader('Content-Security-Policy-Report-Only', "default-src 'none'");
      void sendPage(req, res, 200, '<p>own</p>', { csp });
    });
    const response = await fetch(origin);
    expect(headersOf(response)).toMatchObject({ ...expected, 'content-security-policy': csp });
    expect(headersOf(response)).not.toHaveProperty('content-security-policy-report-only');
    expect(await response.text()).toBe('<p>own</p>');
  });

  test('with csp false that header is left to the app, and the page still cannot be framed', async () => {
    const theirs = "default-src 'self'";
    const origin = await listen((req, res) => {
      if (req.url === '/app') res.setHeader('Content-Security-Policy', theirs);
      void sendPage(req, res, 200, '<p>own</p>', { csp: false });
    });
    const { 'content-security-policy': _policy, ...others } = expected;
    const bare = headersOf(await fetch(origin));
    expect(bare).toMatchObject(others);
    expect(bare).not.toHaveProperty('content-security-policy');
    expect(headersOf(await fetch(`${origin}/app`))).toMatchObject({ ...others, 'content-security-policy': theirs });
  });

  test('the policy for a page of the app allows its styles and pictures, and no script', () => {
    expect(CUSTOM_PAGE_CSP).toMatch(/^default-src 'none'; style-src 'self' 'unsafe-inline';/);
    expect(CUSTOM_PAGE_CSP).not.toMatch(/script-src|form-action|https:/);
    expect(CUSTOM_PAGE_CSP).toContain("frame-ancestors 'none'");
  });

  test('does nothing to a response that was answered or lost meanwhile', async () => {
    const answered = await listen((req, res) => {
      res.end('time-out');
      void sendPage(req, res, 200, page);
    });
    expect(await (await fetch(answered)).text()).toBe('time-out');

    let done: Promise<void> | undefined;
    const lost = await listen((req, res) => {
      req.socket.destroy();
      done = sendPage(req, res, 200, page);
    });
    await new Promise(resolve => httpRequest(lost).on('error', resolve).end());
    await expect(done).resolves.toBeUndefined();
  });

  test('an answer without a page can keep the opener too', async () => {
    const origin = await listen((_req, res) => {
      res.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      keepOpener(res);
      res.writeHead(303, { Location: '/' }).end();
    });
    const response = await fetch(origin, { redirect: 'manual' });
    expect(response.headers.get('cross-origin-opener-policy')).toBe('unsafe-none');
  });

  test('helmet is loaded with the first page, not with the package', () => {
    const statics = [...readTree('lib')].filter(([, source]) =>
      nodesOf(source).some(node => node.type === 'ImportDeclaration' && node.source.value === 'helmet'),
    );
    expect(statics).toEqual([]);
  });
});
