import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OAuthClient, Tokens } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';

let world: ProxyApp;
let client: OAuthClient;
let tokens: Tokens;
let events: ReturnType<typeof recordServerEvents>;

/** A person signed in, whose upstream token has expired since. */
async function expired(upstream: Record<string, unknown> = {}): Promise<void> {
  world = await proxyApp({ options: { tokens: { accessTtlSeconds: 86_400 } }, upstream });
  client = await world.client();
  tokens = await client.tokens();
  world.clock.pass(3_601);
}
beforeEach(() => {
  events = recordServerEvents();
});
afterEach(async () => {
  events.stop();
  await closeAll();
});

const asked = () => world.provider.of('/token', 'refresh_token');
const call = (app = world) => app.call(tokens.access_token);

/** Until the store was read so many times more: whoever waits for another replica looks again and again. */
const reads = (count: number) =>
  new Promise<void>(resolve => {
    const { get } = world.store;
    let left = count;
    world.store.get = async key => {
      left--;
      if (left === 0) {
        world.store.get = get;
        resolve();
      }
      return get(key);
    };
  });

/** Keeps the provider's answers back, in the order of the questions. */
function held(): { next(): Promise<(status: number, body: object) => void> } {
  const waiting: ((answer: (status: number, body: object) => void) => void)[] = [];
  const ready: ((status: number, body: object) => void)[] = [];
  world.provider.intercept.set('/token', (_req, res: ServerResponse) => {
    const answer = (status: number, body: object) =>
      void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const first = waiting.shift();
    if (first === undefined) ready.push(answer);
    else first(answer);
    return true;
  });
  return {
    next: () =>
      new Promise(resolve => {
        const answer = ready.shift();
        if (answer === undefined) waiting.push(resolve);
        else resolve(answer);
      }),
  };
}

const fresh = (name: string) => ({
  access_token: `up-${name}`,
  token_type: 'Bearer',
  expires_in: 3_600,
  refresh_token: `up-refresh-${name}`,
});

describe('the lease of an upstream refresh', () => {
  // The verifier of the tests knows the provider's own tokens only, and here the tests make some up.
  beforeEach(() => expired({ timeoutMs: 60_000 }));
  const knowing = (app: ProxyApp) => {
    const { whoIs } = app.provider;
    Object.assign(app.provider, {
      whoIs: (token: string) => whoIs(token) ?? { subject: 'alice', scopes: ['read'] },
    });
  };

  test('counts from when it is taken: whoever waited for a dead replica is not taken for dead (attack 59)', async () => {
    knowing(world);
    const [second, third] = [await world.replica(), await world.replica()];
    const answers = held();
    void call().catch(() => {});
    await answers.next();
    const waiting = call(second);
    await reads(3);
    world.clock.pass(66);
    const answer = await answers.next();
    const late = call(third);
    await reads(4);
    answer(200, fresh('second'));
    expect([(await waiting).body.upstream, (await late).body.upstream]).toEqual(['up-second', 'up-second']);
    expect(asked()).toHaveLength(2);
  });

  test('a refusal of whoever lost it ends nothing: the newer tokens count (attack 59)', async () => {
    knowing(world);
    const replica = await world.replica();
    const answers = held();
    const slow = call();
    const refuse = await answers.next();
    world.clock.pass(66);
    const fast = call(replica);
    (await answers.next())(200, fresh('fast'));
    expect((await fast).body.upstream).toBe('up-fast');
    refuse(400, { error: 'invalid_grant' });
    expect((await slow).body.upstream).toBe('up-fast');
    expect(events.of('grant_revoked')).toEqual([]);
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
  });

  test('a refusal ends nothing while another replica, which took it over, is still asking', async () => {
    knowing(world);
    const replica = await world.replica();
    const answers = held();
    const slow = call();
    const refuse = await answers.next();
    world.clock.pass(66);
    const taken = call(replica);
    const answer = await answers.next();
    refuse(400, { error: 'invalid_grant' });
    expect((await slow).status).toBe(503);
    answer(200, fresh('taken'));
    expect((await taken).body.upstream).toBe('up-taken');
    expect(events.of('grant_revoked')).toEqual([]);
  });

  test('a failure of whoever lost it does not give it to a third', async () => {
    knowing(world);
    const [second, third] = [await world.replica(), await world.replica()];
    const answers = held();
    const slow = call();
    const fail = await answers.next();
    world.clock.pass(66);
    const taken = call(second);
    const answer = await answers.next();
    fail(500, {});
    expect((await slow).status).toBe(503);
    const late = call(third);
    await reads(4);
    answer(200, fresh('taken'));
    expect([(await taken).body.upstream, (await late).body.upstream]).toEqual(['up-taken', 'up-taken']);
    expect(asked()).toHaveLength(2);
  });

  test('an answer that comes after it was lost is not thrown away: the refusal of the next one ends nothing', async () => {
    knowing(world);
    const replica = await world.replica();
    const answers = held();
    const slow = call();
    const answer = await answers.next();
    world.clock.pass(66);
    const taken = call(replica);
    const refuse = await answers.next();
    answer(200, fresh('slow'));
    expect((await slow).body.upstream).toBe('up-slow');
    refuse(400, { error: 'invalid_grant' });
    expect((await taken).body.upstream).toBe('up-slow');
    expect(events.of('grant_revoked')).toEqual([]);
  });
});

describe('the answer of an upstream refresh', () => {
  test('that comes for a grant revoked meanwhile is revoked upstream: no session is left behind (attack 59)', async () => {
    await expired();
    const answers = held();
    const going = call();
    const answer = await answers.next();
    expect((await client.revoke(tokens.refresh_token)).status).toBe(200);
    answer(200, fresh('orphan'));
    expect((await going).status).toBe(401);
    const revoked = world.provider.of('/revoke').map(({ params }) => params.token);
    expect(revoked).toEqual([asked()[0]?.params.refresh_token, 'up-refresh-orphan']);
    expect(world.store.live.size).toBe(1);
  });

  /** Lets the provider answer as ever, and does something once it has rotated. */
  const onAnswer = (work: () => void) => {
    world.provider.intercept.set('/token', (_req, res) => {
      const end = res.end.bind(res);
      res.end = ((body: string) => {
        work();
        return end(body);
      }) as typeof res.end;
      return false;
    });
  };

  test('survives a write that fails: it is tried again, and upstream is asked once', async () => {
    await expired();
    const { replace } = world.store;
    onAnswer(() => {
      world.store.replace = async () => {
        world.store.replace = replace;
        throw new Error('connection reset');
      };
    });
    expect((await call()).status).toBe(200);
    expect(asked()).toHaveLength(1);
    world.provider.intercept.clear();
    world.clock.pass(3_601);
    expect((await call()).status).toBe(200);
    expect(world.provider.thefts()).toBe(0);
  });

  test('survives a store that is out for longer than the lease: the next attempt puts it in (attack 59)', async () => {
    await expired();
    onAnswer(() => {
      world.store.down = true;
      world.clock.pass(16);
    });
    expect((await call()).status).toBe(503);
    world.provider.intercept.clear();
    world.store.down = false;
    const [newest] = world.provider.secrets.filter(secret => secret.startsWith('up-access-')).slice(-1);
    expect((await call()).body.upstream).toBe(newest);
    expect(asked()).toHaveLength(1);
    world.clock.pass(3_601);
    expect((await client.refresh(tokens.refresh_token)).status).toBe(200);
    expect([asked().length, world.provider.thefts()]).toEqual([2, 0]);
  });

  test('is put in over the lease of another replica, whose refusal then ends nothing', async () => {
    await expired();
    const replica = await world.replica();
    onAnswer(() => {
      world.store.down = true;
      world.clock.pass(16);
    });
    expect((await call()).status).toBe(503);
    world.store.down = false;
    const answers = held();
    const other = call(replica);
    const refuse = await answers.next();
    expect((await call()).status).toBe(200);
    refuse(400, { error: 'invalid_grant' });
    expect((await other).status).toBe(200);
    expect(events.of('grant_revoked')).toEqual([]);
  });

  test('is what is revoked upstream when the grant ends before the store has it (attack 59)', async () => {
    await expired();
    onAnswer(() => {
      world.store.down = true;
      world.clock.pass(16);
    });
    expect((await call()).status).toBe(503);
    world.store.down = false;
    expect((await client.revoke(tokens.refresh_token)).status).toBe(200);
    const [newest] = world.provider.secrets.filter(secret => secret.startsWith('up-access-')).slice(-1);
    expect(world.provider.whoIs(String(newest))).toBeFalsy();
  });
});
