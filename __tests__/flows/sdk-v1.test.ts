import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { discoverOAuthProtectedResourceMetadata, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { AuthInfo as AuthInfoV1 } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import {
  type AuthInfo,
  customVerifier,
  debugVerifier,
  jwtVerifier,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import { everySource, KEY } from '../support/every-source.js';
import { drain, type IntrospectionServer, introspectionServer } from '../support/introspection-server.js';
import { seconds } from '../support/keys.js';
import { type AuthorizationServer, authorizationServer } from '../support/mcp-authorization-server.js';
import { connectV1, connectV2 } from '../support/mcp-clients.js';
import { type McpApp, mcpSessionApp, whoami } from '../support/mcp-session-app.js';

/** L1: an identity of this package is one of SDK v1, checked by the compiler. */
const forV1 = (info: AuthInfo): AuthInfoV1 => info;

let as: AuthorizationServer;
let endpoint: IntrospectionServer;
beforeAll(async () => {
  [as, endpoint] = await Promise.all([authorizationServer(), introspectionServer()]);
});
afterAll(() => Promise.all([as.close(), endpoint.close()]));
afterEach(() => {
  as.grants.length = 0;
  as.grant = undefined;
});

const guard = (origin: string) => everySource(origin, as, endpoint);

describe.each(['stream', 'json'])('an SDK v1 server behind the guard, answers as %s', answers => {
  let mcp: McpApp;
  beforeAll(async () => {
    mcp = await mcpSessionApp('v1', guard, { json: answers === 'json', parse: answers === 'json' });
    endpoint.tokens.set('at_1', { active: true, client_id: 'batch', aud: mcp.url.href, scope: 'read' });
  });
  afterAll(() => mcp.close());

  const tokens: [string, () => string | Promise<string>, string][] = [
    ['person', () => as.idp.mint({ aud: mcp.url.href, client_id: 'desktop', scope: 'read' }), 'desktop'],
    ['keys', () => KEY, 'ci'],
    ['opaque', () => 'at_1', 'batch'],
    ['vendor', () => 'v_1', 'vendor-app'],
    ['directory', () => 'pp_alice', 'directory'],
  ];

  test.each(tokens)(
    'M5 C11 J7 L1: the tool sees the caller that source %s recognised',
    async (source, token, clientId) => {
      const sent = await token();
      const { client, close } = await connectV1(mcp.url, sent);
      expect(whoami(await client.callTool({ name: 'whoami' }))).toMatchObject({
        token: sent,
        clientId,
        scopes: ['read'],
        resource: mcp.url.href,
        resourceMetadataUrl: `${mcp.origin}/.well-known/oauth-protected-resource/mcp`,
        extra: { source },
      });
      await close();
    },
  );

  test('a client of SDK v2 is served just so', async () => {
    const { client, close } = await connectV2(mcp.url, KEY);
    expect(whoami(await client.callTool({ name: 'whoami' }))?.extra.source).toBe('keys');
    await close();
  });

  test('RS-24: the GET stream carries the server’s notifications, and DELETE ends the session', async () => {
    const { client, transport, close } = await connectV1(mcp.url, KEY);
    let heard = false;
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      heard = true;
    });
    while (!heard) {
      await client.callTool({ name: 'announce' });
      await drain(1);
    }
    const id = transport.sessionId as string;
    expect(mcp.sessions.has(id)).toBe(true);
    await transport.terminateSession();
    expect(mcp.sessions.has(id)).toBe(false);
    expect(mcp.seen).toContainEqual({ method: 'GET', path: '/mcp', status: 200, authorization: true });
    expect(mcp.seen).toContainEqual({ method: 'DELETE', path: '/mcp', status: 200, authorization: true });
    await close();
  });

  test('RS-24 RS-31: a session id is no credential for any method, and the session survives the attempt', async () => {
    const { client, transport, close } = await connectV1(mcp.url, KEY);
    const headers = { 'mcp-session-id': transport.sessionId as string, accept: 'application/json, text/event-stream' };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } });
    const json = { 'content-type': 'application/json' };
    for (const authorization of [undefined, 'Bearer wrong']) {
      const sent = authorization ? { ...headers, authorization } : headers;
      for (const [method, init] of [
        ['GET', { headers: sent }],
        ['DELETE', { headers: sent }],
        ['POST', { headers: { ...sent, ...json }, body }],
      ] as const) {
        const response = await fetch(mcp.url, { method, ...init });
        expect([method, response.status]).toEqual([method, 401]);
        expect(response.headers.get('www-authenticate')).toContain('resource_metadata="');
        await response.text();
      }
    }
    expect(whoami(await client.callTool({ name: 'whoami' }))?.clientId).toBe('ci');
    await close();
  });

  test('RS-24: each request of one session is judged by its own token', async () => {
    const headers: Record<string, string> = { Authorization: `Bearer ${KEY}` };
    const { client, close } = await connectV1(mcp.url, { requestInit: { headers } });
    expect(whoami(await client.callTool({ name: 'whoami' }))?.extra.source).toBe('keys');
    headers.Authorization = 'Bearer v_1';
    expect(whoami(await client.callTool({ name: 'whoami' }))?.extra.source).toBe('vendor');
    headers.Authorization = 'Bearer v_revoked';
    await expect(client.callTool({ name: 'whoami' })).rejects.toMatchObject({ code: 401 });
    await close();
  });

  test('calls in parallel by two callers never mix', async () => {
    const [ci, vendor] = await Promise.all([connectV1(mcp.url, KEY), connectV1(mcp.url, 'v_1')]);
    const calls = Array.from({ length: 20 }, (_, index) =>
      (index % 2 ? ci : vendor).client.callTool({ name: 'whoami' }),
    );
    const seen = (await Promise.all(calls)).map(result => whoami(result)?.extra.source);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => (index % 2 ? 'keys' : 'vendor')));
    await Promise.all([ci.close(), vendor.close()]);
  });
});

describe('an answer that streams', () => {
  test('progress arrives before the result, over the stream of the POST', async () => {
    const mcp = await mcpSessionApp('v1', guard);
    const { client, close } = await connectV1(mcp.url, KEY);
    const heard: number[] = [];
    const result = await client.callTool({ name: 'progress' }, undefined, {
      onprogress: ({ progress }) => heard.push(progress),
    });
    expect(heard).toEqual([1, 2]);
    expect(whoami(result)).toBe('done');
    await close();
    await mcp.close();
  });
});

describe('the debug source', () => {
  test('M5: goes through the transport as any other', async () => {
    const mcp = await mcpSessionApp('v1', origin =>
      multiAuth(debugVerifier({ clientId: 'me', scopes: ['read'] }), { baseUrl: origin }),
    );
    const { client, close } = await connectV1(mcp.url, 'anything');
    expect(whoami(await client.callTool({ name: 'whoami' }))).toMatchObject({
      clientId: 'me',
      scopes: ['read'],
      extra: { source: 'debugVerifier' },
    });
    await close();
    await mcp.close();
  });
});

describe('a client of SDK v1 that has no token', () => {
  let mcp: McpApp;
  beforeAll(async () => {
    mcp = await mcpSessionApp('v1', origin =>
      remoteAuth({
        verifier: jwtVerifier({ name: 'person', issuer: as.idp.issuer }),
        authorizationServers: [as.idp.issuer],
        baseUrl: origin,
        requiredScopes: ['notes:read'],
      }),
    );
  });
  afterAll(() => mcp.close());

  test('RS-1 RS-4: discovers the protected-resource metadata by the well-known URL and by the challenge', async () => {
    const expected = { resource: mcp.url.href, authorization_servers: [as.idp.issuer] };
    expect(await discoverOAuthProtectedResourceMetadata(mcp.url)).toMatchObject(expected);
    const resourceMetadataUrl = `${mcp.origin}/.well-known/oauth-protected-resource/mcp`;
    expect(await discoverOAuthProtectedResourceMetadata(mcp.url, { resourceMetadataUrl })).toMatchObject(expected);
  });

  const provider = () =>
    new ClientCredentialsProvider({
      clientId: 'svc',
      clientSecret: 'svc-secret',
      scope: 'notes:read',
      expectedIssuer: as.idp.issuer,
    });

  test('RS-12: finds the authorization server, fetches a token for this resource, and is served', async () => {
    const { client, close } = await connectV1(mcp.url, { authProvider: provider() });
    expect(as.grants).toHaveLength(1);
    expect(as.grants[0]?.get('resource')).toBe(mcp.url.href);
    expect(whoami(await client.callTool({ name: 'whoami' }))).toMatchObject({
      clientId: 'svc',
      scopes: ['notes:read'],
      extra: { source: 'person', issuer: as.idp.issuer },
    });
    await close();
  });

  test('RS-14: a token without the scope makes it step up once, and then say 403', async () => {
    as.grant = 'something-else';
    await expect(connectV1(mcp.url, { authProvider: provider() })).rejects.toMatchObject({ code: 403 });
    expect(as.grants).toHaveLength(2);
  });

  test('without a provider it gets the plain 401', async () => {
    await expect(connectV1(mcp.url, {})).rejects.toMatchObject({ code: 401 });
  });

  test('RS-13: an expired token sends a client with a provider to fetch a new one', async () => {
    const authProvider = provider();
    const expired = await as.idp.mint({ aud: mcp.url.href, scope: 'notes:read', exp: seconds(-600) });
    authProvider.saveTokens({ access_token: expired, token_type: 'Bearer' });
    const { client, close } = await connectV1(mcp.url, { authProvider });
    expect(as.grants).toHaveLength(1);
    expect(whoami(await client.callTool({ name: 'whoami' }))?.clientId).toBe('svc');
    await close();
  });
});

describe('an outage behind the guard', () => {
  test('MA-4 D5: a client of SDK v1 keeps its token and is sent to no sign-in', async () => {
    const mcp = await mcpSessionApp('v1', origin =>
      remoteAuth({
        verifier: customVerifier({
          verify: () => {
            throw new UnavailableError('directory is down');
          },
        }),
        authorizationServers: [as.idp.issuer],
        baseUrl: origin,
      }),
    );
    const authProvider = new ClientCredentialsProvider({
      clientId: 'svc',
      clientSecret: 'svc-secret',
      expectedIssuer: as.idp.issuer,
    });
    authProvider.saveTokens({ access_token: 'good-token', token_type: 'Bearer' });
    const failure = await connectV1(mcp.url, { authProvider }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StreamableHTTPError);
    expect(failure).toMatchObject({ code: 503 });
    expect(failure).not.toBeInstanceOf(UnauthorizedError);
    expect(as.grants).toHaveLength(0);
    expect(authProvider.tokens()?.access_token).toBe('good-token');
    await mcp.close();
  });
});

describe('the shape of req.auth', () => {
  test('L1: is assignable to the AuthInfo of SDK v1', async () => {
    const auth = multiAuth(staticTokenVerifier({ [KEY]: { clientId: 'ci' } }), { baseUrl: 'https://mcp.example.com' });
    const info = await auth.verifyToken(KEY);
    if (info === null) throw new Error('refused');
    const v1 = forV1(info);
    expect(v1.scopes).toEqual([]);
    expect(v1.resource).toBeInstanceOf(URL);
  });
});
