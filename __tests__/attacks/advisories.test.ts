import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { multiAuth } from 'express-mcp-auth';
import { OAuthClient, REDIRECT, register } from '../support/oauth-client.js';
import { handle, protectedApp } from '../support/proxy-app.js';
import { UPSTREAM_ID, UPSTREAM_SECRET } from '../support/upstream-provider.js';
import {
  EVIL,
  expectAsked,
  expectFailure,
  expectNothingStored,
  expectPage,
  expectRedirectError,
  expectTokens,
  HOSTED,
} from './support/verdicts.js';
import { world } from './support/worlds.js';

/*
 * One test for every advisory of the list that touches an authorization server; what it takes to tell all variants of
 * one apart is in the other files of this folder. Those that do not apply:
 *   K7   command injection in a CLI: nothing here starts a process (a test below holds that).
 *   K8, K11, K40   DNS rebinding and Host checks of local servers: SECURITY.md leaves them to the app.
 *   K9, K10, K12   sessions and transports of MCP: this package has none (the README says how to bind them).
 *   K13  OAuth clients that send stored credentials elsewhere: no client code is shipped.
 *   K31  a host session before its second factor: there is no host session, people sign in at the provider.
 *   K33  local developer tools: none are shipped.
 *   K36, K37       JWT libraries: attacks 37 to 50 in tokens.test.ts.
 *
 * Rows of the checklist's section 4 that have no test in this folder, and why:
 *   36         login CSRF: there is no login page here; the browser that approved must return (attack 25).
 *   37-45, 48, 50-55, 62  tokens of issuers, and headers: tokens.test.ts and the tests of verifiers and http.
 *   52         DPoP is not offered; a token that is bound to a key is refused (attack 51).
 *   61, 84     introspection: we ask (the tests of introspectionVerifier), we are never asked.
 *   66-73      documents of clients, and other URLs of strangers: none is ever fetched (a test below holds that).
 *   79, 99     client assertions, ID-JAG, workload identity: refused as unsupported (attacks 78 and 80).
 *   90, 91, 94 methods at the guard, Host checks and MCP sessions: the tests of http, and SECURITY.md.
 */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function sources(folder = join(ROOT, 'lib')): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter(entry => entry.isFile() && entry.name.endsWith('.ts'));
  return Promise.all(files.map(file => readFile(join(file.parentPath, file.name), 'utf8')));
}

async function versionOf(name: string): Promise<number[]> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'));
  return String(version).split('.').map(Number);
}

const isAtLeast = (version: number[], floor: number[]) =>
  version.map((part, index) => part - (floor[index] ?? 0)).find(difference => difference !== 0) ?? 0;

describe('advisories of proxies', () => {
  test('K1 GHSA-c2jp-c369-7pvx: nobody is sent to the provider for a client that was not approved on our page', async () => {
    const app = await world();
    const victim = app.browser();
    const known = await app.client({ redirect_uris: [HOSTED] }, victim);
    await known.connect();
    const asked = app.provider.requests.length;
    const attacker = await app.client({ redirect_uris: [EVIL], client_name: 'Test Client' }, victim);
    expectAsked(await attacker.authorize());
    expectAsked(await attacker.authorize({ prompt: 'none' }));
    expect(app.provider.requests.length).toBe(asked);
  });

  test('K2 CVE-2026-27124: the victim that follows the upstream link of an attacker completes nothing for him', async () => {
    const app = await world();
    const attacker = await app.client({ redirect_uris: [EVIL] });
    const approved = await attacker.decide(await attacker.authorize());
    const victim = app.browser();
    const back = await victim.get(approved.location?.href ?? '');
    await expectNothingStored(app.store, async () => expectPage(await victim.get(back.location?.href ?? ''), 403));
    expect(app.provider.of('/token')).toEqual([]);
  });

  test('K3 GHSA-6x8h-498w-gv8c: a remembered consent is not silent when another site starts it', async () => {
    const app = await world({ options: { consent: 'remember' } });
    const client = await app.client({ redirect_uris: [HOSTED] });
    await client.connect();
    expectAsked(await client.authorize({}, { 'sec-fetch-site': 'cross-site' }));
    expect((await client.authorize({}, { 'sec-fetch-site': 'none' })).status).toBe(303);
  });

  test('K4 CVE-2025-69196: a token is for its resource, and a wrong resource is refused at authorize and at token', async () => {
    const app = await world({
      app: proxy => {
        const inner = protectedApp(multiAuth(proxy, [], { mcpPath: '/a' }), '/a');
        inner.use(multiAuth(proxy, [], { mcpPath: '/b' }) as unknown as Parameters<typeof inner.use>[0]);
        handle(inner, '/b');
        return inner as never;
      },
    });
    const client = await app.client();
    const code = await client.code({ resource: `${app.base}/a` });
    expectFailure(await client.redeem(code, { resource: `${app.base}/b` }), 400, 'invalid_target');
    const { body } = await client.redeem(code, { resource: `${app.base}/a` });
    expect((await app.call(String(body.access_token), '/a')).status).toBe(200);
    expect((await app.call(String(body.access_token), '/b')).status).toBe(401);
    const refused = await client.authorize({ resource: 'https://other.example/mcp' });
    expectRedirectError(refused, REDIRECT, 'invalid_target', app.base);
  });

  test('K5 CVE-2025-62800: an error of the provider, or of whoever calls the callback, is never markup', async () => {
    const app = await world();
    const corpus = ['<script>alert(1)</script>', '"><svg/onload=alert(1)>', 'javascript:alert(1)', '\u2028<b>'];
    for (const text of corpus) {
      const query = new URLSearchParams({ error: text, error_description: text, error_uri: text, state: text });
      const page = await app.browser().get(`${app.base}/auth/callback?${query}`);
      expectPage(page);
      expect(page.text).not.toContain(text);
      app.provider.behaviour.signInError = text;
      const { location } = await (await app.client()).connect();
      expect(location?.href).not.toMatch(/alert|script%3|script>|onload/i);
    }
  });

  test('K6 CVE-2026-32871: what a client sends is encoded wherever it gets into a URL upstream', async () => {
    const app = await world({ options: { scopesSupported: ['read', 'a&client_id=evil#../'] } });
    const client = await app.client();
    const approved = await client.decide(await client.authorize({ scope: 'read a&client_id=evil#../' }));
    const sent = approved.location as URL;
    expect(sent.searchParams.getAll('client_id')).toEqual([UPSTREAM_ID]);
    expect(sent.searchParams.get('scope')).toBe('read a&client_id=evil#../');
    expect(sent.hash).toBe('');
  });

  test('K20 CWE-601: registration gives out no upstream credentials, and takes no address that is not allowed', async () => {
    const app = await world();
    const { body, headers } = await register({ base: app.base }, { redirect_uris: [HOSTED] });
    const told = JSON.stringify(body) + JSON.stringify([...headers]);
    for (const secret of [UPSTREAM_ID, UPSTREAM_SECRET]) expect(told).not.toContain(secret);
    expect((await register({ base: app.base }, { redirect_uris: ['evil-app://cb'] })).status).toBe(400);
  });

  test('K21: secrets are compared in constant time, bodies are bounded, refreshes are atomic', async () => {
    const app = await world();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens();
    const answers = await Promise.all([client.refresh(token), client.refresh(token)]);
    answers.forEach(expectTokens);
    expect(answers[0]?.body).toEqual(answers[1]?.body);
    expect((await register({ base: app.base }, { redirect_uris: [HOSTED], x: 'x'.repeat(40_000) })).status).toBe(413);
    for (const source of await sources())
      expect(source).not.toMatch(
        /(secret|digest|hash|signature|mac)\w* ===? (?!undefined|null)\w*(secret|digest|hash|signature|mac)/i,
      );
  });
});

describe('advisories of authorization servers', () => {
  test('K14 CVE-2026-0621: no expression over what a client sends backtracks', async () => {
    const app = await world({ options: { clients: { redirectUris: { allow: ['https://*.a.test:*/x/*'] } } } });
    const client = await app.client();
    const long = ['a.'.repeat(3_000), '/'.repeat(6_000), '@'.repeat(6_000), ' '.repeat(6_000), '%2e'.repeat(2_000)];
    const started = process.cpuUsage();
    for (const text of long) {
      await register(
        { base: app.base },
        { redirect_uris: [`https://${text}`], client_name: text, client_uri: `https://${text}`, scope: text },
      );
      for (const name of ['redirect_uri', 'scope', 'resource', 'code_challenge'])
        await client.authorize({ [name]: `https://${text}` });
      await client.redeem(text, { redirect_uri: text, resource: text });
      await app.call(text.replaceAll(' ', 'x'));
    }
    expect(process.cpuUsage(started).user).toBeLessThan(4_000_000);
  });

  test('K15 CVE-2025-4143 and K39: the redirect URI is compared at authorize and at token', async () => {
    const app = await world();
    const client = await app.client({ redirect_uris: [HOSTED] });
    expectPage(await client.authorize({ redirect_uri: EVIL }));
    expectPage(await new OAuthClient({ base: app.base }, { id: 'unknown', redirectUri: HOSTED }).authorize());
    const code = await client.code();
    expectFailure(await client.redeem(code, { redirect_uri: EVIL }), 401, 'invalid_grant');
    expectTokens(await client.redeem(code));
  });

  test('K16 CVE-2025-4144 and K19: no challenge, no code; and no code without its verifier', async () => {
    const app = await world();
    const client = await app.client();
    for (const changes of [
      { code_challenge: undefined },
      { code_challenge: undefined, code_challenge_method: undefined },
      { code_challenge_method: 'plain' },
    ])
      expectRedirectError(
        await client.authorize(changes as Record<string, string | undefined>),
        REDIRECT,
        'invalid_request',
        app.base,
      );
    const code = await client.code();
    expectFailure(await client.redeem(code, { code_verifier: undefined }), 400, 'invalid_request');
    expectFailure(await client.redeem(code, { code_verifier: 'x'.repeat(43) }), 401, 'invalid_grant');
  });

  test('K17: what comes back with the form is sealed, and checked again before anybody is sent anywhere', async () => {
    const app = await world();
    const client = await app.client({ redirect_uris: [HOSTED] });
    const page = await client.authorize();
    const sealed = /name="request" value="([^"]*)"/.exec(page.text)?.[1] ?? '';
    const bytes = Buffer.from(sealed, 'base64url');
    for (const at of [0, 12, 40, bytes.length - 1]) {
      const bent = Buffer.from(bytes);
      bent.writeUInt8(bent.readUInt8(at) ^ 1, at);
      const form = { ...page, text: page.text.replace(sealed, bent.toString('base64url')) };
      await expectNothingStored(app.store, async () => expectPage(await client.decide(form)));
    }
    expect(bytes.toString('latin1')).not.toContain('client.example');
  });

  test('K18: revocation belongs to the owner, and the registered way of authentication is kept to', async () => {
    const app = await world();
    const owner = await app.client();
    const other = await app.client();
    const tokens = await owner.tokens();
    expect((await other.revoke(tokens.refresh_token)).status).toBe(200);
    expect((await app.call(tokens.access_token)).status).toBe(200);
    const secretive = await app.client({ token_endpoint_auth_method: 'client_secret_basic' });
    expectFailure(await secretive.refresh('x', { client_secret: undefined }), 401, 'invalid_client');
    expectFailure(await owner.refresh(tokens.refresh_token, { client_secret: 'made-up' }), 401, 'invalid_client');
  });

  test('K22 CVE-2026-53512: a refresh needs the client’s authentication', async () => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_basic' });
    const { refresh_token: token } = await client.tokens();
    expectFailure(await client.refresh(token, { client_secret: undefined }), 401, 'invalid_client');
    expectFailure(await client.refresh(token, { client_secret: 'wrong' }), 401, 'invalid_client');
    expectTokens(await client.refresh(token));
  });

  test('K23 GHSA-9h47-pqcx-hjr4: the documents offer no plain PKCE, no alg none, and nothing else that is refused', async () => {
    const app = await world();
    for (const name of ['oauth-authorization-server', 'openid-configuration']) {
      const document = (await (await fetch(`${app.base}/.well-known/${name}`)).json()) as Record<string, string[]>;
      expect(document.code_challenge_methods_supported).toEqual(['S256']);
      expect(document.response_types_supported).toEqual(['code']);
      expect(document.response_modes_supported).toEqual(['query']);
      expect(document.grant_types_supported).toEqual(['authorization_code', 'refresh_token']);
      expect(document.id_token_signing_alg_values_supported ?? []).not.toContain('none');
      expect(document).not.toHaveProperty('client_id_metadata_document_supported');
      expect(document).not.toHaveProperty('request_parameter_supported');
    }
  });

  test('K24 GHSA-86j7-9j95-vpqj: a javascript: address is refused at registration, whatever its spelling', async () => {
    const app = await world();
    for (const uri of [
      'javascript:alert(1)',
      'JavaScript:alert(1)',
      'java\nscript:alert(1)',
      '\tjavascript:alert(1)',
      'javascript&colon;alert(1)',
    ])
      expectFailure(await register({ base: app.base }, { redirect_uris: [uri] }), 400, 'invalid_redirect_uri');
  });

  test('K25 CVE-2026-53517: parallel refreshes make one family, not two', async () => {
    const app = await world();
    const client = await app.client();
    const { refresh_token: token } = await client.tokens();
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.refresh(token)));
    expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1);
  });

  test('K26 CVE-2026-53518: a code is redeemed once, also at once', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.redeem(code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test('K27 GHSA-p2fr-6hmx-4528: the resource of a token request is the one that was authorised', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    expectFailure(await client.redeem(code, { resource: 'https://api.example/' }), 400, 'invalid_target');
    const { body } = await client.redeem(code, { resource: `${app.base}/mcp` });
    expectFailure(
      await client.refresh(body.refresh_token, { resource: 'https://api.example/' }),
      400,
      'invalid_target',
    );
  });

  test('K28 CVE-2026-41427: the operator’s policy is asked, at authorize and at token', async () => {
    let isAllowed = true;
    const app = await world({ options: { clients: { allow: () => isAllowed } } });
    const client = await app.client();
    const code = await client.code();
    isAllowed = false;
    expectRedirectError(await client.authorize(), REDIRECT, 'unauthorized_client', app.base);
    expectFailure(await client.redeem(code), 400, 'unauthorized_client');
  });

  test('K29 CVE-2026-45364, K34 CVE-2026-30827: a network of IPv6 counts as one caller, IPv4 in IPv6 as many', async () => {
    const app = await world({
      options: { rateLimit: { revoke: { limit: 1, windowSeconds: 60 } } },
      app: proxy => protectedApp(proxy).set('trust proxy', true) as never,
    });
    const from = async (address: string) =>
      (await fetch(`${app.base}/revoke`, { method: 'POST', headers: { 'x-forwarded-for': address } })).status;
    expect([await from('2001:db8::1'), await from('2001:db8::ffff:2')]).toEqual([400, 429]);
    expect([await from('::ffff:192.0.2.1'), await from('::ffff:192.0.2.2')]).toEqual([400, 400]);
    expect(isAtLeast(await versionOf('express-rate-limit'), [8, 2, 2])).toBeGreaterThanOrEqual(0);
  });

  test('K30: people are told apart by issuer and subject, never by e-mail', async () => {
    const app = await world();
    app.verifier.claims = { email: 'alice@example.com', email_verified: false, sub: 'ignored' };
    app.provider.behaviour.subject = 'mallory';
    const { access_token: token } = await (await app.client()).tokens();
    expect((await app.call(token)).body.extra).toMatchObject({ subject: 'mallory' });
  });

  test('K35 CVE-2026-90711: the proxy-addr below Express is one that reads trusted networks right', async () => {
    expect(isAtLeast(await versionOf('proxy-addr'), [2, 0, 8])).toBeGreaterThanOrEqual(0);
  });

  test('K7 and K32 CVE-2025-6514: nothing is spawned or opened, and every URL in a document is http(s)', async () => {
    for (const source of await sources())
      expect(source).not.toMatch(/child_process|[^.\w]eval\((?!script: string)|new Function\(/);
    const app = await world();
    for (const name of ['oauth-authorization-server', 'openid-configuration', 'oauth-protected-resource/mcp']) {
      const document = (await (await fetch(`${app.base}/.well-known/${name}`)).json()) as Record<string, unknown>;
      const urls = Object.values(document)
        .flat()
        .filter(value => /^[a-z+.-]+:/i.test(String(value)));
      expect(urls.length).toBeGreaterThan(1);
      for (const url of urls) expect(url).toMatch(/^https?:\/\//);
    }
  });

  test('K38 CVE-2024-28176: packed ids and forms are bounded when they are unpacked, and only ours are', async () => {
    const { deflateRawSync } = await import('node:zlib');
    const app = await world();
    const bomb = deflateRawSync(Buffer.alloc(10_000_000)).toString('base64url');
    expectPage(await new OAuthClient({ base: app.base }, { id: `A${bomb.slice(0, 900)}` }).authorize());
    expectPage(await app.browser().post(`${app.base}/consent`, { request: bomb, csrf: 'x.y', decision: 'approve' }));
  });
});

describe('rows of section 4 that come down to one sentence', () => {
  test('attacks 66 to 73: nothing that a stranger names is fetched, neither documents nor logos nor keys', async () => {
    const app = await world();
    const url = `${app.provider.origin}/named-by-a-stranger`;
    const named = {
      client_uri: url,
      logo_uri: url,
      policy_uri: url,
      tos_uri: url,
      jwks_uri: url,
      sector_identifier_uri: url,
    };
    const client = await app.client({ redirect_uris: [HOSTED], ...named });
    expectAsked(await client.authorize());
    await client.tokens();
    for (const id of [
      url,
      'https://client.example/metadata.json',
      'http://169.254.169.254/latest',
      'file:///etc/passwd',
    ])
      expectPage(await new OAuthClient({ base: app.base }, { id, redirectUri: HOSTED }).authorize());
    expect(app.provider.of('/named-by-a-stranger')).toEqual([]);
  });

  test('attack 84: there is no introspection endpoint, and the documents name none', async () => {
    const app = await world();
    const { access_token: token } = await (await app.client()).tokens();
    for (const path of ['/introspect', '/introspection', '/userinfo'])
      expect((await fetch(app.base + path, { method: 'POST', body: new URLSearchParams({ token }) })).status).toBe(404);
    const document = await (await fetch(`${app.base}/.well-known/oauth-authorization-server`)).json();
    expect(document).not.toHaveProperty('introspection_endpoint');
  });
});
