import { createServer } from 'node:http';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { type OAuthProxyOptions, oauthProxy } from 'express-mcp-auth';
import { browse } from '../../examples/quickstart/browser.js';
import { close, listen } from '../support/identity-provider.js';
import { register } from '../support/oauth-client.js';
import { cleanUp, freePort, quickstart } from '../support/processes.js';
import { protectedApp, SECRET } from '../support/proxy-app.js';
import { UPSTREAM_ID, UPSTREAM_SECRET, upstreamProvider } from '../support/upstream-provider.js';
import { type Report, runConformance } from './support/conformance.js';

afterAll(cleanUp);
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each();
});

const person = (start: URL, redirectUri: string) => browse(fetch, start, redirectUri);

/** What failed, what only warned and what passed; the output of the suite where it did not end well. */
function summary({ exitCode, output, checks }: Report) {
  const of = (status: string) => checks.filter(check => check.status === status);
  return {
    exitCode,
    failed: of('FAILURE').map(({ id, errorMessage }) => `${id}: ${errorMessage}`),
    warned: of('WARNING').map(({ id }) => id),
    passed: of('SUCCESS').map(({ id }) => id),
    ...(exitCode !== 0 && { output }),
  };
}

// Client ID metadata documents come later: the suite warns where a server has none, and fails nothing.
const revisions = [
  ['2025-06-18', []],
  ['2025-11-25', ['authorization-server-metadata-cimd']],
  ['2026-07-28', ['authorization-server-metadata-cimd']],
] as const;
const passes = (warned: readonly string[]) => ({
  exitCode: 0,
  failed: [],
  warned,
  passed: ['authorization-code-grant', 'authorization-server-metadata'],
});

/** A proxy for a client that was registered by hand, as the suite expects it. */
async function proxyFor(port: number, path: string, changes: Partial<OAuthProxyOptions> = {}) {
  const provider = await upstreamProvider();
  closing.push(() => provider.close());
  provider.behaviour.idToken = {};
  const server = createServer();
  const issuer = (await listen(server)) + path;
  closing.push(() => close(server));
  const proxy = oauthProxy({
    baseUrl: issuer,
    upstream: { issuer: provider.origin, clientId: UPSTREAM_ID, clientSecret: UPSTREAM_SECRET },
    requiredScopes: ['read'],
    secrets: SECRET,
    clients: {
      preRegistered: [{ client_id: 'conformance', redirect_uris: [`http://127.0.0.1:${port}/callback`] }],
    },
    ...changes,
  });
  closing.push(() => proxy.close());
  server.on('request', protectedApp(proxy));
  return { issuer, resource: String(proxy.resource) };
}

describe('the official conformance suite, in its authorization mode', () => {
  test.each(revisions)(
    '%s: the quickstart passes, for a client that registered itself',
    async (specVersion, warned) => {
      const own = await freePort();
      const server = quickstart({ PORT: String(own) });
      await server.until('Serving until Ctrl-C.');
      const issuer = `http://127.0.0.1:${own}`;
      const port = await freePort();
      const { body } = await register(
        { base: issuer },
        { redirect_uris: [`http://127.0.0.1:${port}/callback`], token_endpoint_auth_method: 'none' },
      );
      const report = await runConformance({
        issuer,
        resource: `${issuer}/mcp`,
        clientId: String(body.client_id),
        port,
        specVersion,
        browse: person,
      });
      await server.end('SIGTERM');
      expect(summary(report)).toEqual(passes(warned));
    },
  );

  test.each(revisions)(
    '%s: an issuer with a path passes, for a client registered by hand',
    async (specVersion, warned) => {
      const port = await freePort();
      const { issuer, resource } = await proxyFor(port, '/tenant-1');
      const report = await runConformance({
        issuer,
        resource,
        clientId: 'conformance',
        port,
        specVersion,
        browse: person,
      });
      expect(summary(report)).toEqual(passes(warned));
    },
  );

  test('a server that breaks a rule is caught: the run itself proves something', async () => {
    const port = await freePort();
    const { issuer, resource } = await proxyFor(port, '', { issuerUrl: 'https://another.example.com' });
    const report = await runConformance({
      issuer,
      resource,
      clientId: 'conformance',
      port,
      specVersion: '2026-07-28',
      browse: person,
    });
    expect(report.exitCode).not.toBe(0);
    expect(summary(report).failed.join()).toContain('Invalid issuer');
  });
});
