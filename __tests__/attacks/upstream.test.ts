import type { ServerResponse } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { OAuthClient, REDIRECT } from '../support/oauth-client.js';
import { type ProxyApp, protectedApp, type Setup } from '../support/proxy-app.js';
import { strangersKey, UPSTREAM_ID, UPSTREAM_SECRET, type UpstreamProvider } from '../support/upstream-provider.js';
import { expectFailure, expectRedirectError, expectTokens } from './support/verdicts.js';
import { world } from './support/worlds.js';

/** With `upstream.issuer`: endpoints discovered, people known by their ID token. */
async function discovering(setup: Setup = {}): Promise<ProxyApp> {
  const { provider } = await world();
  const app = await world({
    ...setup,
    options: { verifier: undefined, ...(setup.options as object) },
    upstream: {
      issuer: provider.origin,
      authorizationEndpoint: undefined,
      tokenEndpoint: undefined,
      revocationEndpoint: undefined,
      ...setup.upstream,
    },
  });
  app.provider.behaviour.idToken = {};
  app.provider.behaviour.scope = 'openid read write';
  return app;
}

const answerWith = (provider: UpstreamProvider, answer: (res: ServerResponse) => unknown) =>
  provider.intercept.set('/token', (_, res) => {
    answer(res);
    return true;
  });
const grantsIn = (app: ProxyApp) => app.store.writes.filter(({ ttlSeconds }) => ttlSeconds === 60);

async function expectNoSignIn(app: ProxyApp, error: string | RegExp): Promise<void> {
  const page = await (await app.client()).connect();
  expectRedirectError(page, REDIRECT, error, app.base);
  expect(grantsIn(app)).toEqual([]);
}

describe('attack 22 upstream: an answer of another provider (RFC 9207, PX-10)', () => {
  test('a wrong iss ends the sign-in, and its code is not redeemed (attack 22)', async () => {
    const app = await discovering();
    app.provider.behaviour.iss = 'https://evil.test';
    await expectNoSignIn(app, 'server_error');
    expect(app.provider.of('/token')).toEqual([]);
  });

  test('a missing iss does so where the provider promises one (attack 22)', async () => {
    const app = await discovering();
    app.provider.metadata.authorization_response_iss_parameter_supported = true;
    await expectNoSignIn(app, 'server_error');
    expect(app.provider.of('/token')).toEqual([]);
  });

  test('a wrong iss beside an error is no answer of the provider either (attack 22)', async () => {
    const app = await discovering();
    app.provider.behaviour.iss = 'https://evil.test';
    app.provider.behaviour.signInError = 'access_denied';
    await expectNoSignIn(app, 'server_error');
  });

  test('the right iss passes (attack 22)', async () => {
    const app = await discovering();
    app.provider.metadata.authorization_response_iss_parameter_supported = true;
    app.provider.behaviour.iss = app.provider.origin;
    await (await app.client()).tokens();
  });
});

describe('attack 100: what a provider may answer (PX-15)', () => {
  const UNUSABLE = 'temporarily_unavailable';
  const cases: [string, string, (res: ServerResponse) => unknown][] = [
    ['HTML', UNUSABLE, res => res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>hi</h1>')],
    ['nothing', UNUSABLE, res => res.writeHead(200).end()],
    ['a list', UNUSABLE, res => res.end('[]')],
    ['null', UNUSABLE, res => res.end('null')],
    ['no access token', UNUSABLE, res => res.end('{"token_type":"bearer"}')],
    ['an empty access token', UNUSABLE, res => res.end('{"access_token":"","token_type":"bearer"}')],
    ['an access token that is a number', UNUSABLE, res => res.end('{"access_token":7,"token_type":"bearer"}')],
    ['another token type', UNUSABLE, res => res.end('{"access_token":"up-x","token_type":"mac"}')],
    ['300 kB', UNUSABLE, res => res.end(JSON.stringify({ access_token: 'up-x', junk: 'x'.repeat(300_000) }))],
    ['a redirect', UNUSABLE, res => res.writeHead(302, { location: 'https://evil.test/' }).end()],
    ['a fault', UNUSABLE, res => res.writeHead(500).end('{"error":"server_error"}')],
    ['too many requests', UNUSABLE, res => res.writeHead(429).end('{"error":"slow_down"}')],
    ['an end in the middle', UNUSABLE, res => res.destroy()],
    ['an error with 200', 'server_error', res => res.end('{"error":"bad_code","error_description":"<script>"}')],
    ['its refusal of our secret', 'server_error', res => res.writeHead(401).end('{"error":"invalid_client"}')],
    ['its refusal of the code', 'access_denied', res => res.writeHead(400).end('{"error":"invalid_grant"}')],
    ['a token of nobody', 'access_denied', res => res.end('{"access_token":"nobody","token_type":"bearer"}')],
  ];

  test.each(cases)(
    '%s ends the sign-in with %s, and nothing is stored for it (attack 100)',
    async (_, error, answer) => {
      const app = await world();
      answerWith(app.provider, answer);
      await expectNoSignIn(app, error);
      const [asked] = app.provider.of('/token');
      expect(asked?.params.code).toBeDefined();
    },
  );

  test('a redirect of the token endpoint is not followed: our secret goes nowhere else (attack 100)', async () => {
    for (const status of [302, 307, 308]) {
      const app = await world();
      answerWith(app.provider, res => res.writeHead(status, { location: `${app.provider.origin}/elsewhere` }).end());
      await expectNoSignIn(app, /^(server_error|temporarily_unavailable)$/);
      expect(app.provider.of('/elsewhere')).toEqual([]);
    }
  });

  test('an injected fetch that answers nothing is a failure: our secret takes no other way (attack 100)', async () => {
    const app = await world({ options: { fetch: () => undefined } });
    await expectNoSignIn(app, 'temporarily_unavailable');
    expect(app.provider.of('/token')).toEqual([]);
  });

  test('a provider that never answers is given up after timeoutMs (attack 100)', async () => {
    const app = await world({ upstream: { timeoutMs: 100 } });
    app.provider.intercept.set('/token', () => true);
    await expectNoSignIn(app, 'temporarily_unavailable');
  });

  test('what it writes never reaches the client or a page (attack 96, attack 100, K5)', async () => {
    const app = await world();
    app.provider.behaviour.signInError = 'access_denied';
    const denied = await (await app.client()).connect();
    expect(denied.location?.href).not.toMatch(/script%3E|provider/i);
    app.provider.behaviour.signInError = '<script>alert(1)</script>';
    const odd = await (await app.client()).connect();
    expectRedirectError(odd, REDIRECT, 'server_error', app.base);
    expect(odd.location?.href).not.toMatch(/alert|%3C/i);
  });

  test('a discovery document of another issuer is none (attack 100)', async () => {
    const app = await discovering();
    app.provider.metadata.issuer = 'https://evil.test';
    const client = await app.client();
    const page = await client.decide(await client.authorize());
    expectRedirectError(page, REDIRECT, 'temporarily_unavailable', app.base);
  });

  test.each(['authorization_endpoint', 'token_endpoint', 'revocation_endpoint', 'jwks_uri'])(
    'a discovered %s on plain http beyond loopback is not used (attack 100)',
    async member => {
      const app = await discovering();
      app.provider.metadata[member] = 'http://idp.example.com/x';
      const client = await app.client();
      const page = await client.decide(await client.authorize());
      const last = page.location?.href.startsWith(app.provider.origin)
        ? await client.browser.get(await client.signIn(page))
        : page;
      expect(last.location?.searchParams.has('code')).toBe(false);
      expect(grantsIn(app)).toEqual([]);
    },
  );
});

describe('attack 100: ID tokens (OpenID Connect Core section 3.1.3.7, PX-10)', () => {
  const bad: [string, Record<string, unknown>][] = [
    ['another nonce', { nonce: 'x' }],
    ['no nonce', { nonce: undefined }],
    ['another audience', { aud: 'another-app' }],
    ['an audience without us', { aud: ['another-app'] }],
    ['another issuer', { iss: 'https://evil.test' }],
    ['no expiry', { exp: undefined }],
    ['an end in the past', { exp: 1 }],
    ['another authorized party', { aud: [UPSTREAM_ID, 'another-app'], azp: 'another-app' }],
    ['no subject', { sub: undefined }],
    ['an empty subject', { sub: '' }],
    ['a subject that is a number', { sub: 7 }],
  ];
  test.each(bad)('with %s end the sign-in (attack 100, attack 46)', async (_, claims) => {
    const app = await discovering();
    app.provider.behaviour.idToken = claims;
    await expectNoSignIn(app, 'access_denied');
  });

  test('none at all, or one by another key, end it too (attack 100)', async () => {
    const app = await discovering();
    app.provider.behaviour.idToken = undefined;
    await expectNoSignIn(app, 'access_denied');
    const other = await discovering();
    other.provider.behaviour.idTokenKey = await strangersKey();
    await expectNoSignIn(other, 'access_denied');
  });

  test('every sign-in has a nonce and a challenge of its own, and ours are not the client’s (PX-10)', async () => {
    const app = await discovering();
    const client = await app.client();
    await client.tokens();
    await client.tokens();
    const asked = app.provider.of('/authorize').map(({ params }) => params);
    for (const name of ['nonce', 'state', 'code_challenge'])
      expect(new Set(asked.map(params => params[name])).size).toBe(2);
    const shown = new URL(client.authorizeUrl()).searchParams;
    expect(asked.map(({ code_challenge }) => code_challenge)).not.toContain(shown.get('code_challenge'));
    for (const { params } of app.provider.of('/token')) expect(params.code_verifier).not.toBe(client.verifier);
  });

  const lies: [string, Record<string, unknown>][] = [
    ['somebody else', { sub: 'mallory' }],
    ['nobody', { sub: undefined }],
    ['another app', { aud: 'another-app' }],
    ['other apps', { aud: ['another-app', 'a-third'] }],
    ['another issuer', { iss: 'https://evil.test' }],
  ];
  describe.each([
    ['', false],
    [' while the keys are out of reach', true],
  ])('a refresh%s', (_, areKeysOut) => {
    test.each(lies)('that names %s is an outage: nothing of it is stored (attack 100)', async (_, claims) => {
      const { provider } = await world();
      // One key set for whatever issuer: then only the name itself tells them apart.
      const app = await discovering({ upstream: { jwksUri: `${provider.origin}/jwks` } });
      const client = await app.client();
      const tokens = await client.tokens();
      // Another process, which knows no keys yet.
      const replica = await app.replica();
      const there = new OAuthClient({ base: replica.origin }, { id: client.id });
      if (areKeysOut) app.provider.intercept.set('/jwks', (_, res) => Boolean(res.writeHead(503).end()));
      app.provider.behaviour.idTokenOnRefresh = claims;
      app.clock.pass(3_601);
      expectFailure(await there.refresh(tokens.refresh_token), 503, 'temporarily_unavailable');
      expect(app.provider.of('/token', 'refresh_token')).toHaveLength(1);
    });
  });

  test('a refresh with an ID token by another key, or by none, is an outage too (attack 100)', async () => {
    const forged = (header: object) =>
      [header, { iss: app.provider.origin, aud: UPSTREAM_ID, sub: 'alice', exp: app.clock.seconds + 300 }]
        .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.');
    let app = await discovering();
    const signer = await strangersKey();
    const tokens = [
      () => signer.sign({ iss: app.provider.origin, aud: UPSTREAM_ID, sub: 'alice', exp: app.clock.seconds + 300 }),
      async () => `${forged({ alg: 'none' })}.`,
      async () => `${forged({ alg: 'HS256' })}.${'A'.repeat(43)}`,
      async () => 'no JWT at all',
    ];
    for (const make of tokens) {
      app = await discovering();
      const client = await app.client();
      const { refresh_token: token } = await client.tokens();
      app.clock.pass(3_601);
      const idToken = await make();
      answerWith(app.provider, res =>
        res.end(JSON.stringify({ access_token: 'up-x', token_type: 'bearer', id_token: idToken })),
      );
      expectFailure(await client.refresh(token), 503, 'temporarily_unavailable');
    }
  });
});

describe('attack 101: who somebody is', () => {
  test('is the subject of the issuer, never an e-mail address (attack 101, K30)', async () => {
    const app = await discovering();
    app.provider.behaviour.idToken = {
      sub: 'mallory',
      email: 'alice@example.com',
      email_verified: false,
      preferred_username: 'alice',
    };
    const { access_token: token } = await (await app.client()).tokens();
    const { body } = await app.call(token);
    expect(body.extra).toMatchObject({ subject: 'mallory', issuer: app.provider.origin });
  });

  test('a sign-in without a subject ends (attack 101)', async () => {
    const app = await world();
    app.provider.behaviour.subject = '';
    await expectNoSignIn(app, 'access_denied');
  });
});

describe('attack 59: an upstream session that ends, fails or hangs (PX-9)', () => {
  test('one that the provider ended ends the grant: 401, and nobody asks again (attack 59)', async () => {
    const app = await world();
    const client = await app.client();
    const tokens = await client.tokens();
    app.provider.forget();
    app.clock.pass(3_601);
    expectFailure(await client.refresh(tokens.refresh_token), 401, 'invalid_grant');
    const asked = app.provider.requests.length;
    expectFailure(await client.refresh(tokens.refresh_token), 401, 'invalid_grant');
    expect((await app.call(tokens.access_token)).status).toBe(401);
    expect(app.provider.requests.length).toBe(asked);
  });

  test('a token of ours never outlives an upstream token that nobody can refresh (attack 59, PX-9)', async () => {
    const app = await world({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    app.provider.behaviour.refreshTokens = 'none';
    const client = await app.client();
    const { body } = await client.redeem(await client.code());
    expect(body).toMatchObject({ expires_in: 3_600 });
    expect(body).not.toHaveProperty('refresh_token');
    app.clock.pass(3_600);
    expect((await app.call(String(body.access_token))).status).toBe(401);
  });

  test('fifty calls over an expired upstream token ask once, also where it fails (attack 59)', async () => {
    const app = await world({ options: { tokens: { accessTtlSeconds: 86_400 } } });
    const { access_token: token } = await (await app.client()).tokens();
    const asked = () => app.provider.of('/token', 'refresh_token').length;
    app.clock.pass(3_601);
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await app.call(token)).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(asked()).toBe(1);
    expect(app.provider.thefts()).toBe(0);

    answerWith(app.provider, res => res.writeHead(503).end());
    app.clock.pass(3_601);
    const failed = await app.call(token);
    expect([failed.status, failed.headers.has('retry-after')]).toEqual([503, true]);
    expect(asked()).toBe(2);
    app.provider.intercept.clear();
    expect((await app.call(token)).status).toBe(200);
  });

  test('a botched secret of ours logs nobody out (attack 59)', async () => {
    const app = await world();
    const client = await app.client();
    const tokens = await client.tokens();
    app.clock.pass(3_601);
    answerWith(app.provider, res => res.writeHead(401).end('{"error":"invalid_client"}'));
    expectFailure(await client.refresh(tokens.refresh_token), 503, 'temporarily_unavailable');
    app.provider.intercept.clear();
    expectTokens(await client.refresh(tokens.refresh_token));
  });

  test('what a provider revoked is refused once it is asked again (attack 59)', async () => {
    const app = await world({ options: { revalidateSeconds: 0 } });
    const { access_token: token } = await (await app.client()).tokens();
    expect((await app.call(token)).status).toBe(200);
    app.provider.forget();
    expect((await app.call(token)).status).toBe(401);
  });

  test('the last good answer holds only for so long while nobody can be asked (attack 59)', async () => {
    const app = await world({ options: { revalidateSeconds: 10, revalidateGraceSeconds: 20 } });
    const { access_token: token } = await (await app.client()).tokens();
    app.verifier.down = true;
    const statusAfter = async (seconds: number) => {
      app.clock.pass(seconds);
      return (await app.call(token)).status;
    };
    expect([await statusAfter(9), await statusAfter(20), await statusAfter(2)]).toEqual([200, 200, 503]);
  });
});

describe('attack 60: whose token goes where (PX-8)', () => {
  test('what a client presents reaches no provider, and what the provider gives reaches no client (attack 60)', async () => {
    const app = await world({ app: proxy => protectedApp(proxy) as never });
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_post' });
    const approved = await client.decide(await client.authorize());
    const back = await client.browser.get(await client.signIn(approved));
    const code = back.location?.searchParams.get('code') ?? '';
    const first = await client.redeem(code);
    app.clock.pass(3_601);
    const second = await client.refresh(first.body.refresh_token);
    await app.call(String(second.body.access_token));
    await client.revoke(second.body.refresh_token);

    const sentUp = JSON.stringify(app.provider.requests);
    const ours = [code, first.body, second.body].flatMap(each =>
      typeof each === 'string' ? [each] : [each.access_token, each.refresh_token],
    );
    for (const secret of [...ours, client.secret, client.id, client.verifier, 'the-state'])
      expect(sentUp).not.toContain(String(secret));

    const upstreamCode = app.provider.secrets.filter(secret => secret.startsWith('up-code'));
    const told = JSON.stringify([
      back.location?.href,
      first.body,
      second.body,
      [...first.headers],
      client.browser.received,
    ]);
    for (const secret of [...app.provider.secrets, ...upstreamCode, UPSTREAM_SECRET])
      expect(told).not.toContain(secret);
    expect(app.provider.of('/revoke')).toHaveLength(1);
  });

  test('resource is ours to check: upstream gets none unless it is asked to (PX-11, K4)', async () => {
    const app = await world();
    await (await app.client()).tokens({ resource: `${app.base}/mcp` });
    expect(JSON.stringify(app.provider.requests)).not.toContain('resource');
  });

  test('nothing that a client sends gets into the request upstream but its scopes (K6, attack 8)', async () => {
    const app = await world();
    const client = await app.client();
    const extra = {
      prompt: 'none',
      login_hint: 'x&client_id=evil',
      nonce: 'theirs',
      max_age: '0',
      claims: '{}',
      ui_locales: '../',
      audience: 'x',
      access_type: 'offline',
    };
    await client.decide(await client.authorize({ scope: 'read write', ...extra })).then(page => client.signIn(page));
    const [asked] = app.provider.of('/authorize');
    expect(Object.keys(asked?.params ?? {}).sort()).toEqual([
      'client_id',
      'code_challenge',
      'code_challenge_method',
      'redirect_uri',
      'response_type',
      'scope',
      'state',
    ]);
    expect(asked?.params).toMatchObject({
      client_id: UPSTREAM_ID,
      scope: 'read write',
      redirect_uri: `${app.base}/auth/callback`,
    });
  });

  test('two codes, or a code beside an error, in the callback give no tokens (attack 9)', async () => {
    for (const junk of ['&code=x', '&error=access_denied']) {
      const app = await world();
      const client = await app.client();
      const back = await client.signIn(await client.decide(await client.authorize()));
      const page = await client.browser.get(back + junk);
      expect(page.location?.searchParams.has('code')).toBe(false);
      expect(grantsIn(app)).toEqual([]);
    }
  });
});
