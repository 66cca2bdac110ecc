import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sealedClients } from '../../lib/clients/sealed-client.js';
import { CURRENT_DICTIONARY, dictionaries } from '../../lib/clients/sealed-dictionary.js';
import { deflater, packRegistration, unpackRegistration } from '../../lib/clients/sealed-metadata.js';
import { keyDerivation } from '../../lib/crypto/key-ring.js';
import { type ClientMetadata, readRegistration } from '../../lib/oauth/client-metadata.js';
import { redirectPolicy } from '../../lib/oauth/redirect-uri.js';
import { type RegistrationName, registrations } from '../support/registrations.js';

const OLD = 'an-old-secret-of-thirty-two-bytes-or-more';
const NEW = 'a-new-secret-of-thirty-two-bytes-or-more-';
const ISSUER = 'https://auth.test';
const NOW = 1_900_000_000_500;
const DIGEST_OF_VERSION_1 = '38475d86a76dcc3b7e88655aa220f4385ffec17ef3ea4da17a5594ab5c0be07d';
const ID_OF_VERSION_1 = 'Aaz4YwuFiNIGQM7jditxDGDEv_nXi0Qccebk_RcICKC0CAbczLFF0R4';

const clientsOf = (secrets: readonly string[], issuer = ISSUER) =>
  sealedClients(keyDerivation(secrets, issuer), () => NOW);
const policy = redirectPolicy({ knownClients: true });

function metadataOf(body: unknown): ClientMetadata {
  const result = readRegistration(body, { policy, supportedScopes: ['read', 'write'] });
  if ('error' in result) throw new Error(result.description);
  return result.metadata;
}

const publicClient = metadataOf(registrations.cursor);
const secretClient = metadataOf(registrations.claude);

describe('clients without a record (RFC 7591 appendix A.5.2)', () => {
  const clients = clientsOf([OLD]);

  test.each(Object.keys(registrations) as RegistrationName[])(
    'G-4: the id of %s holds what it registered, in at most 255 characters, for every replica',
    name => {
      const metadata = metadataOf(registrations[name]);
      const issued = clients.issue(metadata);
      expect(issued?.id).toMatch(/^[A-Za-z0-9_-]{40,255}$/);
      expect(issued?.issuedAt).toBe(1_900_000_000);
      const found = clientsOf([OLD]).find(issued?.id ?? '');
      expect(found).toMatchObject({ id: issued?.id, origin: 'stateless', metadata, issuedAt: 1_900_000_000 });
    },
  );

  test('a client that nobody knows has room for two redirect URIs of its own in 255 characters', () => {
    const issued = clients.issue({
      client_name: 'Totally unknown desktop application (with a server)',
      client_uri: 'https://unknown-vendor.example.org/product/page',
      redirect_uris: ['https://unknown-vendor.example.org/oauth/mcp/callback', 'http://localhost:12345/some/callback'],
      token_endpoint_auth_method: 'none',
    });
    expect(issued?.id.length).toBeLessThanOrEqual(255);
  });

  test('two registrations of the same client have two ids, and both are known', () => {
    const [one, other] = [clients.issue(publicClient), clients.issue(publicClient)];
    expect(one?.id).not.toBe(other?.id);
    expect(clients.find(one?.id ?? '')?.metadata).toEqual(clients.find(other?.id ?? '')?.metadata);
  });

  test('metadata beyond 1,024 characters gets no id', () => {
    const random = (length: number) =>
      Array.from({ length: Math.ceil(length / 64) }, (_, i) => createHash('sha256').update(`${i}`).digest('hex')).join(
        '',
      );
    const ofSize = (length: number) => ({
      redirect_uris: [`https://client.test/${random(length).slice(0, length)}`],
      token_endpoint_auth_method: 'none' as const,
    });
    expect(clients.issue(ofSize(1_000))?.id.length).toBeLessThanOrEqual(1_024);
    expect(clients.issue(ofSize(2_000))).toBeNull();
  });

  test('text that deflates well is limited when it is inflated', () => {
    const redirect_uris = Array.from({ length: 10 }, (_, i) => `https://client.test/${i}${'a'.repeat(2_000)}`);
    const issued = clients.issue({ redirect_uris, token_endpoint_auth_method: 'none' });
    expect(clientsOf([OLD]).find(issued?.id ?? '')?.metadata.redirect_uris).toEqual(redirect_uris);
    const dictionary = dictionaries.get(CURRENT_DICTIONARY) as Buffer;
    const metadata = { redirect_uris: ['a'.repeat(40_000)], token_endpoint_auth_method: 'none' as const };
    const bomb = packRegistration({ metadata, issuedAt: 1 }, deflater(dictionary));
    expect(bomb.length).toBeLessThan(100);
    expect(() => unpackRegistration(bomb, dictionary)).toThrow();
  });

  test('what is packed is what is unpacked', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '/', '\u00e9', '\u{1f680}', ' ', ':'), minLength: 1 });
    const metadata: fc.Arbitrary<ClientMetadata> = fc.record(
      {
        redirect_uris: fc.array(text, { minLength: 1, maxLength: 10 }),
        token_endpoint_auth_method: fc.constantFrom('none', 'client_secret_basic', 'client_secret_post'),
        client_name: text,
        client_uri: text,
        application_type: fc.constantFrom('native', 'web'),
      },
      { requiredKeys: ['redirect_uris', 'token_endpoint_auth_method'] },
    );
    const dictionary = dictionaries.get(CURRENT_DICTIONARY) as Buffer;
    const deflate = deflater(dictionary);
    fc.assert(
      fc.property(metadata, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (before, issuedAt) => {
        // The second time the deflated text is remembered.
        for (const time of [issuedAt, issuedAt ^ 1]) {
          const registration = { metadata: before, issuedAt: time >>> 0 };
          expect(unpackRegistration(packRegistration(registration, deflate), dictionary)).toEqual(registration);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('the dictionary of version 1 is frozen: another text would lose every id', () => {
    const digests = [...dictionaries].map(([version, text]) => [
      version,
      createHash('sha256').update(text).digest('hex'),
    ]);
    expect(digests).toEqual([[1, DIGEST_OF_VERSION_1]]);
    // An id issued with it, under OLD and ISSUER.
    expect(clientsOf([OLD]).find(ID_OF_VERSION_1)?.metadata).toEqual(publicClient);
  });

  test.each([
    '',
    'x',
    'client-1',
    '__proto__',
    'constructor',
    'https://client.test/metadata.json',
    '../../etc/passwd',
    'AQ',
    'A'.repeat(60),
    'A'.repeat(1_024),
    'A'.repeat(100_000),
    '\u0000',
    '\ud800',
    '*',
  ])('attack 85: the made-up id %j is nobody', id => {
    expect(clients.find(id)).toBeNull();
  });

  test('an id that was touched anywhere is nobody, and so is one that only looks different', () => {
    const { id } = clients.issue(publicClient) as { id: string };
    for (let at = 0; at < id.length; at++) {
      const touched = `${id.slice(0, at)}${id[at] === 'A' ? 'B' : 'A'}${id.slice(at + 1)}`;
      expect([at, clients.find(touched)]).toEqual([at, null]);
    }
    for (const near of [
      `${id}=`,
      `${id}A`,
      ` ${id}`,
      `${id}\n`,
      id.slice(0, -1),
      id.slice(1),
      id.replace(/[-_]/g, '+'),
    ])
      expect([near, near === id ? null : clients.find(near)]).toEqual([near, null]);
    // The last character has bits that are not used: another one would decode to the same bytes.
    const bytes = Buffer.from(id, 'base64url');
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twins = [...alphabet]
      .map(last => id.slice(0, -1) + last)
      .filter(twin => twin !== id && Buffer.from(twin, 'base64url').equals(bytes));
    for (const twin of twins) expect(clients.find(twin)).toBeNull();
  });

  test('ids are bound to purpose and issuer', () => {
    const { id } = clients.issue(publicClient) as { id: string };
    expect(clientsOf([OLD], 'https://other.test').find(id)).toBeNull();
    const other = sealedClients(
      purpose => keyDerivation([OLD], ISSUER)(`not ${purpose}`),
      () => NOW,
    );
    expect(other.find(id)).toBeNull();
  });

  test('attack 64: the id tells nothing about its client', () => {
    const { id } = clients.issue(publicClient) as { id: string };
    expect(Buffer.from(id, 'base64url').toString('latin1')).not.toMatch(/cursor|http/i);
  });

  test('E-16, R-6: a client that authenticates with none has no secret, and none is right', () => {
    const issued = clients.issue(publicClient);
    expect(issued).not.toHaveProperty('secret');
    const client = clients.find(issued?.id ?? '');
    for (const secret of ['', 'x', issued?.id ?? '']) expect(client?.isSecret(secret)).toBe(false);
  });

  test('a secret belongs to its id, and to no other', () => {
    const [one, other] = [clients.issue(secretClient), clients.issue(secretClient)];
    expect(one?.secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(one?.secret).not.toBe(other?.secret);
    const client = clients.find(one?.id ?? '');
    expect(client?.isSecret(one?.secret ?? '')).toBe(true);
    for (const wrong of [
      '',
      'x',
      other?.secret ?? '',
      `${one?.secret}=`,
      `${one?.secret} `,
      one?.secret?.slice(1) ?? '',
    ])
      expect([wrong, client?.isSecret(wrong)]).toEqual([wrong, false]);
  });

  test('G-4: ids and secrets survive the rotation of the server secret', () => {
    const issued = clients.issue(secretClient);
    for (const secrets of [[NEW, OLD], [OLD, NEW], [OLD]]) {
      const client = clientsOf(secrets).find(issued?.id ?? '');
      expect(client?.isSecret(issued?.secret ?? '')).toBe(true);
      expect(client?.isSecret('x')).toBe(false);
    }
    expect(clientsOf([NEW]).find(issued?.id ?? '')).toBeNull();
    const later = clientsOf([NEW, OLD]).issue(secretClient);
    expect(
      clientsOf([NEW])
        .find(later?.id ?? '')
        ?.isSecret(later?.secret ?? ''),
    ).toBe(true);
  });

  test('a client that was found is frozen, and found again as the same', () => {
    const { id } = clients.issue(publicClient) as { id: string };
    const client = clients.find(id);
    expect(clients.find(id)).toBe(client);
    expect(Object.isFrozen(client?.metadata) && Object.isFrozen(client?.metadata.redirect_uris)).toBe(true);
  });
});
