import { describe, expect, test } from '@jest/globals';
import express from 'express';
import {
  type Auth,
  type AuthInfo,
  customVerifier,
  getAuth,
  introspectionVerifier,
  jwtVerifier,
  multiAuth,
  staticTokenVerifier,
  UnavailableError,
} from 'express-mcp-auth';
import request from 'supertest';
import {
  authOf,
  BASE,
  counted,
  express4,
  ISSUER,
  keys,
  METADATA,
  NARROW,
  READER,
  remote,
  UNKNOWN,
  WRITER,
} from '../support/app.js';
import { identityProvider } from '../support/identity-provider.js';
import { seconds, signingKey } from '../support/keys.js';

/** Calls the endpoint behind the guard and hands out what the handler found on the request. */
async function called(auth: Auth, token: string, change: (found: AuthInfo) => void = () => {}): Promise<AuthInfo> {
  const found: AuthInfo[] = [];
  const app = express();
  app.use(auth);
  app.use((req, res) => {
    const info = getAuth(req);
    expect(authOf(req)).toBe(info);
    found.push(info);
    change(info);
    res.end();
  });
  await request(app).get('/mcp').auth(token, { type: 'bearer' }).expect(200);
  return found[0] as AuthInfo;
}

function expectDeeplyFrozen(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  expect(Object.isFrozen(value)).toBe(true);
  for (const member of Object.values(value)) expectDeeplyFrozen(member);
}

describe('req.auth, in the shape both MCP SDKs read', () => {
  test('a static key: no expiry, the resource as a URL object, the metadata URL, the source', async () => {
    const info = await called(remote(), WRITER);
    expect(info).toMatchObject({
      token: WRITER,
      clientId: 'writer',
      scopes: ['read', 'write'],
      resourceMetadataUrl: METADATA,
      extra: { source: 'keys', subject: 'u-1', claims: { team: { name: 'blue' } } },
    });
    expect('expiresAt' in info).toBe(false);
    expect(info.resource).toBeInstanceOf(URL);
    expect(info.resource?.href).toBe(`${BASE}/mcp`);
    expectDeeplyFrozen(info.extra.claims);
  });

  test('a JWT: client, scopes, expiry in seconds, issuer, subject and frozen claims', async () => {
    const key = await signingKey();
    const auth = remote({ verifier: jwtVerifier({ issuer: ISSUER, jwks: { keys: [key.publicJwk] }, name: 'people' }) });
    const exp = seconds(600);
    const token = await key.sign({
      iss: ISSUER,
      aud: `${BASE}/mcp`,
      exp,
      sub: 'user-1',
      client_id: 'app-1',
      scope: 'read write',
      org: { roles: ['a', { b: 1 }] },
    });
    // The second call is answered from the cache of verified tokens.
    for (const info of [await called(auth, token), await called(auth, token)]) {
      expect(info).toMatchObject({
        token,
        clientId: 'app-1',
        scopes: ['read', 'write'],
        expiresAt: exp,
        resourceMetadataUrl: METADATA,
        extra: { source: 'people', issuer: ISSUER, subject: 'user-1' },
      });
      expect(info.extra.claims).toMatchObject({ sub: 'user-1', org: { roles: ['a', { b: 1 }] } });
      expectDeeplyFrozen(info.extra.claims);
      expect(() => {
        (info.extra.claims as { sub: string }).sub = 'admin';
      }).toThrow(TypeError);
    }
  });

  test('without a base URL there is no resource and no metadata URL', async () => {
    const info = await called(multiAuth([keys()]), READER);
    expect('resource' in info || 'resourceMetadataUrl' in info).toBe(false);
    expect(info.extra.claims).toEqual(expect.any(Object));
    expect(info.extra.subject).toBeUndefined();
  });

  test('a resource is bound wherever there is a base URL, a metadata URL only where the document is served', async () => {
    const info = await called(multiAuth([keys()], { baseUrl: BASE }), READER);
    expect(info.resource?.href).toBe(`${BASE}/mcp`);
    expect(info.resourceMetadataUrl).toBeUndefined();
  });

  test('a token that names no client takes the name of its source', async () => {
    const key = await signingKey();
    const auth = remote({
      verifier: jwtVerifier({ issuer: ISSUER, jwks: { keys: [key.publicJwk] }, name: 'nameless' }),
    });
    const token = await key.sign({ iss: ISSUER, aud: `${BASE}/mcp`, exp: seconds(60) });
    const info = await called(auth, token);
    expect(info.clientId).toBe('nameless');
    expect(info.scopes).toEqual([]);
  });

  test('J7: each request has its own object, lists and URL; changing them never shows in another request', async () => {
    const key = await signingKey();
    const token = await key.sign({ iss: ISSUER, aud: `${BASE}/mcp`, exp: seconds(60), sub: 'u', scope: 'read' });
    const kept = {
      token: READER,
      clientId: 'kept',
      scopes: ['read'],
      resource: new URL(`${BASE}/mcp`),
      extra: { a: [1] },
    };
    const all: [Auth, string][] = [
      [remote(), READER],
      [remote({ verifier: jwtVerifier({ issuer: ISSUER, jwks: { keys: [key.publicJwk] } }) }), token],
      [remote({ verifier: customVerifier({ verify: () => kept }) }), READER],
    ];
    for (const [auth, bearerToken] of all) {
      const before = await called(auth, bearerToken, info => {
        info.scopes.push('admin');
        info.clientId = 'admin';
        if (info.resource) info.resource.pathname = '/elsewhere';
        info.extra.source = 'forged';
        (info.extra as Record<string, unknown>).added = true;
        info.expiresAt = 1;
      });
      const after = await called(auth, bearerToken);
      expect(after).not.toBe(before);
      expect(after.resource).not.toBe(before.resource);
      expect(after.extra).not.toBe(before.extra);
      expect(after.scopes).toEqual(['read']);
      expect(after.clientId).not.toBe('admin');
      expect(after.resource?.href).toBe(`${BASE}/mcp`);
      expect(after.extra.source).not.toBe('forged');
      expect('added' in after.extra).toBe(false);
      expect(after.expiresAt).not.toBe(1);
    }
    expect(kept.scopes).toEqual(['read']);
    expect(kept.resource.href).toBe(`${BASE}/mcp`);
  });

  test('J7: each of many calls has a URL of its own', async () => {
    const auth = remote();
    const resources = new Set<URL | undefined>();
    for (let call = 0; call < 100; call++) {
      const resource = (await auth.verifyToken(READER))?.resource;
      expect(resource?.href).toBe(`${BASE}/mcp`);
      if (resource) resource.pathname = '/elsewhere';
      resources.add(resource);
    }
    expect(resources.size).toBe(100);
  });

  test('parallel requests never see each other’s identity', async () => {
    const app = express();
    app.use(remote());
    app.use(async (req, res) => {
      const before = getAuth(req).clientId;
      await new Promise(resolve => setImmediate(resolve));
      res.json([before, getAuth(req).clientId, authOf(req)?.token]);
    });
    const tokens = Array.from({ length: 40 }, (_, index) => [READER, WRITER, NARROW][index % 3] as string);
    const names: Record<string, string> = { [READER]: 'reader', [WRITER]: 'writer', [NARROW]: 'narrow' };
    const server = app.listen(0);
    try {
      const answers = await Promise.all(
        tokens.map(token => request(server).get('/mcp').auth(token, { type: 'bearer' })),
      );
      expect(answers.map(answer => answer.body)).toEqual(tokens.map(token => [names[token], names[token], token]));
    } finally {
      await new Promise(resolve => server.close(resolve));
    }
  });

  test('on a refusal no identity is left on the request', async () => {
    const requests: express.Request[] = [];
    for (const make of [express, express4]) {
      const app = make();
      app.use((req, _res, next) => {
        Object.assign(req, { auth: { token: 'x', clientId: 'admin', scopes: ['admin'], extra: {} } });
        requests.push(req);
        next();
      });
      app.use(remote({ requiredScopes: ['write'] }));
      for (const token of [UNKNOWN, READER]) await request(app).get('/mcp').auth(token, { type: 'bearer' });
    }
    expect(requests).toHaveLength(4);
    for (const req of requests) expect(() => getAuth(req)).toThrow();
  });

  test('getAuth throws for a bare object and for a request of an unguarded app, with a remedy', () => {
    expect(() => getAuth({} as express.Request)).toThrow(/guard|app\.use|auth/i);
    expect(() => getAuth({ auth: { token: 'x', clientId: 'c', scopes: [] } } as unknown as express.Request)).toThrow();
  });
});

describe('asking an Auth without a request', () => {
  test('`verifyToken` answers the identity, or null for everything that is no', async () => {
    const auth = remote({ requiredScopes: ['read'] });
    expect(await auth.verifyToken(READER)).toMatchObject({
      clientId: 'reader',
      resourceMetadataUrl: METADATA,
      extra: { source: 'keys' },
    });
    expect((await auth.verifyToken(READER))?.resource).toBeInstanceOf(URL);
    for (const token of [UNKNOWN, NARROW, '', ' ', 'a.b.c', `${READER} `])
      expect(await auth.verifyToken(token)).toBeNull();
    expect(await auth.verifyToken(undefined as unknown as string)).toBeNull();
  });

  test('`check` answers accept, foreign or reject, and leaves scopes to the guard', async () => {
    const auth = remote({ requiredScopes: ['write'] });
    const accepted = await auth.check(READER);
    expect(accepted).toMatchObject({ outcome: 'accept', auth: { clientId: 'reader' }, requiredScopes: ['write'] });
    expect(await auth.check(UNKNOWN)).toEqual({ outcome: 'foreign' });
    const key = await signingKey();
    const jwt = remote({ verifier: jwtVerifier({ issuer: ISSUER, jwks: { keys: [key.publicJwk] } }) });
    const token = await key.sign({ iss: ISSUER, aud: `${BASE}/mcp`, exp: seconds(-60) });
    expect(await jwt.check(token)).toMatchObject({ outcome: 'reject', reason: 'expired' });
    expect(JSON.stringify(await jwt.check(token))).not.toContain(token);
  });

  test('MA-4: where a source cannot tell, both throw UnavailableError; null always means no', async () => {
    const down = customVerifier({ verify: () => Promise.reject(new UnavailableError('down')) });
    for (const auth of [down, multiAuth([down]), remote({ verifier: [keys(), down] })]) {
      await expect(auth.check(UNKNOWN)).rejects.toBeInstanceOf(UnavailableError);
      await expect(auth.verifyToken(UNKNOWN)).rejects.toBeInstanceOf(UnavailableError);
    }
    expect(await remote({ verifier: [down, keys()] }).verifyToken(READER)).toMatchObject({ clientId: 'reader' });
  });

  test('each answer of `verifyToken` is an object of its own', async () => {
    const auth = remote();
    const first = (await auth.verifyToken(READER)) as AuthInfo;
    first.scopes.push('admin');
    if (first.resource) first.resource.pathname = '/x';
    const second = (await auth.verifyToken(READER)) as AuthInfo;
    expect(second.scopes).toEqual(['read']);
    expect(second.resource?.href).toBe(`${BASE}/mcp`);
  });

  test('`requiredScopes` and `scopesSupported` are what was configured and cannot be changed from outside', async () => {
    const configured = ['read'];
    const auth = remote({ requiredScopes: configured });
    configured.push('admin');
    expect(auth.requiredScopes).toEqual(['read']);
    try {
      (auth.requiredScopes as string[]).length = 0;
    } catch {}
    expect(await auth.verifyToken(NARROW)).toBeNull();
    expect(auth.challengeScopes()).toEqual(['read']);
  });
});

describe('ready and close', () => {
  test('J5: nothing is fetched until `ready` or the first token, `ready` fetches once, and the first token then costs nothing', async () => {
    const idp = await identityProvider();
    try {
      const auth = remote({ verifier: jwtVerifier({ issuer: idp.issuer }), authorizationServers: [idp.issuer] });
      expect(idp.hits.size).toBe(0);
      await auth.ready();
      const hits = new Map(idp.hits);
      expect(hits.get('/jwks')).toBe(1);
      const token = await idp.mint({ aud: `${BASE}/mcp`, sub: 'u' });
      expect(await auth.verifyToken(token)).toMatchObject({ extra: { subject: 'u' } });
      expect(idp.hits).toEqual(hits);
      await auth.close();
    } finally {
      await idp.close();
    }
  });

  test('J5: `ready` rejects with UnavailableError where it cannot, and the instance heals by itself', async () => {
    const idp = await identityProvider();
    try {
      let now = Date.now();
      idp.intercept = (_req, res) => {
        res.writeHead(500).end();
        return true;
      };
      const auth = remote({ verifier: jwtVerifier({ issuer: idp.issuer, now: () => now }) });
      await expect(auth.ready()).rejects.toBeInstanceOf(UnavailableError);
      idp.intercept = undefined;
      now += 120_000;
      const token = await idp.mint({ aud: `${BASE}/mcp`, sub: 'u', exp: seconds(3600, now) });
      expect(await auth.verifyToken(token)).toMatchObject({ extra: { subject: 'u' } });
      await auth.close();
    } finally {
      await idp.close();
    }
  });

  test('both resolve where there is nothing to prefetch or release, and `close` may come twice', async () => {
    const all: Auth[] = [
      keys(),
      multiAuth([keys()]),
      remote(),
      counted().verifier,
      staticTokenVerifier({ [READER]: { clientId: 'x' } }),
      introspectionVerifier({
        introspectionUrl: 'https://idp.example.com/introspect',
        clientId: 'a',
        clientSecret: 'b',
        audience: 'c',
      }),
    ];
    for (const auth of all) {
      await expect(auth.ready()).resolves.toBeUndefined();
      await expect(auth.close()).resolves.toBeUndefined();
      await expect(auth.close()).resolves.toBeUndefined();
    }
  });
});
