import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { Express } from 'express';
import request from 'supertest';
import { postgresAnswers, redisAnswers } from '../stores/services.js';
import { close, type IdentityProvider, identityProvider, listen } from '../support/identity-provider.js';
import { seconds } from '../support/keys.js';
import { OAuthClient } from '../support/oauth-client.js';
import { UPSTREAM_ID, UPSTREAM_SECRET, type UpstreamProvider, upstreamProvider } from '../support/upstream-provider.js';
import { readTree } from './source-tree.js';

jest.setTimeout(60_000);

const examples = readTree('examples');
const stories = [
  'behind-nginx', // __tests__/all runs it, with nginx
  'introspection',
  'jwt',
  'multi-auth',
  'multi-issuer',
  'oauth-proxy',
  'passport-source',
  'passport-strategy',
  'postgres',
  'redis',
  'remote-auth',
  'static-keys',
] as const;
type Story = (typeof stories)[number];

const base = 'http://localhost:3000';
const resource = `${base}/mcp`;
const running: Server[] = [];
let people: IdentityProvider;
let services: IdentityProvider;
beforeAll(async () => {
  people = await identityProvider({ path: '/people' });
  services = await identityProvider();
});
afterAll(() => Promise.all([...running.map(close), people.close(), services.close()]));

/** Imports an example as its environment would run it. */
async function load(story: Story, environment: Record<string, string>): Promise<Express> {
  Object.assign(process.env, { BASE_URL: base, AUDIENCE: resource, ...environment });
  const { app } = await import(`../../examples/${story}/server.js`);
  return app;
}

/** Calls the tool of an example through a real MCP client; the answer is who the server took it for. */
async function whoami(app: Express, token: string): Promise<Record<string, unknown>> {
  const server = createServer(app);
  running.push(server);
  const client = new Client({ name: 'test', version: '1.0.0' });
  const url = new URL('/mcp', await listen(server));
  await client.connect(new StreamableHTTPClientTransport(url, { authProvider: { token: async () => token } }));
  const { content } = await client.callTool({ name: 'whoami', arguments: {} });
  await client.close();
  return JSON.parse((content[0] as { text: string }).text);
}

/** Status and challenge of a bare request. */
async function knock(app: Express, token?: string, path = '/mcp'): Promise<[number, string]> {
  const call = request(app).get(path);
  const { status, headers } = await (token === undefined ? call : call.set('authorization', `Bearer ${token}`));
  return [status, headers['www-authenticate'] ?? ''];
}

const document = (app: Express) => request(app).get('/.well-known/oauth-protected-resource/mcp');
const tools = { aud: resource, sub: 'user-1', client_id: 'desktop', scope: 'tools' };

describe('every example', () => {
  test('is one of these stories, with a page of about ten lines and a server of at most 40', () => {
    const servers = [...examples.keys()].filter(file => file.endsWith('/server.ts') && !file.startsWith('quickstart/'));
    expect(servers.map(file => file.split('/')[0])).toEqual(stories);
    for (const story of stories) {
      expect(examples.get(`${story}/server.ts`)?.split('\n').length).toBeLessThanOrEqual(40);
      const lines = examples.get(`${story}/README.md`)?.split('\n').length;
      expect(lines).toBeGreaterThanOrEqual(7);
      expect(lines).toBeLessThanOrEqual(14);
    }
  });

  test('imports the package by its public name only, and uses no any', () => {
    const sources = [...examples].filter(([file]) => file.endsWith('.ts'));
    expect(sources.filter(([, source]) => /from '[^']*\blib\/|\bany\b(?=[\];,)>])/.test(source))).toEqual([]);
  });

  test('J7: makes its MCP server in the function that is called for each request', () => {
    const makers = [...examples.values()].filter(source => source.includes('new McpServer('));
    expect(makers).not.toEqual([]);
    for (const source of makers)
      expect(source).toMatch(/createMcpHandler\(\(\) => \{\s+const server = new McpServer\(/);
  });

  test('J7: keeps parallel callers apart', async () => {
    const app = await load('multi-auth', {
      ISSUER: people.issuer,
      SERVICE_ISSUER: services.issuer,
      CI_KEY: 'a-static-key-for-ci',
    });
    const callers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const token = index % 2 ? await people.mint({ ...tools, sub: `user-${index}` }) : 'a-static-key-for-ci';
        return [index, (await whoami(app, token)).subject];
      }),
    );
    expect(callers).toEqual(callers.map(([index]) => [index, Number(index) % 2 ? `user-${index}` : undefined]));
  });
});

describe('examples/jwt', () => {
  const app = () => load('jwt', { ISSUER: people.issuer });

  test('recognises a token of the issuer', async () => {
    const caller = await whoami(await app(), await people.mint(tools));
    expect(caller).toEqual({ source: 'jwtVerifier', clientId: 'desktop', subject: 'user-1', scopes: ['tools'] });
  });

  test('refuses no token, a foreign audience and a missing scope, each with its own answer', async () => {
    expect(await knock(await app())).toEqual([401, 'Bearer scope="tools"']);
    const foreign = await knock(await app(), await people.mint({ ...tools, aud: 'https://another.example.com' }));
    expect(foreign).toEqual([401, expect.stringContaining('error="invalid_token"')]);
    const poor = await knock(await app(), await people.mint({ ...tools, scope: 'mail' }));
    expect(poor).toEqual([403, expect.stringMatching(/error="insufficient_scope".*scope="tools"/)]);
  });

  test('publishes no discovery document and names none', async () => {
    expect((await document(await app())).status).toBe(404);
    expect((await knock(await app(), 'x'))[1]).not.toContain('resource_metadata');
  });
});

describe('examples/static-keys', () => {
  const keys = { CI_KEY: 'ci-key-of-24-characters', OPS_KEY: 'ops-key-of-24-characters' };
  const app = () => load('static-keys', keys);

  test('recognises a key and its owner', async () => {
    expect(await whoami(await app(), keys.CI_KEY)).toMatchObject({ clientId: 'ci', scopes: ['tools'] });
  });

  test('refuses an unknown key with 401 and a key without the scope with 403', async () => {
    expect(await knock(await app(), 'undefined')).toEqual([401, expect.stringContaining('invalid_token')]);
    expect(await knock(await app(), keys.CI_KEY, '/admin')).toEqual([403, expect.stringContaining('scope="admin"')]);
    const admin = await request(await app())
      .get('/admin')
      .set('authorization', `Bearer ${keys.OPS_KEY}`);
    expect(admin.body).toEqual({ administrator: 'ops' });
  });
});

describe('examples/introspection', () => {
  const active = { active: true, client_id: 'desktop', sub: 'user-1', scope: 'tools', aud: resource };
  const answers: Record<string, unknown> = {
    at_good: active,
    at_gone: { active: false },
    at_poor: { ...active, scope: '' },
  };
  const asked: string[] = [];
  let server: Server;
  let app: Express;
  beforeAll(async () => {
    server = createServer(async (req, res) => {
      let body = '';
      for await (const chunk of req) body += chunk;
      const token = new URLSearchParams(body).get('token') ?? '';
      asked.push(`${token} ${Buffer.from(req.headers.authorization?.slice(6) ?? '', 'base64')}`);
      const answer = answers[token];
      res.writeHead(answer ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
    });
    running.push(server);
    const introspection = {
      INTROSPECTION_URL: `${await listen(server)}/introspect`,
      CLIENT_ID: 'api',
      CLIENT_SECRET: 's3',
    };
    app = await load('introspection', introspection);
  });

  test('recognises an active token, asking once with its own credentials', async () => {
    expect(await whoami(app, 'at_good')).toMatchObject({ clientId: 'desktop', subject: 'user-1', scopes: ['tools'] });
    expect(asked).toEqual(['at_good api:s3']);
  });

  test('refuses an inactive token and a missing scope, and tells an outage from a refusal', async () => {
    expect(await knock(app, 'at_gone')).toEqual([401, expect.stringContaining('invalid_token')]);
    expect(await knock(app, 'at_poor')).toEqual([403, expect.stringContaining('insufficient_scope')]);
    expect(await knock(app, 'at_down')).toEqual([503, '']);
  });

  test('asks nothing about a token of another shape', async () => {
    const before = asked.length;
    expect((await knock(app, 'eyJhbGciOiJub25lIn0.e30.'))[0]).toBe(401);
    expect(asked).toHaveLength(before);
  });
});

describe('examples/multi-issuer', () => {
  const app = () => load('multi-issuer', { STAFF_ISSUER: people.issuer, PARTNER_ISSUER: services.issuer });

  test('recognises both issuers, each by its name', async () => {
    const staff = await whoami(await app(), await people.mint({ aud: resource, sub: 'user-1' }));
    const partner = await whoami(await app(), await services.mint({ aud: resource, sub: 'user-1', scope: 'partner' }));
    expect([staff.source, partner.source]).toEqual(['staff', 'partners']);
  });

  test('asks only partners for the scope, and keeps the keys of the issuers apart', async () => {
    expect((await knock(await app(), await services.mint({ aud: resource })))[0]).toBe(403);
    const borrowed = await people.mint({ iss: services.issuer, aud: resource, scope: 'partner' });
    expect((await knock(await app(), borrowed))[0]).toBe(401);
  });

  test('publishes both issuers', async () => {
    const { body } = await document(await app());
    expect(body).toMatchObject({ resource, authorization_servers: [people.issuer, services.issuer] });
  });
});

describe('examples/multi-auth', () => {
  const key = 'a-static-key-for-ci';
  const app = () => load('multi-auth', { ISSUER: people.issuer, SERVICE_ISSUER: services.issuer, CI_KEY: key });

  test('recognises a person, a service and CI by their sources', async () => {
    const person = await whoami(await app(), await people.mint(tools));
    const service = await whoami(await app(), await services.mint({ aud: resource, sub: 'report', scope: 'tools' }));
    const ci = await whoami(await app(), key);
    expect([person.source, service.source, ci.source]).toEqual(['people', 'services', 'keys']);
    expect([person.clientId, service.clientId, ci.clientId]).toEqual(['desktop', 'report', 'ci']);
  });

  test('refuses an expired token and a stranger, and points to the document', async () => {
    const expired = await people.mint({ ...tools, exp: seconds(-60) });
    const pointer = `resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"`;
    for (const token of [expired, 'a-key-that-nobody-knows']) {
      expect(await knock(await app(), token)).toEqual([401, expect.stringContaining(pointer)]);
    }
  });

  test('publishes the issuer where people sign in, and only that', async () => {
    const { body } = await document(await app());
    expect(body).toMatchObject({ resource, authorization_servers: [people.issuer], scopes_supported: ['tools'] });
  });
});

describe('examples/remote-auth', () => {
  const app = () => load('remote-auth', { ISSUER: people.issuer });

  test('recognises a token for its resource', async () => {
    expect(await whoami(await app(), await people.mint(tools))).toMatchObject({
      clientId: 'desktop',
      subject: 'user-1',
    });
  });

  test('sends a client without a token to the document, which names the issuer', async () => {
    const [status, challenge] = await knock(await app());
    expect(status).toBe(401);
    const metadata = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] as string;
    const { body } = await request(await app()).get(new URL(metadata).pathname);
    expect(body).toMatchObject({
      resource,
      authorization_servers: [people.issuer],
      scopes_supported: ['tools', 'admin'],
      resource_name: 'Example MCP server',
    });
  });

  test('refuses a token of another issuer', async () => {
    expect((await knock(await app(), await services.mint(tools)))[0]).toBe(401);
  });
});

describe('examples/passport-strategy', () => {
  const app = () => load('passport-strategy', { ISSUER: people.issuer });

  test('recognises a token through passport.authenticate', async () => {
    expect(await whoami(await app(), await people.mint(tools))).toMatchObject({
      clientId: 'desktop',
      subject: 'user-1',
    });
  });

  test('refuses as the guard does, and publishes the document', async () => {
    expect(await knock(await app())).toEqual([401, expect.stringContaining('resource_metadata=')]);
    const poor = await people.mint({ ...tools, scope: '' });
    expect(await knock(await app(), poor)).toEqual([403, expect.stringContaining('insufficient_scope')]);
    expect((await document(await app())).body).toMatchObject({ resource, authorization_servers: [people.issuer] });
  });
});

describe('examples/passport-source', () => {
  const key = 'pk_a-key-of-a-partner';
  const app = () => load('passport-source', { ISSUER: people.issuer, PARTNER_KEY: key });

  test('recognises the key through the strategy, and a JWT beside it', async () => {
    const partner = { source: 'api-key', clientId: 'api-key', subject: '7', scopes: ['tools'] };
    expect(await whoami(await app(), key)).toEqual(partner);
    expect(await whoami(await app(), await people.mint(tools))).toMatchObject({ clientId: 'desktop' });
  });

  test('refuses an unknown key, and publishes the document', async () => {
    expect(await knock(await app(), 'pk_unknown')).toEqual([401, expect.stringContaining('invalid_token')]);
    expect((await document(await app())).body).toMatchObject({ resource, authorization_servers: [people.issuer] });
  });
});

describe('the examples of oauthProxy', () => {
  let provider: UpstreamProvider;
  beforeAll(async () => {
    provider = await upstreamProvider();
    Object.assign(provider.behaviour, { subject: 'user-1', idToken: {} });
  });
  afterAll(() => provider.close());

  const environment = () => ({
    ISSUER: provider.origin,
    CLIENT_ID: UPSTREAM_ID,
    CLIENT_SECRET: UPSTREAM_SECRET,
    OAUTH_SECRET: 'a-secret-of-at-least-32-characters',
  });
  /** An MCP client that has never been there, and the person in front of it. */
  async function signIn(app: Express) {
    const server = createServer(app);
    running.push(server);
    const origin = await listen(server);
    const client = await OAuthClient.register({ base, rewrite: url => url.replace(base, origin) });
    return { client, tokens: await client.tokens() };
  }
  async function wholeLife(app: Express): Promise<void> {
    const { client, tokens } = await signIn(app);
    const person = { clientId: client.id, subject: 'user-1', scopes: ['tools'] };
    expect(await whoami(app, tokens.access_token)).toMatchObject(person);
    const { body } = await client.refresh(tokens.refresh_token);
    expect(await whoami(app, String(body.access_token))).toMatchObject(person);
    expect((await client.revoke(body.refresh_token)).status).toBe(200);
    expect(await knock(app, String(body.access_token))).toEqual([401, expect.stringContaining('invalid_token')]);
  }

  test('oauth-proxy signs a client in that nobody has registered, and asks the provider for what it knows', async () => {
    const app = await load('oauth-proxy', environment());
    await wholeLife(app);
    const [asked] = provider.of('/authorize');
    expect(asked?.params).toMatchObject({ redirect_uri: `${base}/auth/callback`, scope: 'openid email' });
  });

  test('oauth-proxy sends a client without a token to itself', async () => {
    const app = await load('oauth-proxy', environment());
    const { body } = await document(app);
    expect(body).toMatchObject({ resource, authorization_servers: [base], resource_name: 'Example MCP server' });
    const server = await request(app).get('/.well-known/oauth-authorization-server');
    expect(server.body).toMatchObject({ issuer: base, scopes_supported: ['tools'] });
  });

  const services = [
    { story: 'redis', answers: redisAnswers, connection: 'redis', end: 'close' },
    { story: 'postgres', answers: postgresAnswers, connection: 'pool', end: 'end' },
  ] as const;
  test.each(services)('$story keeps its sessions there', async ({ story, answers, connection, end }) => {
    if (!(await answers()) && !process.env.CI) {
      console.warn(`SKIPPED: examples/${story}, because its database does not answer.`);
      return;
    }
    const DATABASE_URL = process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1/test';
    const app = await load(story, { ...environment(), DATABASE_URL });
    const opened = (await import(`../../examples/${story}/server.js`))[connection];
    try {
      await wholeLife(app);
    } finally {
      await opened.query?.('DROP TABLE example_oauth');
      await opened[end]();
    }
  });
});
