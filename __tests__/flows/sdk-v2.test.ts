import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ClientCredentialsProvider,
  discoverOAuthProtectedResourceMetadata,
  discoverOAuthServerInfo,
  InsufficientScopeError,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { type AuthInfo as AuthInfoV2, createMcpHandler, type McpRequestContext } from '@modelcontextprotocol/server';
import {
  type Auth,
  type AuthInfo,
  customVerifier,
  debugVerifier,
  jwtVerifier,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import { everySource, KEY, WRITER } from '../support/every-source.js';
import { drain, type IntrospectionServer, introspectionServer } from '../support/introspection-server.js';
import { type AuthorizationServer, authorizationServer } from '../support/mcp-authorization-server.js';
import { connectV1, connectV2 } from '../support/mcp-clients.js';
import {
  type McpApp,
  type McpAppOptions,
  mcpApp,
  mcpSessionApp,
  serverV2,
  whoami,
} from '../support/mcp-session-app.js';

const MODERN = { versionNegotiation: { mode: { pin: '2026-07-28' } } } as const;

/** L1: an identity of this package is one of SDK v2, checked by the compiler. */
const forV2 = (info: AuthInfo): AuthInfoV2 => info;

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

/** `createMcpHandler` of SDK v2 on Express: a fresh server for each request, of either era. */
async function handlerApp(build: (origin: string) => Auth, options: McpAppOptions & { mode?: 'sse' | 'auto' } = {}) {
  const contexts: McpRequestContext[] = [];
  const handler = createMcpHandler(
    context => {
      contexts.push(context);
      return serverV2();
    },
    { responseMode: options.mode ?? 'auto' },
  );
  const node = toNodeHandler(handler);
  const app = await mcpApp(build, (req, res) => node(req, res, (req as { body?: unknown }).body), options);
  return { ...app, contexts, handler };
}

const metadataOf = (mcp: McpApp) => `${mcp.origin}/.well-known/oauth-protected-resource/mcp`;

const sources: [string, (mcp: McpApp) => string | Promise<string>, string][] = [
  ['person', mcp => as.idp.mint({ aud: mcp.url.href, client_id: 'desktop', scope: 'read' }), 'desktop'],
  ['keys', () => KEY, 'ci'],
  ['opaque', () => 'at_2', 'batch'],
  ['vendor', () => 'v_1', 'vendor-app'],
  ['directory', () => 'pp_alice', 'directory'],
];

describe.each(['stream', 'json'])('a session of SDK v2 behind the guard, answers as %s', answers => {
  let mcp: McpApp;
  beforeAll(async () => {
    mcp = await mcpSessionApp('v2', guard, { json: answers === 'json', parse: answers === 'json' });
    endpoint.tokens.set('at_2', { active: true, client_id: 'batch', aud: mcp.url.href, scope: 'read' });
  });
  afterAll(() => mcp.close());

  test.each(sources)(
    'M5 C11 L1: the tool sees the caller that source %s recognised',
    async (source, token, clientId) => {
      const { client, close } = await connectV2(mcp.url, await token(mcp));
      expect(whoami(await client.callTool({ name: 'whoami' }))).toMatchObject({
        clientId,
        scopes: ['read'],
        resource: mcp.url.href,
        resourceMetadataUrl: metadataOf(mcp),
        extra: { source },
      });
      await close();
    },
  );

  test('a client of SDK v1 is served just so', async () => {
    const { client, close } = await connectV1(mcp.url, KEY);
    expect(whoami(await client.callTool({ name: 'whoami' }))?.extra.source).toBe('keys');
    await close();
  });

  test('RS-24: the GET stream carries the server’s notifications, and DELETE ends the session', async () => {
    const { client, transport, close } = await connectV2(mcp.url, KEY);
    let heard = false;
    client.setNotificationHandler('notifications/tools/list_changed', () => {
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

  test('RS-24 RS-31: a session id is no credential for any method', async () => {
    const { client, transport, close } = await connectV2(mcp.url, KEY);
    const headers = { 'mcp-session-id': transport.sessionId as string, accept: 'application/json, text/event-stream' };
    for (const method of ['GET', 'DELETE', 'POST', 'PUT', 'PATCH']) {
      const response = await fetch(mcp.url, { method, headers });
      expect([method, response.status]).toEqual([method, 401]);
      await response.text();
    }
    expect(whoami(await client.callTool({ name: 'whoami' }))?.clientId).toBe('ci');
    await close();
  });

  test('RS-14: a tool that asks for a scope of its own answers 403 with our metadata URL, and the client says so', async () => {
    const { client, close } = await connectV2(mcp.url, KEY);
    const failure = await client.callTool({ name: 'purge' }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InsufficientScopeError);
    expect((failure as InsufficientScopeError).requiredScope).toBe('notes:write');
    expect((failure as InsufficientScopeError).resourceMetadataUrl?.href).toBe(metadataOf(mcp));
    await close();
    const writer = await connectV2(mcp.url, WRITER);
    expect(whoami(await writer.client.callTool({ name: 'purge' }))).toBe('purged');
    await writer.close();
  });
});

describe.each(['auto', 'sse'] as const)('createMcpHandler of SDK v2 behind the guard, answers %s', mode => {
  let mcp: Awaited<ReturnType<typeof handlerApp>>;
  beforeAll(async () => {
    mcp = await handlerApp(guard, { mode, parse: mode === 'sse' });
    endpoint.tokens.set('at_2', { active: true, client_id: 'batch', aud: mcp.url.href, scope: 'read' });
  });
  afterAll(() => mcp.close());

  test.each(sources)(
    'M5: a 2026-07-28 client is known to the tool as source %s says',
    async (source, token, clientId) => {
      const { client, close } = await connectV2(mcp.url, await token(mcp), MODERN);
      expect(whoami(await client.callTool({ name: 'whoami' }))).toMatchObject({
        clientId,
        scopes: ['read'],
        resourceMetadataUrl: metadataOf(mcp),
        extra: { source },
      });
      expect(mcp.contexts.at(-1)?.era).toBe('modern');
      expect(mcp.contexts.at(-1)?.authInfo).toMatchObject({ clientId, extra: { source } });
      await close();
    },
  );

  test('J8: a 2025 client is served by the same handler, whether or not a body parser ran before', async () => {
    for (const connect of [connectV1, connectV2]) {
      const { client, close } = await connect(mcp.url, KEY);
      expect(whoami(await client.callTool({ name: 'whoami' }))?.extra.source).toBe('keys');
      await close();
    }
    expect(mcp.contexts.at(-1)?.era).toBe('legacy');
  });

  test('progress streams before the result', async () => {
    const { client, close } = await connectV2(mcp.url, KEY, MODERN);
    const heard: number[] = [];
    const result = await client.callTool({ name: 'progress' }, { onprogress: ({ progress }) => heard.push(progress) });
    expect(heard).toEqual([1, 2]);
    expect(whoami(result)).toBe('done');
    await close();
  });

  test('a subscription stream stays open behind the guard and delivers', async () => {
    const { client, close } = await connectV2(mcp.url, KEY, MODERN);
    const heard = new Promise<void>(resolve => {
      client.setNotificationHandler('notifications/tools/list_changed', () => resolve());
    });
    const subscription = await client.listen({ toolsListChanged: true });
    mcp.handler.notify.toolsChanged();
    await heard;
    await subscription.close();
    await close();
  });

  test('RS-14: scopeChallenge names our metadata URL in the 2026 era too', async () => {
    const { client, close } = await connectV2(mcp.url, KEY, MODERN);
    const failure = await client.callTool({ name: 'purge' }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InsufficientScopeError);
    expect((failure as InsufficientScopeError).resourceMetadataUrl?.href).toBe(metadataOf(mcp));
    await close();
  });

  test('C21: without a token no server is built', async () => {
    const before = mcp.contexts.length;
    await expect(connectV2(mcp.url, {}, MODERN)).rejects.toThrow();
    await expect(connectV2(mcp.url, 'wrong', MODERN)).rejects.toThrow();
    expect(mcp.contexts).toHaveLength(before);
  });
});

describe('the debug source', () => {
  test('M5: goes through the transport of SDK v2 too', async () => {
    const mcp = await handlerApp(origin => multiAuth(debugVerifier({ scopes: ['read'] }), { baseUrl: origin }));
    const { client, close } = await connectV2(mcp.url, 'anything', MODERN);
    expect(whoami(await client.callTool({ name: 'whoami' }))?.extra.source).toBe('debugVerifier');
    await close();
    await mcp.close();
  });
});

describe('a client of SDK v2 that has no token', () => {
  let mcp: McpApp;
  beforeAll(async () => {
    mcp = await handlerApp(origin =>
      remoteAuth({
        verifier: jwtVerifier({ name: 'person', issuer: as.idp.issuer }),
        authorizationServers: [as.idp.issuer],
        baseUrl: origin,
        requiredScopes: ['notes:read'],
      }),
    );
  });
  afterAll(() => mcp.close());
  const provider = () =>
    new ClientCredentialsProvider({ clientId: 'svc', clientSecret: 'svc-secret', expectedIssuer: as.idp.issuer });

  test('RS-1 RS-4: discovers the resource and its authorization server', async () => {
    expect(await discoverOAuthProtectedResourceMetadata(mcp.url)).toMatchObject({
      resource: mcp.url.href,
      authorization_servers: [as.idp.issuer],
    });
    const info = await discoverOAuthServerInfo(mcp.url);
    expect(info.authorizationServerUrl).toBe(as.idp.issuer);
    expect(info.authorizationServerMetadata?.issuer).toBe(as.idp.issuer);
    expect(info.resourceMetadata?.resource).toBe(mcp.url.href);
  });

  test.each([
    ['2025', {}],
    ['2026', MODERN],
  ])(
    'RS-12: a client of the %s era fetches a token for this resource and these scopes, and is served',
    async (_era, era) => {
      const { client, close } = await connectV2(mcp.url, { authProvider: provider() }, era);
      expect(as.grants).toHaveLength(1);
      expect(as.grants[0]?.get('resource')).toBe(mcp.url.href);
      expect(as.grants[0]?.get('scope')).toBe('notes:read');
      expect(whoami(await client.callTool({ name: 'whoami' }))).toMatchObject({
        clientId: 'svc',
        scopes: ['notes:read'],
        extra: { source: 'person', issuer: as.idp.issuer },
      });
      await close();
    },
  );

  test('RS-14: a token without the scope is an InsufficientScopeError with our challenge', async () => {
    as.grant = 'something-else';
    const failure = await connectV2(mcp.url, { authProvider: provider(), onInsufficientScope: 'throw' }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(InsufficientScopeError);
    expect((failure as InsufficientScopeError).requiredScope).toBe('notes:read');
    expect((failure as InsufficientScopeError).resourceMetadataUrl?.href).toBe(metadataOf(mcp));
  });

  test('RS-13: a client with a plain token that is refused gets an UnauthorizedError', async () => {
    await expect(connectV2(mcp.url, 'wrong')).rejects.toBeInstanceOf(UnauthorizedError);
  });

  test('RS-13: the client reads our challenge when it is told to fetch a new token', async () => {
    const challenges: (string | null)[] = [];
    let token = 'wrong';
    const good = await as.idp.mint({ aud: mcp.url.href, client_id: 'svc', scope: 'notes:read' });
    const { client, close } = await connectV2(mcp.url, {
      authProvider: {
        token: async () => token,
        onUnauthorized: async ({ response }) => {
          challenges.push(response.headers.get('www-authenticate'));
          token = good;
        },
      },
    });
    expect(challenges).toHaveLength(1);
    expect(challenges[0]).toContain('error="invalid_token"');
    expect(challenges[0]).toContain(`resource_metadata="${metadataOf(mcp)}"`);
    expect(whoami(await client.callTool({ name: 'whoami' }))?.clientId).toBe('svc');
    await close();
  });
});

describe('an outage behind the guard', () => {
  test.each([
    ['2025', {}],
    ['2026', MODERN],
  ])('MA-4 D5: a client of the %s era keeps its token and is sent to no sign-in', async (_era, era) => {
    const mcp = await handlerApp(origin =>
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
    let asked = 0;
    const failure = await connectV2(
      mcp.url,
      {
        authProvider: {
          token: async () => 'good-token',
          onUnauthorized: async () => {
            asked++;
          },
        },
      },
      era,
    ).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(failure).not.toBeInstanceOf(UnauthorizedError);
    expect(asked).toBe(0);
    expect(mcp.seen.every(({ status }) => status === 503)).toBe(true);
    await mcp.close();
  });
});

describe('the shape of req.auth', () => {
  test('L1: is assignable to the AuthInfo of SDK v2', async () => {
    const auth = multiAuth(staticTokenVerifier({ [KEY]: { clientId: 'ci' } }), { baseUrl: 'https://mcp.example.com' });
    const info = await auth.verifyToken(KEY);
    if (info === null) throw new Error('refused');
    const v2 = forV2(info);
    expect(v2.scopes).toEqual([]);
    expect(v2.resource).toBeInstanceOf(URL);
  });
});
