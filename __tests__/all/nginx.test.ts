import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { browse } from '../../examples/quickstart/browser.js';
import { OAuthClient } from '../support/oauth-client.js';
import { cleanUp, freePort, newFolder, start } from '../support/processes.js';
import { UPSTREAM_ID, UPSTREAM_SECRET, type UpstreamProvider, upstreamProvider } from '../support/upstream-provider.js';
import { Memory, witnesses } from './support/witness.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const example = 'examples/behind-nginx';

let provider: UpstreamProvider;
let origin: string;
let base: string;
beforeAll(async () => {
  provider = await upstreamProvider();
  Object.assign(provider.behaviour, { subject: 'user-1', idToken: {} });
  const [appPort, nginxPort] = [await freePort(), await freePort()];
  origin = `http://127.0.0.1:${nginxPort}`;
  base = `${origin}/notes`;
  const app = start(`exec env TSX_TSCONFIG_PATH=tsconfig.build.json node --import tsx ${example}/server.ts`, {
    PORT: String(appPort),
    BASE_URL: base,
    ISSUER: provider.origin,
    CLIENT_ID: UPSTREAM_ID,
    CLIENT_SECRET: UPSTREAM_SECRET,
  });
  await app.until('/mcp');
  await nginx(appPort, nginxPort);
});
afterAll(async () => {
  cleanUp();
  await provider?.close();
});

/** The configuration of the example on other ports, with all that nginx writes in a folder of the test. */
async function nginx(appPort: number, port: number): Promise<void> {
  const folder = newFolder();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${join(folder, name)};`,
  );
  const conf = readFileSync(join(root, example, 'nginx.conf'), 'utf8')
    .replace('127.0.0.1:3000', `127.0.0.1:${appPort}`)
    .replace('127.0.0.1:8080', `127.0.0.1:${port}`)
    .replace('http {', `http {\n  ${temporary.join('\n  ')}`);
  writeFileSync(join(folder, 'nginx.conf'), conf);
  const globals = `daemon off; pid ${join(folder, 'nginx.pid')}; error_log stderr notice;`;
  const server = start(`exec /usr/sbin/nginx -e stderr -p ${folder} -c ${join(folder, 'nginx.conf')} -g '${globals}'`);
  await server.until('start worker process ');
}

describe('examples/behind-nginx, where nginx takes the prefix off', () => {
  test('publishes its documents where clients look for them, all below the public URL', async () => {
    const json = async (path: string) => {
      const response = await fetch(origin + path);
      return [response.status, (await response.json()) as Record<string, string>] as const;
    };
    const [status, resource] = await json('/.well-known/oauth-protected-resource/notes/mcp');
    expect([status, resource]).toEqual([
      200,
      expect.objectContaining({ resource: `${base}/mcp`, authorization_servers: [base] }),
    ]);
    for (const path of [
      '/.well-known/oauth-authorization-server/notes',
      '/.well-known/openid-configuration/notes',
      '/notes/.well-known/openid-configuration',
    ]) {
      const [found, server] = await json(path);
      expect([found, server.issuer]).toEqual([200, base]);
      const urls = Object.entries(server).filter(([name]) => /_(endpoint|uri)$/.test(name));
      expect(urls.filter(([, url]) => !url.startsWith(`${base}/`))).toEqual([]);
      expect(urls.length).toBeGreaterThanOrEqual(4);
    }
  });

  test('challenges at the public URL', async () => {
    const { status, headers } = await fetch(`${base}/mcp`, { method: 'POST' });
    expect([status, headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining(`resource_metadata="${origin}/.well-known/oauth-protected-resource/notes/mcp"`),
    ]);
  });

  test.each(witnesses)('a client of $name signs in and calls a tool', async ({ connect }) => {
    const memory = new Memory((url, redirectUri) => browse(fetch, url, redirectUri));
    const client = await connect(new URL(`${base}/mcp`), memory);
    const answer = JSON.stringify(await client.callTool('whoami'));
    expect(answer).toContain('user-1');
    await client.close();
    expect(provider.of('/authorize').at(-1)?.params.redirect_uri).toBe(`${base}/auth/callback`);
  });

  test('refreshes and revokes through it', async () => {
    const client = await OAuthClient.register({ base });
    const { refresh_token } = await client.tokens();
    const refreshed = await client.refresh(refresh_token);
    expect(refreshed.status).toBe(200);
    expect((await client.revoke(refreshed.body.refresh_token)).status).toBe(200);
    expect((await client.refresh(refreshed.body.refresh_token)).status).toBe(401);
  });

  test('the form of the consent page posts to the public URL', async () => {
    const client = await OAuthClient.register({ base });
    const page = await client.authorize();
    const action = /<form[^>]*\baction="([^"]*)"/.exec(page.text)?.[1];
    expect(new URL(String(action), `${base}/authorize`).href).toBe(`${base}/consent`);
  });

  test('counts the requests of each caller by itself, by the address that nginx passes on', async () => {
    // The test is on loopback, which the app trusts like nginx: what it writes here is the caller's address.
    const ask = async (caller: string) => {
      const headers = { 'x-forwarded-for': caller };
      return (await fetch(`${base}/revoke`, { method: 'POST', headers })).status;
    };
    const answers: number[] = [];
    for (let batch = 0; batch < 31; batch++)
      answers.push(...(await Promise.all(Array.from({ length: 10 }, () => ask('192.0.2.1')))));
    expect([answers.indexOf(429), answers.at(-1)]).toEqual([300, 429]);
    expect(await ask('192.0.2.2')).not.toBe(429);
  });

  test('answers below that path only', async () => {
    expect((await fetch(`${base}/nowhere`)).status).toBe(404);
    const { status, headers } = await fetch(`${origin}/mcp`);
    expect([status >= 400, headers.get('www-authenticate')]).toEqual([true, null]);
  });
});
