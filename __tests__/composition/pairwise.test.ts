import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OAuthTokenVerifier } from '@modelcontextprotocol/sdk/server/auth/provider.js';
import {
  type Auth,
  customVerifier,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  remoteAuth,
  staticTokenVerifier,
} from 'express-mcp-auth';
import {
  BASE,
  call,
  challenge,
  type IntrospectionEndpoint,
  introspectionEndpoint,
  mcpApp,
  RESOURCE,
} from '../support/composition.js';
import { type IdentityProvider, identityProvider } from '../support/identity-provider.js';
import { seconds, signingKey } from '../support/keys.js';

/** One source of a kind, with a token of each sort. `side` keeps two of a kind apart. */
interface Specimen {
  source: Auth;
  name: string;
  good: string;
  /** Good, but without the scope that this source asks for. */
  scopeless: string;
  expired: string;
  /** Absent where a kind binds no audience. */
  otherAudience?: string;
}

const OTHER = 'https://other.example.com/mcp';
const opened: { close(): Promise<void> }[] = [];
afterAll(() => Promise.all(opened.map(server => server.close())));

async function provider(): Promise<IdentityProvider> {
  const idp = await identityProvider();
  opened.push(idp);
  return idp;
}

async function jwtTokens(idp: IdentityProvider, scope: string) {
  const mint = (claims: Record<string, unknown>) => idp.mint({ aud: RESOURCE, sub: 'sub', scope, ...claims });
  return {
    good: await mint({}),
    scopeless: await mint({ scope: 'nothing' }),
    expired: await mint({ exp: seconds(-3600) }),
    otherAudience: await mint({ aud: OTHER }),
  };
}

function customSource(name: string, scope: string, shape: 'function' | 'sdk'): Specimen {
  const of = (kind: string) => `${name}_${kind}`;
  const answer = async (token: string) => ({
    token,
    clientId: name,
    scopes: token === of('scopeless') ? ['nothing'] : [scope],
    expiresAt: token === of('expired') ? seconds(-60) : seconds(600),
    ...(token === of('otherAudience') ? { resource: new URL(OTHER) } : {}),
  });
  const sdk: OAuthTokenVerifier = { verifyAccessToken: answer };
  const source = customVerifier({
    name,
    requiredScopes: [scope],
    accepts: token => token.startsWith(`${name}_`),
    verify: shape === 'sdk' ? sdk : answer,
  });
  return {
    source,
    name,
    good: of('good'),
    scopeless: of('scopeless'),
    expired: of('expired'),
    otherAudience: of('otherAudience'),
  };
}

async function introspected(endpoint: IntrospectionEndpoint, name: string, scope: string): Promise<Specimen> {
  const of = (kind: string) => `${name}_${kind}`;
  const active = { active: true, client_id: name, aud: RESOURCE, scope, exp: seconds(600) };
  endpoint.answers.set(of('good'), active);
  endpoint.answers.set(of('scopeless'), { ...active, scope: 'nothing' });
  endpoint.answers.set(of('expired'), { ...active, exp: seconds(-60) });
  endpoint.answers.set(of('otherAudience'), { ...active, aud: OTHER });
  const source = introspectionVerifier({
    name,
    introspectionUrl: endpoint.url,
    clientId: 'rs',
    clientSecret: 'rs-secret-value',
    requiredScopes: [scope],
    accepts: token => token.startsWith(`${name}_`),
  });
  return {
    source,
    name,
    good: of('good'),
    scopeless: of('scopeless'),
    expired: of('expired'),
    otherAudience: of('otherAudience'),
  };
}

const kinds: Record<string, (side: string) => Promise<Specimen>> = {
  jwt: async side => {
    const idp = await provider();
    const name = `jwt-${side}`;
    return {
      source: jwtVerifier({ name, issuer: idp.issuer, requiredScopes: [name] }),
      name,
      ...(await jwtTokens(idp, name)),
    };
  },
  static: async side => {
    const name = `static-${side}`;
    const key = (kind: string) => `${name}-${kind}-0123456789`;
    const source = staticTokenVerifier(
      {
        [key('good')]: { clientId: name, scopes: [name] },
        [key('scopeless')]: { clientId: name, scopes: ['nothing'] },
        [key('expired')]: { clientId: name, scopes: [name], expiresAt: seconds(-60) },
      },
      { name, requiredScopes: [name] },
    );
    return { source, name, good: key('good'), scopeless: key('scopeless'), expired: key('expired') };
  },
  introspection: async side => {
    const endpoint = await introspectionEndpoint();
    opened.push(endpoint);
    return introspected(endpoint, `introspection-${side}`, `introspection-${side}`);
  },
  custom: async side => customSource(`custom-${side}`, `custom-${side}`, 'function'),
  sdk: async side => customSource(`sdk-${side}`, `sdk-${side}`, 'sdk'),
  remoteAuth: async side => {
    const idp = await provider();
    const name = `people-${side}`;
    const verifier = jwtVerifier({ name, issuer: idp.issuer });
    const source = remoteAuth({ verifier, authorizationServers: [idp.issuer], baseUrl: BASE, requiredScopes: [name] });
    return { source, name, ...(await jwtTokens(idp, name)) };
  },
  nested: async side => {
    const specimen = await (kinds.jwt as (side: string) => Promise<Specimen>)(`nested-${side}`);
    const noise = customVerifier({ name: `noise-${side}`, accepts: () => false, verify: () => null });
    return { ...specimen, source: multiAuth([noise, specimen.source]) };
  },
};

describe('M6: every pair of sources, in both orders', () => {
  const firsts = new Map<string, Specimen>();
  const seconds_ = new Map<string, Specimen>();
  let foreign: string[];
  beforeAll(async () => {
    for (const [kind, make] of Object.entries(kinds)) {
      firsts.set(kind, await make('one'));
      seconds_.set(kind, await make('two'));
    }
    const stranger = await signingKey();
    foreign = [
      await stranger.sign({
        iss: 'https://stranger.example.com',
        aud: RESOURCE,
        exp: seconds(60),
        scope: 'jwt-one static-one',
      }),
      'an-unknown-opaque-token-0123456789',
    ];
  });

  const pairs = Object.keys(kinds).flatMap(first => Object.keys(kinds).map(second => [first, second] as const));

  test.each(pairs)('%s before %s: each token is judged by its own source alone', async (one, two) => {
    const [first, second] = [firsts.get(one) as Specimen, seconds_.get(two) as Specimen];
    const app = mcpApp(multiAuth(null, [first.source, second.source], { baseUrl: BASE }));
    for (const specimen of [first, second]) {
      const good = await call(app, specimen.good);
      expect([specimen.name, good.status, good.body.extra?.source]).toEqual([specimen.name, 200, specimen.name]);
      expect(good.body.scopes).toEqual([specimen.name]);
      const short = await call(app, specimen.scopeless);
      expect([short.status, challenge(short).scope]).toEqual([403, specimen.name]);
      for (const bad of [specimen.expired, specimen.otherAudience]) {
        if (bad === undefined) continue;
        const refused = await call(app, bad);
        expect([specimen.name, refused.status, challenge(refused).error]).toEqual([
          specimen.name,
          401,
          'invalid_token',
        ]);
      }
    }
    for (const token of foreign) {
      const refused = await call(app, token);
      expect([refused.status, challenge(refused).error]).toEqual([401, 'invalid_token']);
    }
  });

  test.each(Object.keys(kinds))(
    'the server position beside %s: both are recognised, a foreign token is refused',
    async kind => {
      const server = firsts.get('remoteAuth') as Specimen;
      const second = seconds_.get(kind) as Specimen;
      const app = mcpApp(multiAuth(server.source, [second.source]));
      expect((await call(app, server.good)).body.extra.source).toBe(server.name);
      expect((await call(app, second.good)).body.extra.source).toBe(second.name);
      expect(challenge(await call(app, server.scopeless)).scope).toBe(server.name);
      expect(challenge(await call(app, second.scopeless)).scope).toBe(second.name);
      for (const token of [server.expired, server.otherAudience, second.expired, ...foreign]) {
        expect((await call(app, token)).status).toBe(401);
      }
    },
  );

  test('many requests at once of all sources through one composition: nobody gets the identity of another', async () => {
    const specimens = [...firsts.values()];
    const auth = multiAuth(
      null,
      specimens.map(specimen => specimen.source),
      { baseUrl: BASE },
    );
    const jobs = Array.from({ length: 210 }, (_, i) => specimens[i % specimens.length] as Specimen);
    const answers = await Promise.all(jobs.map(specimen => auth.verifyToken(specimen.good)));
    expect(answers.map(answer => answer?.extra.source)).toEqual(jobs.map(specimen => specimen.name));
    expect(answers.map(answer => answer?.token)).toEqual(jobs.map(specimen => specimen.good));
    expect(new Set(answers).size).toBe(jobs.length);
  });

  test('a token cut short, with a letter changed or with its signature swapped is refused in every pair with jwt', async () => {
    const { source, good, expired } = firsts.get('jwt') as Specimen;
    const [header, payload, signature = ''] = good.split('.');
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const bad = [
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}.${payload}.${flipped}`,
      `${header}.${payload}.${expired.split('.')[2]}`,
    ];
    for (const second of seconds_.values()) {
      const app = mcpApp(multiAuth(null, [source, second.source], { baseUrl: BASE }));
      for (const token of bad) expect((await call(app, token)).status).toBe(401);
    }
  });
});
