import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { OAuthClient, type Tokens } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';

let world: ProxyApp;
let client: OAuthClient;
let events: ReturnType<typeof recordServerEvents>;
beforeEach(async () => {
  world = await proxyApp();
  // An upstream token that outlives the tests: what is asked of the provider has tests of its own.
  world.provider.behaviour.expiresIn = 10 * 365 * 86_400;
  client = await world.client();
  events = recordServerEvents();
});
afterEach(async () => {
  events.stop();
  await closeAll();
});
afterAll(closeAll);

const isGood = async (tokens: Pick<Tokens, 'access_token'>) => (await world.call(tokens.access_token)).status === 200;
const refreshed = async (refreshToken: unknown, changes: Record<string, string | undefined> = {}): Promise<Tokens> => {
  const { status, body } = await client.refresh(refreshToken, changes);
  expect([status, body.error]).toEqual([200, undefined]);
  return body as unknown as Tokens;
};
const isRefused = async (refreshToken: unknown, error = 'invalid_grant', changes = {}) => {
  const { body } = await client.refresh(refreshToken, changes);
  expect(body.error).toBe(error);
};

describe('a refresh', () => {
  test('rotates: new tokens, and calls in flight finish with the old access token (AS-16)', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    expect(second.access_token).not.toBe(first.access_token);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(second).toMatchObject({ token_type: 'Bearer', scope: 'read' });
    expect([await isGood(first), await isGood(second)]).toEqual([true, true]);
  });

  test('keeps the newest four access tokens', async () => {
    const all = [await client.tokens()];
    for (let count = 0; count < 5; count++) all.push(await refreshed(all.at(-1)?.refresh_token));
    expect(await Promise.all(all.map(isGood))).toEqual([false, false, true, true, true, true]);
  });

  test('that comes again within refreshReuseSeconds gets the same answer again (H1)', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    world.clock.pass(30);
    expect(await refreshed(first.refresh_token)).toEqual(second);
    expect(events.of('refresh_reused')).toEqual([]);
    expect((await refreshed(second.refresh_token)).refresh_token).toMatch(/^mcp_rt_/);
  });

  test('that comes again later ends the grant with all its tokens, and says so (H1, attack 56, O-21)', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    world.clock.pass(31);
    await isRefused(first.refresh_token);
    await isRefused(second.refresh_token);
    expect([await isGood(first), await isGood(second)]).toEqual([false, false]);
    expect(events.of('refresh_reused')).toEqual([{ clientId: client.id, subject: 'alice' }]);
    expect(events.of('grant_revoked')).toEqual([{ clientId: client.id, subject: 'alice', by: 'reuse' }]);
  });

  test('reuse ends the session at the provider too', async () => {
    const first = await client.tokens();
    await refreshed(first.refresh_token);
    world.clock.pass(31);
    await isRefused(first.refresh_token);
    expect(world.provider.of('/revoke').map(each => each.params.token_type_hint)).toEqual(['refresh_token']);
  });

  test('with a token older than the last one, inside its window, is refused and ends nothing', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    const third = await refreshed(second.refresh_token);
    await isRefused(first.refresh_token);
    expect([await isGood(second), await isGood(third)]).toEqual([true, true]);
    expect(await refreshed(second.refresh_token)).toEqual(third);
    await refreshed(third.refresh_token);
  });

  test('many times within the window, then with the first token: refused, and ends nothing', async () => {
    const first = await client.tokens();
    let last = first;
    for (let count = 0; count < 20; count++) last = await refreshed(last.refresh_token);
    await isRefused(first.refresh_token);
    await refreshed(last.refresh_token);
  });

  test('with a token older than the last one, after its window, ends the grant', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    world.clock.pass(31);
    const third = await refreshed(second.refresh_token);
    await isRefused(first.refresh_token);
    await isRefused(third.refresh_token);
  });

  test('ten at once give one rotation and ten equal answers: no fork (attack 57)', async () => {
    const first = await client.tokens();
    const answers = await Promise.all(Array.from({ length: 10 }, () => refreshed(first.refresh_token)));
    expect(new Set(answers.map(answer => JSON.stringify(answer))).size).toBe(1);
    expect(events.of('token_issued')).toHaveLength(2);
    const [next] = answers;
    await refreshed(next?.refresh_token);
  });

  test('ten at once on two replicas give one rotation', async () => {
    const replica = await world.replica();
    const first = await client.tokens();
    const other = new (client.constructor as typeof OAuthClient)({ base: replica.origin }, { id: client.id });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? client : other).refresh(first.refresh_token)),
    );
    expect(answers.map(answer => answer.status)).toEqual(Array(10).fill(200));
    expect(new Set(answers.map(answer => JSON.stringify(answer.body))).size).toBe(1);
  });

  test('with no reuse window, the second use of a token ends the grant', async () => {
    const strict = await proxyApp({ options: { tokens: { refreshReuseSeconds: 0 } } });
    const visitor = await strict.client();
    const first = await visitor.tokens();
    const second = (await visitor.refresh(first.refresh_token)).body as unknown as Tokens;
    strict.clock.pass(1);
    expect((await visitor.refresh(first.refresh_token)).body.error).toBe('invalid_grant');
    expect((await strict.call(second.access_token)).status).toBe(401);
  });
});

describe('a clock that is not the same everywhere', () => {
  test('a replica that is two seconds behind gives the same answer again', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    const behind = await world.replica({ now: () => world.clock.now() - 2_000 });
    const elsewhere = new OAuthClient({ base: world.base, rewrite: behind.rewrite }, client);
    expect((await elsewhere.refresh(first.refresh_token)).body).toEqual(second);
    expect(events.of('refresh_reused')).toEqual([]);
  });

  test('one that is set back opens no window for a spent token (attack 56)', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    const third = await refreshed(second.refresh_token);
    world.clock.pass(-900);
    await isRefused(second.refresh_token);
    expect(events.of('refresh_reused')).toHaveLength(1);
    expect(await isGood(third)).toBe(false);
  });
});

describe('a grant that others change all the time', () => {
  test('is an outage and no log-out: nothing was done, and everything is as good as before', async () => {
    const first = await client.tokens();
    const code = String((await client.connect()).location?.searchParams.get('code'));
    const { replace } = world.store;
    world.store.replace = async () => false;
    const answers = [
      await client.refresh(first.refresh_token),
      await client.redeem(code),
      await client.revoke(first.access_token),
    ];
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
    world.store.replace = replace;
    expect(await isGood(first)).toBe(true);
    expect((await client.revoke(first.access_token)).status).toBe(200);
    expect(await isGood(first)).toBe(false);
    await refreshed(first.refresh_token);
  });
});

describe('made-up refresh tokens end nobody\u2019s grant', () => {
  test('the id of a grant with another secret, generation or signature is refused (attack 56)', async () => {
    const first = await client.tokens();
    const second = await refreshed(first.refresh_token);
    world.clock.pass(60);
    const bytes = Buffer.from(second.refresh_token.slice('mcp_rt_'.length), 'base64url');
    for (let position = 0; position < bytes.length; position++) {
      const forged = Buffer.from(bytes);
      forged[position] = (forged[position] ?? 0) ^ 1;
      await isRefused(`mcp_rt_${forged.toString('base64url')}`);
    }
    const old = Buffer.from(bytes);
    old.writeUInt32BE(0, 16);
    randomBytes(32).copy(old, 20);
    await isRefused(`mcp_rt_${old.toString('base64url')}`);
    await isRefused(`${second.refresh_token}A`);
    await isRefused(second.refresh_token.slice(0, -1));
    expect(await isGood(second)).toBe(true);
    await refreshed(second.refresh_token);
  });

  test('the id from an access token does not help either', async () => {
    const first = await client.tokens();
    const id = Buffer.from(first.access_token.slice('mcp_at_'.length), 'base64url').subarray(0, 16);
    const length = Buffer.from(first.refresh_token.slice('mcp_rt_'.length), 'base64url').length;
    await isRefused(`mcp_rt_${Buffer.concat([id, randomBytes(length - 16)]).toString('base64url')}`);
    expect(await isGood(first)).toBe(true);
  });
});

describe('whose refresh token it is', () => {
  test('another client is refused with invalid_grant, and the token stays as it was (attack 58)', async () => {
    const first = await client.tokens();
    const stranger = await world.client({ client_name: 'Stranger' });
    const before = new Map(world.store.live);
    expect((await stranger.refresh(first.refresh_token)).body.error).toBe('invalid_grant');
    expect(world.store.live).toEqual(before);
    const second = await refreshed(first.refresh_token);
    world.clock.pass(31);
    expect((await stranger.refresh(first.refresh_token)).body.error).toBe('invalid_grant');
    expect(await isGood(second)).toBe(true);
  });

  test('a replay by another client within the window gets nothing', async () => {
    const first = await client.tokens();
    await refreshed(first.refresh_token);
    const stranger = await world.client({ client_name: 'Stranger' });
    expect((await stranger.refresh(first.refresh_token)).body).not.toHaveProperty('access_token');
  });

  test('a new sign-in of the same client ends no older grant (E19)', async () => {
    const phone = await client.tokens();
    const laptop = await client.tokens();
    await refreshed(phone.refresh_token);
    await refreshed(laptop.refresh_token);
  });
});

describe('what a refresh may ask for', () => {
  test('fewer scopes: the access token is narrowed, the refresh token is not (O-22)', async () => {
    const first = await client.tokens({ scope: 'read write' });
    expect(first.scope).toBe('read write');
    const narrow = await refreshed(first.refresh_token, { scope: 'read' });
    expect(narrow.scope).toBe('read');
    expect((await world.call(narrow.access_token)).body.scopes).toEqual(['read']);
    expect((await world.call(first.access_token)).body.scopes).toEqual(['read', 'write']);
    expect((await refreshed(narrow.refresh_token)).scope).toBe('read write');
  });

  test.each<[string, Record<string, string>, string]>([
    ['more scopes than granted (C-6, attack 81)', { scope: 'read write' }, 'invalid_scope'],
    ['an unknown scope', { scope: 'read everything' }, 'invalid_scope'],
    ['less than the resource requires', { scope: 'write' }, 'invalid_scope'],
    ['another resource (attack 58)', { resource: 'https://other.example.com/mcp' }, 'invalid_target'],
    ['something that is no resource', { resource: 'mcp' }, 'invalid_target'],
  ])('%s is refused, and the token stays as it was', async (_, changes, error) => {
    const first = await client.tokens(
      error === 'invalid_scope' && changes.scope === 'write' ? { scope: 'read write' } : {},
    );
    const before = new Map(world.store.live);
    await isRefused(first.refresh_token, error, changes);
    expect(world.store.live).toEqual(before);
    await refreshed(first.refresh_token);
  });

  test('its own resource again, which is no change', async () => {
    const first = await client.tokens();
    await refreshed(first.refresh_token, { resource: `${world.base}/mcp` });
  });

  test('a replay with another resource is invalid_target all the same', async () => {
    const first = await client.tokens();
    await refreshed(first.refresh_token);
    await isRefused(first.refresh_token, 'invalid_target', { resource: 'https://other.example.com/mcp' });
  });
});

describe('how long a refresh token lives', () => {
  test('30 days, counted from the last refresh', async () => {
    let last = await client.tokens();
    for (let month = 0; month < 3; month++) {
      world.clock.pass(30 * 86_400 - 1);
      last = await refreshed(last.refresh_token);
    }
    world.clock.pass(30 * 86_400);
    await isRefused(last.refresh_token);
    await isRefused(last.refresh_token);
  });

  test('never longer than upstream says (H4)', async () => {
    world.provider.behaviour.refreshExpiresIn = 86_400;
    const first = await client.tokens();
    world.clock.pass(86_399);
    const second = await refreshed(first.refresh_token);
    world.clock.pass(2);
    await isRefused(second.refresh_token);
  });

  test('as always, where upstream says 0, which stands for no expiry (H3)', async () => {
    world.provider.behaviour.refreshExpiresIn = 0;
    const first = await client.tokens();
    world.clock.pass(20 * 86_400);
    await refreshed(first.refresh_token);
  });

  test('there is one where upstream gave none and names no expiry, as GitHub does', async () => {
    world.provider.behaviour.refreshTokens = 'none';
    world.provider.behaviour.expiresIn = null;
    const first = await client.tokens();
    expect(first.expires_in).toBe(3_600);
    world.clock.pass(86_400);
    expect(await isGood(await refreshed(first.refresh_token))).toBe(true);
    expect(world.provider.of('/token', 'refresh_token')).toEqual([]);
  });

  test('there is none where the upstream token expires and cannot be refreshed (PX-9)', async () => {
    world.provider.behaviour.refreshTokens = 'none';
    world.provider.behaviour.expiresIn = 600;
    const only = await client.tokens();
    expect(only).not.toHaveProperty('refresh_token');
    expect(only.expires_in).toBe(600);
    world.clock.pass(601);
    expect(await isGood(only)).toBe(false);
  });

  test('the grant is gone from the store when its last token is', async () => {
    const short = await proxyApp({ options: { tokens: { refreshTtlSeconds: 7_200 } } });
    await (await short.client()).tokens();
    const last = short.store.writes.at(-1);
    expect(last?.ttlSeconds).toBe(7_200);
  });
});
