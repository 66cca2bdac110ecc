import { describe, expect, test } from '@jest/globals';
import { type Auth, customVerifier, multiAuth, staticTokenVerifier } from 'express-mcp-auth';
import { OAuthClient, type Tokens } from '../support/oauth-client.js';
import { handle, type ProxyApp, protectedApp } from '../support/proxy-app.js';
import { expectFailure, expectNothingStored, expectRedirectError, expectTokens } from './support/verdicts.js';
import { world } from './support/worlds.js';

const STATIC = 'a-static-key-of-a-machine-0123456789';

/** Two compositions, on /a and /b, that share one server. */
const twoResources = (changes: Record<string, unknown> = {}) =>
  world({
    options: { ...changes },
    app: proxy => {
      const a = multiAuth(proxy, [], { mcpPath: '/a' });
      const b = multiAuth(proxy, [staticTokenVerifier({ [STATIC]: { clientId: 'ci', scopes: ['read'] } })], {
        mcpPath: '/b',
        requiredScopes: ['read'],
      });
      const app = protectedApp(a, '/a');
      app.use(b as unknown as Parameters<typeof app.use>[0]);
      handle(app, '/b');
      return app as never;
    },
  });

const status = async (app: ProxyApp, token: unknown, path?: string) => (await app.call(String(token), path)).status;

describe('attack 46: one kind of secret in the place of another (T-6)', () => {
  test('refresh tokens, codes, states, form fields and client ids are no access tokens (attack 46, attack 86)', async () => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_post' });
    const page = await client.authorize();
    const approved = await client.decide(page);
    const state = approved.location?.searchParams.get('state');
    const unused = await client.code();
    const tokens = await client.tokens();
    const cookies = [...client.browser.cookies(app.base).values()];
    const fields = [...page.text.matchAll(/name="(?:request|csrf)" value="([^"]*)"/g)].map(([, value]) => value);
    const upstream = app.provider.secrets;
    const wrong = [tokens.refresh_token, unused, state, client.id, client.secret, ...cookies, ...fields, ...upstream];
    for (const value of wrong) expect([value, await status(app, value)]).toEqual([value, 401]);
    expect(await status(app, tokens.access_token)).toBe(200);
  });

  test('no secret but a refresh token refreshes, and none but a code is redeemed (attack 46, attack 86)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const tokens = await client.tokens();
    const reshaped = (prefix: string) => [tokens.access_token, code].map(secret => prefix + secret.slice(7));
    for (const value of [tokens.access_token, code, client.id, ...app.provider.secrets, ...reshaped('mcp_rt_')])
      await expectNothingStored(app.store, async () =>
        expectFailure(await client.refresh(value), 401, 'invalid_grant'),
      );
    for (const value of [tokens.access_token, tokens.refresh_token, client.id, ...app.provider.secrets])
      await expectNothingStored(app.store, async () => expectFailure(await client.redeem(value), 401, 'invalid_grant'));
    for (const value of [`mcp_at_${code.slice(7)}`, `mcp_at_${tokens.refresh_token.slice(7)}`])
      expect(await status(app, value)).toBe(401);
  });

  test('upstream tokens never pass here, and ours never pass for another source (PX-8, attack 60)', async () => {
    let asked: string[] = [];
    const app = await world({
      app: proxy => {
        const greedy = customVerifier({
          name: 'greedy',
          verify: token => {
            asked.push(token);
            return { clientId: 'greedy', scopes: ['read'] };
          },
        });
        return protectedApp(multiAuth(proxy, [greedy])) as never;
      },
    });
    const client = await app.client();
    const tokens = await client.tokens();
    await client.revoke(tokens.refresh_token);
    asked = [];
    // Ours by its prefix: nobody else is asked, whatever became of it.
    for (const token of [tokens.access_token, tokens.refresh_token, 'mcp_at_made-up', 'mcp_x'])
      expect([token, await status(app, token)]).toEqual([token, 401]);
    expect(asked).toEqual([]);
  });

  test.each(['mcp_at_', `mcp_at_${'A'.repeat(64)}`, `mcp_at_${'A'.repeat(63)}`, `mcp_at_${'~'.repeat(64)}`, 'mcp_'])(
    'the made-up token %j is 401, and costs at most one read (attack 54)',
    async token => {
      const app = await world();
      const before = app.store.calls.length;
      expect(await status(app, token)).toBe(401);
      expect(app.store.calls.length - before).toBeLessThanOrEqual(1);
    },
  );

  test('a token with another secret, or spelled in another way, is nobody’s (attack 46)', async () => {
    const app = await world();
    const { access_token: token } = await (await app.client()).tokens();
    const bytes = Buffer.from(token.slice(7), 'base64url');
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
    for (const bent of [`mcp_at_${bytes.toString('base64url')}`, `${token}=`, `${token}A`, token.slice(0, -1)])
      expect(await status(app, bent)).toBe(401);
  });
});

describe('attack 56: a spent refresh token comes again (OAuth 2.1 section 4.3.1, AS-16)', () => {
  test('within the window the same client gets the same answer; later the family dies (attack 56)', async () => {
    const app = await world();
    const client = await app.client();
    const first = await client.tokens();
    const renewed = await client.refresh(first.refresh_token);
    app.clock.pass(30);
    expect((await client.refresh(first.refresh_token)).body).toEqual(renewed.body);
    app.clock.pass(1);
    expectFailure(await client.refresh(first.refresh_token), 401, 'invalid_grant');
    for (const { access_token: token } of [first, renewed.body as unknown as Tokens])
      expect(await status(app, token)).toBe(401);
    expectFailure(await client.refresh(renewed.body.refresh_token), 401, 'invalid_grant');
    expect(app.provider.of('/revoke')).toHaveLength(1);
  });

  test('an older token is refused inside its window, and ends nothing (attack 56)', async () => {
    const app = await world();
    const client = await app.client();
    const first = await client.tokens();
    const second = (await client.refresh(first.refresh_token)).body;
    const third = (await client.refresh(second.refresh_token)).body;
    expectFailure(await client.refresh(first.refresh_token), 401, 'invalid_grant');
    expect(await status(app, third.access_token)).toBe(200);
    expect((await client.refresh(third.refresh_token)).status).toBe(200);
  });

  test('without a window the second use ends the family (attack 56)', async () => {
    const app = await world({ options: { tokens: { refreshReuseSeconds: 0 } } });
    const client = await app.client();
    const first = await client.tokens();
    const { body } = await client.refresh(first.refresh_token);
    app.clock.pass(1);
    expectFailure(await client.refresh(first.refresh_token), 401, 'invalid_grant');
    expect(await status(app, body.access_token)).toBe(401);
  });

  test('a made-up token with the id of a grant can neither refresh nor end it (attack 56)', async () => {
    const app = await world();
    const client = await app.client();
    const first = await client.tokens();
    const second = (await client.refresh(first.refresh_token)).body;
    const { refresh_token: token, access_token: access } = (await client.refresh(second.refresh_token)).body;
    app.clock.pass(31);
    const genuine = Buffer.from(String(token).slice(7), 'base64url');
    const forge = (change: (bytes: Buffer) => unknown) => {
      const bytes = Buffer.from(genuine);
      change(bytes);
      return `mcp_rt_${bytes.toString('base64url')}`;
    };
    const forged = [0, 16, 19, 20, 51, 52, 67].map(at => forge(bytes => bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)));
    // The generation of a token that was spent long ago: were it believed, it would end the grant.
    for (const generation of [0, 1, 3, 4_294_967_295]) forged.push(forge(bytes => bytes.writeUInt32BE(generation, 16)));
    for (const value of forged)
      await expectNothingStored(app.store, async () =>
        expectFailure(await client.refresh(value), 401, 'invalid_grant'),
      );
    expect(await status(app, access)).toBe(200);
    expect((await client.refresh(token)).status).toBe(200);
  });
});

describe('attack 57: many refreshes at once (K25, H1)', () => {
  test('ten at once: one rotation, and all get its answer (attack 57)', async () => {
    const app = await world();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens();
    const before = app.store.writes.length;
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.refresh(token)));
    answers.forEach(expectTokens);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(app.store.writes.length - before).toBe(1);
  });
});

describe('attack 58: a refresh by the wrong one, or for more (RFC 6749 section 6, H11)', () => {
  test('another client is refused, its secret right or wrong, and the token stays good (attack 58, K22)', async () => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_post' });
    const thief = await app.client({ client_name: 'Thief' });
    const { refresh_token: token } = await client.tokens();
    await expectNothingStored(app.store, async () => {
      expectFailure(await thief.refresh(token), 401, 'invalid_grant');
      expectFailure(await client.refresh(token, { client_secret: undefined }), 401, 'invalid_client');
      expectFailure(await client.refresh(token, { client_secret: 'wrong' }), 401, 'invalid_client');
      expectFailure(
        await client.refresh(token, { client_id: undefined, client_secret: undefined }),
        400,
        'invalid_request',
      );
    });
    expectTokens(await client.refresh(token));
  });

  test('somebody else who replays a spent token neither gets the answer nor ends the family (attack 58)', async () => {
    const app = await world();
    const client = await app.client();
    const thief = await app.client({ client_name: 'Thief' });
    const { refresh_token: token } = await client.tokens();
    const { body } = await client.refresh(token);
    expectFailure(await thief.refresh(token), 401, 'invalid_grant');
    app.clock.pass(31);
    expectFailure(await thief.refresh(token), 401, 'invalid_grant');
    expect(await status(app, body.access_token)).toBe(200);
  });

  test.each([
    ['write', 'a scope that was not granted'],
    ['read write', 'more scopes than were granted'],
    ['read everything', 'a scope that nobody has'],
  ])('%j is %s: invalid_scope, and the token stays good (attack 58, attack 81)', async scope => {
    const app = await world();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens({ scope: 'read' });
    await expectNothingStored(app.store, async () =>
      expectFailure(await client.refresh(token, { scope }), 400, 'invalid_scope'),
    );
    expect((await client.refresh(token)).body.scope).toBe('read');
  });

  test('narrower first, all again later, never more: the grant decides (attack 81)', async () => {
    const app = await world();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens({ scope: 'read write' });
    const narrow = (await client.refresh(token, { scope: 'read' })).body;
    expect(narrow.scope).toBe('read');
    expect((await app.call(String(narrow.access_token))).body.scopes).toEqual(['read']);
    expect((await client.refresh(narrow.refresh_token)).body.scope).toBe('read write');
  });

  test('below what the resource requires is invalid_scope (attack 81)', async () => {
    const app = await world();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens({ scope: 'read write' });
    expectFailure(await client.refresh(token, { scope: 'write' }), 400, 'invalid_scope');
  });

  test('another resource is invalid_target, and the token stays good (attack 58, K27)', async () => {
    const app = await twoResources();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens({ resource: `${app.base}/a` });
    for (const resource of [`${app.base}/b`, `${app.base}/mcp`, 'https://evil.test/mcp', app.base, `${app.base}/a/b`])
      await expectNothingStored(app.store, async () =>
        expectFailure(await client.refresh(token, { resource }), 400, 'invalid_target'),
      );
    expectTokens(await client.refresh(token, { resource: `${app.base}/a` }));
  });

  test('a spent token that comes again with another resource or a wider scope is refused as well (attack 58)', async () => {
    const app = await twoResources();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens({ resource: `${app.base}/a`, scope: 'read' });
    expectTokens(await client.refresh(token));
    expect((await client.refresh(token, { resource: 'https://evil.test/mcp' })).body.error).toBe('invalid_target');
    expect((await client.refresh(token, { scope: 'read write' })).body.error).toBe('invalid_scope');
  });
});

describe('attack 47: a token for one resource at another (RFC 8707, K4, K27)', () => {
  test('is refused there, and does not fall through to another source (attack 47, K4)', async () => {
    const app = await twoResources();
    const client = await app.client();
    const { access_token: token } = await client.tokens({ resource: `${app.base}/a` });
    expect([await status(app, token, '/a'), await status(app, token, '/b')]).toEqual([200, 401]);
  });

  test.each(['/mcp', '/a/', '/A', '/ab', '/a?x=1', '/a#x', '/a/../b', ''])(
    'a resource like %j is not /a: %s',
    async path => {
      const app = await twoResources();
      const page = await (await app.client()).authorize({ resource: `${app.base}${path}` });
      // RFC 8707 lets a slash at the end be the same resource, as MCP clients send it.
      if (path === '/a/') expect(page.status).toBe(200);
      else expectRedirectError(page, (await app.client()).redirectUri, 'invalid_target', app.base);
    },
  );

  test('without a resource, two are none: invalid_target unless a default is named (K4)', async () => {
    const app = await twoResources();
    const client = await app.client();
    expectRedirectError(await client.authorize(), client.redirectUri, 'invalid_target', app.base);
  });

  test('a code is for its resource alone (K27, attack 81)', async () => {
    const app = await twoResources();
    const client = await app.client();
    const code = await client.code({ resource: `${app.base}/a` });
    for (const resource of [`${app.base}/b`, 'https://evil.test/', 'x'])
      await expectNothingStored(app.store, async () =>
        expectFailure(await client.redeem(code, { resource }), 400, 'invalid_target'),
      );
    expectTokens(await client.redeem(code, { resource: `${app.base}/a` }));
  });
});

describe('attack 81: scopes (RFC 6749 section 3.3)', () => {
  test.each([
    'everything',
    'read"',
    'read\\',
    'read\nwrite everything',
    'read\u0000',
    'r\u00e9ad',
    'READ',
    '__proto__',
    'constructor',
  ])('the scope %j is invalid_scope (attack 81)', async scope => {
    const app = await world();
    const client = await app.client();
    expectRedirectError(await client.authorize({ scope }), client.redirectUri, 'invalid_scope', app.base);
  });

  test('nobody gets more than was consented to, whatever the provider reports (attack 81)', async () => {
    const app = await world();
    app.provider.behaviour.scope = 'read write admin openid';
    const tokens = await (await app.client()).tokens({ scope: 'read' });
    expect(tokens.scope).toBe('read');
  });

  test('nobody gets more than the provider granted (attack 81)', async () => {
    const app = await world();
    app.provider.behaviour.scope = 'read';
    expect((await (await app.client()).tokens({ scope: 'read write' })).scope).toBe('read');
  });

  test('nor more than grantScopes says, and grantScopes cannot add (attack 81)', async () => {
    const app = await world({
      upstream: { scopes: ['api'] },
      options: { grantScopes: () => ['read', 'write', 'admin'] },
    });
    expect((await (await app.client()).tokens({ scope: 'read' })).scope).toBe('read');
    const strict = await world({ upstream: { scopes: ['api'] } });
    expect((await (await strict.client()).tokens({ scope: 'read write' })).scope).toBe('read');
  });

  test('a token request cannot ask for a scope (attack 81)', async () => {
    const app = await world();
    const client = await app.client();
    const { body } = await client.redeem(await client.code({ scope: 'read' }), { scope: 'read write' });
    expect(body.scope).toBe('read');
  });
});

describe('attack 83: revocation (RFC 7009)', () => {
  test('nobody revokes the tokens of another (attack 83, K18)', async () => {
    const app = await world();
    const client = await app.client();
    const thief = await app.client({ client_name: 'Thief' });
    const tokens = await client.tokens();
    await expectNothingStored(app.store, async () => {
      for (const token of [tokens.access_token, tokens.refresh_token])
        expect(await thief.revoke(token)).toMatchObject({ status: 200, body: {} });
    });
    expect(await status(app, tokens.access_token)).toBe(200);
    expectTokens(await client.refresh(tokens.refresh_token));
  });

  test.each(['garbage', 'mcp_rt_', 'mcp_at_x', '__proto__', 'x'.repeat(9_000), '\u0000'])(
    'the token %j is 200 and changes nothing (attack 83)',
    async token => {
      const app = await world();
      const client = await app.client();
      await client.tokens();
      await expectNothingStored(app.store, async () => expect((await client.revoke(token)).status).toBe(200));
    },
  );

  test.each(['access_token', 'refresh_token', 'saml2', ''])('the hint %j is only one (attack 83)', async hint => {
    const app = await world();
    const client = await app.client();
    const tokens = await client.tokens();
    await client.revoke(tokens.refresh_token, { token_type_hint: hint });
    expect(await status(app, tokens.access_token)).toBe(401);
    expectFailure(await client.refresh(tokens.refresh_token), 401, 'invalid_grant');
  });

  test('an access token ends alone, a code cannot be revoked, no token is a fault (attack 83)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    await client.revoke(code);
    const { body } = await client.redeem(code);
    await client.revoke(body.access_token);
    expect(await status(app, body.access_token)).toBe(401);
    expectTokens(await client.refresh(body.refresh_token));
    expectFailure(await client.revoke('', {}), 400, 'invalid_request');
  });

  test('a client that cannot prove itself revokes nothing (attack 83)', async () => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_basic' });
    const tokens = await client.tokens();
    expectFailure(await client.revoke(tokens.refresh_token, { client_secret: 'wrong' }), 401, 'invalid_client');
    expectFailure(await client.revoke(tokens.refresh_token, { client_secret: undefined }), 401, 'invalid_client');
    expect(await status(app, tokens.access_token)).toBe(200);
  });

  test('what is revoked here is revoked at the provider, and a fault there revokes here all the same (attack 83)', async () => {
    const app = await world();
    const client = await app.client();
    const tokens = await client.tokens();
    app.provider.intercept.set('/revoke', (_, res) => Boolean(res.writeHead(500).end()));
    expect((await client.revoke(tokens.refresh_token)).status).toBe(200);
    expect(await status(app, tokens.access_token)).toBe(401);
    expect(app.provider.of('/revoke')).toHaveLength(1);
  });
});

describe('attack 94 and 102: who a token belongs to stays with it', () => {
  test('a token of one server is nobody’s at another, over one store as over two (attack 102)', async () => {
    const app = await world();
    const { access_token: token, refresh_token } = await (await app.client()).tokens();
    const other = await app.replica({ issuerUrl: `${app.base}/other` });
    expect((await other.call(token)).status).toBe(401);
    const client = await OAuthClient.register({ base: other.origin });
    expectFailure(await client.refresh(refresh_token), 401, 'invalid_grant');
  });

  test('a verifier beside the server that claims its issuer gets none of its tokens, nor lends it one (attack 102)', async () => {
    const app = await world({
      app: proxy =>
        protectedApp(
          multiAuth(proxy, [
            customVerifier({ verify: () => ({ clientId: 'evil', issuer: 'x', scopes: ['read', 'write'] }) }),
          ]) as Auth,
        ) as never,
    });
    const { access_token: token } = await (await app.client()).tokens();
    expect((await app.call(token)).body.extra).toMatchObject({ source: 'oauthProxy', subject: 'alice' });
    expect((await app.call('anything')).body.upstream).toBeNull();
  });
});

describe('attack 49: time', () => {
  test('a token ends with its expires_in, to the second (attack 49)', async () => {
    const app = await world({ options: { tokens: { accessTtlSeconds: 100 } } });
    const { access_token: token, expires_in } = await (await app.client()).tokens();
    expect(expires_in).toBe(100);
    app.clock.pass(99);
    expect(await status(app, token)).toBe(200);
    app.clock.pass(1);
    expect(await status(app, token)).toBe(401);
  });

  test('a refresh token ends with its time, and every refresh starts it anew (attack 49)', async () => {
    const app = await world({ options: { tokens: { refreshTtlSeconds: 1_000, accessTtlSeconds: 10 } } });
    const client = await app.client();
    const { refresh_token: first } = await client.tokens();
    app.clock.pass(999);
    const { body } = await client.refresh(first);
    app.clock.pass(1_000);
    expectFailure(await client.refresh(body.refresh_token), 401, 'invalid_grant');
  });
});
