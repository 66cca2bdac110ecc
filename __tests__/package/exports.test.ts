import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import * as main from 'express-mcp-auth';
import * as passport from 'express-mcp-auth/passport';
import { root, typeNames } from './source-tree.js';

jest.setTimeout(60_000);

const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Runs a line as a module of this very package, where its own name resolves through `exports`. */
function run(line: string): string {
  const args = ['--input-type=module', '--eval', line];
  return execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' }).trim();
}

describe('the public names', () => {
  test('of the main entry', () => {
    expect(Object.keys(main).sort()).toEqual([
      'ConfigError',
      'OAuthError',
      'UnavailableError',
      'customVerifier',
      'debugVerifier',
      'getAuth',
      'getUpstreamToken',
      'introspectionVerifier',
      'jwtVerifier',
      'memoryStore',
      'multiAuth',
      'oauthProxy',
      'remoteAuth',
      'sdkTokenVerifier',
      'staticTokenVerifier',
    ]);
  });

  test('of the main entry, types', () => {
    expect(typeNames('index.ts')).toEqual([
      'Auth',
      'AuthInfo',
      'AuthInfoExtra',
      'ClientsOptions',
      'ConsentMode',
      'ConsentView',
      'CustomIdentity',
      'CustomVerifierOptions',
      'DebugVerifierOptions',
      'EventMap',
      'EventMessage',
      'EventName',
      'IntrospectionVerifierOptions',
      'JwtAlgorithm',
      'JwtVerifierOptions',
      'MemoryStoreOptions',
      'MultiAuthOptions',
      'Next',
      'OAuthErrorCode',
      'OAuthProxyOptions',
      'PreRegisteredClient',
      'RateLimitOptions',
      'Reason',
      'RemoteAuthOptions',
      'RequestHandler',
      'SdkErrorClasses',
      'SdkTokenVerifier',
      'StaticToken',
      'StaticTokenVerifierOptions',
      'Store',
      'UpstreamOptions',
      'Verdict',
    ]);
  });

  test('of ./passport', () => {
    expect(Object.keys(passport).sort()).toEqual(['mcpStrategy', 'passportVerifier']);
    expect(typeNames('passport/index.ts')).toEqual(['McpStrategy', 'PassportVerifierOptions', 'TokenStrategy']);
  });

  test('the entries of package.json are these', () => {
    expect(Object.keys(entries)).toEqual([
      '.',
      './passport',
      './stores/lmdb',
      './stores/redis',
      './stores/postgres',
      './testing',
      './express-types',
      './package.json',
    ]);
  });

  test('none is a default export, and none is re-exported wholesale', () => {
    expect([...Object.keys(main), ...Object.keys(passport)]).not.toContain('default');
    expect([...typeNames('index.ts'), ...typeNames('passport/index.ts')]).not.toContain('*');
  });

  test('./express-types exports nothing at run time', () => {
    expect(run(`console.log(Object.keys(await import('express-mcp-auth/express-types')).length)`)).toBe('0');
  });

  test.each(['express-mcp-auth/dist/index.js', 'express-mcp-auth/lib/index.ts', 'express-mcp-auth/verifiers/jwt'])(
    'a deep import of %s is refused',
    name => {
      const line = `await import('${name}').catch(error => console.log(error.code))`;
      expect(run(line)).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
    },
  );

  test('the version that package.json exports is readable', () => {
    const line = `import p from 'express-mcp-auth/package.json' with { type: 'json' }; console.log(p.name)`;
    expect(run(line)).toBe('express-mcp-auth');
  });
});
