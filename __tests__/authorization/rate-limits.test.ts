import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { MemoryStore } from 'express-rate-limit';
import { closeAll, handle, type ProxyApp, proxyApp } from '../support/proxy-app.js';

afterEach(closeAll);

const appWith =
  (...settings: [string, unknown][]) =>
  (proxy: Parameters<NonNullable<Parameters<typeof proxyApp>[0]>['app'] & object>[0]) => {
    const app = express();
    for (const [name, value] of settings) app.set(name, value);
    app.use(proxy);
    handle(app, '/mcp');
    return app as unknown as RequestListener;
  };
const start = (rateLimit: unknown, ...settings: [string, unknown][]) =>
  proxyApp({ options: { rateLimit }, app: appWith(...settings) });

const ask = async ({ origin }: ProxyApp, path: string, headers: Record<string, string> = {}) => {
  const method = /authorize|callback/.test(path) ? 'GET' : 'POST';
  const response = await fetch(origin + path, { method, headers, redirect: 'manual' });
  return { status: response.status, headers: response.headers, text: await response.text() };
};
const statuses = async (world: ProxyApp, path: string, count: number, headers: Record<string, string> = {}) => {
  const seen: number[] = [];
  for (let index = 0; index < count; index++) seen.push((await ask(world, path, headers)).status);
  return seen;
};
const few = { limit: 2, windowSeconds: 60 };

describe('rate limits', () => {
  test.each([
    ['register', '/register', 400],
    ['authorize', '/authorize', 400],
    ['consent', '/consent', 400],
    ['callback', '/auth/callback', 400],
    ['token', '/token', 400],
    ['revoke', '/revoke', 400],
  ])(
    '%s: too many requests to %s are 429 with Retry-After, and cost no store access (B29)',
    async (name, path, usual) => {
      const world = await start({ [name]: few });
      expect(await statuses(world, path, 2)).toEqual([usual, usual]);
      const { status, headers, text } = await ask(world, path);
      expect(status).toBe(429);
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(text).not.toContain('127.0.0.1');
      expect(world.store.calls).toEqual([]);
    },
  );

  test('each counts by itself', async () => {
    const world = await start({ token: few });
    expect(await statuses(world, '/token', 3)).toEqual([400, 400, 429]);
    expect((await ask(world, '/revoke')).status).toBe(400);
    expect((await ask(world, '/register')).status).toBe(400);
    expect((await ask(world, '/authorize')).status).toBe(400);
    expect((await world.call('nothing')).status).toBe(401);
    expect((await fetch(`${world.origin}/.well-known/oauth-authorization-server`)).status).toBe(200);
  });

  test('are generous by default: 121 sign-ins a minute are one too many, 600 registrations are not', async () => {
    const world = await start(undefined);
    const seen = await Promise.all(Array.from({ length: 121 }, () => ask(world, '/authorize')));
    expect(seen.filter(each => each.status === 429)).toHaveLength(1);
    const registered = await Promise.all(Array.from({ length: 130 }, () => ask(world, '/register')));
    expect(registered.filter(each => each.status === 429)).toEqual([]);
  });

  test('registrations that are stored are limited to 60', async () => {
    const world = await proxyApp({ options: { rateLimit: undefined, clients: { registration: 'stored' } } });
    const seen = await Promise.all(Array.from({ length: 61 }, () => ask(world, '/register')));
    expect(seen.filter(each => each.status === 429)).toHaveLength(1);
  });

  test('false turns them off', async () => {
    const world = await start(false);
    const seen = await Promise.all(Array.from({ length: 310 }, () => ask(world, '/token')));
    expect(seen.filter(each => each.status === 429)).toEqual([]);
  });

  test('a preflight is not counted', async () => {
    const world = await start({ token: few });
    for (let count = 0; count < 5; count++)
      expect((await fetch(`${world.origin}/token`, { method: 'OPTIONS' })).status).toBe(204);
    expect((await ask(world, '/token')).status).toBe(400);
  });

  test('a client cannot choose its key by X-Forwarded-For: the socket counts, ten times as high (B-14, attack 82)', async () => {
    const world = await start({ token: few });
    const seen: number[] = [];
    for (let index = 0; index < 21; index++)
      seen.push((await ask(world, '/token', { 'x-forwarded-for': `203.0.113.${index}` })).status);
    expect(seen.slice(0, 20)).toEqual(Array(20).fill(400));
    expect(seen[20]).toBe(429);
    expect((await ask(world, '/token')).status).toBe(429);
  });

  test('behind a proxy that Express knows of, each caller counts by itself', async () => {
    const world = await start({ token: few }, ['trust proxy', 'loopback']);
    const one = { 'x-forwarded-for': '203.0.113.1' };
    const two = { 'x-forwarded-for': '203.0.113.2' };
    expect(await statuses(world, '/token', 3, one)).toEqual([400, 400, 429]);
    expect(await statuses(world, '/token', 3, two)).toEqual([400, 400, 429]);
  });

  test('a whole IPv6 household counts as one caller', async () => {
    const world = await start({ token: few }, ['trust proxy', 'loopback']);
    const seen: number[] = [];
    for (const last of [1, 2, 3])
      seen.push((await ask(world, '/token', { 'x-forwarded-for': `2001:db8:1:2::${last}` })).status);
    expect(seen).toEqual([400, 400, 429]);
    expect((await ask(world, '/token', { 'x-forwarded-for': '2001:db8:1:3::1' })).status).toBe(400);
  });

  test('a store of express-rate-limit lets replicas count together', async () => {
    const hits = new Map<string, number>();
    const store = {
      init() {},
      async increment(key: string) {
        hits.set(key, (hits.get(key) ?? 0) + 1);
        return { totalHits: hits.get(key) ?? 0, resetTime: new Date(Date.now() + 60_000) };
      },
      async decrement() {},
      async resetKey() {},
    };
    const one = await start({ token: few, store });
    const two = await start({ token: few, store });
    expect([...(await statuses(one, '/token', 1)), ...(await statuses(two, '/token', 1))]).toEqual([400, 400]);
    expect((await ask(two, '/token')).status).toBe(429);
    expect(hits.size).toBe(1);
  });

  test('one store serves routes of different windows: none takes over the window of another (attack 82)', async () => {
    const store = new MemoryStore();
    const world = await start({
      token: { limit: 1, windowSeconds: 3_600 },
      register: { limit: 1, windowSeconds: 86_400 },
      store,
    });
    const retryAfter = async (path: string) => {
      await ask(world, path);
      const { status, headers } = await ask(world, path);
      expect(status).toBe(429);
      return Number(headers.get('retry-after'));
    };
    expect(await retryAfter('/register')).toBeLessThanOrEqual(86_400);
    expect(await retryAfter('/token')).toBeLessThanOrEqual(3_600);
    expect(store.windowMs).toBe(86_400_000);
    store.shutdown();
  });

  test('a store that fails is an outage, 503, and the operator is told', async () => {
    const failed: unknown[] = [];
    const listener = (message: unknown) => void failed.push({ ...(message as object) });
    subscribe('express-mcp-auth:endpoint_failed', listener);
    const store = { increment: () => Promise.reject(new Error('connection refused')), decrement() {}, resetKey() {} };
    const world = await start({ token: few, store });
    const token = await ask(world, '/token');
    expect([token.status, JSON.parse(token.text).error]).toEqual([503, 'temporarily_unavailable']);
    expect(token.headers.get('retry-after')).toBe('5');
    const page = await ask(world, '/authorize', { accept: 'text/html' });
    expect([page.status, page.headers.get('content-type')]).toEqual([503, expect.stringContaining('text/html')]);
    unsubscribe('express-mcp-auth:endpoint_failed', listener);
    const message = 'UnavailableError: the store of the rate limits failed';
    expect(failed).toEqual([
      { endpoint: 'token', message },
      { endpoint: 'authorize', message },
    ]);
  });

  test('429 of a back-channel endpoint is JSON that browsers of other origins can read', async () => {
    const world = await start({ token: { limit: 1, windowSeconds: 60 } });
    await ask(world, '/token');
    const { headers, text } = await ask(world, '/token', { origin: 'https://inspector.example.com' });
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(JSON.parse(text)).toMatchObject({ error: expect.any(String), error_description: expect.any(String) });
  });
});
