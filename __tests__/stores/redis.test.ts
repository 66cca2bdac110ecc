import { describe, test } from '@jest/globals';
import { redisStore } from 'express-mcp-auth/stores/redis';
import { storeContract } from 'express-mcp-auth/testing';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { REDIS_URL } from './services.js';

let n = 0;
describe('node-redis', () => {
  storeContract(async () => {
    const client = createClient({ url: REDIS_URL });
    await client.connect();
    return { store: redisStore(client, { prefix: `t${process.pid}:${n++}:` }), cleanup: () => client.close() };
  });
});
describe('ioredis', () => {
  storeContract(async () => {
    const client = new Redis(REDIS_URL);
    return { store: redisStore(client, { prefix: `t${process.pid}:${n++}:` }), cleanup: () => client.disconnect() };
  });
});
void test;
