import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { consumer, names, node, pack, remove, story, tsc, tsconfig } from '../package/consumer.js';

jest.setTimeout(120_000);

let packed: Awaited<ReturnType<typeof pack>>;
beforeAll(async () => {
  packed = await pack();
});
afterAll(() => remove(packed.folder));

describe('the packed tarball', () => {
  test('works on Express 4', async () => {
    const source = `import express from 'express4';\nimport { ${names} } from 'express-mcp-auth';\n${story}`;
    const folder = consumer(packed.folder, { 'main.mjs': source }, ['express4']);
    expect(await node(folder, 'main.mjs')).toEqual({ code: 0, output: '401  200 "keys"\n' });
  });

  test('its main entry loads without any peer, and ./passport needs passport only when it is used', async () => {
    const source = `import * as main from 'express-mcp-auth';\nconsole.log(typeof main.multiAuth);`;
    const folder = consumer(packed.folder, {
      'main.mjs': source,
      'passport.mjs': `import { mcpStrategy } from 'express-mcp-auth/passport';\nconsole.log(typeof mcpStrategy);`,
      'passport.cjs': `console.log(typeof require('express-mcp-auth/passport').passportVerifier);`,
    });
    expect(await node(folder, 'main.mjs')).toEqual({ code: 0, output: 'function\n' });
    expect(await node(folder, 'passport.mjs')).toEqual({ code: 0, output: 'function\n' });
    expect(await node(folder, 'passport.cjs')).toEqual({ code: 0, output: 'function\n' });
  });

  test.each(['express-mcp-auth/dist/index.js', 'express-mcp-auth/dist/core/errors.js'])(
    'a deep import of %s is refused in both module systems',
    async name => {
      const folder = consumer(packed.folder, {
        'main.mjs': `await import('${name}').catch(error => console.log(error.code));`,
        'main.cjs': `try { require('${name}') } catch (error) { console.log(error.code) }`,
      });
      expect((await node(folder, 'main.mjs')).output).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n');
      expect((await node(folder, 'main.cjs')).output).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n');
    },
  );
});

const types = ['@types/node', '@types/express', 'express'];
const accepted = { code: 0, output: '' };

describe('the types of the packed tarball', () => {
  const application = `
    import express from 'express';
    import { type Auth, type AuthInfo, getAuth, jwtVerifier, multiAuth, remoteAuth } from 'express-mcp-auth';

    const issuer = 'https://login.example.com';
    const verifier = jwtVerifier({ issuer, jwksCache: { ttlSeconds: 60 }, claims: payload => payload.azp === 'x' });
    const server = remoteAuth({ verifier, authorizationServers: [issuer], baseUrl: 'https://my-server.com' });
    export const auth: Auth = multiAuth(server, [verifier], { requiredScopes: ['tools'] });
    const app = express();
    app.use(auth);
    app.use(auth.wellKnown);
    app.use('/prefix', auth.router);
    app.post('/mcp', auth, auth.protect({ requiredScopes: ['write'] }), (req, res) => {
      const caller: AuthInfo = getAuth(req);
      const source: string = caller.extra.source;
      res.json({ source, resource: caller.resource?.href });
    });
    // @ts-expect-error: an option that does not exist
    jwtVerifier({ issuer, audiences: ['x'] });
    // @ts-expect-error: the issuer is required
    jwtVerifier({});
    // @ts-expect-error: not a source
    multiAuth('https://login.example.com');
  `;

  test('fit a strict Express 5 project whose libraries are checked, with exact optional properties too', async () => {
    const files = {
      'package.json': '{ "type": "module" }',
      'app.ts': application,
      'tsconfig.json': tsconfig({ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true }),
    };
    expect(await tsc(consumer(packed.folder, files, types))).toEqual(accepted);
  });

  test('fit a project that is bundled', async () => {
    const bundler = tsconfig({ module: 'ESNext', moduleResolution: 'bundler' });
    const files = { 'package.json': '{ "type": "module" }', 'app.ts': application, 'tsconfig.json': bundler };
    expect(await tsc(consumer(packed.folder, files, types))).toEqual(accepted);
  });

  test('fit a CommonJS project and one without any types of Express', async () => {
    const source = `
      import { type Auth, getAuth, multiAuth, staticTokenVerifier } from 'express-mcp-auth';
      export const auth: Auth = multiAuth(staticTokenVerifier({ 'a-key-of-16-characters': { clientId: 'ci' } }));
      export const verdict = auth.check('x').then(answer => (answer.outcome === 'accept' ? answer.auth.clientId : ''));
      export { getAuth };
    `;
    const folder = consumer(packed.folder, { 'main.cts': source, 'main.mts': source, 'tsconfig.json': tsconfig() }, [
      '@types/node',
    ]);
    expect(await tsc(folder)).toEqual(accepted);
  });

  test('say nothing of req.auth until express-types is imported', async () => {
    const without = `
      import type { Request } from 'express';
      import 'express-mcp-auth';
      // @ts-expect-error: the main entry declares no global type
      export const clientOf = (req: Request) => req.auth;
    `;
    const opted = `
      import type { Request } from 'express';
      import type { AuthInfo } from 'express-mcp-auth';
      import 'express-mcp-auth/express-types';
      export const clientOf = (req: Request): string | undefined => req.auth?.clientId;
      export const authOf = (req: Request): AuthInfo | undefined => req.auth;
    `;
    const plain = consumer(packed.folder, { 'main.mts': without, 'tsconfig.json': tsconfig() }, types);
    const opting = consumer(packed.folder, { 'main.mts': opted, 'tsconfig.json': tsconfig() }, types);
    expect(await tsc(plain)).toEqual(accepted);
    expect(await tsc(opting)).toEqual(accepted);
    expect(
      (await tsc(consumer(packed.folder, { 'main.mts': without + opted, 'tsconfig.json': tsconfig() }, types))).code,
    ).not.toBe(0);
  });

  const beside = (imports: string, use: string) => `
    import express from 'express';
    import { getAuth, multiAuth, staticTokenVerifier } from 'express-mcp-auth';
    ${imports}
    const auth = multiAuth(staticTokenVerifier({ 'a-key-of-16-characters': { clientId: 'ci' } }));
    const app = express();
    app.use(auth);
    ${use}
  `;

  test('stand beside those of the MCP SDK v1', async () => {
    const source = beside(
      `import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
       import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
       import { InvalidTokenError, ServerError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
       import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
       import { customVerifier, sdkTokenVerifier } from 'express-mcp-auth';`,
      `app.post('/mcp', async (req, res) => {
         const caller: AuthInfo = getAuth(req);
         await new StreamableHTTPServerTransport({ sessionIdGenerator: undefined }).handleRequest(req, res, caller);
       });
       app.post('/old', requireBearerAuth({ verifier: sdkTokenVerifier(auth, { InvalidTokenError, ServerError }) }));
       customVerifier({ verifyAccessToken: async (token: string): Promise<AuthInfo> => ({ token, clientId: 'x', scopes: [] }) });`,
    );
    const files = { 'main.mts': source, 'tsconfig.json': tsconfig({ lib: ['ES2023', 'DOM'] }) };
    expect(await tsc(consumer(packed.folder, files, [...types, '@modelcontextprotocol/sdk', 'zod']))).toEqual(accepted);
  });

  const sdk = ['express', 'node', 'server'].map(name => `@modelcontextprotocol/${name}`);

  test('stand beside those of the MCP SDK v2', async () => {
    const source = beside(
      `import { requireBearerAuth } from '@modelcontextprotocol/express';
       import { toNodeHandler } from '@modelcontextprotocol/node';
       import { type AuthInfo, createMcpHandler, McpServer } from '@modelcontextprotocol/server';
       import { sdkTokenVerifier } from 'express-mcp-auth';`,
      `app.all('/mcp', toNodeHandler(createMcpHandler(() => new McpServer({ name: 'x', version: '1.0.0' }))));
       app.post('/old', requireBearerAuth({ verifier: sdkTokenVerifier(auth) }), (req, res) => {
         const caller: AuthInfo = getAuth(req);
         res.json([caller.clientId, req.auth?.scopes]);
       });`,
    );
    const files = { 'main.mts': source, 'tsconfig.json': tsconfig() };
    expect(await tsc(consumer(packed.folder, files, [...types, ...sdk]))).toEqual(accepted);
  });

  test('stand beside the handlers of the MCP SDK v2 with express-types too', async () => {
    const source = beside(
      `import { toNodeHandler } from '@modelcontextprotocol/node';
       import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
       import 'express-mcp-auth/express-types';`,
      `app.all('/mcp', toNodeHandler(createMcpHandler(() => new McpServer({ name: 'x', version: '1.0.0' }))));
       app.get('/who', (req, res) => { res.json([getAuth(req).clientId, req.auth?.extra.source]); });`,
    );
    const files = { 'main.mts': source, 'tsconfig.json': tsconfig() };
    expect(await tsc(consumer(packed.folder, files, [...types, ...sdk]))).toEqual(accepted);
  });

  test('fit real passport', async () => {
    const source = beside(
      `import passport from 'passport';
       import { mcpStrategy, passportVerifier } from 'express-mcp-auth/passport';`,
      `passport.use(mcpStrategy(auth));
       app.get('/mcp', passport.authenticate('mcp', { session: false }));
       class Mine extends passport.Strategy {}
       multiAuth(auth, passportVerifier(new Mine(), { name: 'mine', timeoutMs: 100, accepts: token => token !== '' }));`,
    );
    const files = { 'main.mts': source, 'tsconfig.json': tsconfig({ esModuleInterop: true }) };
    const packages = [...types, 'passport', '@types/passport'];
    expect(await tsc(consumer(packed.folder, files, packages))).toEqual(accepted);
  });
});
