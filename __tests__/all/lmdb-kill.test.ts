import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Answer, OAuthClient, type Tokens } from '../support/oauth-client.js';
import { cleanUp, freePort, newFolder, type Running, start } from '../support/processes.js';
import { SECRET } from '../support/proxy-app.js';
import { UPSTREAM_ID, UPSTREAM_SECRET, type UpstreamProvider, upstreamProvider } from '../support/upstream-provider.js';

const command = 'exec env TSX_TSCONFIG_PATH=tsconfig.build.json node --import tsx __tests__/all/support/lmdb-server.ts';

let provider: UpstreamProvider;
let environment: Record<string, string>;
let base: string;
let server: Running;
beforeAll(async () => {
  provider = await upstreamProvider();
  provider.behaviour.idToken = {};
  const PORT = String(await freePort());
  base = `http://127.0.0.1:${PORT}`;
  environment = {
    PORT,
    ISSUER: provider.origin,
    CLIENT_ID: UPSTREAM_ID,
    CLIENT_SECRET: UPSTREAM_SECRET,
    SECRET,
    STORE: join(newFolder(), 'store.lmdb'),
  };
  await run();
});
afterAll(async () => {
  cleanUp();
  await provider?.close();
});

async function run(): Promise<void> {
  server = start(command, environment);
  await server.until('listening');
}

async function killed(): Promise<void> {
  const [, signal] = await server.end('SIGKILL');
  expect(signal).toBe('SIGKILL');
  await run();
}

const call = async (token: unknown) => {
  const response = await fetch(`${base}/mcp`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};
const newClient = () => OAuthClient.register({ base });
/** What came of a request that the server may not have lived to answer. */
const attempted = (asked: Promise<Answer>) => asked.catch(() => undefined);

describe('the lmdb store under kill -9', () => {
  test('a flow outlives a kill between any two of its requests', async () => {
    const client = await newClient();
    await killed();
    const page = await client.authorize();
    await killed();
    const approved = await client.decide(page);
    await killed();
    const callback = await client.signIn(approved);
    await killed();
    const back = await client.browser.get(callback);
    await killed();
    const redeemed = await client.redeem(String(back.location?.searchParams.get('code')));
    expect(redeemed.status).toBe(200);
    await killed();
    expect(await call(redeemed.body.access_token)).toMatchObject({ status: 200, body: { clientId: client.id } });
    const refreshed = await client.refresh(redeemed.body.refresh_token);
    await killed();
    expect((await client.refresh(redeemed.body.refresh_token)).body).toEqual(refreshed.body);
    expect((await call(refreshed.body.access_token)).status).toBe(200);
    expect((await client.revoke(refreshed.body.refresh_token)).status).toBe(200);
    await killed();
    expect((await call(refreshed.body.access_token)).status).toBe(401);
    expect((await client.refresh(refreshed.body.refresh_token)).status).toBe(401);
  });

  test('what was spent stays spent: no code and no sign-in is good twice because of a kill', async () => {
    const client = await newClient();
    const callback = await client.signIn(await client.decide(await client.authorize()));
    const back = await client.browser.get(callback);
    const code = String(back.location?.searchParams.get('code'));
    expect((await client.redeem(code)).status).toBe(200);
    await killed();
    expect((await client.browser.get(callback)).location).toBeUndefined();
    expect((await client.redeem(code)).status).toBe(401);
  });

  test('killed while everybody refreshes: each gets tokens by asking again, and what was answered is good', async () => {
    const people: { client: OAuthClient; tokens: Tokens }[] = [];
    for (let count = 0; count < 24; count++) {
      const client = await newClient();
      people.push({ client, tokens: await client.tokens() });
    }
    let answered = 0;
    let lost = 0;
    for (const round of [1, 8, 16]) {
      // The kill falls when some have been answered and the others have not.
      let reached = () => {};
      const enough = new Promise<void>(resolve => {
        reached = resolve;
      });
      answered = 0;
      const first = people.map(({ client, tokens }) =>
        attempted(
          client.refresh(tokens.refresh_token).then(answer => {
            if (++answered >= round) reached();
            return answer;
          }),
        ),
      );
      await enough;
      await killed();
      const answers = await Promise.all(first);
      expect(answers.filter(answer => answer !== undefined && answer.status !== 200)).toEqual([]);
      for (const [index, person] of people.entries()) {
        const before = answers[index]?.body;
        const again = await person.client.refresh(person.tokens.refresh_token);
        expect(again.status).toBe(200);
        if (before !== undefined) expect(again.body).toEqual(before);
        else lost++;
        expect((await call(again.body.access_token)).status).toBe(200);
        expect((await call(person.tokens.access_token)).status).toBe(200);
        person.tokens = again.body as unknown as Tokens;
      }
    }
    // Otherwise every kill came too late to disturb anybody.
    expect(lost).toBeGreaterThan(0);
  });

  test('killed while everybody redeems a code: it was taken or it was not, never half', async () => {
    const people: { client: OAuthClient; code: string }[] = [];
    for (let count = 0; count < 24; count++) {
      const client = await newClient();
      people.push({ client, code: await client.code() });
    }
    let reached = () => {};
    const enough = new Promise<void>(resolve => {
      reached = resolve;
    });
    let answered = 0;
    const first = people.map(({ client, code }) =>
      attempted(
        client.redeem(code).then(answer => {
          if (++answered >= 6) reached();
          return answer;
        }),
      ),
    );
    await enough;
    await killed();
    const answers = await Promise.all(first);
    for (const [index, { client, code }] of people.entries()) {
      const before = answers[index];
      const again = await client.redeem(code);
      if (before !== undefined) expect([before.status, again.status]).toEqual([200, 401]);
      else expect([200, 401]).toContain(again.status);
      const tokens = before ?? (again.status === 200 ? again : undefined);
      if (tokens !== undefined) expect((await call(tokens.body.access_token)).status).toBe(200);
      // Whoever lost the answer signs in again, as ever.
      else expect((await client.tokens()).token_type).toBe('Bearer');
    }
  });
});
