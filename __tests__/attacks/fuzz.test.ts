import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyText } from '../support/any-text.js';
import { formOf, type OAuthClient, REDIRECT } from '../support/oauth-client.js';
import type { ProxyApp } from '../support/proxy-app.js';
import { heldBy } from './support/verdicts.js';
import { world } from './support/worlds.js';

/*
 * Whatever is sent, the answer is one of the documented ones, and what is refused has changed nothing. The seed is
 * printed by fast-check when a property fails.
 */
const RUNS = { numRuns: 120 };
/** User time that one property may take on a slow machine, in microseconds: garbage is cheap. */
const BUDGET = 20_000_000;

const JUNK = [
  '',
  ' ',
  '\u0000',
  '__proto__',
  'constructor',
  'null',
  '-1',
  'a'.repeat(3_000),
  '../../x',
  '%00%0d%0a',
  '<script>',
  'https://evil.test/cb',
  'http://127.0.0.1:1/callback',
  'javascript:alert(1)',
  '\ud800',
  '\u{1f600}'.repeat(50),
];

const text = fc.oneof(
  fc.constantFrom(...JUNK),
  fc.string({ maxLength: 60 }),
  anyText({ maxLength: 20 }),
  fc.base64String({ maxLength: 120 }).map(value => `mcp_rt_${value}`),
  fc.base64String({ maxLength: 120 }).map(value => `mcp_ac_${value}`),
);

/** Real values, changed: half of them stay as they are, so that one fault at a time is tried as well as many. */
const changes = (names: readonly string[]) =>
  fc.array(
    fc.record({
      name: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...names) },
        { weight: 1, arbitrary: fc.constantFrom('__proto__', 'a[b]', 'x') },
      ),
      how: fc.constantFrom('replace' as const, 'repeat' as const, 'drop' as const),
      value: text,
    }),
    { maxLength: 4 },
  );
type Changes = { name: string; how: 'replace' | 'repeat' | 'drop'; value: string }[];

function changed(good: Readonly<Record<string, string>>, list: Changes): URLSearchParams {
  const params = new URLSearchParams(good);
  for (const { name, how, value } of list) {
    if (how === 'drop') params.delete(name);
    else if (how === 'repeat') params.append(name, value);
    else params.set(name, value);
  }
  return params;
}

interface Seen {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function send(url: string, init: RequestInit): Promise<Seen> {
  const response = await fetch(url, { ...init, redirect: 'manual' });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Sends something, and checks what holds for every answer. */
async function tried(app: ProxyApp, documented: readonly number[], url: string, init: RequestInit): Promise<Seen> {
  const before = heldBy(app.store);
  const seen = await send(url, init);
  expect(documented).toContain(seen.status);
  expect(seen.text).not.toMatch(/\bat .*:\d+:\d+|node_modules|Error:/);
  expect(({} as Record<string, unknown>).x).toBeUndefined();
  if (seen.status >= 400) expect(heldBy(app.store)).toEqual(before);
  if (seen.headers.get('content-type')?.includes('json') && seen.text !== '') JSON.parse(seen.text);
  return seen;
}

async function within(property: fc.IAsyncProperty<unknown>): Promise<void> {
  const started = process.cpuUsage();
  await fc.assert(property, RUNS);
  expect(process.cpuUsage(started).user).toBeLessThan(BUDGET);
}

const cookiesOf = (client: OAuthClient, app: ProxyApp) =>
  [...client.browser.cookies(app.base)].map(pair => pair.join('=')).join('; ');

describe('fuzz: only documented answers, and nothing stored by what is refused', () => {
  test('POST /register with any JSON (attack 75, attack 76)', async () => {
    const app = await world({ options: { clients: { registration: 'stored' } } });
    const member = fc.oneof(
      text,
      fc.array(text, { maxLength: 3 }),
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(
        ['https://client.example/cb'],
        'none',
        'client_secret_basic',
        ['authorization_code'],
        ['code'],
        'web',
        'native',
      ),
    );
    const names = [
      'redirect_uris',
      'client_name',
      'client_uri',
      'token_endpoint_auth_method',
      'grant_types',
      'response_types',
      'scope',
      'application_type',
      'jwks',
      '__proto__',
      'client_id',
    ];
    const body = fc.oneof(
      fc.dictionary(fc.constantFrom(...names), member).map(members => ({ redirect_uris: [REDIRECT], ...members })),
      fc.dictionary(fc.constantFrom(...names), member),
      fc.jsonValue({ maxDepth: 4 }),
    );
    await within(
      fc.asyncProperty(body, async value => {
        const { status, text: answer } = await tried(app, [201, 400, 413], `${app.base}/register`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(value),
        });
        if (status === 201) expect(JSON.parse(answer).client_id).toMatch(/^[\w-]+$/);
        else expect(JSON.parse(answer).error).toMatch(/^invalid_(redirect_uri|client_metadata)$/);
      }),
    );
  });

  test('POST /register with any bytes and any type (attack 77)', async () => {
    const app = await world();
    const types = fc.constantFrom(
      'application/json',
      'application/json; charset=x',
      'text/plain',
      'application/x-www-form-urlencoded',
      '',
    );
    await within(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), types, async (bytes, type) => {
        await tried(app, [400], `${app.base}/register`, {
          method: 'POST',
          headers: type === '' ? {} : { 'content-type': type },
          body: Buffer.from(bytes),
        });
      }),
    );
  });

  test('GET and POST /authorize with changed parameters (attacks 1 to 14)', async () => {
    const app = await world();
    const client = await app.client();
    const known = [
      'client_id',
      'redirect_uri',
      'response_type',
      'response_mode',
      'scope',
      'state',
      'code_challenge',
      'code_challenge_method',
      'resource',
      'request',
      'request_uri',
      'prompt',
    ];
    const html = fc.constantFrom('text/html', 'application/json');
    await within(
      fc.asyncProperty(changes(known), html, fc.boolean(), async (list, accept, isPost) => {
        const good = Object.fromEntries(new URL(client.authorizeUrl()).searchParams);
        const params = changed(good, list);
        const url = `${app.base}/authorize`;
        const seen = await tried(
          app,
          [200, 303, 400],
          isPost ? url : `${url}?${params}`,
          isPost ? { method: 'POST', headers: { accept }, body: params } : { headers: { accept } },
        );
        const location = seen.headers.get('location');
        // Nobody is ever sent anywhere but to the one address that is registered, on some port.
        if (location !== null) {
          expect(location).toMatch(/^http:\/\/127\.0\.0\.1(:\d+)?\/callback\?/);
          expect(new URL(location).searchParams.getAll('error')).toHaveLength(1);
          expect(new URL(location).searchParams.has('code')).toBe(false);
        } else if (seen.status === 303) throw new Error('a redirect to nowhere');
        expect(heldBy(app.store).writes).toBe(0);
      }),
    );
  });

  test('POST /consent with changed fields, cookies and headers (attacks 23 to 27)', async () => {
    const app = await world();
    const client = await app.client();
    const { fields } = formOf(await client.authorize());
    const cookie = cookiesOf(client, app);
    const other = await app.client({ redirect_uris: ['https://client.example/cb'] });
    const foreign = formOf(await other.authorize()).fields;
    const header = fc.record(
      {
        origin: fc.constantFrom(app.base, 'null', 'https://evil.test', 'x'),
        'sec-fetch-site': fc.constantFrom('same-origin', 'cross-site', 'none', 'x'),
        cookie: fc.constantFrom(cookie, `${cookie}x`, 'a=b', '='),
      },
      { requiredKeys: [] },
    );
    const field = fc.oneof(text, fc.constantFrom(...Object.values(foreign)));
    const list = fc.array(
      fc.record({
        name: fc.constantFrom('request', 'csrf', 'decision'),
        how: fc.constantFrom('replace' as const, 'repeat' as const, 'drop' as const),
        value: field,
      }),
      { minLength: 1, maxLength: 3 },
    );
    await within(
      fc.asyncProperty(list, header, async (several, headers) => {
        const body = changed({ ...fields, decision: 'approve' }, several);
        const seen = await tried(app, [303, 400, 403], `${app.base}/consent`, {
          method: 'POST',
          headers: { cookie, ...headers },
          body,
        });
        // What passes is this very request, approved or denied, however often its good fields were repeated.
        if (seen.status !== 303) return;
        expect([body.get('request'), body.get('csrf')]).toEqual([fields.request, fields.csrf]);
        expect(headers.cookie ?? cookie).toBe(cookie);
        expect(['approve', 'deny']).toContain(body.get('decision'));
      }),
    );
  });

  test('GET of the callback with changed parameters and cookies (attacks 25, 26)', async () => {
    const app = await world();
    const client = await app.client();
    const back = await client.signIn(await client.decide(await client.authorize()));
    const good = Object.fromEntries(new URL(back).searchParams);
    const cookie = cookiesOf(client, app);
    const bent = [...cookie].reverse().join('');
    await within(
      fc.asyncProperty(
        changes(['state', 'iss', 'error', 'error_description', 'session_state']),
        fc.constantFrom('', 'a=b', bent, `${cookie.slice(0, -3)}xxx`),
        async (list, jar) => {
          const url = `${app.base}/auth/callback?${changed(good, list)}`;
          await tried(app, [400, 403], url, { headers: jar === '' ? {} : { cookie: jar } });
        },
      ),
    );
    // After all that, the right browser with the right answer still gets its code.
    expect(app.provider.of('/token')).toEqual([]);
    expect((await client.browser.get(back)).location?.searchParams.has('code')).toBe(true);
  });

  test('POST /token with changed parameters and headers (attacks 15 to 20, 56 to 58, 78, 81)', async () => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_post' });
    const code = await client.code();
    const tokens = await client.tokens();
    const verifier = 'x'.repeat(43);
    const known = [
      'grant_type',
      'code',
      'code_verifier',
      'redirect_uri',
      'refresh_token',
      'scope',
      'resource',
      'client_id',
      'client_secret',
      'client_assertion',
    ];
    const credentials = { client_id: client.id, client_secret: client.secret ?? '' };
    // Each of these has one fault already, so that nothing of it may pass whatever else is changed.
    const bases = [
      { grant_type: 'authorization_code', code, code_verifier: verifier, ...credentials },
      { grant_type: 'refresh_token', refresh_token: `${tokens.refresh_token}A`, ...credentials },
      { grant_type: 'refresh_token', refresh_token: tokens.access_token, ...credentials },
      { grant_type: 'client_credentials', ...credentials },
    ];
    const authorization = fc.constantFrom(
      '',
      'Basic',
      'Basic !',
      'Basic Og==',
      'Bearer x',
      `Basic ${Buffer.from(`${client.id}:x`).toString('base64')}`,
    );
    await within(
      fc.asyncProperty(fc.constantFrom(...bases), changes(known), authorization, async (base, list, header) => {
        const seen = await tried(app, [400, 401, 413], `${app.base}/token`, {
          method: 'POST',
          headers: header === '' ? {} : { authorization: header },
          body: changed(base as Record<string, string>, list),
        });
        expect(JSON.parse(seen.text).error).toMatch(
          /^(invalid_(request|client|grant|scope|target)|unsupported_grant_type)$/,
        );
        expect(seen.headers.get('cache-control')).toBe('no-store');
      }),
    );
    expect((await app.call(tokens.access_token)).status).toBe(200);
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
  });

  test('POST /token and /revoke with any bytes and any type (attack 77)', async () => {
    const app = await world();
    const types = fc.constantFrom(
      'application/x-www-form-urlencoded',
      'application/json',
      'multipart/form-data; boundary=x',
      'text/plain',
      'x',
      '',
    );
    await within(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        types,
        fc.constantFrom('/token', '/revoke'),
        async (bytes, type, path) => {
          await tried(app, [400, 401], app.base + path, {
            method: 'POST',
            headers: type === '' ? {} : { 'content-type': type },
            body: Buffer.from(bytes),
          });
        },
      ),
    );
  });

  test('POST /revoke with changed parameters (attack 83)', async () => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_post' });
    const other = await app.client();
    const tokens = await other.tokens();
    const good = {
      token: tokens.refresh_token,
      token_type_hint: 'refresh_token',
      client_id: client.id,
      client_secret: client.secret ?? '',
    };
    await within(
      fc.asyncProperty(changes(Object.keys(good)), async list => {
        const before = heldBy(app.store);
        await tried(app, [200, 400, 401], `${app.base}/revoke`, { method: 'POST', body: changed(good, list) });
        expect(heldBy(app.store)).toEqual(before);
      }),
    );
    expect((await app.call(tokens.access_token)).status).toBe(200);
  });

  test('the MCP endpoint with any token (attacks 46, 54, 85)', async () => {
    const app = await world();
    const { access_token: good } = await (await app.client()).tokens();
    const bytes = Buffer.from(good.slice(7), 'base64url');
    const near = fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
      const bent = Buffer.from(bytes);
      bent.writeUInt8(bent.readUInt8(at) ^ flip, at);
      return `mcp_at_${bent.toString('base64url')}`;
    });
    const visible = fc.string({ unit: fc.constantFrom(...'abcXYZ019-._~+/='), maxLength: 80 });
    const token = fc.oneof(
      near,
      visible,
      visible.map(value => `mcp_at_${value}`),
      visible.map(value => `mcp_${value}`),
    );
    await within(
      fc.asyncProperty(token, async value => {
        await tried(app, [401], `${app.base}/mcp`, { method: 'POST', headers: { authorization: `Bearer ${value}` } });
      }),
    );
    expect((await app.call(good)).status).toBe(200);
  });
});
