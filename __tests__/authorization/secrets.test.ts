import { createHmac, hkdfSync } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { OAuthClient } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp, SECRET } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';
import { UPSTREAM_SECRET } from '../support/upstream-provider.js';

afterEach(closeAll);

const NEW = 'the-next-secret-of-the-proxy-is-long-too';
const HOSTED = 'https://client.example.com/cb';
const NAVIGATION = { 'sec-fetch-site': 'none' };

/** The same client and browser, at another replica. */
const at = (world: ProxyApp, client: OAuthClient) => {
  const moved = new OAuthClient(
    { base: world.base, rewrite: world.rewrite },
    {
      id: client.id,
      secret: client.secret,
      redirectUri: client.redirectUri,
      browser: world.browser(),
    },
  );
  for (const [name, value] of client.browser.cookies(world.base)) moved.browser.cookies(world.base).set(name, value);
  moved.verifier = client.verifier;
  return moved;
};

describe.each<[string, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>]>([
  ['secrets', { secrets: SECRET }, { secrets: [NEW, SECRET] }, { secrets: NEW }],
])('rotation of %s', (_, before, during, after) => {
  test('what the old one sealed opens while it is listed: ids, client secrets, forms, cookies, codes, tokens', async () => {
    const old = await proxyApp({ base: 'https://mcp.example.com', options: { ...before, consent: 'remember' } });
    const client = await old.client({ redirect_uris: [HOSTED], token_endpoint_auth_method: 'client_secret_post' });
    const tokens = await client.tokens();
    const untouched = await client.tokens();
    const form = await client.authorize();
    const callback = await client.signIn(await client.decide(await client.authorize()));
    const code = await client.code();

    const rotating = at(await old.replica(during), client);
    expect((await old.replica(during)).base).toBe(old.base);
    expect((await rotating.redeem(code)).status).toBe(200);
    const [world] = [await old.replica(during)];
    expect((await world.call(tokens.access_token)).status).toBe(200);
    const refreshed = await rotating.refresh(tokens.refresh_token);
    expect(refreshed.status).toBe(200);
    expect((await rotating.refresh(tokens.refresh_token)).body).toEqual(refreshed.body);
    expect((await rotating.browser.get(callback)).location?.searchParams.get('code')).toMatch(/^mcp_ac_/);
    expect((await rotating.decide(form)).location?.origin).toBe(old.provider.origin);
    expect((await rotating.authorize({}, NAVIGATION)).location?.origin).toBe(old.provider.origin);

    const last = await old.replica(after);
    const gone = at(last, client);
    expect((await gone.authorize()).status).toBe(400);
    expect((await gone.refresh(refreshed.body.refresh_token)).body.error).toBe('invalid_client');
    expect((await last.call(untouched.access_token)).status).toBe(401);
  });

  test('what the new one seals opens with it alone', async () => {
    const old = await proxyApp({ options: before });
    const rotating = await old.replica(during);
    const client = await OAuthClient.register({ base: rotating.base, rewrite: rotating.rewrite });
    const tokens = await client.tokens();
    const last = await old.replica(after);
    expect((await last.call(tokens.access_token)).status).toBe(200);
    expect((await at(last, client).refresh(tokens.refresh_token)).status).toBe(200);
  });
});

describe('keys derived from upstream.clientSecret', () => {
  test('a list of client secrets opens what either sealed, and the first is sent', async () => {
    const world = await proxyApp({ options: { secrets: undefined } });
    const client = await world.client();
    const tokens = await client.tokens();
    const upstream = { ...world.options.upstream, clientSecret: [UPSTREAM_SECRET, 'the-former-one'] };
    const replica = await world.replica({ secrets: undefined, upstream });
    expect((await replica.call(tokens.access_token)).status).toBe(200);
    const rotated = await world.replica({
      secrets: undefined,
      upstream: { ...upstream, clientSecret: ['the-next-one', UPSTREAM_SECRET] },
    });
    expect((await rotated.call(tokens.access_token)).status).toBe(200);
    world.provider.requests.length = 0;
    world.clock.pass(3_600);
    // The provider does not know the next one yet: an outage, and no log-out.
    for (let count = 0; count < 2; count++)
      expect((await at(rotated, client).refresh(tokens.refresh_token)).status).toBe(503);
    expect(Buffer.from(String(world.provider.requests[0]?.authorization).slice(6), 'base64').toString()).toContain(
      ':the-next-one',
    );
  });
});

describe('a guess at upstream.clientSecret', () => {
  // What a stranger gets from a registration, and what one try costs them.
  const tryAt = (guess: string, { base }: ProxyApp, { id }: OAuthClient) => {
    const secret = `upstream client secret ${guess}`;
    const key = hkdfSync('sha256', secret, 'express-mcp-auth', `sign express-mcp-auth client ${base}`, 32);
    return createHmac('sha256', Buffer.from(key)).update(id).digest('base64url');
  };

  test.each([
    ['that a person may have chosen is slow to check', 'hunter2', false],
    ['of 32 characters and more need not be', 'x'.repeat(32), true],
  ])('%s (attack 64)', async (_, clientSecret, isFast) => {
    const world = await proxyApp({ options: { secrets: undefined }, upstream: { clientSecret } });
    const client = await world.client({ token_endpoint_auth_method: 'client_secret_post' });
    expect(client.secret).toMatch(/^[\w-]{43}$/);
    expect(tryAt(clientSecret, world, client) === client.secret).toBe(isFast);
    // It is the same key in every process all the same.
    const replica = await world.replica();
    expect((await at(replica, client).redeem('mcp_ac_nothing')).body.error).toBe('invalid_grant');
  });
});

describe('what the operator learns of a refused client', () => {
  test.each([
    ['unknown_client', { client_id: 'nobody' }],
    ['secret_wrong', { client_secret: 'wrong' }],
    ['secret_missing', { client_secret: '' }],
  ])('%s, and the client does not', async (reason, changes) => {
    const world = await proxyApp();
    const client = await world.client({ token_endpoint_auth_method: 'client_secret_post' });
    const events = recordServerEvents();
    const { body } = await client.redeem('mcp_ac_nothing', changes);
    events.stop();
    const { error, error_description: description } = body as Record<string, string>;
    expect([error, description]).toEqual(['invalid_client', 'Unknown client, or client authentication failed.']);
    expect(events.of('token_refused')).toEqual([{ clientId: undefined, error, description, reason }]);
  });
});

describe('an endpoint that cannot answer tells the operator', () => {
  const boom = () => {
    throw new TypeError('with a secret in it');
  };
  test('which one, and what failed by its name', async () => {
    const events = recordServerEvents();
    const asked = await proxyApp({ options: { consentPage: boom } });
    expect((await (await asked.client()).authorize()).status).toBe(503);
    const choosy = await proxyApp({ options: { clients: { allow: boom } } });
    expect((await (await choosy.client()).redeem('mcp_ac_nothing')).status).toBe(500);
    events.stop();
    expect(events.of('endpoint_failed')).toEqual([
      { endpoint: 'authorize', message: 'TypeError' },
      { endpoint: 'token', message: 'TypeError' },
    ]);
    expect(events.messages[0]?.message.request).toHaveProperty('headers');
  });
});

describe('what reaches the store', () => {
  test('is no secret in clear, under no readable key, always with a lifetime (AS-18, attack 64)', async () => {
    const world = await proxyApp({ options: { clients: { registration: 'stored' } } });
    world.verifier.claims = { email: 'alice@example.com' };
    const client = await world.client({
      token_endpoint_auth_method: 'client_secret_post',
      client_name: 'Readable Name',
    });
    const page = await client.authorize({ state: 'the-state-of-the-client' });
    const approved = await client.decide(page);
    const state = String(approved.location?.searchParams.get('state'));
    const answer = await client.browser.get(await client.signIn(approved));
    const code = String(answer.location?.searchParams.get('code'));
    const tokens = (await client.redeem(code)).body;
    const next = (await client.refresh(tokens.refresh_token)).body;
    const secrets = [
      ...[tokens.access_token, tokens.refresh_token, next.access_token, next.refresh_token].map(String),
      ...world.provider.secrets,
      code,
      state,
      client.verifier,
      String(client.secret),
      client.id,
      UPSTREAM_SECRET,
      SECRET,
      'alice',
      'Readable Name',
      'the-state-of-the-client',
      HOSTED,
    ];
    expect(world.store.writes.length).toBeGreaterThanOrEqual(6);
    for (const { key, value, ttlSeconds } of world.store.writes) {
      expect(key).toMatch(/^[A-Za-z0-9_-]{20,64}$/);
      expect(Number.isInteger(ttlSeconds) && ttlSeconds > 0).toBe(true);
      for (const text of [key, value, Buffer.from(value, 'base64url').toString('latin1')])
        for (const secret of secrets) expect(text.includes(secret)).toBe(false);
    }
  });

  test('counts as missing when it was tampered with or moved to another key (attack 64, 86)', async () => {
    const world = await proxyApp();
    const client = await world.client();
    const one = await client.tokens();
    const oneKey = String(world.store.writes.at(-1)?.key);
    const two = await client.tokens();
    const last = world.store.writes.at(-1);
    await world.store.set(oneKey, String(last?.value), 600);
    expect((await world.call(one.access_token)).status).toBe(401);
    expect((await world.call(two.access_token)).status).toBe(200);
    const bytes = Buffer.from(String(last?.value), 'base64url');
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    await world.store.set(String(last?.key), bytes.toString('base64url'), 600);
    expect((await world.call(two.access_token)).status).toBe(401);
    await world.store.set(String(last?.key), 'not even base64url: \u0000', 600);
    expect((await world.call(two.access_token)).status).toBe(401);
    expect((await client.refresh(two.refresh_token)).body.error).toBe('invalid_grant');
  });

  test('no event carries a token, code, secret or cookie (attack 95)', async () => {
    const events = recordServerEvents();
    const world = await proxyApp();
    const client = await world.client({ token_endpoint_auth_method: 'client_secret_post' });
    const code = await client.code();
    const tokens = (await client.redeem(code)).body;
    const next = (await client.refresh(tokens.refresh_token)).body;
    await client.refresh('mcp_rt_wrong');
    world.clock.pass(31);
    await client.refresh(tokens.refresh_token);
    await client.decide(await client.authorize(), 'deny');
    world.provider.behaviour.signInError = 'access_denied';
    await client.connect();
    events.stop();
    const text = JSON.stringify(events.messages.map(each => ({ ...each.message })));
    const cookies = [...client.browser.cookies(world.base).values()];
    for (const secret of [
      code,
      ...[tokens.access_token, tokens.refresh_token, next.access_token, next.refresh_token].map(String),
      ...world.provider.secrets,
      String(client.secret),
      client.verifier,
      ...cookies,
    ])
      expect(text.includes(secret)).toBe(false);
  });
});

describe('the events of a whole session', () => {
  test('come in order, with who, what and the request where there is one (B1, H9)', async () => {
    const events = recordServerEvents();
    const world = await proxyApp();
    const client = await world.client();
    const tokens = await client.tokens();
    await client.refresh(tokens.refresh_token);
    await client.redeem('mcp_ac_nothing');
    await client.revoke(tokens.refresh_token);
    events.stop();
    const { id: clientId } = client;
    expect(events.messages.map(({ event, message }) => [event, { ...message }])).toEqual([
      ['client_registered', { clientId, clientName: 'Test Client', redirectUris: [client.redirectUri] }],
      ['consent_given', { clientId, scopes: ['read'], resource: `${world.base}/mcp` }],
      ['code_issued', { clientId, subject: 'alice', scopes: ['read'] }],
      [
        'token_issued',
        {
          clientId,
          subject: 'alice',
          grantType: 'authorization_code',
          scopes: ['read'],
          resource: `${world.base}/mcp`,
        },
      ],
      [
        'token_issued',
        { clientId, subject: 'alice', grantType: 'refresh_token', scopes: ['read'], resource: `${world.base}/mcp` },
      ],
      [
        'token_refused',
        { clientId, error: 'invalid_grant', description: expect.any(String), reason: expect.any(String) },
      ],
      ['grant_revoked', { clientId, subject: 'alice', by: 'client' }],
    ]);
    for (const { event, message } of events.messages)
      if (['client_registered', 'consent_given', 'token_refused'].includes(event)) {
        expect(message.request).toHaveProperty('headers');
        expect(Object.keys(message)).not.toContain('request');
      }
  });
});
