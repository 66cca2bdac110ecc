import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Options, RateLimitRequestHandler, Store } from 'express-rate-limit';
import type { RateLimitName, RateLimits } from '../../authorization/authorization-server.js';
import { UnavailableError } from '../../core/errors.js';
import { sendUncached } from './answers.js';

interface AddressedRequest extends IncomingMessage {
  /** Express, with the app's own `trust proxy` applied. */
  readonly ip?: string;
  readonly app?: { get?: (name: string) => unknown };
}

/** What express-rate-limit sees of a request: what it asks for is asked of the options below. */
interface CountedRequest {
  readonly request: AddressedRequest;
  /** Set by express-rate-limit. */
  readonly rateLimit?: { readonly resetTime?: Date };
}

/** Behind a proxy that Express was not told of all callers share one address; ten times the limit keeps them going. */
const SHARED_FACTOR = 10;

/** Counts a request; answers it with 429 and says so when there were too many. */
export type Limiter = (req: IncomingMessage, res: ServerResponse) => Promise<boolean>;

/** A limiter for each route. express-rate-limit is loaded with the first request to one. */
export function rateLimiters({ limits, store }: RateLimits): (name: RateLimitName) => Limiter {
  const share = store === undefined ? undefined : sharing(store as Store, limits);
  return name => {
    let loading: Promise<RateLimitRequestHandler> | undefined;
    return async (req, res) => {
      loading ??= load(name, limits[name], share?.(limits[name].windowSeconds));
      const handler = await loading;
      return new Promise((resolve, reject) => {
        // Answered, or the client has left: either way there is nothing more to do.
        res.once('close', () => resolve(true));
        const next = (error?: unknown) => (error === undefined ? resolve(false) : reject(error));
        // It would work out `req.ip` for itself, and leave its count on the request.
        const counted: CountedRequest = { request: req };
        Promise.resolve(handler(counted as never, res as never, next as never)).catch(reject);
      });
    };
  };
}

/**
 * The operator's store for all routes. Such a store knows one window, the last that it was told; so it is told the
 * longest, once, and the window that a request falls into is part of its key.
 */
function sharing(store: Store, limits: RateLimits['limits']): (windowSeconds: number) => Store {
  const longest = Math.max(...Object.values(limits).map(({ windowSeconds }) => windowSeconds));
  const windowMs = longest * 1_000;
  let isTold = false;
  return windowSeconds => ({
    init(options: Options) {
      if (isTold) return;
      isTold = true;
      return store.init?.({ ...options, windowMs });
    },
    async increment(key) {
      const end = (Math.floor(Date.now() / 1_000 / windowSeconds) + 1) * windowSeconds;
      try {
        const { totalHits } = await store.increment(`${key} ${end}`);
        return { totalHits, resetTime: new Date(end * 1_000) };
      } catch (cause) {
        throw new UnavailableError('the store of the rate limits failed', { cause });
      }
    },
    // Never called: every request counts, and no count is taken back.
    decrement() {},
    resetKey() {},
  });
}

async function load(
  name: RateLimitName,
  { limit, windowSeconds }: RateLimits['limits'][RateLimitName],
  store: Store | undefined,
): Promise<RateLimitRequestHandler> {
  const { ipKeyGenerator, rateLimit } = await import('express-rate-limit');
  return rateLimit({
    windowMs: windowSeconds * 1_000,
    limit: req => (isShared(requestOf(req)) ? limit * SHARED_FACTOR : limit),
    // IPv6 addresses count by their /64: one household has more addresses than there are limits.
    keyGenerator: req => `${name} ${ipKeyGenerator(addressOf(requestOf(req)), 64)}`,
    legacyHeaders: false,
    standardHeaders: false,
    // Its complaints about proxies are answered by isShared; the app's `trust proxy` is the app's.
    validate: false,
    handler: (req, res) => {
      const { request, rateLimit: count } = req as unknown as CountedRequest;
      const seconds = Math.max(1, Math.ceil(((count?.resetTime?.getTime() ?? 0) - Date.now()) / 1_000));
      res.setHeader('Retry-After', String(seconds));
      sendUncached(request, res, 429, {
        error: 'temporarily_unavailable',
        error_description: `Too many requests. Try again in ${seconds} seconds.`,
      });
    },
    ...(store !== undefined && { store }),
  });
}

function requestOf(counted: unknown): AddressedRequest {
  return (counted as CountedRequest).request;
}

function isShared(req: AddressedRequest): boolean {
  return req.headers['x-forwarded-for'] !== undefined && !trustsProxy(req);
}

function trustsProxy({ app }: AddressedRequest): boolean {
  const setting = app?.get?.('trust proxy');
  return setting !== undefined && setting !== false;
}

function addressOf(req: AddressedRequest): string {
  return (trustsProxy(req) ? req.ip : undefined) ?? req.socket?.remoteAddress ?? '127.0.0.1';
}
