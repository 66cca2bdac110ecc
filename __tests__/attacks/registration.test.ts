import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { oauthProxy } from 'express-mcp-auth';
import { OAuthClient, post, REDIRECT, register } from '../support/oauth-client.js';
import { UPSTREAM_ID, UPSTREAM_SECRET } from '../support/upstream-provider.js';
import { EVIL, expectFailure, expectNothingStored, expectTokens, HOSTED } from './support/verdicts.js';
import { world } from './support/worlds.js';

const JSON_TYPE = { 'content-type': 'application/json' };

describe('attack 74: a flood of registrations (CR-14)', () => {
  test('without a record, registering stores nothing at all (attack 74)', async () => {
    const app = await world();
    await expectNothingStored(app.store, async () => {
      for (let index = 0; index < 20; index++) await app.client({ client_name: `Client ${index}` });
    });
  });

  test('a stored client that nobody signed in with is gone after a day, and one in use is not (attack 74)', async () => {
    const app = await world({ options: { clients: { registration: 'stored' } } });
    const unused = await app.client();
    const used = await app.client();
    const tokens = await used.tokens();
    app.clock.pass(86_401);
    expect((await unused.authorize()).status).toBe(400);
    expect((await used.authorize()).status).toBe(200);
    expectTokens(await used.refresh(tokens.refresh_token));
  });

  test('too many are 429 with Retry-After, per address (attack 74, attack 82)', async () => {
    const app = await world({ options: { rateLimit: { register: { limit: 3, windowSeconds: 60 } } } });
    const answers = [];
    for (let index = 0; index < 5; index++)
      answers.push(await register({ base: app.base }, { redirect_uris: [HOSTED] }));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 429, 429]);
    const [, , , refused] = answers;
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(refused?.headers.get('retry-after'))).toBeLessThanOrEqual(60);
  });

  test.each([
    ['11 redirect URIs', { redirect_uris: Array.from({ length: 11 }, (_, n) => `${HOSTED}${n}`) }],
    ['a redirect URI of 3,000 characters', { redirect_uris: [`${HOSTED}${'x'.repeat(3_000)}`] }],
    [
      'metadata that fits no id',
      { redirect_uris: Array.from({ length: 10 }, () => `${HOSTED}${randomBytes(120).toString('hex')}`) },
    ],
    ['a name of 1,000 characters', { redirect_uris: [HOSTED], client_name: 'x'.repeat(1_000) }],
    ['a name of 10 kB', { redirect_uris: [HOSTED], client_name: 'x'.repeat(10_000) }],
    ['no redirect URI', { redirect_uris: [] }],
    ['inline keys', { redirect_uris: [HOSTED], jwks: { keys: [] } }],
  ])('%s is refused (attack 74)', async (_, metadata) => {
    const app = await world();
    const { status, body } = await register({ base: app.base }, metadata);
    expect(status).toBe(400);
    expect(body.error).toMatch(/^invalid_(client_metadata|redirect_uri)$/);
  });

  test('a body of 90 kB is 413, before it is read to its end (attack 74)', async () => {
    const app = await world();
    const { status } = await register({ base: app.base }, { redirect_uris: [HOSTED], junk: 'x'.repeat(90_000) });
    expect(status).toBe(413);
  });

  test('the longest id that is issued is 1,024 characters, of letters, digits, - and _ (AS-23)', async () => {
    const app = await world();
    for (let count = 1; count <= 10; count++) {
      const redirect_uris = Array.from(
        { length: count },
        (_, n) =>
          `${HOSTED}/${n}/${Buffer.from(`${Math.sin(n)}${Math.cos(n)}`)
            .toString('base64url')
            .slice(0, 40)}`,
      );
      const { status, body } = await register({ base: app.base }, { redirect_uris, client_name: 'N'.repeat(100) });
      if (status !== 201) continue;
      expect(String(body.client_id)).toMatch(/^[\w-]{1,1024}$/);
      expect(String(body.client_secret)).toMatch(/^[\w-]{43}$/);
    }
  });
});

describe('attack 75: members that a client must not choose (R-3)', () => {
  test('ids, secrets, tokens, times and inner fields are ignored (attack 75)', async () => {
    for (const registration of ['stateless', 'stored']) {
      const app = await world({ options: { clients: { registration } } });
      const wished = {
        redirect_uris: [HOSTED],
        client_id: 'chosen',
        client_secret: 'chosen',
        client_secret_expires_at: 1,
        client_id_issued_at: 1,
        registration_access_token: 'chosen',
        registration_client_uri: 'https://evil.test/',
        origin: 'preRegistered',
        issuedAt: 1,
        expiresAt: 9e15,
        secretDigest: 'chosen',
        isSecret: true,
        metadata: { redirect_uris: [EVIL] },
        grant_types: ['authorization_code', 'password', 'client_credentials', 'refresh_token'],
        scope: 'read everything admin',
        constructor: 'x',
      };
      const text = JSON.stringify(wished).replace(
        '{',
        '{"__proto__":{"redirect_uris":["https://evil.test/cb"],"polluted":1},',
      );
      const { status, body } = await post({ base: app.base }, '/register', text, JSON_TYPE);
      expect(status).toBe(201);
      expect(JSON.stringify(body)).not.toMatch(/chosen|evil|polluted|admin|everything|password|client_credentials/);
      expect(Object.keys(body).sort()).toEqual([
        'client_id',
        'client_id_issued_at',
        'client_secret',
        'client_secret_expires_at',
        'grant_types',
        'redirect_uris',
        'response_types',
        'scope',
        'token_endpoint_auth_method',
      ]);
      expect(body).toMatchObject({ client_secret_expires_at: 0, scope: 'read', redirect_uris: [HOSTED] });
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    }
  });

  test('members of the prototype are no members: redirect_uris must be the client’s own (attack 75, attack 76)', async () => {
    const app = await world();
    const text = '{"__proto__":{"redirect_uris":["https://client.example/cb"]}}';
    expectFailure(await post({ base: app.base }, '/register', text, JSON_TYPE), 400, 'invalid_redirect_uri');
  });

  test.each([
    { grant_types: ['password'] },
    { grant_types: ['client_credentials'] },
    { grant_types: 'authorization_code' },
    { response_types: ['token'] },
    { token_endpoint_auth_method: 'private_key_jwt' },
    { token_endpoint_auth_method: 'tls_client_auth' },
    { token_endpoint_auth_method: ['none'] },
    { client_name: { en: 'x' } },
    { client_name: 7 },
  ])('%j is invalid_client_metadata (attack 75, attack 80)', async metadata => {
    const app = await world();
    expectFailure(
      await register({ base: app.base }, { redirect_uris: [HOSTED], ...metadata }),
      400,
      'invalid_client_metadata',
    );
  });

  test('a web client cannot register loopback (AS-21)', async () => {
    const app = await world();
    const metadata = { redirect_uris: [REDIRECT], application_type: 'web' };
    expectFailure(await register({ base: app.base }, metadata), 400, 'invalid_redirect_uri');
  });

  test('no answer holds the app of the provider (K20)', async () => {
    for (const registration of ['stateless', 'stored']) {
      const app = await world({ options: { clients: { registration } } });
      const { headers, body } = await register(
        { base: app.base },
        { redirect_uris: [HOSTED], client_name: UPSTREAM_ID },
      );
      const { client_name: _, ...rest } = body;
      const text = JSON.stringify(rest) + JSON.stringify([...headers]);
      for (const secret of [UPSTREAM_ID, UPSTREAM_SECRET]) expect(text).not.toContain(secret);
    }
  });
});

describe('attack 80: more than a client may have', () => {
  test.each([
    'client_credentials',
    'password',
    'implicit',
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'urn:ietf:params:oauth:grant-type:device_code',
    'AUTHORIZATION_CODE',
    '__proto__',
    'x'.repeat(2_000),
  ])('the grant type %j is unsupported_grant_type for everybody (attack 80)', async grant_type => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_post' });
    await expectNothingStored(app.store, async () =>
      expectFailure(
        await client.token({ grant_type, username: 'a', password: 'b', assertion: 'c', scope: 'read' }),
        400,
        'unsupported_grant_type',
      ),
    );
  });

  test('a client that the operator turned away gets no token, nor a sign-in (attack 80, K28)', async () => {
    let isAllowed = true;
    const seen: unknown[] = [];
    const app = await world({
      options: {
        clients: {
          allow: async (client: unknown) => {
            seen.push(client);
            return isAllowed;
          },
        },
      },
    });
    const client = await app.client();
    const page = await client.authorize();
    const code = await client.code();
    const tokens = await client.tokens();
    isAllowed = false;
    await expectNothingStored(app.store, async () => {
      expect((await client.decide(page)).location?.searchParams.get('error')).toBe('unauthorized_client');
      expect((await client.authorize()).location?.searchParams.get('error')).toBe('unauthorized_client');
      expectFailure(await client.redeem(code), 400, 'unauthorized_client');
      expectFailure(await client.refresh(tokens.refresh_token), 400, 'unauthorized_client');
    });
    expect(seen[0]).toMatchObject({ client_id: client.id, redirect_uris: [REDIRECT], client_name: 'Test Client' });
  });

  test('only true is a yes of clients.allow (attack 80)', async () => {
    for (const answer of [1, 'yes', {}, undefined, null]) {
      const app = await world({ options: { clients: { allow: () => answer } } });
      const client = await app.client();
      expect((await client.authorize()).location?.searchParams.get('error')).toBe('unauthorized_client');
    }
  });

  test('with registration off there is no endpoint, and a client id of before is nobody’s (attack 80)', async () => {
    const open = await world();
    const client = await open.client();
    const closed = await open.replica({ clients: { registration: false } });
    const { status } = await fetch(`${closed.origin}/register`, { method: 'POST', body: '{}', headers: JSON_TYPE });
    expect(status).toBe(404);
    const document = await (await fetch(`${closed.origin}/.well-known/oauth-authorization-server`)).json();
    expect(document).not.toHaveProperty('registration_endpoint');
    const stranger = new OAuthClient({ base: closed.origin }, { id: client.id });
    expect((await stranger.authorize()).status).toBe(400);
    expectFailure(await stranger.token({ grant_type: 'refresh_token', refresh_token: 'x' }), 401, 'invalid_client');
  });
});

describe('client ids that were not issued here (CR-14)', () => {
  test('a bent, foreign or invented id is nobody’s', async () => {
    const app = await world();
    const other = await app.replica({ secrets: 'another-secret-of-the-proxy-that-is-long-enough' });
    const elsewhere = await app.replica({ issuerUrl: `${app.base}/other` });
    const { id } = await app.client();
    const bytes = Buffer.from(id, 'base64url');
    const bent = [0, 1, 12, 14, bytes.length - 1].map(at => {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
      return copy.toString('base64url');
    });
    const ids = [
      ...bent,
      `${id}=`,
      `${id}A`,
      id.slice(0, -4),
      id.toUpperCase(),
      UPSTREAM_ID,
      '__proto__',
      'constructor',
    ];
    for (const each of ids) {
      const client = new OAuthClient({ base: app.base }, { id: each });
      expect((await client.authorize()).status).toBe(400);
      expectFailure(await client.refresh('x'), 401, 'invalid_client');
    }
    for (const replica of [other, elsewhere])
      expect((await new OAuthClient({ base: replica.origin }, { id }).authorize()).status).toBe(400);
  });

  test('the secret of one client is not that of another, nor of the same one under another key', async () => {
    const app = await world();
    const [one, two] = [
      await app.client({ token_endpoint_auth_method: 'client_secret_post' }),
      await app.client({ token_endpoint_auth_method: 'client_secret_post' }),
    ];
    expectFailure(
      await one.token({ grant_type: 'refresh_token', refresh_token: 'x', client_secret: two.secret }),
      401,
      'invalid_client',
    );
    const rotated = await app.replica({
      secrets: ['another-secret-of-the-proxy-that-is-long-enough', 'a-secret-of-the-proxy-that-is-long-enough'],
    });
    const same = new OAuthClient({ base: rotated.origin }, { id: one.id, secret: one.secret });
    expectFailure(await same.refresh('x'), 401, 'invalid_grant');
  });
});

describe('attack 65: weak configuration', () => {
  const refused: [string, Record<string, unknown>, RegExp][] = [
    ['a secret of 31 characters', { secrets: 'x'.repeat(31) }, /secrets/],
    ['one weak secret among good ones', { secrets: ['x'.repeat(40), 'short'] }, /secrets/],
    ['http beyond loopback', { baseUrl: 'http://mcp.example.com' }, /baseUrl/],
    ['an http issuer', { issuerUrl: 'http://mcp.example.com' }, /issuerUrl/],
    ['a user in the base URL', { baseUrl: 'https://user:pw@mcp.example.com' }, /baseUrl/],
    ['a fragment in the issuer', { issuerUrl: 'https://mcp.example.com/#x' }, /issuerUrl/],
    ['client id documents, which come later', { clients: { clientIdDocuments: true } }, /later/],
    ['assertions of identity, which come later', { identityAssertion: {} }, /later/],
    ['a store that cannot compare and set', { store: { get: async () => null } }, /store/],
    ['an unknown option', { skipConsent: true }, /skipConsent/],
    ['codes that live an hour', { tokens: { codeTtlSeconds: 3_600 } }, /codeTtlSeconds/],
  ];
  test.each(refused)('%s is a ConfigError (attack 65)', async (_, change, text) => {
    const { options } = await world();
    expect(() => oauthProxy({ ...options, ...change })).toThrow(text);
  });

  test.each([
    ['state', 'authorizationParams'],
    ['redirect_uri', 'authorizationParams'],
    ['code_challenge', 'authorizationParams'],
    ['nonce', 'authorizationParams'],
    ['response_mode', 'authorizationParams'],
    ['request_uri', 'authorizationParams'],
    ['client_secret', 'tokenParams'],
    ['grant_type', 'tokenParams'],
    ['code_verifier', 'tokenParams'],
  ])('%s in %s would replace what protects the leg: a ConfigError (attack 65)', async (name, option) => {
    const { options } = await world();
    const upstream = { ...options.upstream, [option]: { [name]: 'x' } };
    expect(() => oauthProxy({ ...options, upstream })).toThrow(new RegExp(`${option}.${name}`));
  });

  test.each(['http://idp.example.com/token', 'ftp://idp.example.com/token', 'not a url', 'https://idp.example.com/#x'])(
    'the upstream endpoint %j is a ConfigError (attack 65, attack 100)',
    async tokenEndpoint => {
      const { options } = await world();
      const upstream = { ...options.upstream, tokenEndpoint };
      expect(() => oauthProxy({ ...options, upstream })).toThrow(/tokenEndpoint/);
    },
  );
});
