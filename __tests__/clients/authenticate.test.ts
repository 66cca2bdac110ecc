import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { authenticateClient } from '../../lib/clients/authenticate.js';
import { preRegisteredClients } from '../../lib/clients/pre-registered.js';
import { sealedClients } from '../../lib/clients/sealed-client.js';
import { keyDerivation } from '../../lib/crypto/key-ring.js';
import { anyText } from '../support/any-text.js';

const SECRET = 'a-client-secret';
const AWKWARD = 'p:a+s %s/=&\u00fc';
const redirect_uris = ['https://app.test/cb'];
const table = preRegisteredClients('oauthProxy', [
  { client_id: 'public', redirect_uris },
  { client_id: 'basic', client_secret: SECRET, redirect_uris },
  { client_id: 'post', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post', redirect_uris },
  { client_id: 'awk ward+1', client_secret: AWKWARD, redirect_uris },
  { client_id: 'percent', client_secret: '100%', redirect_uris },
]);
const find = (id: string) => table.get(id) ?? null;

const base64 = (text: string) => Buffer.from(text).toString('base64');
const basic = (id: string, secret: string) => `Basic ${base64(`${id}:${secret}`)}`;
const form = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);

const authenticate = (body: Record<string, string>, authorization?: string) =>
  authenticateClient({ authorization, body: new Map(Object.entries(body)) }, find);

/** The id of the client that was let in, or the refusal. */
async function outcome(body: Record<string, string>, authorization?: string) {
  const result = await authenticate(body, authorization);
  return 'error' in result ? result : { id: result.client.id, usedBasic: result.usedBasic };
}

describe('client authentication (RFC 6749 section 2.3)', () => {
  test.each<[string, Record<string, string>, string | undefined, string, boolean]>([
    ['none', { client_id: 'public' }, undefined, 'public', false],
    ['none, with an empty secret', { client_id: 'public', client_secret: '' }, undefined, 'public', false],
    ['none, beside another scheme', { client_id: 'public' }, 'Bearer x', 'public', false],
    ['none, by name in the header', {}, basic('public', ''), 'public', true],
    ['basic', {}, basic('basic', SECRET), 'basic', true],
    ['basic, in lower case', {}, basic('basic', SECRET).replace('Basic', 'bAsIc'), 'basic', true],
    ['basic, with the id in the body too', { client_id: 'basic' }, basic('basic', SECRET), 'basic', true],
    ['post', { client_id: 'post', client_secret: SECRET }, undefined, 'post', false],
  ])('AS-1: %s', async (_, body, authorization, id, usedBasic) => {
    expect(await outcome(body, authorization)).toEqual({ id, usedBasic });
  });

  test('B-25: a client with a secret may send it either way, whatever it registered', async () => {
    expect(await outcome({ client_id: 'basic', client_secret: SECRET })).toEqual({ id: 'basic', usedBasic: false });
    expect(await outcome({}, basic('post', SECRET))).toEqual({ id: 'post', usedBasic: true });
  });

  test.each<[string, string]>([
    ['form-encoded, as the RFC says', basic(form('awk ward+1'), form(AWKWARD))],
    ['percent-encoded', basic(encodeURIComponent('awk ward+1'), encodeURIComponent(AWKWARD))],
    ['raw, as many do', basic('awk ward+1', AWKWARD)],
    ['one half of each kind', basic(form('awk ward+1'), AWKWARD)],
  ])('both halves of Basic may come %s', async (_, authorization) => {
    expect(await outcome({}, authorization)).toEqual({ id: 'awk ward+1', usedBasic: true });
    expect(await outcome({ client_id: 'awk ward+1' }, authorization)).toEqual({ id: 'awk ward+1', usedBasic: true });
  });

  test('a raw secret that is no percent-encoding counts as it is', async () => {
    expect(await outcome({}, basic('percent', '100%'))).toEqual({ id: 'percent', usedBasic: true });
    expect(await outcome({}, basic('percent', '100%25'))).toEqual({ id: 'percent', usedBasic: true });
  });

  test.each<[string, Record<string, string>, string | undefined, string]>([
    ['Basic and a secret in the body', { client_secret: SECRET }, basic('basic', SECRET), 'several_methods'],
    [
      'Basic and the same secret twice',
      { client_id: 'basic', client_secret: SECRET },
      basic('basic', SECRET),
      'several_methods',
    ],
    [
      'a secret and an assertion',
      { client_id: 'post', client_secret: SECRET, client_assertion: 'x' },
      undefined,
      'several_methods',
    ],
    ['Basic and an assertion', { client_assertion_type: 'x' }, basic('basic', SECRET), 'several_methods'],
    ['broken Basic and a secret', { client_id: 'post', client_secret: SECRET }, 'Basic !', 'several_methods'],
    ['Basic for one and client_id of another', { client_id: 'post' }, basic('basic', SECRET), 'client_id_mismatch'],
    ['no client at all', {}, undefined, 'client_id_missing'],
    ['an empty client_id', { client_id: '' }, undefined, 'client_id_missing'],
    ['a secret alone', { client_secret: SECRET }, undefined, 'client_id_missing'],
    ['another scheme alone', {}, 'Bearer x', 'client_id_missing'],
  ])('attack 78: %s is an invalid_request', async (_, body, authorization, reason) => {
    expect(await outcome(body, authorization)).toMatchObject({ error: 'invalid_request', reason });
  });

  test.each<[string, Record<string, string>, string | undefined, string]>([
    ['an unknown client', { client_id: 'nobody' }, undefined, 'unknown_client'],
    ['an unknown client with a secret', { client_id: 'nobody', client_secret: SECRET }, undefined, 'unknown_client'],
    ['an unknown client by Basic', {}, basic('nobody', SECRET), 'unknown_client'],
    ['a wrong secret', { client_id: 'post', client_secret: 'x' }, undefined, 'secret_wrong'],
    ['a wrong secret by Basic', {}, basic('basic', 'x'), 'secret_wrong'],
    ['no secret', { client_id: 'basic' }, undefined, 'secret_missing'],
    ['an empty secret', { client_id: 'post', client_secret: '' }, undefined, 'secret_missing'],
    ['an empty secret by Basic', {}, basic('basic', ''), 'secret_missing'],
    ['a secret of a client that has none', { client_id: 'public', client_secret: 'x' }, undefined, 'secret_unexpected'],
    ['the same by Basic', {}, basic('public', 'x'), 'secret_unexpected'],
    ['a secret of 513 characters', { client_id: 'post', client_secret: 'x'.repeat(513) }, undefined, 'secret_wrong'],
    ['a secret of 1 MB', { client_id: 'post', client_secret: 'x'.repeat(1_000_000) }, undefined, 'secret_wrong'],
    ['a secret and more', { client_id: 'post', client_secret: `${SECRET} ` }, undefined, 'secret_wrong'],
    ['an id of 1 MB', { client_id: 'x'.repeat(1_000_000) }, undefined, 'unknown_client'],
    ['__proto__', { client_id: '__proto__', client_secret: 'x' }, undefined, 'unknown_client'],
  ])('B-18, attack 78: %s is an invalid_client, and the answer is always the same', async (_, body, header, reason) => {
    expect(await outcome(body, header)).toEqual({
      error: 'invalid_client',
      description: 'Unknown client, or client authentication failed.',
      reason,
      usedBasic: header !== undefined,
    });
  });

  test.each([
    'Basic',
    'Basic ',
    'Basic !',
    'Basic =',
    'Basic YQ==YQ==',
    'Basic YTpi YTpi',
    'Basic YTpi,Basic YTpi',
    `Basic ${base64('no colon')}`,
    `Basic ${base64(':only-a-secret')}`,
    `Basic ${Buffer.from([0xff, 0xfe, 0x3a, 0x61]).toString('base64')}`,
    `Basic ${'A'.repeat(100_000)}`,
    'Basic \u00e9',
    'Basic YTpi\n',
    'Basic\t!',
  ])('E-15: the header %j is an invalid_client', async header => {
    expect(await outcome({}, header)).toMatchObject({
      error: 'invalid_client',
      reason: 'malformed_credentials',
      usedBasic: true,
    });
  });

  test('a percent-encoding that is broken is an invalid_client', async () => {
    for (const header of [basic('basic', '%'), basic('%', SECRET), basic('basic', '%ff'), basic('b%zz', 'x')])
      expect(await outcome({}, header)).toMatchObject({ error: 'invalid_client', usedBasic: true });
  });

  test.each<Record<string, string>>([
    { client_id: 'basic', client_assertion: 'x.y.z' },
    { client_assertion: 'x.y.z', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
  ])('client assertions are refused until they are supported', async body => {
    expect(await outcome(body)).toMatchObject({ error: 'invalid_client', reason: 'assertion_unsupported' });
  });

  test('clients that carry their own registration, found late', async () => {
    const sealed = sealedClients(keyDerivation(['x'.repeat(32)], 'https://auth.test'), Date.now);
    const late = async (id: string) => sealed.find(id);
    const ask = (body: Record<string, string>, authorization?: string) =>
      authenticateClient({ authorization, body: new URLSearchParams(body) }, late);
    const open = sealed.issue({ redirect_uris, token_endpoint_auth_method: 'none' });
    const { id, secret = '' } = sealed.issue({ redirect_uris, token_endpoint_auth_method: 'client_secret_post' }) ?? {
      id: '',
    };
    expect(await ask({ client_id: open?.id ?? '' })).toMatchObject({ client: { id: open?.id } });
    expect(await ask({ client_id: id, client_secret: secret })).toMatchObject({ client: { id }, usedBasic: false });
    expect(await ask({}, basic(id, secret))).toMatchObject({ client: { id }, usedBasic: true });
    expect(await ask({ client_id: open?.id ?? '', client_secret: secret })).toMatchObject({ error: 'invalid_client' });
    expect(await ask({ client_id: id })).toMatchObject({ error: 'invalid_client', reason: 'secret_missing' });
  });

  test('an outage of the store is passed on', async () => {
    const broken = () => Promise.reject(new Error('the store is gone'));
    const credentials = { authorization: undefined, body: new Map([['client_id', 'x']]) };
    await expect(authenticateClient(credentials, broken)).rejects.toThrow('the store is gone');
  });

  test('attack 63: each reading of a secret is compared, whatever the one before said', async () => {
    let count = 0;
    const counted = { ...(find('post') as NonNullable<ReturnType<typeof find>>), isSecret: () => ++count > 99 };
    const credentials = {
      authorization: undefined,
      body: new Map([
        ['client_id', 'post'],
        ['client_secret', 'x'],
      ]),
    };
    await authenticateClient(credentials, () => counted);
    expect(count).toBe(1);
    count = 99;
    const both = { authorization: basic('post', 'a+b'), body: new Map() };
    expect(await authenticateClient(both, () => counted)).toHaveProperty('client');
    expect(count).toBe(101);
  });

  test('attack 85, attack 97: neither a look-up nor a digest is spent on what is too long', async () => {
    const asked: string[] = [];
    const spy = (id: string) => {
      asked.push(id);
      const client = find('post') as NonNullable<ReturnType<typeof find>>;
      return { ...client, isSecret: (secret: string) => asked.push(secret) < 0 };
    };
    const ask = (body: Record<string, string>) =>
      authenticateClient({ authorization: undefined, body: new Map(Object.entries(body)) }, spy);
    expect(await ask({ client_id: 'x'.repeat(2_049) })).toMatchObject({ reason: 'unknown_client' });
    expect(asked).toEqual([]);
    expect(await ask({ client_id: 'x'.repeat(2_048), client_secret: 'x'.repeat(513) })).toHaveProperty('error');
    expect(asked.map(text => text.length)).toEqual([2_048, 0]);
  });

  test('nothing throws, whatever the strings', async () => {
    const text = anyText({ maxLength: 20 });
    const header = fc.oneof(
      fc.constant(undefined),
      text,
      text.map(value => `Basic ${value}`),
      fc.tuple(text, text).map(([id, secret]) => basic(id, secret)),
      text.map(value => basic('basic', value)),
    );
    const name = fc.constantFrom('client_id', 'client_secret', 'client_assertion');
    const body = fc.dictionary(name, fc.oneof(text, fc.constantFrom('basic', 'public', SECRET, 'x'.repeat(600))));
    await fc.assert(
      fc.asyncProperty(body, header, async (given, authorization) => {
        const result = await authenticate(given, authorization);
        return 'error' in result ? /^invalid_(client|request)$/.test(result.error) : table.has(result.client.id);
      }),
      { numRuns: 1_000 },
    );
  });
});
