import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { preRegisteredClients } from '../../lib/clients/pre-registered.js';
import { ConfigError } from '../../lib/core/errors.js';

const SECRET = 'a-client-secret-that-must-not-be-printed';
const publicClient = { client_id: 'app', redirect_uris: ['https://app.test/cb'] };
const secretClient = { ...publicClient, client_id: 'web', client_secret: SECRET };

const clientsOf = (...given: unknown[]) => preRegisteredClients('oauthProxy', given);

function failure(given: unknown): ConfigError {
  try {
    preRegisteredClients('oauthProxy', given);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('pre-registered clients (CR-1)', () => {
  test('a public client', () => {
    const client = clientsOf(publicClient).get('app');
    expect(client).toMatchObject({
      id: 'app',
      origin: 'preRegistered',
      issuedAt: undefined,
      metadata: { redirect_uris: ['https://app.test/cb'], token_endpoint_auth_method: 'none' },
    });
    expect(client?.isSecret('')).toBe(false);
    expect(client?.isSecret('undefined')).toBe(false);
  });

  test('a client with a secret', () => {
    const client = clientsOf(publicClient, secretClient).get('web');
    expect(client?.metadata.token_endpoint_auth_method).toBe('client_secret_basic');
    expect(client?.isSecret(SECRET)).toBe(true);
    for (const wrong of ['', `${SECRET} `, SECRET.slice(1), SECRET.toUpperCase()])
      expect(client?.isSecret(wrong)).toBe(false);
    expect(inspect(client, { depth: 9 })).not.toContain(SECRET);
  });

  test('every member', () => {
    const given = {
      ...secretClient,
      token_endpoint_auth_method: 'client_secret_post',
      client_name: 'App',
      client_uri: 'https://app.test',
      application_type: 'web',
      scope: 'read write',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    };
    expect(clientsOf(given).get('web')?.metadata).toEqual({
      redirect_uris: ['https://app.test/cb'],
      token_endpoint_auth_method: 'client_secret_post',
      client_name: 'App',
      client_uri: 'https://app.test',
      application_type: 'web',
      scope: 'read write',
    });
  });

  test('the word of the operator counts for private-use schemes, and ids may be anything printable', () => {
    const redirect_uris = ['myapp://cb', 'com.example.app:/cb', 'http://localhost/cb'];
    const id = 'https://app.test/metadata.json?x=1 y';
    expect(clientsOf({ client_id: id, redirect_uris }).get(id)?.metadata.redirect_uris).toEqual(redirect_uris);
  });

  test('a client with a secret may have no redirect URI', () => {
    expect(clientsOf({ client_id: 'job', client_secret: SECRET }).get('job')?.metadata.redirect_uris).toEqual([]);
  });

  test('none', () => {
    expect(preRegisteredClients('oauthProxy', undefined).size).toBe(0);
    expect(clientsOf().size).toBe(0);
    expect(clientsOf(publicClient).get('__proto__')).toBeUndefined();
  });

  test('the configuration is copied, and frozen', () => {
    const given = { client_id: 'app', redirect_uris: ['https://app.test/cb'] };
    const client = clientsOf(given).get('app');
    given.redirect_uris.push('https://evil.test/cb');
    expect(client?.metadata.redirect_uris).toEqual(['https://app.test/cb']);
    expect(Object.isFrozen(client?.metadata.redirect_uris)).toBe(true);
  });

  test.each<[unknown, string, string]>([
    ['app', 'clients.preRegistered', 'must be a list'],
    [{ app: publicClient }, 'clients.preRegistered', 'must be a list'],
    [null, 'clients.preRegistered', 'must be a list'],
    [['app'], 'clients.preRegistered[0]', 'must be an object'],
    [[publicClient, null], 'clients.preRegistered[1]', 'must be an object'],
    [[{ ...publicClient, clientId: 'x' }], 'clients.preRegistered[0].clientId', 'is not an option'],
    [[{ ...publicClient, redirect_uri: 'x' }], 'clients.preRegistered[0].redirect_uri', 'is not an option'],
    [[{ redirect_uris: [] }], 'clients.preRegistered[0].client_id', 'is missing'],
    [[{ ...publicClient, client_id: '' }], 'clients.preRegistered[0].client_id', 'not empty'],
    [[{ ...publicClient, client_id: 'caf\u00e9' }], 'clients.preRegistered[0].client_id', 'printable ASCII'],
    [[{ ...publicClient, client_id: 'a'.repeat(2_049) }], 'clients.preRegistered[0].client_id', '2,048'],
    [[publicClient, publicClient], 'clients.preRegistered[1].client_id', 'two clients'],
    [[{ ...publicClient, client_secret: undefined }], 'clients.preRegistered[0].client_secret', 'is undefined'],
    [[{ ...publicClient, client_secret: '' }], 'clients.preRegistered[0].client_secret', 'not empty'],
    [[{ ...publicClient, client_secret: 'x'.repeat(513) }], 'clients.preRegistered[0].client_secret', '512'],
    [[{ client_id: 'app' }], 'clients.preRegistered[0].redirect_uris', 'is missing'],
    [[{ ...publicClient, redirect_uris: 'x' }], 'clients.preRegistered[0].redirect_uris', 'must be a list'],
    [[{ ...publicClient, redirect_uris: ['x'] }], 'clients.preRegistered[0].redirect_uris[0]', 'not an absolute URI'],
    [
      [{ ...publicClient, redirect_uris: ['https://a.test', 'javascript:x'] }],
      'clients.preRegistered[0].redirect_uris[1]',
      'never redirected to',
    ],
    [
      [{ ...publicClient, redirect_uris: ['https://*.a.test/cb'] }],
      'clients.preRegistered[0].redirect_uris[0]',
      'well-formed',
    ],
    [
      [{ ...publicClient, redirect_uris: ['http://localhost/cb'], application_type: 'web' }],
      'clients.preRegistered[0].redirect_uris[0]',
      'is not https',
    ],
    [
      [{ ...secretClient, token_endpoint_auth_method: 'none' }],
      'clients.preRegistered[0].token_endpoint_auth_method',
      'beside a client_secret',
    ],
    [
      [{ ...publicClient, token_endpoint_auth_method: 'client_secret_basic' }],
      'clients.preRegistered[0].token_endpoint_auth_method',
      'without a client_secret',
    ],
    [
      [{ ...publicClient, token_endpoint_auth_method: 'private_key_jwt' }],
      'clients.preRegistered[0].token_endpoint_auth_method',
      'must be one of none',
    ],
    [[{ ...publicClient, application_type: 'spa' }], 'clients.preRegistered[0].application_type', 'must be one of'],
    [[{ ...publicClient, client_uri: 'javascript:x' }], 'clients.preRegistered[0].client_uri', 'no http(s) URL'],
    [[{ ...publicClient, scope: 'read  write' }], 'clients.preRegistered[0].scope', 'one space'],
    [[{ ...publicClient, scope: ['read'] }], 'clients.preRegistered[0].scope', 'must be a string'],
    [
      [{ ...publicClient, grant_types: ['refresh_token'] }],
      'clients.preRegistered[0].grant_types',
      'authorization_code',
    ],
    [
      [{ ...publicClient, grant_types: ['authorization_code', 'password'] }],
      'clients.preRegistered[0].grant_types',
      'does not have',
    ],
    [[{ ...publicClient, response_types: ['token'] }], 'clients.preRegistered[0].response_types', 'does not have'],
  ])('L-3: %# is a ConfigError at %s', (given, option, reason) => {
    const error = failure(given);
    expect([error.factory, error.option]).toEqual(['oauthProxy', option]);
    expect(error.message).toContain(reason);
    expect(error.remedy).not.toBe('');
    expect(inspect(error)).not.toContain(SECRET);
  });
});
