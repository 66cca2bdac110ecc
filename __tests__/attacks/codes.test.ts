import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { OAuthClient, REDIRECT, type Tokens } from '../support/oauth-client.js';
import { expectFailure, expectNothingStored, expectRedirectError, expectTokens } from './support/verdicts.js';
import { world } from './support/worlds.js';

const s256 = (verifier: string) => createHash('sha256').update(verifier).digest('base64url');

describe('attack 15: a code in the session of another (O-17, RFC 7636)', () => {
  test('a code of A with the verifier of B is refused, and stays good for A (attack 15)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const { verifier } = client;
    await expectNothingStored(app.store, async () =>
      expectFailure(
        await client.redeem(code, { code_verifier: randomBytes(32).toString('base64url') }),
        401,
        'invalid_grant',
      ),
    );
    expectTokens(await client.redeem(code, { code_verifier: verifier }));
  });

  test('a code with another redirect_uri is refused, and stays good (attack 15, K15)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    for (const redirect_uri of ['https://evil.test/cb', 'http://127.0.0.1:1/callback', `${REDIRECT}/`])
      await expectNothingStored(app.store, async () =>
        expectFailure(await client.redeem(code, { redirect_uri }), 401, 'invalid_grant'),
      );
    expectTokens(await client.redeem(code));
  });
});

describe('attack 16: a code comes again (OAuth 2.1 section 4.1.3)', () => {
  test('soon after, it is refused and ends nothing: that was the client asking twice (attack 16)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const { body } = await client.redeem(code);
    expectFailure(await client.redeem(code), 401, 'invalid_grant');
    expect((await app.call(String(body.access_token))).status).toBe(200);
  });

  test('later it is refused and ends every token that it gave (attack 16)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const { body } = await client.redeem(code);
    const renewed = (await client.refresh(body.refresh_token)).body;
    app.clock.pass(31);
    expectFailure(await client.redeem(code), 401, 'invalid_grant');
    for (const token of [body.access_token, renewed.access_token])
      expect((await app.call(String(token))).status).toBe(401);
    expectFailure(await client.refresh(renewed.refresh_token), 401, 'invalid_grant');
    expect(app.provider.of('/revoke')).toHaveLength(1);
  });

  test('a replay by somebody who cannot prove the verifier ends nothing (attack 16, attack 18)', async () => {
    const app = await world();
    const client = await app.client();
    const other = await app.client();
    const code = await client.code();
    const { body } = await client.redeem(code);
    app.clock.pass(31);
    expectFailure(await client.redeem(code, { code_verifier: 'x'.repeat(43) }), 401, 'invalid_grant');
    other.verifier = client.verifier;
    expectFailure(await other.redeem(code), 401, 'invalid_grant');
    expect((await app.call(String(body.access_token))).status).toBe(200);
  });

  test('a code that nobody redeems is gone after its minute (attack 16, AS-20)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    app.clock.pass(60);
    expectFailure(await client.redeem(code), 401, 'invalid_grant');
  });
});

describe('attack 18: the code of another client', () => {
  test('is refused, and stays good for the right one (attack 18)', async () => {
    const app = await world();
    const client = await app.client();
    const thief = await app.client({ client_name: 'Thief' });
    const code = await client.code();
    thief.verifier = client.verifier;
    await expectNothingStored(app.store, async () => expectFailure(await thief.redeem(code), 401, 'invalid_grant'));
    expectTokens(await client.redeem(code));
  });
});

describe('attack 19: PKCE downgrade (AS-8, K16, K19)', () => {
  const verifier = randomBytes(32).toString('base64url');
  test.each([
    ['no challenge', { code_challenge: undefined, code_challenge_method: undefined }],
    ['a method and no challenge', { code_challenge: undefined }],
    ['an empty challenge', { code_challenge: '' }],
    ['no method', { code_challenge_method: undefined }],
    ['the method plain', { code_challenge: verifier, code_challenge_method: 'plain' }],
    ['the method s256', { code_challenge_method: 's256' }],
    ['an unknown method', { code_challenge_method: 'S512' }],
    ['a challenge of 42 characters', { code_challenge: s256(verifier).slice(1) }],
    ['a challenge of 44 characters', { code_challenge: `${s256(verifier)}A` }],
    ['a challenge of 129 characters', { code_challenge: 'a'.repeat(129) }],
    ['a padded challenge', { code_challenge: `${s256(verifier).slice(0, 42)}=` }],
    ['a challenge of the other alphabet', { code_challenge: `${s256(verifier).slice(0, 41)}+/` }],
    ['a challenge with a line break', { code_challenge: `${s256(verifier)}\n` }],
  ])('%s is invalid_request (attack 19)', async (_, changes) => {
    const app = await world();
    const page = await (await app.client()).authorize(changes as Record<string, string>);
    expectRedirectError(page, REDIRECT, 'invalid_request', app.base);
  });

  test('a confidential client needs it, too (attack 19)', async () => {
    const app = await world();
    const client = await app.client({ token_endpoint_auth_method: 'client_secret_basic' });
    const page = await client.authorize({ code_challenge: undefined, code_challenge_method: undefined });
    expectRedirectError(page, REDIRECT, 'invalid_request', app.base);
  });
});

describe('attack 20: the verifier is left out or bent', () => {
  test.each([
    ['none', undefined, 'invalid_request'],
    ['an empty one', '', 'invalid_request'],
    ['one of 42 characters', 'x'.repeat(42), 'invalid_request'],
    ['one of 129 characters', 'x'.repeat(129), 'invalid_request'],
    ['one with other characters', `${'x'.repeat(42)}+`, 'invalid_request'],
    ['the challenge itself', 'challenge', 'invalid_grant'],
  ])('%s is refused, and the code stays good (attack 20)', async (_, given, error) => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const code_verifier = given === 'challenge' ? s256(client.verifier) : given;
    await expectNothingStored(app.store, async () =>
      expectFailure(await client.redeem(code, { code_verifier }), error === 'invalid_grant' ? 401 : 400, error),
    );
    expectTokens(await client.redeem(code));
  });

  test('two verifiers are refused (attack 9, attack 20)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const form = new URLSearchParams({ grant_type: 'authorization_code', client_id: client.id, code });
    for (const each of ['x'.repeat(43), client.verifier]) form.append('code_verifier', each);
    const answer = await fetch(`${app.base}/token`, { method: 'POST', body: form });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' });
  });
});

describe('attack 21: one challenge for two requests', () => {
  test('each code still belongs to its own sign-in (attack 21)', async () => {
    const app = await world();
    const client = await app.client();
    const verifier = randomBytes(32).toString('base64url');
    const codes = [
      await client.code({ code_challenge: s256(verifier) }),
      await client.code({ code_challenge: s256(verifier) }),
    ];
    const answers = [];
    for (const code of codes) answers.push(await client.redeem(code, { code_verifier: verifier }));
    answers.forEach(expectTokens);
    const [one, two] = answers.map(({ body }) => body as unknown as Tokens);
    await client.revoke(one?.refresh_token);
    expect((await app.call(String(two?.access_token))).status).toBe(200);
  });
});

describe('attack 17: many redemptions at once (K26)', () => {
  test('twenty at once: one answer, and the others change nothing (attack 17)', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.redeem(code)));
    const [won, ...others] = answers.filter(({ status }) => status === 200);
    expect(others).toEqual([]);
    for (const answer of answers) if (answer !== won) expectFailure(answer, 401, 'invalid_grant');
    expect((await app.call(String(won?.body.access_token))).status).toBe(200);
  });
});

describe('made-up and bent codes', () => {
  test.each([
    '',
    'mcp_ac_',
    'mcp_ac_AAAA',
    `mcp_ac_${'A'.repeat(64)}`,
    `mcp_ac_${'A'.repeat(65)}`,
    `mcp_ac_${'!'.repeat(64)}`,
    'x'.repeat(5_000),
    '__proto__',
    'null',
  ])('%j is refused (attack 85)', async code => {
    const app = await world();
    const client = await app.client();
    await client.code();
    await expectNothingStored(app.store, async () =>
      expectFailure(
        await client.redeem(code),
        code === '' ? 400 : 401,
        code === '' ? 'invalid_request' : 'invalid_grant',
      ),
    );
  });

  test('a code with another secret or spelling is refused, and the real one stays good', async () => {
    const app = await world();
    const client = await app.client();
    const code = await client.code();
    const bytes = Buffer.from(code.slice(7), 'base64url');
    bytes.writeUInt8(bytes.readUInt8(47) ^ 1, 47);
    for (const bent of [
      `mcp_ac_${bytes.toString('base64url')}`,
      `${code}=`,
      `${code}A`,
      code.toUpperCase(),
      ` ${code}`,
    ])
      expectFailure(await client.redeem(bent), 401, 'invalid_grant');
    expectTokens(await client.redeem(code));
  });

  test('a code of one server is nothing to another, even over the same store', async () => {
    const app = await world();
    const other = await app.replica({ issuerUrl: `${app.base}/other` });
    const client = await app.client();
    const code = await client.code();
    const there = new OAuthClient({ base: other.origin }, { id: client.id });
    there.verifier = client.verifier;
    expectFailure(await there.redeem(code), 401, 'invalid_client');
    const registered = await OAuthClient.register({ base: other.origin });
    registered.verifier = client.verifier;
    expectFailure(await registered.redeem(code), 401, 'invalid_grant');
  });
});
