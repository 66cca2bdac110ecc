import { describe, test } from '@jest/globals';
import { postgresStore } from 'express-mcp-auth/stores/postgres';
import { storeContract } from 'express-mcp-auth/testing';
import { Pool } from 'pg';
import { POSTGRES } from './services.js';

let n = 0;
describe('postgres', () => {
  storeContract(async () => {
    const pool = new Pool(POSTGRES);
    const table = `t${process.pid}_${n++}`;
    return {
      store: postgresStore(pool, { table }),
      cleanup: async () => {
        await pool.query(`DROP TABLE IF EXISTS "${table}"`);
        await pool.end();
      },
    };
  });
});
void test;
