import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express from 'express';
import { type Auth, getAuth, jwtVerifier, multiAuth, remoteAuth, staticTokenVerifier } from 'express-mcp-auth';
import request from 'supertest';
import { accepted, BASE, call, challenge, mcpApp, RESOURCE, vendor } from '../support/composition.js';
import { type IdentityProvider, identityProvider } from '../support/identity-provider.js';

const WELL_KNOWN = '/.well-known/oauth-protected-resource/mcp';
const KEY = 'scoped-key-0123456789abcdef';
const keys = (scopes: string[] = [], requiredScopes?: readonly string[]) =>
  staticTokenVerifier({ [KEY]: { clientId: 'ci', scopes } }, requiredScopes ? { requiredScopes } : {});

let idp: IdentityProvider;
beforeAll(async () => {
  idp = await identityProvider();
});
afterAll(() => idp.close());

type RemoteOptions = Parameters<typeof remoteAuth>[0];
const people = (options: Partial<RemoteOptions> = {}, verifierScopes?: readonly string[]) =>
  remoteAuth({
    verifier: jwtVerifier({ issuer: idp.issuer, ...(verifierScopes ? { requiredScopes: verifierScopes } : {}) }),
    authorizationServers: [idp.issuer],
    baseUrl: BASE,
    ...options,
  });
const mint = (scope = '') => idp.mint({ aud: RESOURCE, sub: 'user-1', scope });
const metadata = async (auth: Auth) => (await request(mcpApp(auth)).get(WELL_KNOWN)).body;

/** Status and scope of the challenge, of a call with a token. */
async function outcome(auth: Auth, token?: string): Promise<[number, string | undefined]> {
  const response = await call(auth, token);
  return [response.status, response.status === 200 ? undefined : challenge(response).scope];
}

describe('the scopes that a token needs (rule 7)', () => {
  test('D2: a key is held to the scopes of its own source, not to those of the OAuth server', async () => {
    const auth = multiAuth(people({ requiredScopes: ['openid'] }), keys(['read'], ['read']));
    expect(await outcome(auth, KEY)).toEqual([200, undefined]);
    expect(await outcome(auth, await mint('read'))).toEqual([403, 'openid']);
    expect(await outcome(auth, await mint('openid'))).toEqual([200, undefined]);
  });

  test("D2: a source that was given no list is held to the server's", async () => {
    const auth = multiAuth(people({ requiredScopes: ['openid'] }), keys(['read']));
    expect(await outcome(auth, KEY)).toEqual([403, 'openid']);
    expect(await outcome(multiAuth(people({ requiredScopes: ['openid'] }), keys(['openid'])), KEY)).toEqual([
      200,
      undefined,
    ]);
  });

  test('D2: an empty list given to a source asks nothing of its tokens', async () => {
    const auth = multiAuth(people({ requiredScopes: ['openid'] }), keys(['read'], []));
    expect(await outcome(auth, KEY)).toEqual([200, undefined]);
    expect(await outcome(auth, await mint('read'))).toEqual([403, 'openid']);
  });

  test('the list of the composition stands for all sources, in place of their own', async () => {
    const auth = multiAuth(people({ requiredScopes: ['openid'] }), keys(['read'], ['read']), {
      requiredScopes: ['admin'],
    });
    expect(await outcome(auth, KEY)).toEqual([403, 'admin']);
    expect(await outcome(auth, await mint('openid'))).toEqual([403, 'admin']);
    expect(await outcome(auth, await mint('admin'))).toEqual([200, undefined]);
  });

  test('an empty list of the composition clears guard, challenge, metadata and every wrapped source', async () => {
    const auth = multiAuth(people({ requiredScopes: ['openid'] }, ['profile']), keys([], ['read']), {
      requiredScopes: [],
    });
    expect(auth.requiredScopes).toEqual([]);
    expect(auth.scopesSupported).toEqual([]);
    expect(auth.challengeScopes()).toEqual([]);
    expect(await outcome(auth, KEY)).toEqual([200, undefined]);
    expect(await outcome(auth, await mint())).toEqual([200, undefined]);
    expect(await outcome(auth)).toEqual([401, undefined]);
    expect(await outcome(auth, 'unknown-token')).toEqual([401, undefined]);
    expect(await metadata(auth)).not.toHaveProperty('scopes_supported');
    expect(await auth.verifyToken(KEY)).not.toBeNull();
  });

  test('an empty list clears two levels down too', async () => {
    const inner = multiAuth(people({ requiredScopes: ['a'] }), keys([], ['b']), { requiredScopes: ['c'] });
    const auth = multiAuth(multiAuth(inner), { requiredScopes: [] });
    expect(await outcome(auth, KEY)).toEqual([200, undefined]);
    expect(await outcome(auth, await mint())).toEqual([200, undefined]);
    expect(await outcome(inner, KEY)).toEqual([403, 'c']);
  });

  test('the list of a nested composition is the one its sources were given', async () => {
    const nested = multiAuth([keys(['x'], ['b'])], { requiredScopes: ['n'] });
    expect(await outcome(multiAuth(people({ requiredScopes: ['openid'] }), [nested]), KEY)).toEqual([403, 'n']);
    const given = multiAuth([keys(['x'], ['b'])]);
    expect(await outcome(multiAuth(people({ requiredScopes: ['openid'] }), [given]), KEY)).toEqual([403, 'b']);
    const none = multiAuth([keys(['x'])]);
    expect(await outcome(multiAuth(people({ requiredScopes: ['openid'] }), [none]), KEY)).toEqual([403, 'openid']);
    const cleared = multiAuth([keys(['x'], ['b'])], { requiredScopes: [] });
    expect(await outcome(multiAuth(people({ requiredScopes: ['openid'] }), [cleared]), KEY)).toEqual([200, undefined]);
  });

  test('MA-3 RS-14: a missing scope is 403 from every kind of source, never 401', async () => {
    const api = vendor(accepted('vendor', 'read'), { requiredScopes: ['write'] });
    const auth = multiAuth(
      [jwtVerifier({ issuer: idp.issuer, requiredScopes: ['write'] }), keys(['read'], ['write']), api.source],
      {
        baseUrl: BASE,
      },
    );
    for (const token of [KEY, await mint('read'), 'opaque']) expect((await call(auth, token)).status).toBe(403);
  });

  test('RS-15: the challenge of a 403 names all scopes that are needed, the granted ones too', async () => {
    const auth = multiAuth(keys(['b']), { requiredScopes: ['a', 'b', 'c'] });
    expect(await outcome(auth, KEY)).toEqual([403, 'a b c']);
  });

  test('C10: scopes match whole: neither a part of a word nor a scope that is a string', async () => {
    expect((await outcome(multiAuth(keys(['readwrite', 'READ']), { requiredScopes: ['read'] }), KEY))[0]).toBe(403);
    const sloppy = vendor(token => ({ token, clientId: 'x', scopes: 'readwrite' }));
    expect((await call(multiAuth(sloppy.source, { requiredScopes: ['read'] }), 'token')).status).not.toBe(200);
  });
});

describe('scopes and nesting (rules 7 and 10)', () => {
  const OTHER = 'other-key-0123456789abcdef';
  const mixed = () => multiAuth([keys(['x'], ['a']), staticTokenVerifier({ [OTHER]: { clientId: 'other' } })]);

  test('a composition put into another one without options keeps its rules, in the server position and in the list', async () => {
    for (const auth of [mixed(), multiAuth(null, [mixed()]), multiAuth(mixed()), multiAuth(multiAuth(mixed()))]) {
      expect(await outcome(auth, KEY)).toEqual([403, 'a']);
      expect(await outcome(auth, OTHER)).toEqual([200, undefined]);
    }
  });

  test('remoteAuth keeps asking per token what its verifiers were given when it becomes the server', async () => {
    const verifier = [keys(['x'], ['a']), staticTokenVerifier({ [OTHER]: { clientId: 'other' } })];
    const server = remoteAuth({ verifier, authorizationServers: [idp.issuer], baseUrl: BASE });
    for (const auth of [server, multiAuth(server), multiAuth(server, vendor(() => null).source)]) {
      expect(await outcome(auth, KEY)).toEqual([403, 'a']);
      expect(await outcome(auth, OTHER)).toEqual([200, undefined]);
    }
  });
});

describe('scopeSatisfies (rule 7)', () => {
  const hierarchy = (granted: readonly string[], required: string) =>
    granted.includes(required) || (granted.includes('admin') && required !== 'owner');

  test('RS-16: a broad scope implies a narrow one, and only where the function says so', async () => {
    const auth = multiAuth(keys(['admin']), { requiredScopes: ['read', 'write'], scopeSatisfies: hierarchy });
    expect(await outcome(auth, KEY)).toEqual([200, undefined]);
    expect(await auth.verifyToken(KEY)).not.toBeNull();
    const owner = multiAuth(keys(['admin']), { requiredScopes: ['owner'], scopeSatisfies: hierarchy });
    expect(await outcome(owner, KEY)).toEqual([403, 'owner']);
    expect(await outcome(multiAuth(keys(['admin']), { requiredScopes: ['read'] }), KEY)).toEqual([403, 'read']);
  });

  test("it reaches the rule of a source, the server's rule and protect(), from the composition and from the server", async () => {
    for (const auth of [
      multiAuth(people(), keys(['admin'], ['read']), { scopeSatisfies: hierarchy }),
      multiAuth(people({ scopeSatisfies: hierarchy }), keys(['admin'], ['read'])),
      multiAuth(people({ scopeSatisfies: hierarchy, requiredScopes: ['read'] }), keys(['admin'])),
      multiAuth(people({ requiredScopes: ['openid'] }), [multiAuth([keys(['admin'], ['read'])])], {
        scopeSatisfies: hierarchy,
      }),
    ]) {
      expect(await outcome(auth, KEY)).toEqual([200, undefined]);
      const app = express();
      app.post('/mcp', auth.protect({ requiredScopes: ['write'] }), (req, res) => {
        res.json(getAuth(req));
      });
      expect((await call(app, KEY)).status).toBe(200);
    }
  });

  test('it is asked about each required scope with what the token carries', async () => {
    const questions: [readonly string[], string][] = [];
    const auth = multiAuth(keys(['x', 'y']), {
      requiredScopes: ['a', 'b'],
      scopeSatisfies: (granted, required) => {
        questions.push([[...granted], required]);
        return true;
      },
    });
    await auth.verifyToken(KEY);
    expect(questions).toEqual([
      [['x', 'y'], 'a'],
      [['x', 'y'], 'b'],
    ]);
  });
});

describe('scopes before a source is known (rule 8)', () => {
  const served = (auth: Auth) => Promise.all([outcome(auth), metadata(auth)]);

  test.each<[string, () => Auth, string[]]>([
    [
      'own list',
      () => multiAuth(people({ requiredScopes: ['s'] }), keys([], ['v']), { requiredScopes: ['o', 'p'] }),
      ['o', 'p'],
    ],
    ["the server's", () => multiAuth(people({ requiredScopes: ['s'] }), keys([], ['v'])), ['s']],
    [
      'the union of what the verifiers were given, without a server',
      () =>
        multiAuth([keys([], ['v']), vendor(() => null, { requiredScopes: ['v', 'x'] }).source], {
          authorizationServers: [idp.issuer],
          baseUrl: BASE,
        }),
      ['v', 'x'],
    ],
  ])('%s is in requiredScopes, scopesSupported, the document and the challenge of a 401', async (_, make, scopes) => {
    const auth = make();
    expect(auth.requiredScopes).toEqual(scopes);
    expect(auth.scopesSupported).toEqual(scopes);
    expect(auth.challengeScopes()).toEqual(scopes);
    const [refused, document] = await served(auth);
    expect(refused).toEqual([401, scopes.join(' ')]);
    expect(document.scopes_supported).toEqual(scopes);
    expect(await outcome(auth, 'unknown-token')).toEqual([401, scopes.join(' ')]);
  });

  test('A15 RS-6: no scopes at all publish no member and challenge no scope', async () => {
    const [refused, document] = await served(multiAuth(people(), keys()));
    expect(refused).toEqual([401, undefined]);
    expect(document).not.toHaveProperty('scopes_supported');
    expect(
      await metadata(multiAuth(people({ requiredScopes: ['s'] }), keys(), { scopesSupported: [] })),
    ).not.toHaveProperty('scopes_supported');
  });

  test.each<[string, () => Auth, string[]]>([
    [
      'own option',
      () =>
        multiAuth(people({ scopesSupported: ['s1'], requiredScopes: ['r'] }), keys(), {
          scopesSupported: ['o1', 'o2'],
        }),
      ['o1', 'o2'],
    ],
    [
      "the server's explicit list",
      () => multiAuth(people({ scopesSupported: ['s1', 's2'], requiredScopes: ['r'] }), keys()),
      ['s1', 's2'],
    ],
    [
      "the server's explicit list, after an override of what is required",
      () =>
        multiAuth(people({ scopesSupported: ['s1', 's2'], requiredScopes: ['r'] }), keys(), { requiredScopes: ['s2'] }),
      ['s1', 's2'],
    ],
    [
      'what is required, where the server has no explicit list',
      () => multiAuth(people({ requiredScopes: ['r'] }), keys(), { requiredScopes: ['o'] }),
      ['o'],
    ],
  ])('scopesSupported: %s', async (_, make, scopes) => {
    const auth = make();
    expect(auth.scopesSupported).toEqual(scopes);
    expect((await metadata(auth)).scopes_supported).toEqual(scopes);
  });

  test('A15: what is supported is never required nor challenged', async () => {
    const auth = multiAuth(
      people({ scopesSupported: ['read', 'write', 'admin'], requiredScopes: ['read'] }),
      keys(['read']),
    );
    expect(await outcome(auth)).toEqual([401, 'read']);
    expect(await outcome(auth, KEY)).toEqual([200, undefined]);
  });

  test('RS-7 RS-17: offline_access is in no resource document and no challenge', async () => {
    const auth = multiAuth(
      people({ requiredScopes: ['read', 'offline_access'], scopesSupported: ['read', 'offline_access'] }),
      keys(),
    );
    const [refused, document] = await served(auth);
    expect(refused).toEqual([401, 'read']);
    expect(document.scopes_supported).toEqual(['read']);
    const derived = multiAuth(people({ requiredScopes: ['offline_access'] }), keys(['read']));
    expect(await metadata(derived)).not.toHaveProperty('scopes_supported');
    expect((await outcome(derived))[1]).toBeUndefined();
    const translated = multiAuth(
      people({ requiredScopes: ['read'], challengeScopes: ['api/read', 'offline_access'] }),
      keys(),
    );
    expect(await outcome(translated)).toEqual([401, 'api/read']);
    expect((await outcome(derived, KEY))[1] ?? '').not.toContain('offline_access');
  });
});

describe('challengeScopes: the form in which scopes are asked for (rule 8)', () => {
  const prefixed = (required: readonly string[]) => required.map(scope => `api://app/${scope}`);

  test('a list stands for what is required at its level, in the 401, the 403 and challengeScopes()', async () => {
    const auth = multiAuth(people(), keys(['x']), {
      requiredScopes: ['read'],
      challengeScopes: ['api://app/read', 'extra'],
    });
    expect(auth.requiredScopes).toEqual(['read']);
    expect(auth.scopesSupported).toEqual(['read']);
    expect(auth.challengeScopes()).toEqual(['api://app/read', 'extra']);
    expect(await outcome(auth)).toEqual([401, 'api://app/read extra']);
    expect(await outcome(auth, 'unknown-token')).toEqual([401, 'api://app/read extra']);
    expect(await outcome(auth, KEY)).toEqual([403, 'api://app/read extra']);
  });

  test('the validation form is what a token must carry, not the form of the challenge', async () => {
    const options = { requiredScopes: ['read'], challengeScopes: prefixed };
    expect((await outcome(multiAuth(keys(['read']), options), KEY))[0]).toBe(200);
    expect((await outcome(multiAuth(keys(['api://app/read']), options), KEY))[0]).toBe(403);
  });

  test('scopes beyond the list, from protect(), are added as they are', async () => {
    const auth = multiAuth(people(), keys(['read']), { requiredScopes: ['read'], challengeScopes: ['api://app/read'] });
    expect(auth.challengeScopes(['read', 'write'])).toEqual(['api://app/read', 'write']);
    const app = express();
    app.post('/mcp', auth.protect({ requiredScopes: ['write'] }), (_req, res) => {
      res.end();
    });
    for (const [token, status] of [
      [undefined, 401],
      [KEY, 403],
    ] as const) {
      const refused = await call(app, token);
      expect(refused.status).toBe(status);
      expect(challenge(refused).scope).toBe('api://app/read write');
    }
  });

  test('a function translates whatever is required', async () => {
    const auth = multiAuth(people(), keys(['x']), { requiredScopes: ['read'], challengeScopes: prefixed });
    expect(auth.challengeScopes()).toEqual(['api://app/read']);
    expect(auth.challengeScopes(['admin'])).toEqual(['api://app/admin']);
    expect(await outcome(auth)).toEqual([401, 'api://app/read']);
    expect(await outcome(auth, KEY)).toEqual([403, 'api://app/read']);
  });

  test("the server's translation is used for the server's scopes", async () => {
    for (const challengeScopes of [['api://app/read'], prefixed]) {
      const auth = multiAuth(people({ requiredScopes: ['read'], challengeScopes }), keys(['x']));
      expect(auth.challengeScopes()).toEqual(['api://app/read']);
      expect(await outcome(auth)).toEqual([401, 'api://app/read']);
      expect(await outcome(auth, KEY)).toEqual([403, 'api://app/read']);
    }
  });

  test("an own translation is used in place of the server's", async () => {
    const auth = multiAuth(people({ requiredScopes: ['read'], challengeScopes: ['inner'] }), keys(), {
      challengeScopes: ['outer'],
    });
    expect(await outcome(auth)).toEqual([401, 'outer']);
  });

  test("an override is translated by the server's function, and the server's own scope appears nowhere", async () => {
    const auth = multiAuth(people({ requiredScopes: ['read'], challengeScopes: prefixed }), keys(['read']), {
      requiredScopes: ['admin'],
    });
    expect(await outcome(auth)).toEqual([401, 'api://app/admin']);
    expect(await outcome(auth, KEY)).toEqual([403, 'api://app/admin']);
  });

  test.each<[string, string[], string | undefined]>([
    ['drops one of its scopes: the list stands for nothing', ['read'], 'read'],
    ['replaces its scopes: the list stands for nothing', ['admin'], 'admin'],
    ['clears everything: nothing is challenged', [], undefined],
    [
      'keeps its scopes and adds one: the list stands, the new scope is added',
      ['write', 'read', 'admin'],
      'api/read api/write admin',
    ],
  ])("an override of the server's scopes %s", async (_, requiredScopes, scope) => {
    const server = people({ requiredScopes: ['read', 'write'], challengeScopes: ['api/read', 'api/write'] });
    const auth = multiAuth(server, keys(), { requiredScopes });
    expect(await outcome(auth)).toEqual([401, scope]);
    expect(await outcome(server)).toEqual([401, 'api/read api/write']);
  });

  test('D3: the shortfall of a source with its own scopes is not disguised by the list of the server', async () => {
    const server = people({ requiredScopes: ['openid'], challengeScopes: ['api/openid'] });
    const auth = multiAuth(server, keys(['x'], ['ci']));
    expect(await outcome(auth)).toEqual([401, 'api/openid']);
    expect(await outcome(auth, KEY)).toEqual([403, 'ci']);
  });

  test("without a server the only verifier's translation is used, in 401 and 403", async () => {
    const only = multiAuth([keys(['x'])], { challengeScopes: prefixed });
    const auth = multiAuth(null, [only], { requiredScopes: ['admin'] });
    expect(auth.challengeScopes()).toEqual(['api://app/admin']);
    expect(await outcome(auth)).toEqual([401, 'api://app/admin']);
    expect(await outcome(auth, KEY)).toEqual([403, 'api://app/admin']);
  });

  test('D3: of several verifiers none translates', async () => {
    const first = multiAuth([keys(['x'])], { challengeScopes: prefixed });
    const second = multiAuth([vendor(() => null).source], {
      challengeScopes: required => required.map(s => `other/${s}`),
    });
    const auth = multiAuth(null, [first, second], { requiredScopes: ['admin'] });
    expect(auth.challengeScopes()).toEqual(['admin']);
    expect(await outcome(auth)).toEqual([401, 'admin']);
  });

  test("D3: with a server that translates, a verifier's translation is not used", async () => {
    const nested = multiAuth([keys(['x'])], { challengeScopes: required => required.map(s => `nested/${s}`) });
    const auth = multiAuth(people({ requiredScopes: ['read'], challengeScopes: prefixed }), [nested]);
    expect(await outcome(auth)).toEqual([401, 'api://app/read']);
    expect(await outcome(auth, KEY)).toEqual([403, 'api://app/read']);
  });
});

describe('protect() adds to what the composition requires', () => {
  const behind = (auth: Auth, guards: string[][], order: 'app' | 'route' = 'route') => {
    const app = express();
    if (order === 'app') app.use(auth);
    app.post('/mcp', ...guards.map(requiredScopes => auth.protect({ requiredScopes })), (req, res) => {
      res.json(getAuth(req));
    });
    return app;
  };

  test('the scopes of the source and those of protect() are asked for together', async () => {
    const auth = multiAuth(people({ requiredScopes: ['openid'] }), keys(['ci'], ['ci']));
    const refused = await call(behind(auth, [['write']]), KEY);
    expect(refused.status).toBe(403);
    expect(challenge(refused)).toMatchObject({ error: 'insufficient_scope', scope: 'ci write' });
    expect((await call(behind(multiAuth(keys(['ci', 'write'], ['ci'])), [['write']]), KEY)).status).toBe(200);
  });

  test('an empty list on the composition clears nothing of protect()', async () => {
    const auth = multiAuth(keys(['read'], ['ci']), { requiredScopes: [] });
    expect((await call(behind(auth, [['read']]), KEY)).status).toBe(200);
    expect((await call(behind(auth, [['write']]), KEY)).status).toBe(403);
  });

  test('behind a guard of the same composition it costs no second verification and keeps the identity', async () => {
    const api = vendor(accepted('vendor', 'read'));
    const auth = multiAuth([api.source], { mcpPath: '/mcp' });
    expect((await call(behind(auth, [['read'], ['read']], 'app'), 'token')).body.clientId).toBe('vendor');
    expect(api.asked).toEqual(['token']);
    expect((await call(behind(auth, [['read'], ['write']], 'app'), 'token')).status).toBe(403);
    expect(api.asked).toHaveLength(2);
  });

  test('a scope named twice appears once in the challenge', async () => {
    const auth = multiAuth(keys(['x']), { requiredScopes: ['read'] });
    expect(challenge(await call(behind(auth, [['read', 'write']]), KEY)).scope).toBe('read write');
  });
});
