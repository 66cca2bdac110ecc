import { createServer, type RequestListener } from 'node:http';
import express, { type Express } from 'express';
import {
  type Auth,
  customVerifier,
  getAuth,
  getUpstreamToken,
  memoryStore,
  type OAuthProxyOptions,
  oauthProxy,
  type Store,
  UnavailableError,
} from 'express-mcp-auth';
import { close, listen } from './identity-provider.js';
import { Browser, OAuthClient } from './oauth-client.js';
import { UPSTREAM_ID, UPSTREAM_SECRET, type UpstreamProvider, upstreamProvider } from './upstream-provider.js';

export const SECRET = 'a-secret-of-the-proxy-that-is-long-enough';

/** A clock that stands still until it is told to go on. */
export class Clock {
  #ms = Date.now();
  readonly now = () => this.#ms;
  pass(seconds: number): void {
    this.#ms += seconds * 1_000;
  }
  get seconds(): number {
    return Math.floor(this.#ms / 1_000);
  }
}

/** A memory store that counts, keeps what it was given, and can be out of reach. */
export interface SpyStore extends Store {
  /** What every write was given, by key, newest last. */
  readonly writes: { key: string; value: string; ttlSeconds: number }[];
  readonly calls: string[];
  /** The records that are there now. */
  readonly live: Map<string, string>;
  down: boolean;
}

export function spyStore(now?: () => number): SpyStore {
  const inner = memoryStore(now === undefined ? {} : { now });
  const reach = (method: string) => {
    store.calls.push(method);
    if (store.down) throw new Error('connection refused');
  };
  const wrote = (key: string, value: string, ttlSeconds: number) => {
    store.writes.push({ key, value, ttlSeconds });
    store.live.set(key, value);
  };
  const store: SpyStore = {
    writes: [],
    calls: [],
    live: new Map(),
    down: false,
    async get(key) {
      reach('get');
      return inner.get(key);
    },
    async set(key, value, ttlSeconds) {
      reach('set');
      wrote(key, value, ttlSeconds);
      await inner.set(key, value, ttlSeconds);
    },
    async add(key, value, ttlSeconds) {
      reach('add');
      const added = await inner.add(key, value, ttlSeconds);
      if (added) wrote(key, value, ttlSeconds);
      return added;
    },
    async take(key) {
      reach('take');
      store.live.delete(key);
      return inner.take(key);
    },
    async replace(key, expected, value, ttlSeconds) {
      reach('replace');
      const replaced = await inner.replace(key, expected, value, ttlSeconds);
      if (replaced) wrote(key, value, ttlSeconds);
      return replaced;
    },
    async delete(key) {
      reach('delete');
      store.live.delete(key);
      await inner.delete(key);
    },
  };
  return store;
}

/** Says whose an upstream access token is, by asking the provider object; counts, and can be out of reach. */
export interface UpstreamVerifier {
  readonly auth: Auth;
  readonly asked: string[];
  down: boolean;
  claims: Record<string, unknown>;
}

export function upstreamVerifier(upstream: UpstreamProvider): UpstreamVerifier {
  const verifier: UpstreamVerifier = {
    asked: [],
    down: false,
    claims: {},
    auth: customVerifier({
      name: 'upstream',
      verify: token => {
        verifier.asked.push(token);
        if (verifier.down) throw new UnavailableError('the provider is out of reach');
        const known = upstream.whoIs(token);
        return known && { clientId: 'upstream', ...known, claims: verifier.claims };
      },
    }),
  };
  return verifier;
}

export interface Setup {
  /** Options over the ordinary ones; `undefined` takes an option away. */
  readonly options?: Record<string, unknown> | ((origin: string) => Record<string, unknown>);
  /** Added to the ordinary `upstream` option. */
  readonly upstream?: Record<string, unknown>;
  /** Makes the app; by default one with the proxy at its root and a handler that answers who called. */
  readonly app?: (proxy: Auth, origin: string) => RequestListener;
  /** The public URL, where it is not the one it is really served at. */
  readonly base?: string;
}

/** A proxy in front of a provider, both served on loopback. */
export interface ProxyApp {
  readonly origin: string;
  readonly base: string;
  readonly proxy: Auth;
  readonly provider: UpstreamProvider;
  readonly verifier: UpstreamVerifier;
  readonly store: SpyStore;
  readonly clock: Clock;
  readonly options: OAuthProxyOptions;
  rewrite(url: string): string;
  browser(): Browser;
  client(metadata?: Record<string, unknown>, browser?: Browser): Promise<OAuthClient>;
  /** Calls the MCP endpoint, or another path. */
  call(token: string, path?: string): Promise<Called>;
  /** Another proxy with the same options, store and keys, as another replica would run it. */
  replica(changes?: Record<string, unknown>): Promise<ProxyApp>;
}

export interface Called {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

const closing: (() => Promise<unknown>)[] = [];

export async function closeAll(): Promise<void> {
  await Promise.all(closing.splice(0).map(each => each()));
}

/** An app with a guard at its root; the handler answers `req.auth` and, as `upstream`, the upstream token. */
export function protectedApp(auth: Auth, ...paths: string[]): Express {
  const app = express();
  app.use(auth);
  handle(app, ...(paths.length > 0 ? paths : ['/mcp']));
  return app;
}

export function handle(app: Express, ...paths: string[]): void {
  for (const path of paths)
    app.all(path, async (req, res) => {
      try {
        res.json({ ...getAuth(req), upstream: await getUpstreamToken(req) });
      } catch (error) {
        res.status(error instanceof UnavailableError ? 503 : 500).json({ thrown: (error as Error).name });
      }
    });
}

export async function proxyApp(setup: Setup = {}, shared?: Pick<ProxyApp, 'provider' | 'store' | 'clock' | 'base'>) {
  const provider = shared?.provider ?? (await upstreamProvider());
  if (shared === undefined) closing.push(() => provider.close());
  const clock = shared?.clock ?? new Clock();
  const store = shared?.store ?? spyStore(clock.now);
  const verifier = upstreamVerifier(provider);
  let listener: RequestListener = () => {};
  const server = createServer((req, res) => listener(req, res));
  const origin = await listen(server);
  closing.push(() => close(server));
  const base = setup.base ?? shared?.base ?? origin;
  const given = typeof setup.options === 'function' ? setup.options(origin) : (setup.options ?? {});
  const options = {
    baseUrl: base,
    upstream: {
      clientId: UPSTREAM_ID,
      clientSecret: UPSTREAM_SECRET,
      ...provider.endpoints,
      ...setup.upstream,
    },
    verifier: verifier.auth,
    scopesSupported: ['read', 'write'],
    requiredScopes: ['read'],
    secrets: SECRET,
    store,
    rateLimit: false,
    now: clock.now,
    ...given,
  } as unknown as OAuthProxyOptions;
  for (const name of Object.keys(options))
    if (options[name as keyof OAuthProxyOptions] === undefined)
      delete (options as unknown as Record<string, unknown>)[name];
  for (const name of Object.keys(options.upstream))
    if (options.upstream[name as 'issuer'] === undefined)
      delete (options.upstream as unknown as Record<string, unknown>)[name];
  const proxy = oauthProxy(options);
  closing.push(() => proxy.close());
  listener = setup.app?.(proxy, origin) ?? (protectedApp(proxy) as unknown as RequestListener);
  const publicOrigin = new URL(base).origin;
  const rewrite = (url: string) => (url.startsWith(publicOrigin) ? origin + url.slice(publicOrigin.length) : url);
  const world: ProxyApp = {
    origin,
    base,
    proxy,
    provider,
    verifier,
    store,
    clock,
    options,
    rewrite,
    browser: () => new Browser(rewrite),
    client: (metadata, browser) => OAuthClient.register({ base, rewrite }, metadata, browser),
    async call(token, path = '/mcp') {
      const response = await fetch(origin + path, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
    },
    replica: (changes = {}) =>
      proxyApp({ ...setup, options: { ...given, ...changes } }, { provider, store, clock, base }),
  };
  return world;
}
