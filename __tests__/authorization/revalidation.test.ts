import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { customVerifier } from 'express-mcp-auth';
import type { OAuthClient, Tokens } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';
import type { Behaviour, UpstreamProvider } from '../support/upstream-provider.js';

let world: ProxyApp;
let client: OAuthClient;
let tokens: Tokens;
let whoIs: UpstreamProvider['whoIs'];
let events: ReturnType<typeof recordServerEvents>;

/** A person signed in, some time ago. */
async function signedIn({
  behaviour = {},
  options = {},
  secondsAgo = 61,
}: {
  behaviour?: Partial<Behaviour>;
  options?: Record<string, unknown>;
  secondsAgo?: number;
} = {}): Promise<void> {
  world = await proxyApp({ options });
  Object.assign(world.provider.behaviour, behaviour);
  whoIs = world.provider.whoIs;
  client = await world.client();
  tokens = await client.tokens();
  world.clock.pass(secondsAgo);
}
beforeEach(() => {
  events = recordServerEvents();
});
afterEach(async () => {
  events.stop();
  await closeAll();
});

const GITHUB = { refreshTokens: 'none', expiresIn: null } as const;
const status = async (app = world) => (await app.call(tokens.access_token)).status;
const refreshes = () => world.provider.of('/token', 'refresh_token').length;
/** Lets the provider's API say no to every token, while its token endpoint goes on as ever. */
const refuse = () => Object.assign(world.provider, { whoIs: () => null });
const relent = () => Object.assign(world.provider, { whoIs });
const ended = () => [{ clientId: client.id, subject: 'alice', by: 'upstream' }];

describe('a refresh of ours for somebody whom the provider refuses', () => {
  test('ends the grant where upstream has no refresh tokens: the client does not go round for ever (attack 59)', async () => {
    await signedIn({ behaviour: GITHUB, secondsAgo: 5 * 86_400 });
    world.provider.forget();
    const refused = await client.refresh(tokens.refresh_token);
    expect([refused.status, refused.body.error]).toEqual([401, 'invalid_grant']);
    expect(events.of('grant_revoked')).toEqual(ended());
    expect(await status()).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect(world.provider.of('/revoke')).toHaveLength(1);
  });

  test('ends the grant after one upstream refresh, where one is possible (attack 59)', async () => {
    await signedIn();
    refuse();
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect(refreshes()).toBe(1);
    expect(events.of('grant_revoked')).toEqual(ended());
  });

  test('ends the grant without a second one, where a call had it made a moment ago', async () => {
    await signedIn();
    refuse();
    expect(await status()).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect(refreshes()).toBe(1);
    expect(events.of('grant_revoked')).toEqual(ended());
  });

  test('ends it once where upstream itself says that the session is over', async () => {
    await signedIn();
    world.provider.forget();
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect(refreshes()).toBe(1);
    expect(events.of('grant_revoked')).toEqual(ended());
  });

  test('goes on where the provider had only rotated the token', async () => {
    await signedIn();
    const [first] = world.provider.secrets.filter(secret => secret.startsWith('up-access-'));
    Object.assign(world.provider, { whoIs: (token: string) => (token === first ? null : whoIs(token)) });
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
    expect([refreshes(), await status()]).toEqual([1, 200]);
  });

  test('goes on where the provider has changed its mind', async () => {
    await signedIn();
    refuse();
    expect(await status()).toBe(401);
    relent();
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
  });
});

describe('a refresh of ours otherwise', () => {
  test('asks nobody while the last answer is young', async () => {
    await signedIn({ secondsAgo: 59 });
    const before = world.verifier.asked.length;
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
    expect(world.verifier.asked).toHaveLength(before);
  });

  test('asks when it is not, and tells other replicas through the grant', async () => {
    await signedIn();
    const before = world.verifier.asked.length;
    const { body } = await client.refresh(tokens.refresh_token);
    expect(world.verifier.asked).toHaveLength(before + 1);
    const replica = await world.replica();
    world.clock.pass(30);
    expect((await replica.call(String(body.access_token))).status).toBe(200);
    expect(replica.verifier.asked).toEqual([]);
  });

  test('is not refused because nobody can be asked: how long the last answer holds is for the guard to say', async () => {
    await signedIn({ secondsAgo: 1_000 });
    world.verifier.down = true;
    const { status: answered, body } = await client.refresh(tokens.refresh_token);
    expect(answered).toBe(200);
    expect((await world.call(String(body.access_token))).status).toBe(503);
    world.verifier.down = false;
    expect((await world.call(String(body.access_token))).status).toBe(200);
  });

  test('that cannot follow a no with an upstream refresh is 503, and spends no token', async () => {
    await signedIn();
    refuse();
    world.provider.intercept.set('/token', (_req, res) => Boolean(res.writeHead(503).end()));
    const before = new Map(world.store.live).size;
    const { status: answered, body } = await client.refresh(tokens.refresh_token);
    expect([answered, body.error]).toEqual([503, 'temporarily_unavailable']);
    world.provider.intercept.clear();
    relent();
    expect(world.store.live.size).toBe(before);
    world.clock.pass(3_600);
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
    expect(events.of('grant_revoked')).toEqual([]);
  });
});

describe('calls with a token that the provider refuses', () => {
  test.each([0, 60])(
    'stay refused, with one upstream refresh a minute; revalidateSeconds is %s',
    async revalidateSeconds => {
      await signedIn({ options: { revalidateSeconds, tokens: { accessTtlSeconds: 86_400 } } });
      refuse();
      for (let count = 0; count < 10; count++) expect(await status()).toBe(401);
      expect(await Promise.all(Array.from({ length: 10 }, () => status()))).toEqual(Array(10).fill(401));
      expect(refreshes()).toBe(1);
      world.clock.pass(59);
      expect([await status(), refreshes()]).toEqual([401, 1]);
      world.clock.pass(1);
      expect([await status(), refreshes()]).toEqual([401, 2]);
      relent();
      expect(await status()).toBe(200);
    },
  );

  test('stay refused on a replica too: newer upstream tokens are no answer to the question', async () => {
    await signedIn();
    const replica = await world.replica();
    refuse();
    expect([await status(), await status(replica), await status(replica)]).toEqual([401, 401, 401]);
  });

  test('stay refused when the upstream token has expired: its refresh is no answer to the question', async () => {
    await signedIn({ options: { tokens: { accessTtlSeconds: 86_400 } }, secondsAgo: 3_601 });
    refuse();
    expect(await status()).toBe(401);
    expect((await client.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
  });

  test('get no grace in an outage: the last answer was a no', async () => {
    await signedIn();
    refuse();
    expect(await status()).toBe(401);
    world.verifier.down = true;
    expect(await status()).toBe(503);
  });
});

describe('a late no about upstream tokens that were refreshed meanwhile', () => {
  test.each(['call', 'refresh'] as const)('is no no about the new ones: %s (attack 59)', async kind => {
    const asked: { token: string; answer: (isGood: boolean) => void }[] = [];
    let arrived = () => {};
    let isHeld = false;
    const verifier = customVerifier({
      name: 'upstream',
      verify: async token => {
        const known = world.provider.whoIs(token);
        const isGood = isHeld
          ? await new Promise<boolean>(answer => {
              asked.push({ token, answer });
              arrived();
            })
          : true;
        return isGood && known ? { clientId: 'upstream', ...known } : null;
      },
    });
    const question = async (count: number) => {
      while (asked.length < count)
        await new Promise<void>(resolve => {
          arrived = resolve;
        });
      return asked[count - 1] as (typeof asked)[number];
    };
    await signedIn({ options: { verifier } });
    isHeld = true;

    const first = status();
    const old = await question(1);
    const second = kind === 'call' ? status() : client.refresh(tokens.refresh_token).then(answer => answer.status);
    const late = await question(2);
    expect(late.token).toBe(old.token);
    old.answer(false);
    const fresh = await question(3);
    expect(fresh.token).not.toBe(old.token);
    late.answer(false);
    const again = await question(4);
    expect(again.token).toBe(fresh.token);
    fresh.answer(true);
    again.answer(true);
    expect([await first, await second, refreshes()]).toEqual([200, 200, 1]);
    expect(events.of('grant_revoked')).toEqual([]);
  });
});
