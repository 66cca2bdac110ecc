import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { OAuthClient, post } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';

let world: ProxyApp;
let client: OAuthClient;
beforeEach(async () => {
  world = await proxyApp();
  client = await world.client();
});
afterEach(closeAll);

const status = async (token: string) => (await world.call(token)).status;

describe('revocation (RFC 7009)', () => {
  test('of the refresh token ends the grant here first, then at the provider (V-4, E11)', async () => {
    const tokens = await client.tokens();
    const storedAtRevocation: number[] = [];
    world.provider.intercept.set('/revoke', () => {
      storedAtRevocation.push([...world.store.live.values()].length);
      return false;
    });
    const spent = world.store.live.size - 1;
    const answer = await client.revoke(tokens.refresh_token);
    expect([answer.status, answer.body]).toEqual([200, {}]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(await status(tokens.access_token)).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect(storedAtRevocation).toEqual([spent]);
    const [asked] = world.provider.of('/revoke');
    expect(asked?.params.token_type_hint).toBe('refresh_token');
    expect(asked?.params.token).toMatch(/^up-refresh-/);
    expect(asked?.authorization).toMatch(/^Basic /);
  });

  test('of an access token ends that token only (V-4)', async () => {
    const first = await client.tokens();
    const second = (await client.refresh(first.refresh_token)).body as unknown as typeof first;
    expect((await client.revoke(first.access_token)).status).toBe(200);
    expect([await status(first.access_token), await status(second.access_token)]).toEqual([401, 200]);
    expect((await client.refresh(second.refresh_token)).status).toBe(200);
    expect(world.provider.of('/revoke')).toEqual([]);
  });

  test('of the only access token of a grant without a refresh token ends the grant', async () => {
    world.provider.behaviour.refreshTokens = 'none';
    const tokens = await client.tokens();
    expect((await client.revoke(tokens.access_token)).status).toBe(200);
    expect(await status(tokens.access_token)).toBe(401);
    expect(world.provider.of('/revoke').map(each => each.params.token_type_hint)).toEqual(['access_token']);
  });

  test('finds the token whatever the hint says (V-3)', async () => {
    const tokens = await client.tokens();
    expect((await client.revoke(tokens.refresh_token, { token_type_hint: 'access_token' })).status).toBe(200);
    expect(await status(tokens.access_token)).toBe(401);
    const more = await client.tokens();
    expect((await client.revoke(more.access_token, { token_type_hint: 'something' })).status).toBe(200);
    expect(await status(more.access_token)).toBe(401);
  });

  test('of another client\u2019s tokens does nothing, and answers as for unknown ones (V-2, V-5, attack 83)', async () => {
    const tokens = await client.tokens();
    const stranger = await world.client({ client_name: 'Stranger' });
    const before = new Map(world.store.live);
    const answers = await Promise.all(
      [tokens.access_token, tokens.refresh_token, 'garbage', 'mcp_at_x', 'mcp_rt_x'].map(token =>
        stranger.revoke(token),
      ),
    );
    for (const answer of answers) expect([answer.status, answer.body]).toEqual([200, {}]);
    expect(world.store.live).toEqual(before);
    expect(await status(tokens.access_token)).toBe(200);
    expect(world.provider.of('/revoke')).toEqual([]);
  });

  test('twice is 200 twice, and asks the provider once (V-5)', async () => {
    const tokens = await client.tokens();
    for (let count = 0; count < 2; count++) expect((await client.revoke(tokens.refresh_token)).status).toBe(200);
    expect(world.provider.of('/revoke')).toHaveLength(1);
  });

  test('holds here while the provider is down, and says so (E11)', async () => {
    const tokens = await client.tokens();
    const events = recordServerEvents();
    world.provider.intercept.set('/revoke', (_, res) => {
      res.writeHead(500).end('<html>');
      return true;
    });
    expect((await client.revoke(tokens.refresh_token)).status).toBe(200);
    events.stop();
    expect(await status(tokens.access_token)).toBe(401);
    expect(events.of('upstream_failed').map(each => each.leg)).toEqual(['revoke']);
    expect(events.of('grant_revoked')).toEqual([{ clientId: client.id, subject: 'alice', by: 'client' }]);
  });

  test('without a token, a client or the right secret is refused as JSON (V-2, V-6)', async () => {
    const confidential = await world.client({ token_endpoint_auth_method: 'client_secret_basic' });
    const tokens = await confidential.tokens();
    const bare = new OAuthClient(confidential.endpoints, { id: confidential.id });
    const cases = [
      [await client.revoke('', {}), 400, 'invalid_request'],
      [await client.revoke('x', { client_id: '' }), 400, 'invalid_request'],
      [await client.revoke('x', { client_id: 'nobody' }), 401, 'invalid_client'],
      [await bare.revoke(tokens.refresh_token), 401, 'invalid_client'],
      [await bare.revoke(tokens.refresh_token, { client_secret: 'wrong' }), 401, 'invalid_client'],
    ] as const;
    for (const [answer, code, error] of cases) expect([answer.status, answer.body.error]).toEqual([code, error]);
    expect(await status(tokens.access_token)).toBe(200);
    expect((await confidential.revoke(tokens.refresh_token)).status).toBe(200);
  });

  test('GET and a token in the query do nothing (attack 83)', async () => {
    const tokens = await client.tokens();
    const query = new URLSearchParams({ token: tokens.refresh_token, client_id: client.id });
    expect((await fetch(`${world.base}/revoke?${query}`)).status).toBe(404);
    const sent = await post(client.endpoints, `/revoke?${query}`, '', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect([sent.status, sent.body.error]).toEqual([400, 'invalid_request']);
    expect(await status(tokens.access_token)).toBe(200);
  });

  test('where the provider has no revocation endpoint is local', async () => {
    const plain = await proxyApp({ upstream: { revocationEndpoint: undefined } });
    const visitor = await plain.client();
    const tokens = await visitor.tokens();
    expect((await visitor.revoke(tokens.refresh_token)).status).toBe(200);
    expect((await plain.call(tokens.access_token)).status).toBe(401);
    expect(plain.provider.of('/revoke')).toEqual([]);
  });

  test('during a refresh leaves no live token behind', async () => {
    const tokens = await client.tokens();
    const [refreshed] = await Promise.all([client.refresh(tokens.refresh_token), client.revoke(tokens.refresh_token)]);
    expect(await status(tokens.access_token)).toBe(401);
    if (refreshed.status === 200) {
      expect(await status(String(refreshed.body.access_token))).toBe(401);
      expect((await client.refresh(refreshed.body.refresh_token)).body.error).toBe('invalid_grant');
    }
  });
});
