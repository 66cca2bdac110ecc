import { describe, expect, test } from '@jest/globals';
import { ConfigError, debugVerifier } from 'express-mcp-auth';
import { call, challenge, thrown } from '../support/composition.js';

async function inEnvironment<T>(value: string | undefined, work: () => T | Promise<T>): Promise<T> {
  const before = process.env.NODE_ENV;
  if (value === undefined) delete process.env.NODE_ENV;
  else process.env.NODE_ENV = value;
  try {
    return await work();
  } finally {
    process.env.NODE_ENV = before;
  }
}

describe('debugVerifier', () => {
  test.each(['production', 'staging', 'Production', 'DEVELOPMENT', 'dev', '', ' test', undefined])(
    'refuses to start with NODE_ENV %p',
    async environment => {
      const error = await inEnvironment(environment, () => thrown(() => debugVerifier({})));
      expect(error).toBeInstanceOf(ConfigError);
      expect((error as ConfigError).factory).toBe('debugVerifier');
      expect((error as Error).message).toContain('NODE_ENV');
    },
  );

  test.each(['development', 'test'])(
    'with NODE_ENV %s it accepts any token with the identity it was given',
    async environment => {
      const auth = await inEnvironment(environment, () =>
        debugVerifier({ name: 'debug', clientId: 'me', scopes: ['read'] }),
      );
      for (const token of ['a', 'anything-at-all', 'x.y.z']) {
        const answer = await call(auth, token);
        expect(answer.status).toBe(200);
        expect(answer.body).toMatchObject({
          token,
          clientId: 'me',
          scopes: ['read'],
          extra: { source: 'debug', claims: {} },
        });
      }
    },
  );

  test('without options it has a client and no scopes', async () => {
    const identity = await debugVerifier().verifyToken('token');
    expect(identity?.clientId).toEqual(expect.stringMatching(/./));
    expect(identity?.scopes).toEqual([]);
    expect(identity?.expiresAt).toBeUndefined();
  });

  test('it lets nobody in without a token', async () => {
    const refused = await call(debugVerifier());
    expect(refused.status).toBe(401);
    expect(challenge(refused)).not.toHaveProperty('error');
  });

  test('scopes are checked by the guard: 403, not 401', async () => {
    const auth = debugVerifier({ scopes: ['read'], requiredScopes: ['write'] });
    const refused = await call(auth, 'token');
    expect([refused.status, challenge(refused).scope]).toEqual([403, 'write']);
  });
});
