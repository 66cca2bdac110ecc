import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ReadRegistration, readRegistration } from '../../lib/oauth/client-metadata.js';
import { redirectPolicy } from '../../lib/oauth/redirect-uri.js';
import { type RegistrationName, registrations } from '../support/registrations.js';

const policy = redirectPolicy({ knownClients: true });
const rules = { policy, supportedScopes: ['read', 'write'] };
const good = { redirect_uris: ['https://client.test/cb'] };

const read = (body: unknown) => readRegistration(body, rules);
const accepted = (body: unknown) => {
  const result = read(body);
  if ('error' in result) throw new Error(result.description);
  return result;
};
const refused = (body: unknown) => {
  const result = read(body);
  return 'error' in result ? result : { error: undefined, description: JSON.stringify(result) };
};

describe('reading a client registration (RFC 7591)', () => {
  test.each(Object.keys(registrations) as RegistrationName[])('B-15, B-17: what %s sends is registered', name => {
    const body: { readonly scope?: string; readonly [member: string]: unknown } = registrations[name];
    const { metadata, echo } = accepted(body);
    expect(metadata).toEqual({
      redirect_uris: body.redirect_uris,
      token_endpoint_auth_method: body.token_endpoint_auth_method,
      client_name: body.client_name,
      ...('client_uri' in body && { client_uri: body.client_uri }),
      ...('application_type' in body && { application_type: body.application_type }),
    });
    expect(echo).toEqual({
      ...metadata,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...(body.scope?.includes('read') && { scope: 'read write' }),
    });
  });

  test('R-1, R-5: the defaults of a registration that names nothing are told', () => {
    expect(accepted(good)).toEqual({
      metadata: { redirect_uris: ['https://client.test/cb'], token_endpoint_auth_method: 'client_secret_basic' },
      echo: {
        redirect_uris: ['https://client.test/cb'],
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    });
  });

  test('null and the empty string count as absent', () => {
    const empty = Object.fromEntries(
      [
        'client_name',
        'client_uri',
        'logo_uri',
        'scope',
        'grant_types',
        'response_types',
        'token_endpoint_auth_method',
        'application_type',
        'jwks',
      ].map((member, index) => [member, index % 2 === 0 ? null : '']),
    );
    expect(accepted({ ...good, ...empty })).toEqual(accepted(good));
    expect(accepted({ ...good, grant_types: [], response_types: [] })).toEqual(accepted(good));
  });

  test.each([undefined, null, '', 'x', 42, true, [], [good]])('the body %j is no registration', body => {
    expect(refused(body)).toEqual({
      error: 'invalid_client_metadata',
      description: 'the request body must be a JSON object.',
    });
  });

  test.each<[unknown, string]>([
    [undefined, 'at least one'],
    [null, 'at least one'],
    ['https://client.test/cb', 'at least one'],
    [{ 0: 'https://client.test/cb', length: 1 }, 'at least one'],
    [[], 'at least one'],
    [Array.from({ length: 11 }, (_, i) => `https://client.test/${i}`), 'at most 10'],
    [Array.from({ length: 100_000 }, () => 'https://client.test/'), 'at most 10'],
    [[42], 'redirect_uris[0] is not a string'],
    [['https://client.test/cb', null], 'redirect_uris[1] is not a string'],
    [['https://client.test/cb', ['https://client.test/cb']], 'redirect_uris[1] is not a string'],
    [['https://client.test/cb', ''], 'redirect_uris[1] is not an absolute URI'],
    [['javascript:alert(1)//'], 'redirect_uris[0] has a scheme that is never redirected to'],
    [['https://client.test/cb', 'JaVaScRiPt:x'], 'redirect_uris[1] has a scheme that is never redirected to'],
    [['data:text/html,x'], 'never redirected to'],
    [['https://client.test/cb#x'], 'fragment'],
    [['https://u:p@client.test/cb'], 'user name'],
    [['http://client.test/cb'], 'http on a host'],
    [['vscode://x/cb'], 'private-use scheme'],
    [[`https://client.test/${'a'.repeat(2_048)}`], 'longer than 2048'],
  ])('attack 5, K-24, R-9: redirect_uris %# are refused', (uris, reason) => {
    const { error, description } = refused({ redirect_uris: uris });
    expect(error).toBe('invalid_redirect_uri');
    expect(description).toContain(reason);
    // RFC 6749 section 5.2: what an error_description may hold; and nothing of what was sent.
    expect(description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+\.$/);
    expect(description).not.toMatch(/client\.test|alert/);
  });

  test('ten redirect URIs are taken, one that is named twice once', () => {
    const uris = Array.from({ length: 9 }, (_, i) => `https://client.test/${i}`);
    expect(accepted({ redirect_uris: [...uris, uris[0]] }).metadata.redirect_uris).toEqual(uris);
  });

  test.each([
    ['none', 'none'],
    ['client_secret_basic', 'client_secret_basic'],
    ['client_secret_post', 'client_secret_post'],
  ])('R-6: token_endpoint_auth_method %s is kept', (method, kept) => {
    expect(accepted({ ...good, token_endpoint_auth_method: method }).metadata.token_endpoint_auth_method).toBe(kept);
  });

  test.each([
    ['private_key_jwt', 'not supported yet'],
    ['client_secret_jwt', 'must be none'],
    ['tls_client_auth', 'must be none'],
    ['NONE', 'must be none'],
    ['__proto__', 'must be none'],
    [42, 'must be a string'],
    [['none'], 'must be a string'],
  ])('token_endpoint_auth_method %j is refused', (method, reason) => {
    const { error, description } = refused({ ...good, token_endpoint_auth_method: method });
    expect([error, description.includes(reason)]).toEqual(['invalid_client_metadata', true]);
  });

  test.each([{ keys: [] }, [], 'x'])('inline jwks (%j) are refused', jwks => {
    expect(refused({ ...good, jwks }).error).toBe('invalid_client_metadata');
  });

  test.each([
    [['authorization_code'], ['authorization_code']],
    [
      ['refresh_token', 'authorization_code'],
      ['authorization_code', 'refresh_token'],
    ],
    [['authorization_code', 'password', 'client_credentials', 'implicit', 42], ['authorization_code']],
    [['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'], ['authorization_code']],
  ])('R-2, attack 75: of the grant types %j those that exist here are registered', (types, kept) => {
    expect(accepted({ ...good, grant_types: types }).echo.grant_types).toEqual(kept);
  });

  test.each([
    ['grant_types', ['refresh_token'], 'grant_types must hold authorization_code'],
    ['grant_types', ['client_credentials'], 'grant_types must hold authorization_code'],
    ['grant_types', 'authorization_code', 'grant_types must be a list'],
    ['grant_types', { 0: 'authorization_code' }, 'grant_types must be a list'],
    ['response_types', ['token'], 'response_types must hold code'],
    ['response_types', ['code token'], 'response_types must hold code'],
    ['response_types', 'code', 'response_types must be a list'],
  ])('R-2: %s %j is refused', (member, value, reason) => {
    const { error, description } = refused({ ...good, [member]: value });
    expect([error, description]).toEqual(['invalid_client_metadata', expect.stringContaining(reason)]);
  });

  test('response types are reduced to code', () => {
    expect(accepted({ ...good, response_types: ['code', 'token', 'id_token'] }).echo.response_types).toEqual(['code']);
  });

  test.each([
    ['read write', 'read write'],
    ['write  read\twrite', 'write read'],
    ['read admin', 'read'],
    ['openid profile email offline_access', undefined],
    ['claudeai', undefined],
    ['read "x" y\\z', 'read'],
    [['read', 'admin'], 'read'],
    [42, undefined],
  ])('B-27, attack 81: of the scope %j what is supported is echoed', (scope, kept) => {
    expect(accepted({ ...good, scope }).echo.scope).toBe(kept);
  });

  test('B-27: a supported identity scope stays, and what was registered limits nothing later', () => {
    const result = readRegistration(
      { ...good, scope: 'openid offline_access email' },
      { policy, supportedScopes: ['openid', 'offline_access'] },
    );
    expect(result).toMatchObject({ echo: { scope: 'openid offline_access' } });
    expect('metadata' in result && result.metadata).not.toHaveProperty('scope');
  });

  test.each([
    ['  My   client\n', 'My client'],
    ['Clau\u202ede\u202c', 'Claude'],
    ['\u0000\u001b[31mClaude\u0007', '[31mClaude'],
    ['a\u200bb\u200cc\u2066d\u2069\ufeffe', 'abcd e'],
    ['line\u2028two\u2029three', 'line two three'],
    ['\ud800x\udfff', 'x'],
    ['\u202e\u200b', undefined],
    ['<script>alert(1)</script>', '<script>alert(1)</script>'],
    ['Caf\u00e9 \u{1f680} \u4e2d\u6587', 'Caf\u00e9 \u{1f680} \u4e2d\u6587'],
    ['\u{1f680}'.repeat(200), '\u{1f680}'.repeat(200)],
    [`${'a'.repeat(200)}\u202e `, 'a'.repeat(200)],
  ])('attack 32: the name %j is cleaned', (name, kept) => {
    const { metadata, echo } = accepted({ ...good, client_name: name });
    expect(metadata.client_name).toBe(kept);
    expect(echo.client_name).toBe(kept);
  });

  test.each(['a'.repeat(201), '\u{1f680}'.repeat(201), 'a'.repeat(10_000), '\u202e'.repeat(1_000_000), 42, ['x'], {}])(
    'attack 32: the name %# is refused',
    name => {
      expect(refused({ ...good, client_name: name }).error).toBe('invalid_client_metadata');
    },
  );

  test.each([
    ['https://client.test', 'https://client.test'],
    ['http://client.test/about?x=1#y', 'http://client.test/about?x=1#y'],
    ['javascript:alert(1)', undefined],
    ['app://x', undefined],
    ['https://user:pass@client.test', undefined],
    ['https://client.test/"><img src=x>', undefined],
    ['https://client.test/a b', undefined],
    ['https://\u202eclient.test', undefined],
    ['//client.test', undefined],
    ['https://', undefined],
    [`https://client.test/${'a'.repeat(255)}`, undefined],
  ])('attack 32: of the links the http(s) ones stay: %j', (uri, kept) => {
    expect(accepted({ ...good, client_uri: uri }).metadata.client_uri).toBe(kept);
  });

  test.each([
    ['native', ['https://a.test/cb', 'http://localhost/cb', 'cursor://anysphere.cursor-mcp/oauth/callback'], 'native'],
    ['web', ['https://a.test/cb'], 'web'],
    ['spa', ['https://a.test/cb'], undefined],
  ])('application_type %s is kept where it is known', (type, uris, kept) => {
    const { metadata, echo } = accepted({ redirect_uris: uris, application_type: type });
    expect([metadata.application_type, echo.application_type]).toEqual([kept, kept]);
  });

  test.each(['http://localhost/cb', 'http://127.0.0.1:1/cb', 'cursor://anysphere.cursor-mcp/oauth/callback'])(
    'D-2: a client of application_type web does not have %s',
    uri => {
      expect(refused({ redirect_uris: ['https://a.test/cb', uri], application_type: 'web' })).toEqual({
        error: 'invalid_redirect_uri',
        description: 'redirect_uris of a client with application_type web must be https.',
      });
    },
  );

  test('R-8, attack 75: unknown and self-given members get nowhere', () => {
    const body = JSON.parse(`{
      "redirect_uris": ["https://client.test/cb"],
      "token_endpoint_auth_method": "none",
      "client_id": "mine", "client_secret": "mine", "client_secret_expires_at": 1, "client_id_issued_at": 1,
      "registration_access_token": "mine", "registration_client_uri": "https://evil.test",
      "software_statement": "x.y.z", "software_id": "x", "contacts": ["a@b.test"], "logo_uri": "https://evil.test/l",
      "origin": "preRegistered", "isSecret": true, "trusted": true,
      "__proto__": { "polluted": true, "client_name": "inherited" },
      "constructor": { "prototype": { "polluted": true } }
    }`);
    const { metadata, echo } = accepted(body);
    expect(metadata).toEqual({ redirect_uris: ['https://client.test/cb'], token_endpoint_auth_method: 'none' });
    expect(Object.keys(echo).sort()).toEqual([
      'grant_types',
      'redirect_uris',
      'response_types',
      'token_endpoint_auth_method',
    ]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('attack 76: inherited members do not count', () => {
    const body = Object.create({ redirect_uris: ['https://evil.test/cb'], client_name: 'inherited' });
    expect(refused(body).error).toBe('invalid_redirect_uri');
    body.redirect_uris = ['https://client.test/cb'];
    expect(accepted(body).metadata.client_name).toBeUndefined();
    expect(accepted(Object.assign(Object.create(null), good)).metadata.redirect_uris).toEqual(good.redirect_uris);
  });

  test('the policy decides about redirect URIs', () => {
    const only = redirectPolicy({ only: ['https://a.test/cb'], knownClients: true });
    const ask = (uri: string) => readRegistration({ redirect_uris: [uri] }, { policy: only, supportedScopes: [] });
    expect(ask('https://a.test/cb')).toHaveProperty('metadata');
    expect(ask('https://client.test/cb')).toMatchObject({ error: 'invalid_redirect_uri' });
  });

  test('nothing throws, whatever the JSON', () => {
    const member = fc.constantFrom(
      'redirect_uris',
      'client_name',
      'client_uri',
      'scope',
      'grant_types',
      'response_types',
      'token_endpoint_auth_method',
      'application_type',
      'jwks',
      '__proto__',
    );
    const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(['https://client.test/cb']), fc.constant('none'));
    const isResult = (result: ReadRegistration) =>
      'error' in result
        ? ['invalid_redirect_uri', 'invalid_client_metadata'].includes(result.error)
        : result.metadata.redirect_uris.length > 0;
    fc.assert(
      fc.property(fc.oneof(fc.dictionary(member, value), fc.jsonValue()), body => isResult(read(body))),
      { numRuns: 1_000 },
    );
  });
});
