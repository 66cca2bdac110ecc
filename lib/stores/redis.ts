import { UnavailableError } from '../core/errors.js';
import { Options } from '../core/options.js';
import { answerOf, PATIENCE_MS } from '../store/answer.js';
import { lifetimeMs } from '../store/lifetime.js';
import type { Store } from '../store/store.js';
import { commandsOf, type IoRedisClient, type NodeRedisClient } from './redis-client.js';

export type { IoRedisClient, NodeRedisClient } from './redis-client.js';

// Long enough for a client that has just been made, or that lost its connection for a moment.
const CONNECTING_MS = 1_000;

// Redis runs a script as one step: no other command comes between its reading and its writing.
const TAKE = `local value = redis.call('GET', KEYS[1])
if value then redis.call('DEL', KEYS[1]) end
return value`;
const REPLACE = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/** Options of `redisStore`. */
export interface RedisStoreOptions {
  /** What all keys begin with. Default `mcp:`. */
  readonly prefix?: string | undefined;
  /** How long an operation may take, in milliseconds, before Redis counts as out of reach. Default 5000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Keeps records in Redis, for any number of replicas. The client is the app's, to connect and to close: of node-redis (4
 * or later) or ioredis. An outage is answered with 503, so a client that nobody listens to for `error` gets a listener:
 * otherwise it would end the process. Redis must not be told to evict what has a lifetime (`maxmemory-policy`), or it
 * forgets sessions.
 *
 * @throws ConfigError for wrong or unknown options, and for a client of another kind
 */
export function redisStore(client: NodeRedisClient | IoRedisClient, options: RedisStoreOptions = {}): Store {
  const read = new Options('redisStore', options, ['prefix', 'timeoutMs']);
  const prefix = read.string('prefix') ?? 'mcp:';
  const timeoutMs = read.number('timeoutMs', { min: 1, max: 120_000, fallback: PATIENCE_MS });
  const redis = commandsOf(client);
  if (client.listenerCount('error') === 0) client.on('error', () => {});
  let { getDel } = redis;
  let connecting: Promise<void> | undefined;

  // A client queues what it cannot send. A record taken from that queue minutes later would be lost: nobody waits for
  // the answer any more. So nothing is sent until there is a connection, and nobody waits twice for the same one.
  const connected = async () => {
    if (redis.isReady()) connecting = undefined;
    else if (redis.isEnded()) throw new UnavailableError('the Redis client is not connected');
    else {
      redis.wake();
      connecting ??= readiness(client, Math.min(CONNECTING_MS, timeoutMs));
      await connecting;
    }
  };
  const ask = (command: () => Promise<unknown>) =>
    answerOf(
      'Redis',
      async () => {
        await connected();
        return command();
      },
      timeoutMs,
    );
  const take = async (key: string) => {
    try {
      if (getDel !== undefined) return await getDel(key);
    } catch (error) {
      if (!/unknown command/i.test(`${error}`)) throw error;
      getDel = undefined;
    }
    return redis.eval(TAKE, key);
  };

  return {
    get: async key => textOf(await ask(() => redis.get(prefix + key))),
    set: async (key, value, ttlSeconds) => {
      const lifetime = lifetimeMs(ttlSeconds);
      await ask(() => redis.set(prefix + key, value, lifetime));
    },
    add: async (key, value, ttlSeconds) => {
      const lifetime = lifetimeMs(ttlSeconds);
      return (await ask(() => redis.add(prefix + key, value, lifetime))) !== null;
    },
    take: async key => textOf(await ask(() => take(prefix + key))),
    replace: async (key, expected, value, ttlSeconds) => {
      const lifetime = lifetimeMs(ttlSeconds);
      return Number(await ask(() => redis.eval(REPLACE, prefix + key, expected, value, `${lifetime}`))) === 1;
    },
    delete: async key => {
      await ask(() => redis.delete(prefix + key));
    },
  };
}

/** Resolves when the client is connected; an attempt that fails is not the last one. */
function readiness(client: NodeRedisClient | IoRedisClient, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const ready = () => {
      clearTimeout(timer);
      resolve();
    };
    const late = () => {
      client.removeListener('ready', ready);
      reject(new UnavailableError('the Redis client does not connect'));
    };
    const timer = setTimeout(late, patienceMs).unref();
    client.once('ready', ready);
  });
}

/** A client may have been told to answer with buffers. */
function textOf(reply: unknown): string | null {
  return reply === null || reply === undefined ? null : String(reply);
}
