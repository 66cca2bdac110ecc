import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { browse } from '../../examples/quickstart/browser.js';
import { cleanUp, freePort, quickstart, type Running } from '../support/processes.js';
import { type Connected, Memory, witnesses } from './support/witness.js';

let server: Running;
let url: URL;
beforeAll(async () => {
  // SDK v2 tells about every credential that it lets go, which is what these tests make it do.
  jest.spyOn(console, 'warn').mockImplementation(() => {});
  const port = String(await freePort());
  url = new URL(`http://127.0.0.1:${port}/mcp`);
  server = quickstart({ PORT: port });
  await server.until('Serving until Ctrl-C.');
});
afterAll(async () => {
  await server?.end('SIGTERM');
  cleanUp();
});

const person = (start: URL, redirectUri: string) => browse(fetch, start, redirectUri);
const whoami = async (client: Connected) => {
  const { content } = (await client.callTool('whoami')) as { content: { text: string }[] };
  return JSON.parse(content[0]?.text ?? 'null');
};

describe.each(witnesses)('a client of $name at the quickstart', ({ connect }) => {
  test.each(['none', 'client_secret_post', 'client_secret_basic'])(
    'A1: registers with %s, signs in and calls a tool, by the URL alone',
    async method => {
      const memory = new Memory(person, { token_endpoint_auth_method: method });
      const client = await connect(url, memory);
      expect(await client.listTools()).toEqual(['whoami']);
      expect(await whoami(client)).toEqual({
        source: 'people',
        clientId: memory.info.client_id,
        subject: 'user-1',
        scopes: ['tools'],
      });
      expect(memory).toMatchObject({ registrations: 1, signIns: 1 });
      expect('client_secret' in memory.info).toBe(method !== 'none');
      await client.close();
    },
  );

  test('refreshes when its access token is refused, and bothers nobody', async () => {
    const memory = new Memory(person);
    await (await connect(url, memory)).close();
    const before = memory.saved;
    memory.saved = { ...(before as NonNullable<typeof before>), access_token: 'mcp_at_that-was-never-issued' };
    const client = await connect(url, memory);
    expect(await whoami(client)).toMatchObject({ source: 'people' });
    expect(memory.saved?.refresh_token).not.toBe(before?.refresh_token);
    expect(memory).toMatchObject({ registrations: 1, signIns: 1 });
    await client.close();
  });

  test('signs in again when its session is over, with the registration that it has', async () => {
    const memory = new Memory(person);
    await (await connect(url, memory)).close();
    const { origin } = url;
    const revoked = await fetch(`${origin}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: String(memory.saved?.refresh_token), client_id: memory.info.client_id }),
    });
    expect(revoked.status).toBe(200);
    const client = await connect(url, memory);
    expect(await whoami(client)).toMatchObject({ source: 'people' });
    expect(memory).toMatchObject({ registrations: 1, signIns: 2 });
    await client.close();
  });

  test('registers again when its registration is unknown', async () => {
    const memory = new Memory(person);
    await (await connect(url, memory)).close();
    memory.info = { ...memory.info, client_id: 'of-another-server' };
    memory.saved = { ...(memory.saved as NonNullable<typeof memory.saved>), access_token: 'mcp_at_gone' };
    const client = await connect(url, memory);
    expect(await whoami(client)).toMatchObject({ source: 'people', clientId: memory.info.client_id });
    expect(memory).toMatchObject({ registrations: 2, signIns: 2 });
    await client.close();
  });
});
