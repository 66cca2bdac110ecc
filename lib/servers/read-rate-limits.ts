import type { RateLimitName, RateLimits } from '../authorization/authorization-server.js';
import { nodeEnv } from '../core/environment.js';
import type { Options } from '../core/options.js';
import type { warnings } from '../core/warnings.js';

const DAY = 86_400;

/** The `rateLimit` option, checked and complete; `undefined` where limits are off. */
export function readRateLimits(
  options: Options,
  registration: unknown,
  warn: ReturnType<typeof warnings>,
): RateLimits | undefined {
  if (options.raw('rateLimit') === false) return undefined;
  const given = options.nested('rateLimit', [
    'register',
    'authorize',
    'consent',
    'callback',
    'token',
    'revoke',
    'store',
  ]);
  const defaults: Record<RateLimitName, { limit: number; windowSeconds: number }> = {
    register: { limit: registration === 'stored' ? 60 : 600, windowSeconds: 600 },
    authorize: { limit: 120, windowSeconds: 60 },
    consent: { limit: 120, windowSeconds: 60 },
    callback: { limit: 120, windowSeconds: 60 },
    token: { limit: 300, windowSeconds: 60 },
    revoke: { limit: 300, windowSeconds: 60 },
  };
  const limits = Object.entries(defaults).map(([name, fallback]) => {
    const own = given.nested(name, ['limit', 'windowSeconds']);
    const limit = own.number('limit', { min: 1, fallback: fallback.limit });
    return [
      name,
      { limit, windowSeconds: own.number('windowSeconds', { min: 1, max: DAY, fallback: fallback.windowSeconds }) },
    ] as const;
  });
  if (!given.has('store') && nodeEnv() === 'production')
    warn(
      'MCP_AUTH_LOCAL_RATE_LIMIT',
      () =>
        `oauthProxy: rate limits count in this process only. With several replicas set rateLimit.store to a store of express-rate-limit, or rateLimit: false behind a gateway that limits.`,
    );
  return { limits: Object.fromEntries(limits) as RateLimits['limits'], store: readCounters(given) };
}

function readCounters(given: Options): unknown {
  const store = given.raw('store');
  if (store !== undefined && typeof (store as { increment?: unknown } | null)?.increment !== 'function')
    given.fail('store', 'has no method increment', 'Pass a store of express-rate-limit.');
  return store;
}
