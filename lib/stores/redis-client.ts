import { ConfigError } from '../core/errors.js';
import { kindOf } from '../core/options.js';

// biome-ignore lint/suspicious/noExplicitAny: each major version of the clients declares other signatures
type Method = (...given: any[]) => any;

interface Emitter {
  readonly on: Method;
  readonly once: Method;
  readonly removeListener: Method;
  readonly listenerCount: Method;
}

/** What is used of a client, cluster or sentinel of node-redis. */
export interface NodeRedisClient extends Emitter {
  readonly isOpen: boolean;
  readonly get: Method;
  readonly set: Method;
  readonly getDel: Method;
  readonly del: Method;
  readonly eval: Method;
}

/** What is used of a client or cluster of ioredis. */
export interface IoRedisClient extends Emitter {
  readonly status: string;
  readonly connect: Method;
  readonly get: Method;
  readonly set: Method;
  readonly del: Method;
  readonly eval: Method;
}

/** The commands of the store, in the words of neither client. Lifetimes are in milliseconds. */
export interface RedisCommands {
  /** Whether a command is sent at once; otherwise the client would keep it until it is connected. */
  isReady(): boolean;
  /** Whether the client will not connect by itself. */
  isEnded(): boolean;
  /** Connects a client that was told to wait for its first command. */
  wake(): void;
  get(key: string): Promise<unknown>;
  set(key: string, value: string, lifetime: number): Promise<unknown>;
  /** Answers `null` if there was a value. */
  add(key: string, value: string, lifetime: number): Promise<unknown>;
  /** Absent where the client is older than the command, which came with Redis 6.2. */
  getDel?: (key: string) => Promise<unknown>;
  delete(key: string): Promise<unknown>;
  eval(script: string, key: string, ...parameters: string[]): Promise<unknown>;
}

/** Tells the clients apart by their shape: an app may have several copies of either. */
export function commandsOf(client: NodeRedisClient | IoRedisClient): RedisCommands {
  if (typeof client === 'object' && client !== null && typeof client.eval === 'function') {
    if ('isOpen' in client && typeof client.getDel === 'function') return nodeRedisCommands(client);
    if ('status' in client && typeof client.status === 'string') return ioRedisCommands(client);
  }
  throw new ConfigError(
    'redisStore',
    'client',
    `must be a client of node-redis or ioredis, got ${kindOf(client)}`,
    'Pass what createClient() of "redis" (4 or later) or new Redis() of "ioredis" returned.',
  );
}

function nodeRedisCommands(client: NodeRedisClient & { readonly isReady?: boolean }): RedisCommands {
  return {
    isReady: () => client.isReady ?? client.isOpen,
    isEnded: () => !client.isOpen,
    wake: () => {},
    get: key => client.get(key),
    set: (key, value, lifetime) => client.set(key, value, { PX: lifetime }),
    add: (key, value, lifetime) => client.set(key, value, { PX: lifetime, NX: true }),
    getDel: key => client.getDel(key),
    delete: key => client.del(key),
    eval: (script, key, ...parameters) => client.eval(script, { keys: [key], arguments: parameters }),
  };
}

function ioRedisCommands(client: IoRedisClient & { readonly getdel?: Method }): RedisCommands {
  return {
    isReady: () => client.status === 'ready',
    isEnded: () => client.status === 'end',
    wake: () => {
      if (client.status === 'wait') client.connect().catch(() => {});
    },
    get: key => client.get(key),
    set: (key, value, lifetime) => client.set(key, value, 'PX', lifetime),
    add: (key, value, lifetime) => client.set(key, value, 'PX', lifetime, 'NX'),
    ...(client.getdel === undefined ? {} : { getDel: (key: string) => client.getdel?.(key) }),
    delete: key => client.del(key),
    eval: (script, key, ...parameters) => client.eval(script, 1, key, ...parameters),
  };
}
