import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { UnavailableError } from 'express-mcp-auth';
import { OAuthClient } from '../support/oauth-client.js';
import { closeAll, type ProxyApp, proxyApp } from '../support/proxy-app.js';
import { recordServerEvents } from '../support/server-events.js';

let world: ProxyApp;
let client: OAuthClient;
let events: ReturnType<typeof recordServerEvents>;
beforeEach(() => {
  events = recordServerEvents();
});
afterEach(async () => {
  events.stop();
  await closeAll();
});
const start = async (options: Record<string, unknown> = {}, upstream: Record<string, unknown> = {}) => {
  world = await proxyApp({ options, upstream });
  client = await world.client();
};
const granted = async (scope?: string) => (await client.tokens({ scope })).scope.split(' ').filter(Boolean).sort();
const asked = () => world.provider.of('/authorize').at(-1)?.params.scope;
const errorOf = async (scope?: string) => (await client.connect({ scope })).location?.searchParams.get('error');

describe('scopes that mean the same upstream', () => {
  test('what the client asks for is asked for, and what upstream reports is granted (E5)', async () => {
    await start();
    expect(await granted('read write')).toEqual(['read', 'write']);
    expect(asked()).toBe('read write');
    world.provider.behaviour.scope = 'read';
    expect(await granted('read write')).toEqual(['read']);
    world.provider.behaviour.scope = 'read,write';
    expect(await granted('read write')).toEqual(['read', 'write']);
  });

  test('an omitted scope means as requested (RFC 6749 section 5.1)', async () => {
    await start();
    world.provider.behaviour.scope = null;
    expect(await granted('read write')).toEqual(['read', 'write']);
  });

  test('never more than was consented, whatever upstream reports', async () => {
    await start();
    world.provider.behaviour.scope = 'read write admin root';
    expect(await granted('read')).toEqual(['read']);
  });

  test('upstream reports less than is required: access_denied, and an event that names the remedy', async () => {
    await start();
    world.provider.behaviour.scope = 'write';
    expect(await errorOf('read write')).toBe('access_denied');
    expect(world.store.live.size).toBe(1);
    expect(events.of('sign_in_refused')).toEqual([
      {
        clientId: client.id,
        reason: expect.stringMatching(/read/),
        remedy: expect.stringMatching(/upstream\.scopes.*grantScopes/),
      },
    ]);
  });

  test('an empty scope says that nothing was granted', async () => {
    await start();
    world.provider.behaviour.scope = '';
    expect(await errorOf('read')).toBe('access_denied');
    await start({ requiredScopes: [] });
    world.provider.behaviour.scope = '';
    expect(await granted('read')).toEqual([]);
  });

  test('scopeSatisfies counts: a broad scope does for a narrow one that is required', async () => {
    await start({
      scopesSupported: ['admin'],
      scopeSatisfies: (given: readonly string[], required: string) =>
        given.includes(required) || given.includes('admin'),
    });
    world.provider.behaviour.scope = 'admin';
    const tokens = await client.tokens({ scope: 'admin' });
    expect(tokens.scope).toBe('admin');
    expect((await world.call(tokens.access_token)).status).toBe(200);
    expect((await client.refresh(tokens.refresh_token, { scope: 'admin' })).status).toBe(200);
  });
});

describe('upstream.scopes as a function', () => {
  const translate = (scopes: readonly string[]) =>
    scopes.flatMap(scope => ({ read: ['repo:read', 'user'], write: ['repo'] })[scope] ?? []);

  test('a scope that has no word upstream is not granted by upstream: the defaults count, or grantScopes (attack 81)', async () => {
    const supported = { scopesSupported: ['read', 'write', 'admin'] };
    await start(supported, { scopes: translate });
    expect(await granted('read write admin')).toEqual(['read', 'write']);
    await start({ ...supported, defaultScopes: ['admin'] }, { scopes: translate });
    expect(await granted('read admin')).toEqual(['admin', 'read']);
    await start({ ...supported, grantScopes: () => ['read', 'admin'] }, { scopes: translate });
    expect(await granted('read write admin')).toEqual(['admin', 'read']);
  });

  test('upstream is asked in its own words', async () => {
    await start({}, { scopes: translate });
    expect(await granted('read write')).toEqual(['read', 'write']);
    expect(asked()?.split(' ').sort()).toEqual(['repo', 'repo:read', 'user']);
  });

  test('a scope is granted when everything that stands for it alone was reported', async () => {
    await start({}, { scopes: translate });
    world.provider.behaviour.scope = 'repo:read user';
    expect(await granted('read write')).toEqual(['read']);
    world.provider.behaviour.scope = 'repo repo:read';
    expect(await errorOf('read write')).toBe('access_denied');
    world.provider.behaviour.scope = 'repo user repo:read extra';
    expect(await granted('read write')).toEqual(['read', 'write']);
    world.provider.behaviour.scope = null;
    expect(await granted('read write')).toEqual(['read', 'write']);
  });
});

describe('upstream.scopes as a fixed list, which says nothing about ours', () => {
  const fixed = { scopes: ['api', 'user'] };

  test('by default defaultScopes are granted and no more', async () => {
    await start({}, fixed);
    expect(await granted('read write')).toEqual(['read']);
    expect(asked()).toBe('api user');
    await start({ defaultScopes: ['write'] }, fixed);
    expect(await granted('read write')).toEqual(['read', 'write']);
    expect(await granted('read')).toEqual(['read']);
  });

  test('grantScopes decides, by who it is and what was asked for', async () => {
    const calls: unknown[] = [];
    await start(
      {
        grantScopes: async (...args: unknown[]) => {
          calls.push(args);
          return (args[0] as { subject: string }).subject === 'alice' ? ['read', 'write', 'admin'] : ['read'];
        },
      },
      fixed,
    );
    world.verifier.claims = { team: 'blue' };
    expect(await granted('read write')).toEqual(['read', 'write']);
    expect(await granted('read')).toEqual(['read']);
    world.provider.behaviour.subject = 'bob';
    expect(await granted('read write')).toEqual(['read']);
    expect(calls[0]).toEqual([
      { subject: 'alice', claims: { team: 'blue' }, scopes: ['api', 'user'] },
      ['read', 'write'],
    ]);
  });

  test('grantScopes that grants less than is required: access_denied with the remedy', async () => {
    await start({ grantScopes: () => ['write'] }, fixed);
    expect(await errorOf('read write')).toBe('access_denied');
    expect(events.of('sign_in_refused').map(each => each.remedy)).toEqual([
      expect.stringMatching(/upstream\.scopes.*grantScopes/),
    ]);
  });

  test.each<[string, () => unknown, string, string]>([
    [
      'throws',
      () => {
        throw new Error('the directory is down: ldap://secret');
      },
      'server_error',
      'Error',
    ],
    [
      'could not tell',
      () => {
        throw new UnavailableError('the directory is down');
      },
      'temporarily_unavailable',
      'the directory is down',
    ],
    ['answers no list', () => undefined, 'server_error', 'grantScopes must answer a list of scopes, got undefined'],
    ['answers a string', () => 'read write', 'server_error', 'grantScopes must answer a list of scopes, got a string'],
  ])('grantScopes that %s ends the sign-in, and nothing is granted', async (_, grantScopes, error, reason) => {
    await start({ grantScopes }, fixed);
    const page = await client.connect({ scope: 'read write' });
    expect(page.location?.searchParams.get('error')).toBe(error);
    expect(page.location?.href).not.toContain('ldap');
    expect(events.of('sign_in_refused')).toEqual([{ clientId: client.id, reason: expect.stringContaining(reason) }]);
    expect(JSON.stringify(events.messages)).not.toContain('ldap');
    expect(world.store.live.size).toBe(1);
  });
});

test('a scope that nobody has forges no line of a log (attack 96)', async () => {
  await start();
  const { location } = await client.authorize({ scope: 'bad\u009b31m\u202escope' });
  expect(location?.searchParams.get('error')).toBe('invalid_scope');
  expect(events.of('sign_in_refused')[0]?.reason).toBe('asked for bad?31m?scope, supported: read write');
});

describe('the scope of a client that the operator registered', () => {
  const REDIRECT = 'https://bot.example.com/cb';
  const register = async (scope: string | undefined, options: Record<string, unknown> = {}) => {
    const bot = { client_id: 'bot', redirect_uris: [REDIRECT], ...(scope !== undefined && { scope }) };
    world = await proxyApp({
      options: { defaultScopes: ['read', 'write'], requiredScopes: [], clients: { preRegistered: [bot] }, ...options },
    });
    client = new OAuthClient({ base: world.base, rewrite: world.rewrite }, { id: 'bot', redirectUri: REDIRECT });
  };

  // It is the operator's client, so the answer goes there without a page in between.
  const refusal = async (scope?: string) => (await client.authorize({ scope })).location?.searchParams.get('error');

  test('is all that it gets, asked for or not (attack 81)', async () => {
    await register('read');
    expect(await granted()).toEqual(['read']);
    expect(await granted('read')).toEqual(['read']);
    expect(await refusal('read write')).toBe('invalid_scope');
    expect(events.of('sign_in_refused').map(each => each.reason)).toEqual([
      expect.stringContaining('write is not in the scope'),
    ]);
  });

  test('does not do for a resource that requires more', async () => {
    await register('read', { requiredScopes: ['write'] });
    expect(await refusal('read')).toBe('invalid_scope');
    expect(await refusal()).toBe('invalid_scope');
  });

  test('leaves out what clients send to everybody, as everywhere', async () => {
    await register('read', { scopesSupported: ['read', 'write', 'offline_access'] });
    const page = await client.authorize({ scope: 'read offline_access openid' });
    expect([page.location?.href, page.status]).toEqual([undefined, 200]);
  });

  test('left out limits nothing', async () => {
    await register(undefined);
    expect(await granted()).toEqual(['read', 'write']);
  });
});
