import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { formOf, type OAuthClient } from '../support/oauth-client.js';
import { cleanUp, freePort, quickstart } from '../support/processes.js';
import { browserWorld, launch, NAME, type World } from './support/browser-world.js';
import { Memory, witnesses } from './support/witness.js';

afterAll(cleanUp);

const atSignIn = async (page: Page) => {
  await page.getByLabel('User name').waitFor();
  await page.waitForLoadState();
};
const allow = async (page: Page) => {
  await page.getByRole('button', { name: 'Allow' }).click();
  await atSignIn(page);
};
const signIn = async (page: Page) => {
  await page.getByLabel('User name').fill('user-1');
  await page.getByLabel('Password').fill('password');
  await page.getByRole('button', { name: 'Sign in' }).click();
};
/** Where the browser ends up, once that is the address of the client. */
const arrival = async (page: Page, { redirectUri }: OAuthClient) => {
  await page.waitForURL(url => url.href.startsWith(redirectUri));
  expect(await page.getByRole('heading').textContent()).toBe('You may close this window');
  return new URL(page.url()).searchParams;
};
const heading = (page: Page) => page.getByRole('heading', { level: 1 }).textContent();

const worlds = (['loopback', 'public'] as const).flatMap(place =>
  [false, true].map(helmet => ({
    place,
    helmet,
    host: helmet ? "the host app sets helmet's defaults" : 'a plain app',
  })),
);
const callbacks = [{ callback: 'loopback' }, { callback: 'https' }] as const;

describe.each(worlds)('a real browser at a $place server, $host', ({ place, helmet }) => {
  let world: World;
  beforeAll(async () => {
    world = await browserWorld(place, helmet);
  });
  afterEach(() => world.leave());
  afterAll(() => world?.close());

  describe.each(callbacks)('for a client with a callback on $callback', ({ callback }) => {
    /** A client, and a person who has just been sent from there. */
    async function start(options: { javaScriptEnabled?: boolean } = {}) {
      const [client, { context, problems }] = [await world.client(callback), await world.person(options)];
      const page = await context.newPage();
      await page.goto(client.authorizeUrl());
      return { client, context, problems, page };
    }
    const ends = async (client: OAuthClient, params: URLSearchParams, state = 'the-state') => {
      expect(Object.fromEntries(params)).toEqual({ code: expect.any(String), state, iss: world.base });
      const { status, body } = await client.redeem(String(params.get('code')));
      expect([status, body.scope]).toEqual([200, 'tools']);
    };

    test.each([true, false])('AS-12, AS-13, PX-1: approves and signs in; with script: %s', async javaScriptEnabled => {
      const { client, problems, page } = await start({ javaScriptEnabled });
      expect(await heading(page)).toContain(NAME);
      expect(await page.locator('main').textContent()).toContain(new URL(client.redirectUri).host);
      await allow(page);
      expect(await heading(page)).toBe('Sign in');
      await signIn(page);
      await ends(client, await arrival(page, client));
      expect(problems).toEqual([]);
    });

    test('approves with the keyboard alone', async () => {
      const { client, page } = await start();
      const focused = page.locator('button[value=approve]:focus');
      for (let presses = 0; (await focused.count()) === 0; presses++) {
        if (presses > 20) throw new Error('the keyboard does not reach the button');
        await page.keyboard.press('Tab');
      }
      await page.keyboard.press('Enter');
      await atSignIn(page);
      await signIn(page);
      await ends(client, await arrival(page, client));
    });

    test('denies, and the client hears of it', async () => {
      const { client, problems, page } = await start();
      await page.getByRole('button', { name: 'Deny' }).click();
      expect(Object.fromEntries(await arrival(page, client))).toEqual({
        error: 'access_denied',
        error_description: expect.any(String),
        state: 'the-state',
        iss: world.base,
      });
      expect(problems).toEqual([]);
    });

    test('goes back from the sign-in, and approves once more', async () => {
      const { client, problems, page } = await start();
      await allow(page);
      expect(await heading(page)).toBe('Sign in');
      await page.goBack();
      expect(await heading(page)).toContain(NAME);
      await allow(page);
      await signIn(page);
      await ends(client, await arrival(page, client));
      expect(problems).toEqual([]);
    });

    test('goes back from the sign-in, and denies after all', async () => {
      const { client, page } = await start();
      await allow(page);
      await page.goBack();
      await page.getByRole('button', { name: 'Deny' }).click();
      expect((await arrival(page, client)).get('error')).toBe('access_denied');
    });

    test('attack 26: goes back when all is done, and no second code comes of it', async () => {
      const { client, page } = await start();
      await allow(page);
      await signIn(page);
      const params = await arrival(page, client);
      await page.goBack();
      await signIn(page);
      await page.waitForURL(url => url.href.startsWith(`${world.base}/auth/callback`));
      expect(await heading(page)).toBe('This sign-in was used already');
      await ends(client, params);
    });

    test('submits twice, and it counts once', async () => {
      const { client, context, problems, page } = await start();
      // The first answer is lost on the way, and the person presses again.
      const { action, fields } = formOf({ text: await page.content() });
      const body = new URLSearchParams({ ...fields, decision: 'approve' });
      const cookie = (await context.cookies(world.base)).map(({ name, value }) => `${name}=${value}`).join('; ');
      const url = world.rewrite(new URL(action, page.url()).href);
      const lost = await fetch(url, { method: 'POST', body, headers: { cookie }, redirect: 'manual' });
      await allow(page);
      expect([lost.status, lost.headers.get('location')]).toEqual([303, page.url()]);
      await signIn(page);
      await ends(client, await arrival(page, client));
      expect(problems).toEqual([]);
    });

    test('presses twice as fast as a person can', async () => {
      const { client, page } = await start();
      await page.getByRole('button', { name: 'Allow' }).dblclick({ noWaitAfter: true });
      await atSignIn(page);
      await signIn(page);
      await ends(client, await arrival(page, client));
    });

    test('has two tabs open, and each ends where it began', async () => {
      const { client: first, context, problems, page } = await start();
      const second = await world.client(callback);
      const other = await context.newPage();
      await other.goto(second.authorizeUrl({ state: 'another-state' }));
      await allow(other);
      await allow(page);
      await signIn(page);
      await signIn(other);
      await ends(first, await arrival(page, first));
      await ends(second, await arrival(other, second), 'another-state');
      expect(problems).toEqual([]);
    });

    test('attack 25, K: cannot finish what another browser has approved', async () => {
      const { client, page } = await start();
      await allow(page);
      const { action, fields } = formOf({ text: await page.content() });
      const body = new URLSearchParams({ ...fields, user: 'user-1', password: 'password' });
      const { headers } = await fetch(world.rewrite(action), { method: 'POST', body, redirect: 'manual' });
      const answer = String(headers.get('location'));
      expect(answer).toContain('/auth/callback?code=');
      const stranger = await (await world.person()).context.newPage();
      const response = await stranger.goto(answer);
      expect([response?.status(), await heading(stranger)]).toEqual([
        403,
        'This sign-in was started in another browser',
      ]);
      await page.goto(answer);
      await ends(client, await arrival(page, client));
    });
  });

  test('PX-4: the cookies of a sign-in are for this host alone, and no script reads them', async () => {
    const { context } = await world.person();
    const page = await context.newPage();
    await page.goto((await world.client('https')).authorizeUrl());
    await allow(page);
    const cookies = await context.cookies(world.base);
    expect(cookies).toHaveLength(2);
    const isPublic = place === 'public';
    for (const { name, httpOnly, secure, sameSite, path, domain } of cookies) {
      expect(name.startsWith('__Host-')).toBe(isPublic);
      expect({ httpOnly, secure, sameSite, path, domain }).toEqual({
        httpOnly: true,
        secure: isPublic,
        sameSite: 'Lax',
        path: '/',
        domain: new URL(world.base).hostname,
      });
    }
  });

  test('a hosted client that opened a popup still sees it when it comes back', async () => {
    const { context } = await world.person();
    const opener = await context.newPage();
    await opener.goto(world.clientPage);
    const client = await world.client('https');
    const [popup] = await Promise.all([
      opener.waitForEvent('popup'),
      opener.evaluate(`void open(${JSON.stringify(client.authorizeUrl())}, 'sign-in')`),
    ]);
    await allow(popup);
    await signIn(popup);
    await arrival(popup, client);
    expect(await popup.evaluate('opener !== null')).toBe(true);
  });

  test('attack 31: nobody can put the consent page into a frame', async () => {
    const { context, problems } = await world.person();
    const page = await context.newPage();
    await page.goto(world.clientPage);
    const url = (await world.client('https')).authorizeUrl();
    await page.evaluate(`new Promise(resolve => {
      const frame = document.createElement('iframe');
      frame.src = ${JSON.stringify(url)};
      frame.onload = resolve;
      document.body.append(frame);
    })`);
    const framed = page.frames().find(frame => frame !== page.mainFrame());
    expect(await framed?.locator('form').count()).toBe(0);
    expect(problems.join()).toMatch(/frame-ancestors|X-Frame-Options/i);
  });
});

describe('npm start', () => {
  test.each(witnesses)(
    'a person adds its URL to a client of $name and signs in, in a real browser',
    async ({ connect }) => {
      const port = String(await freePort());
      const server = quickstart({ PORT: port });
      await server.until('Serving until Ctrl-C.');
      const browser = await launch();
      const memory = new Memory(async (start, redirectUri) => {
        const page = await browser.newPage();
        let arrived: URL | undefined;
        await page.route(`${redirectUri}**`, route => {
          arrived = new URL(route.request().url());
          return route.fulfill({ contentType: 'text/html', body: '<h1>You may close this window</h1>' });
        });
        await page.goto(start.href);
        await allow(page);
        await signIn(page);
        await page.waitForURL(`${redirectUri}**`);
        return arrived as URL;
      });
      const client = await connect(new URL(`http://127.0.0.1:${port}/mcp`), memory);
      expect(JSON.stringify(await client.callTool('whoami'))).toContain('user-1');
      await client.close();
      await browser.close();
      await server.end('SIGTERM');
    },
  );
});
