import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, test } from '@jest/globals';
import { close, listen } from '../support/identity-provider.js';
import { cleanUp, quickstart } from '../support/processes.js';

afterAll(cleanUp);

describe('npm start, otherwise', () => {
  test('ends on SIGTERM with exit code 0, even before it has shown everything', async () => {
    const run = quickstart({ PORT: '0' });
    await run.until('MCP server at');
    const [code] = await run.end('SIGTERM');
    expect({ code, output: run.output() }).toEqual({ code: 0, output: expect.stringContaining('Stopped.') });
  }, 30_000);

  test('says in a sentence that the port is taken', async () => {
    const server = createServer();
    await listen(server);
    const { port } = server.address() as AddressInfo;
    const run = quickstart({ PORT: String(port) });
    const [code] = await run.end();
    await close(server);
    expect(code).toBe(1);
    expect(run.output().trim()).toBe(`Port ${port} is taken. Choose another one: PORT=${port + 1} npm start`);
  }, 30_000);
});
