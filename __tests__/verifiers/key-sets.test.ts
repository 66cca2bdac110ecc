import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { type Auth, ConfigError, type JwtVerifierOptions, jwtVerifier, UnavailableError } from 'express-mcp-auth';
import request from 'supertest';
import { childProgram } from '../support/child-program.js';
import { close, type IdentityProvider, identityProvider, listen } from '../support/identity-provider.js';
import { type Clock, clockAt, forge, keyPair, segment, signer } from '../support/jwt-forge.js';
import { failure, guardedApp, judge, listenTo, refused } from '../support/jwt-judge.js';
import { type SigningKey, signingKey } from '../support/keys.js';

type Fetch = typeof globalThis.fetch;

const DAY = 86_400;
// For a busy machine; far below the 60 seconds and more that a fetch may take where a test must not wait for it.
jest.setTimeout(20_000);
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of open.splice(0)) await end();
});

async function provider(options?: { path?: string; alg?: string }): Promise<IdentityProvider> {
  const idp = await identityProvider(options);
  open.push(() => idp.close());
  return idp;
}

interface World {
  readonly idp: IdentityProvider;
  readonly clock: Clock;
  readonly auth: Auth;
  /** How often the key set was fetched. */
  fetches(): number;
  /** A good token for a day, of the first key the provider publishes or of the one given. */
  token(key?: SigningKey, header?: Record<string, unknown>): Promise<string>;
  judge(token: string): Promise<string>;
}

/** A provider, a clock that stands still, and a verifier of its remote key set. */
async function world(options: Partial<JwtVerifierOptions> = {}): Promise<World> {
  const idp = await provider();
  const clock = clockAt();
  const auth = jwtVerifier({ issuer: idp.issuer, audience: 'api', jwksUri: idp.jwksUri, now: clock.now, ...options });
  open.push(() => auth.close());
  return {
    idp,
    clock,
    auth,
    fetches: () => idp.hits.get('/jwks') ?? 0,
    token: (key = idp.keys[0] as SigningKey, header = {}) =>
      key.sign({ iss: idp.issuer, aud: 'api', exp: clock.at(DAY), sub: 'ana', jti: String(Math.random()) }, header),
    judge: token => judge(auth, token),
  };
}

/** Tokens of nobody, each with a key id of its own. */
const strangers = (w: World, count: number, header: Record<string, unknown> = {}): string[] => {
  const sign = signer('ES256', keyPair('ES256', 'stranger').privateKey);
  const claims = { iss: w.idp.issuer, aud: 'api', exp: w.clock.at(DAY) };
  return Array.from({ length: count }, (_, i) =>
    forge({ alg: 'ES256', kid: `stranger-${i}-${Math.random()}`, ...header }, { ...claims, jti: i }, sign),
  );
};

const tally = (words: string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
};

/**
 * A `fetch` that answers from memory: for tests that a slow machine would upset, where the old set answers after 250 ms.
 */
const fromMemory = (keys: () => SigningKey[]): Fetch => {
  return async () => Response.json({ keys: keys().map(key => key.publicJwk) });
};

type Answer = NonNullable<IdentityProvider['intercept']>;
const only =
  (answer: (req: IncomingMessage, res: ServerResponse) => void, at = '/jwks'): Answer =>
  (req, res, path) => {
    if (path !== at) return false;
    answer(req, res);
    return true;
  };

const json = (res: ServerResponse, body: unknown, status = 200) =>
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

const reset = only(req => req.socket.destroy());
const hang = only(() => {});

/** Holds every answer of the key set until it is let go. */
function gate(idp: IdentityProvider) {
  const held: (() => void)[] = [];
  const arrivals: (() => void)[] = [];
  idp.intercept = only((_req, res) => {
    held.push(() => json(res, { keys: idp.keys.map(key => key.publicJwk) }));
    for (const arrived of arrivals.splice(0)) arrived();
  });
  return {
    /** Resolves when a request waits at the gate. */
    arrival: () => (held.length > 0 ? Promise.resolve() : new Promise<void>(resolve => arrivals.push(resolve))),
    release: () => {
      idp.intercept = undefined;
      for (const answer of held.splice(0)) answer();
    },
  };
}

describe('key sets: one fetch serves all (C13)', () => {
  test('1000 concurrent first tokens make one fetch, and none fails', async () => {
    const w = await world();
    const tokens = await Promise.all(Array.from({ length: 50 }, () => w.token()));
    const words = await Promise.all(Array.from({ length: 1000 }, (_, i) => w.judge(tokens[i % 50] as string)));
    expect(tally(words)).toEqual({ accept: 1000 });
    expect(w.fetches()).toBe(1);
  });

  test('discovered: 1000 concurrent first tokens make one discovery and one key fetch', async () => {
    const w = await world({ jwksUri: undefined });
    const token = await w.token();
    const words = await Promise.all(Array.from({ length: 1000 }, () => w.judge(token)));
    expect(tally(words)).toEqual({ accept: 1000 });
    expect(w.idp.hits.get('/.well-known/oauth-authorization-server')).toBe(1);
    expect(w.fetches()).toBe(1);
  });

  test('no token within ttlSeconds makes another', async () => {
    const w = await world({ cache: false });
    for (let i = 0; i < 20; i++) {
      expect(await w.judge(await w.token())).toBe('accept');
      w.clock.advance(29);
    }
    expect(w.fetches()).toBe(1);
  });

  test('past ttlSeconds (600) 100 concurrent tokens make one fetch', async () => {
    const w = await world({ cache: false });
    const token = await w.token();
    expect(await w.judge(token)).toBe('accept');
    w.clock.advance(601);
    const words = await Promise.all(Array.from({ length: 100 }, () => w.judge(token)));
    expect(tally(words)).toEqual({ accept: 100 });
    expect(w.fetches()).toBe(2);
  });

  test('a key is imported once, not for every token', async () => {
    const w = await world();
    await w.judge(await w.token());
    const imported = jest.spyOn(globalThis.crypto.subtle, 'importKey');
    try {
      for (let i = 0; i < 10; i++) expect(await w.judge(await w.token())).toBe('accept');
      expect(imported).toHaveBeenCalledTimes(0);
    } finally {
      imported.mockRestore();
    }
  });

  test('issuers of one jwksUri are one authority with one set', async () => {
    const idp = await provider();
    const clock = clockAt();
    const issuer = ['https://one.example.com', 'https://two.example.com'];
    const auth = jwtVerifier({ issuer, audience: 'api', jwksUri: idp.jwksUri, now: clock.now });
    for (const iss of issuer) expect(await judge(auth, await idp.mint({ iss, aud: 'api' }))).toBe('accept');
    expect(idp.hits.get('/jwks')).toBe(1);
  });
});

describe('key sets: rotation heals at once (C14, attack 44)', () => {
  test('a key published right after a fetch fails nobody', async () => {
    const w = await world();
    expect(await w.judge(await w.token())).toBe('accept');
    w.idp.keys = [await signingKey()];
    const tokens = await Promise.all(Array.from({ length: 50 }, () => w.token()));
    expect(tally(await Promise.all(tokens.map(w.judge)))).toEqual({ accept: 50 });
    expect(w.fetches()).toBe(2);
  });

  test('a key published beside the old one leaves the old one good', async () => {
    const w = await world();
    const old = await w.token();
    expect(await w.judge(old)).toBe('accept');
    const next = await signingKey();
    w.idp.keys = [...w.idp.keys, next];
    expect(await w.judge(await w.token(next))).toBe('accept');
    expect(await w.judge(old)).toBe('accept');
    expect(w.fetches()).toBe(2);
  });

  test('a withdrawn key is refused with the first refresh, for cached tokens too', async () => {
    let published: SigningKey[] = [];
    let fetches = 0;
    const fetch = fromMemory(() => {
      fetches++;
      return published;
    });
    const w = await world({ fetch, cache: { ttlSeconds: DAY } });
    published = w.idp.keys;
    const old = await w.token();
    expect(await w.judge(old)).toBe('accept');
    published = [await signingKey()];
    w.clock.advance(599);
    expect(await w.judge(old)).toBe('accept');
    expect(fetches).toBe(1);
    w.clock.advance(2);
    expect(await w.judge(old)).toBe('unknown_key');
    expect(await w.judge(await w.token(published[0]))).toBe('accept');
  });

  test('it is refused as well when refreshes that changed nothing lie between', async () => {
    let published: SigningKey[] = [];
    const w = await world({ fetch: fromMemory(() => published), cache: { ttlSeconds: DAY } });
    published = w.idp.keys;
    const old = await w.token();
    for (let refresh = 0; refresh < 4; refresh++) {
      expect(await w.judge(old)).toBe('accept');
      w.clock.advance(601);
    }
    published = [await signingKey()];
    expect(await w.judge(old)).toBe('unknown_key');
  });

  test('a refresh drawn by the new key refuses the withdrawn one in the same moment, cached or not', async () => {
    const w = await world({ cache: { ttlSeconds: DAY } });
    const [cached, unseen] = [await w.token(), await w.token()];
    expect(await w.judge(cached)).toBe('accept');
    w.idp.keys = [await signingKey()];
    expect(await w.judge(await w.token())).toBe('accept');
    expect(await w.judge(cached)).toBe('unknown_key');
    expect(await w.judge(unseen)).toBe('unknown_key');
  });

  test('a key replaced under its old kid is fetched once the set is older than a second', async () => {
    const w = await world();
    const old = await w.token();
    expect(await w.judge(old)).toBe('accept');
    const { kid } = w.idp.keys[0] as SigningKey;
    w.idp.keys = [await signingKey('ES256', kid)];
    const fresh = await w.token();
    expect(await w.judge(fresh)).toBe('signature');
    expect(w.fetches()).toBe(1);
    w.clock.advance(2);
    expect(await w.judge(fresh)).toBe('accept');
    expect(w.fetches()).toBe(2);
    expect(await w.judge(old)).toBe('signature');
    expect(w.fetches()).toBe(2);
  });

  test('a token without kid draws the same one fetch', async () => {
    const w = await world();
    expect(await w.judge(await w.token(undefined, { kid: undefined }))).toBe('accept');
    w.idp.keys = [await signingKey()];
    w.clock.advance(2);
    expect(await w.judge(await w.token(undefined, { kid: undefined }))).toBe('accept');
    expect(w.fetches()).toBe(2);
  });

  test('a kid moved from one key to another judges a cached token by the new key', async () => {
    let published: SigningKey[] = [];
    const w = await world({ fetch: fromMemory(() => published), cache: { ttlSeconds: DAY } });
    published = w.idp.keys;
    const old = await w.token();
    expect(await w.judge(old)).toBe('accept');
    published = [await signingKey('ES256', (w.idp.keys[0] as SigningKey).kid)];
    w.clock.advance(601);
    expect(await w.judge(old)).toBe('signature');
    expect(await w.judge(await w.token(published[0]))).toBe('accept');
  });
});

describe('key sets: a signature that was found bad is refused at once, unless newer keys may say otherwise', () => {
  /** Whether the guard refuses the token before it returns. */
  const isRefusedAtOnce = (w: World, token: string): boolean => {
    let refused = false;
    const res = { headersSent: false, hasHeader: () => false, getHeader: () => undefined, setHeader: () => {} };
    w.auth.protect()(
      { method: 'POST', url: '/mcp', headers: { authorization: `Bearer ${token}` }, rawHeaders: [] } as never,
      Object.assign(res, { end: () => (refused = true) }) as never,
      () => {},
    );
    return refused;
  };
  /** A world, and a token whose signature was found bad in it. */
  const worldWithBadToken = async (options?: Partial<JwtVerifierOptions>) => {
    const w = await world(options);
    const { kid } = w.idp.keys[0] as SigningKey;
    const replacement = await signingKey('ES256', kid);
    const bad = await w.token(replacement);
    expect(isRefusedAtOnce(w, bad)).toBe(false);
    expect(await w.judge(bad)).toBe('signature');
    return { w, bad, replacement };
  };

  test('within a second of the fetch', async () => {
    const { w, bad } = await worldWithBadToken();
    expect(isRefusedAtOnce(w, bad)).toBe(true);
    expect(isRefusedAtOnce(w, await w.token())).toBe(false);
    expect(w.fetches()).toBe(1);
  });

  test('with keys that never change', async () => {
    const key = await signingKey('ES256', 'one');
    const w = await world({ jwksUri: undefined, jwks: { keys: [key.publicJwk] } });
    const bad = await w.token(await signingKey('ES256', 'one'));
    expect(await w.judge(bad)).toBe('signature');
    w.clock.advance(DAY / 2);
    expect(isRefusedAtOnce(w, bad)).toBe(true);
  });

  test('not when the set is older: the look at it draws nothing from the bucket, the fetch does', async () => {
    const { w, bad, replacement } = await worldWithBadToken({ jwksCache: { burst: 1 } });
    w.clock.advance(2);
    w.idp.keys = [replacement];
    expect(await w.judge(bad)).toBe('accept');
    expect(w.fetches()).toBe(2);
  });

  test('nor while a fetch is under way', async () => {
    const { w, bad, replacement } = await worldWithBadToken();
    const held = gate(w.idp);
    const stranger = w.judge(await w.token(await signingKey('ES256', 'new')));
    await held.arrival();
    const word = w.judge(bad);
    expect(isRefusedAtOnce(w, bad)).toBe(false);
    w.idp.keys = [replacement];
    held.release();
    expect([await stranger, await word]).toEqual(['unknown_key', 'accept']);
    expect(w.fetches()).toBe(2);
  });

  test('again when the bucket is empty, until its next drop', async () => {
    const { w, bad } = await worldWithBadToken({ jwksCache: { burst: 1 } });
    w.clock.advance(2);
    expect(isRefusedAtOnce(w, bad)).toBe(false);
    expect(await w.judge(bad)).toBe('signature');
    w.clock.advance(2);
    expect(isRefusedAtOnce(w, bad)).toBe(true);
    expect(w.fetches()).toBe(2);
    w.clock.advance(10);
    expect(isRefusedAtOnce(w, bad)).toBe(false);
    expect(await w.judge(bad)).toBe('signature');
    expect(w.fetches()).toBe(3);
  });

  test('and in the pause after a failure', async () => {
    const { w, bad } = await worldWithBadToken();
    w.clock.advance(2);
    w.idp.intercept = reset;
    expect(await w.judge(bad)).toBe('signature');
    expect(isRefusedAtOnce(w, bad)).toBe(true);
    w.clock.advance(2);
    expect(isRefusedAtOnce(w, bad)).toBe(false);
    expect(await w.judge(bad)).toBe('signature');
  });
});

describe('key sets: unknown keys cost a bounded number of fetches (C14, attack 42)', () => {
  test('a flood makes at most 5 fetches and 6 more a minute; after that it is 503 and not 401', async () => {
    const w = await world();
    const known = await w.token();
    expect(await w.judge(known)).toBe('accept');
    const words: string[] = [];
    for (const token of strangers(w, 1000)) words.push(await w.judge(token));
    expect(w.fetches()).toBe(1 + 5);
    expect(tally(words)).toEqual({ unknown_key: 5, unavailable: 995 });
    expect(words.slice(0, 5)).toEqual(Array(5).fill('unknown_key'));
    for (let second = 0; second < 60; second++) {
      w.clock.advance(1);
      for (const token of strangers(w, 5)) await w.judge(token);
    }
    expect(w.fetches()).toBe(1 + 5 + 6);
    expect(await w.judge(known)).toBe('accept');
    expect(await w.judge(await w.token())).toBe('accept');
  });

  test('a concurrent flood shares its fetches', async () => {
    const w = await world();
    expect(await w.judge(await w.token())).toBe('accept');
    const words = await Promise.all(strangers(w, 500).map(w.judge));
    expect(w.fetches()).toBeLessThanOrEqual(1 + 5);
    expect(words).not.toContain('accept');
    expect(tally(words).unknown_key).toBeGreaterThan(0);
  });

  test('a flood of bad signatures or of tokens without kid draws from the same bucket, and is always a clear no', async () => {
    for (const header of [{ kid: 'known' }, { kid: undefined }]) {
      const w = await world();
      w.idp.keys = [await signingKey('ES256', 'known')];
      expect(await w.judge(await w.token())).toBe('accept');
      for (let round = 0; round < 10; round++) {
        w.clock.advance(0.9);
        for (const token of strangers(w, 20, header)) expect(await w.judge(token)).toEqual(refused);
      }
      expect(w.fetches()).toBeGreaterThan(1);
      expect(w.fetches()).toBeLessThanOrEqual(1 + 5);
      const [stranger] = strangers(w, 1) as [string];
      expect(['unknown_key', 'unavailable']).toContain(await w.judge(stranger));
      expect(w.fetches()).toBeLessThanOrEqual(1 + 5);
      expect(await w.judge(await w.token())).toBe('accept');
    }
  });

  test('in a flood the holder of a new key is told to come back, not that the token is bad', async () => {
    const w = await world();
    expect(await w.judge(await w.token())).toBe('accept');
    for (const token of strangers(w, 20)) await w.judge(token);
    w.idp.keys = [await signingKey()];
    const fresh = await w.token();
    const error = await failure<UnavailableError>(w.auth.check(fresh));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    expect(error.retryAfterSeconds).toBeLessThanOrEqual(10);
    w.clock.advance(4);
    expect((await failure<UnavailableError>(w.auth.check(fresh))).retryAfterSeconds).toBeLessThanOrEqual(6);
    expect(w.fetches()).toBe(6);
    w.clock.advance(error.retryAfterSeconds as number);
    expect(await w.judge(fresh)).toBe('accept');
  });

  test('over HTTP that is 503 with Retry-After and no challenge (MA-4, D5)', async () => {
    const w = await world();
    for (const token of strangers(w, 20)) await w.judge(token);
    const guarded = guardedApp(w.auth);
    const [token] = strangers(w, 1);
    const res = await request(guarded.app).post('/mcp').set('authorization', `Bearer ${token}`).expect(503);
    expect(Number(res.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(res.headers['retry-after'])).toBeLessThanOrEqual(10);
    expect(res.headers['www-authenticate']).toBeUndefined();
    expect(res.body.error).toBe('temporarily_unavailable');
    expect(guarded.handled).toBe(0);
  });

  test('burst and refillSeconds set the bucket', async () => {
    const w = await world({ jwksCache: { burst: 2, refillSeconds: 30 } });
    expect(await w.judge(await w.token())).toBe('accept');
    for (const token of strangers(w, 50)) await w.judge(token);
    expect(w.fetches()).toBe(1 + 2);
    w.clock.advance(29);
    for (const token of strangers(w, 5)) await w.judge(token);
    expect(w.fetches()).toBe(1 + 2);
    w.clock.advance(1);
    for (const token of strangers(w, 5)) await w.judge(token);
    expect(w.fetches()).toBe(1 + 3);
  });

  test('a long quiet time saves up no more than the burst', async () => {
    const w = await world({ jwksCache: { ttlSeconds: DAY } });
    expect(await w.judge(await w.token())).toBe('accept');
    w.clock.advance(3600);
    for (const token of strangers(w, 50)) await w.judge(token);
    expect(w.fetches()).toBe(1 + 5);
  });

  test('an unknown kid is refused only against a set whose fetch ended after the token came', async () => {
    const w = await world();
    expect(await w.judge(await w.token())).toBe('accept');
    const next = await signingKey();
    const held = gate(w.idp);
    const pending = w.judge(await w.token(next));
    await held.arrival();
    w.idp.keys = [...w.idp.keys, next];
    held.release();
    expect(await pending).toBe('accept');
    w.idp.intercept = reset;
    const [stranger] = strangers(w, 1) as [string];
    expect(await w.judge(stranger)).toBe('unavailable');
  });

  test('the flood of one issuer takes nothing from another', async () => {
    const [a, b] = [await provider(), await provider()];
    const clock = clockAt();
    const auth = jwtVerifier({ issuer: [a.issuer, b.issuer], audience: 'api', now: clock.now });
    const mint = (idp: IdentityProvider) => idp.mint({ aud: 'api', exp: clock.at(DAY) });
    for (const idp of [a, b]) expect(await judge(auth, await mint(idp))).toBe('accept');
    const sign = signer('ES256', keyPair('ES256', 'stranger').privateKey);
    for (let i = 0; i < 50; i++)
      await judge(auth, forge({ alg: 'ES256', kid: `x${i}` }, { iss: a.issuer, aud: 'api', exp: clock.at(DAY) }, sign));
    b.keys = [await signingKey()];
    expect(await judge(auth, await mint(b))).toBe('accept');
  });
});

describe('key sets: an outage logs nobody out (C14, D5, MA-4)', () => {
  const outages: Record<string, Answer> = {
    'a reset connection': reset,
    'a 500': only((_req, res) => json(res, { error: 'x' }, 500)),
    'a 404': only((_req, res) => json(res, {}, 404)),
    'a 204': only((_req, res) => res.writeHead(204).end()),
    'HTML with status 200': only((_req, res) =>
      res.setHeader('content-type', 'text/html').end('<!doctype html><p>Hello'),
    ),
    'JSON that is no key set': only((_req, res) => json(res, { jwks: [] })),
    'a list': only((_req, res) => json(res, [])),
    null: only((_req, res) => json(res, null)),
    'keys that are no list': only((_req, res) => json(res, { keys: {} })),
    'half of a JSON text': only((_req, res) =>
      res.setHeader('content-type', 'application/json').end('{"keys":[{"kty":"E'),
    ),
  };

  test.each(Object.entries(outages))('%s: known keys go on for ttlSeconds + staleSeconds', async (_, outage) => {
    const w = await world({ cache: false });
    const known = await w.token();
    expect(await w.judge(known)).toBe('accept');
    w.idp.intercept = outage;
    const start = w.clock.ms;
    for (const second of [601, 1200, 4199]) {
      w.clock.ms = start + second * 1000;
      expect(await w.judge(known)).toBe('accept');
    }
    const [stranger] = strangers(w, 1) as [string];
    expect(await w.judge(stranger)).toBe('unavailable');
    w.clock.advance(2);
    expect(await w.judge(known)).toBe('unavailable');
    const before = w.fetches();
    w.idp.intercept = undefined;
    w.clock.advance(120);
    expect(await w.judge(known)).toBe('accept');
    expect(w.fetches()).toBe(before + 1);
  });

  test.each(Object.entries(outages))('%s at the first token: 503, and healed when it is over', async (_, outage) => {
    const w = await world();
    w.idp.intercept = outage;
    const token = await w.token();
    const error = await failure<UnavailableError>(w.auth.check(token));
    expect(error).toBeInstanceOf(UnavailableError);
    await expect(w.auth.verifyToken(token)).rejects.toBeInstanceOf(UnavailableError);
    w.idp.intercept = undefined;
    w.clock.advance(60);
    expect(await w.judge(token)).toBe('accept');
  });

  test('a cached token does not outlive the last word of its issuer by more than ttlSeconds + staleSeconds', async () => {
    const w = await world({ cache: { ttlSeconds: DAY }, jwksCache: { ttlSeconds: 100, staleSeconds: 200 } });
    const token = await w.token();
    expect(await w.judge(token)).toBe('accept');
    w.idp.intercept = reset;
    w.clock.advance(299);
    expect(await w.judge(token)).toBe('accept');
    w.clock.advance(2);
    expect(await w.judge(token)).toBe('unavailable');
  });

  test('the days are counted from the last success, not from the last attempt', async () => {
    const w = await world({ jwksCache: { ttlSeconds: 100, staleSeconds: 200 } });
    const token = await w.token();
    expect(await w.judge(token)).toBe('accept');
    w.clock.advance(150);
    const fetched = listenTo('keys_fetched');
    const refreshed = fetched.next();
    expect(await w.judge(token)).toBe('accept');
    await refreshed;
    fetched.stop();
    expect(w.fetches()).toBe(2);
    w.idp.intercept = reset;
    for (let i = 0; i < 29; i++) {
      w.clock.advance(10);
      expect(await w.judge(token)).toBe('accept');
    }
    w.clock.advance(15);
    expect(await w.judge(token)).toBe('unavailable');
  });

  test('after a failure there is a pause: no token of that moment tries again', async () => {
    const w = await world({ cache: false });
    const known = await w.token();
    expect(await w.judge(known)).toBe('accept');
    w.clock.advance(601);
    w.idp.intercept = reset;
    for (let i = 0; i < 100; i++) expect(await w.judge(known)).toBe('accept');
    expect(w.fetches()).toBe(2);
    for (let second = 0; second < 60; second++) {
      w.clock.advance(1);
      for (let i = 0; i < 5; i++) expect(await w.judge(known)).toBe('accept');
    }
    expect(w.fetches()).toBeGreaterThan(3);
    expect(w.fetches()).toBeLessThanOrEqual(2 + 60);
  });

  test('at the first fetch too: a cold verifier does not hammer a dead endpoint', async () => {
    const w = await world();
    w.idp.intercept = reset;
    const token = await w.token();
    for (let i = 0; i < 50; i++) {
      const error = await failure<UnavailableError>(w.auth.check(token));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error.retryAfterSeconds ?? 1).toBeGreaterThanOrEqual(1);
    }
    expect(w.fetches()).toBe(1);
    expect(tally(await Promise.all(Array.from({ length: 50 }, () => w.judge(token))))).toEqual({ unavailable: 50 });
    expect(w.fetches()).toBe(1);
  });

  test('an unknown key in an outage is 503, again and again, and good when it is over', async () => {
    const w = await world();
    expect(await w.judge(await w.token())).toBe('accept');
    w.idp.keys = [await signingKey()];
    const fresh = await w.token();
    w.idp.intercept = reset;
    for (let i = 0; i < 20; i++) {
      expect(await w.judge(fresh)).toBe('unavailable');
      w.clock.advance(1);
    }
    expect(w.fetches()).toBeLessThanOrEqual(1 + 5 + 2);
    w.idp.intercept = undefined;
    w.clock.advance(60);
    expect(await w.judge(fresh)).toBe('accept');
  });

  test('a verifier that was idle for a day asks again and waits for the answer', async () => {
    const w = await world();
    expect(await w.judge(await w.token())).toBe('accept');
    w.clock.advance(2 * DAY);
    w.idp.intercept = only((_req, res) => {
      setTimeout(() => json(res, { keys: w.idp.keys.map(key => key.publicJwk) }), 400);
    });
    expect(await w.judge(await w.token())).toBe('accept');
    expect(w.fetches()).toBe(2);
  });
});

describe('key sets: a hanging endpoint delays nobody whose key is known', () => {
  /** Longer than any test may take: whoever waits for the endpoint fails by the time limit. */
  const patient = { timeoutMs: 100_000 };

  test('past ttlSeconds the old set answers although the refresh never ends', async () => {
    const w = await world({ cache: false, jwksCache: patient });
    const known = await w.token();
    expect(await w.judge(known)).toBe('accept');
    w.idp.intercept = hang;
    w.clock.advance(601);
    expect(tally(await Promise.all(Array.from({ length: 100 }, () => w.judge(known))))).toEqual({ accept: 100 });
    expect(await w.judge(await w.token())).toBe('accept');
    expect(w.fetches()).toBe(2);
  });

  test('when the slow refresh ends at last it counts: a key withdrawn by it is refused', async () => {
    const w = await world({ jwksCache: patient });
    const old = await w.token();
    expect(await w.judge(old)).toBe('accept');
    w.clock.advance(601);
    const held = gate(w.idp);
    expect(await w.judge(old)).toBe('accept');
    w.idp.keys = [await signingKey()];
    const fetched = listenTo('keys_fetched');
    const next = fetched.next();
    held.release();
    await next;
    fetched.stop();
    expect(await w.judge(await w.token())).toBe('accept');
    expect(w.fetches()).toBe(2);
    expect(await w.judge(old)).toBe('unknown_key');
  });

  test('a token of an unknown key waits alone', async () => {
    const w = await world({ cache: false, jwksCache: patient });
    const known = await w.token();
    expect(await w.judge(known)).toBe('accept');
    const held = gate(w.idp);
    const [stranger] = strangers(w, 1) as [string];
    const waiting = w.judge(stranger);
    await held.arrival();
    for (let i = 0; i < 20; i++) expect(await w.judge(known)).toBe('accept');
    held.release();
    expect(await waiting).toBe('unknown_key');
  });

  test('nothing is awaited longer than timeoutMs, the body included', async () => {
    const drips: Answer = only((req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => res.write(' '), 20);
      req.socket.on('close', () => clearInterval(timer));
    });
    for (const answer of [hang, drips]) {
      const w = await world({ jwksCache: { timeoutMs: 150 } });
      w.idp.intercept = answer;
      const token = await w.token();
      expect(tally(await Promise.all(Array.from({ length: 20 }, () => w.judge(token))))).toEqual({ unavailable: 20 });
      expect(w.fetches()).toBe(1);
    }
  });

  test('an injected fetch that ignores its signal is not waited for either', async () => {
    const fetch: Fetch = () => new Promise(() => {});
    const w = await world({ fetch, jwksCache: { timeoutMs: 100 } });
    expect(await w.judge(await w.token())).toBe('unavailable');
    const half: Fetch = async () => new Response(new ReadableStream({ start() {} }));
    const other = await world({ fetch: half, jwksCache: { timeoutMs: 100 } });
    expect(await other.judge(await other.token())).toBe('unavailable');
  });
});

describe('key sets: what a hostile or broken endpoint may send (attack 43)', () => {
  const good = (w: World) => w.idp.keys.map(key => key.publicJwk);

  test('a set of many megabytes is not read, compressed or not, with or without a length', async () => {
    const text = (w: World) => JSON.stringify({ pad: '0'.repeat(20_000_000), keys: good(w) });
    const answers: ((w: World) => Answer)[] = [
      w => only((_req, res) => res.setHeader('content-type', 'application/json').end(text(w))),
      w =>
        only((_req, res) => {
          res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
          res.end(gzipSync(text(w)));
        }),
      w =>
        only((_req, res) => {
          res.writeHead(200, { 'content-type': 'application/json' });
          const body = text(w);
          res.write(body.slice(0, 100));
          res.end(body.slice(100));
        }),
    ];
    for (const answer of answers) {
      const w = await world({ jwksCache: { timeoutMs: 60_000 } });
      w.idp.intercept = answer(w);
      expect(await w.judge(await w.token())).toBe('unavailable');
    }
  });

  test('an endless body is cut off, and the connection with it', async () => {
    const w = await world({ jwksCache: { timeoutMs: 60_000 } });
    const cut = new Promise<void>(resolve => {
      w.idp.intercept = only((_req, res) => {
        res.writeHead(200, { 'content-type': 'application/json' });
        const chunk = ' '.repeat(65_536);
        const more = () => {
          while (!res.destroyed && res.write(chunk));
        };
        res.on('drain', more).on('close', resolve);
        more();
      });
    });
    expect(await w.judge(await w.token())).toBe('unavailable');
    await cut;
  });

  test.each([301, 302, 303, 307, 308])('a %d redirect is not followed, to another host or to its own', async status => {
    const evil = createServer((_req, res) => {
      evilHits++;
      json(res, { keys: [] });
    });
    let evilHits = 0;
    const origin = await listen(evil);
    open.push(() => close(evil));
    for (const location of [`${origin}/jwks`, '/elsewhere']) {
      const w = await world();
      w.idp.intercept = (_req, res, path) => {
        if (path === '/elsewhere') json(res, { keys: good(w) });
        else res.writeHead(status, { location }).end();
        return true;
      };
      expect(await w.judge(await w.token())).toBe('unavailable');
      expect(w.idp.hits.get('/elsewhere')).toBeUndefined();
    }
    expect(evilHits).toBe(0);
  });

  test('the request is a plain GET that follows no redirect, can be aborted, and carries no credentials', async () => {
    const calls: [string, RequestInit | undefined][] = [];
    const fetch: Fetch = (input, init) => {
      calls.push([String(input), init]);
      return globalThis.fetch(input, init);
    };
    const w = await world({ fetch });
    expect(await w.judge(await w.token())).toBe('accept');
    const [url, init] = calls[0] as [string, RequestInit];
    expect(calls).toHaveLength(1);
    expect(url).toBe(w.idp.jwksUri);
    expect(init.method ?? 'GET').toBe('GET');
    expect(['error', 'manual']).toContain(init.redirect);
    expect(init.signal).toBeInstanceOf(AbortSignal);
    expect(new Headers(init.headers).has('authorization')).toBe(false);
  });

  test('a fetch that throws anything at all is an outage', async () => {
    for (const thrown of [new TypeError('fetch failed'), new Error('proxy says no'), 'text', undefined]) {
      const fetch: Fetch = async () => {
        throw thrown;
      };
      const w = await world({ fetch });
      expect(await w.judge(await w.token())).toBe('unavailable');
      const sync = await world({
        fetch: () => {
          throw thrown;
        },
      });
      expect(await sync.judge(await sync.token())).toBe('unavailable');
    }
  });

  const rsa = keyPair('RS256').jwk;
  const bad: Record<string, unknown> = {
    null: null,
    'a number': 42,
    text: 'x',
    'a list': [],
    'an empty object': {},
    'no kty': { kid: 'bad' },
    'an unknown kty': { kty: 'XYZ', kid: 'bad' },
    'an RSA key without n': { kty: 'RSA', e: 'AQAB', kid: 'bad' },
    'an RSA key of garbage': { kty: 'RSA', n: '!!', e: '??', kid: 'bad' },
    'an RSA key of 1024 bits': { ...keyPair('RSA-1024').jwk, kid: 'bad' },
    'a point that is on no curve': { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA', kid: 'bad' },
    'an unknown curve': { kty: 'EC', crv: 'P-9', x: 'AAAA', y: 'AAAA', kid: 'bad' },
    'a symmetric key': { kty: 'oct', k: Buffer.alloc(32).toString('base64url'), kid: 'bad', alg: 'HS256' },
    'an encryption key': { ...rsa, use: 'enc', kid: 'bad' },
    'a kid that is a number': { ...rsa, kid: 42 },
    'a kid that is an object': { ...rsa, kid: {} },
    'members of the wrong kind': { ...rsa, kid: 'bad', use: 7, alg: {}, key_ops: 'verify' },
    'a good key of another type': { ...rsa, kid: 'bad' },
  };

  test.each(Object.entries(bad))(
    '%s never hides a good key, before or behind it, with its kid or another',
    async (_, key) => {
      const w = await world();
      const [jwk] = good(w);
      const twin = key && typeof key === 'object' && !Array.isArray(key) ? { ...key, kid: jwk?.kid } : key;
      for (const keys of [
        [key, jwk],
        [jwk, key],
        [twin, jwk],
        [jwk, twin],
      ]) {
        w.clock.advance(DAY);
        w.idp.intercept = only((_req, res) => json(res, { keys }));
        expect(await w.judge(await w.token())).toBe('accept');
      }
      expect(w.fetches()).toBe(4);
    },
  );

  test('nor does it make a token without kid ambiguous when it could not have signed it', async () => {
    const w = await world();
    const keys = [...Object.values(bad), ...good(w)];
    w.idp.intercept = only((_req, res) => json(res, { keys }));
    expect(await w.judge(await w.token(undefined, { kid: undefined }))).toBe('accept');
  });

  test('a symmetric key in a remote set verifies nothing', async () => {
    const w = await world();
    const secret = Buffer.alloc(32, 7);
    const oct = { kty: 'oct', k: secret.toString('base64url'), kid: 'oct', alg: 'HS256' };
    w.idp.intercept = only((_req, res) => json(res, { keys: [oct, ...good(w)] }));
    const claims = { iss: w.idp.issuer, aud: 'api', exp: w.clock.at(DAY) };
    expect(await w.judge(await w.token())).toBe('accept');
    for (const alg of ['HS256', 'HS384', 'HS512'])
      expect(await w.judge(forge({ alg, kid: 'oct' }, claims, signer(alg, secret)))).toBe('algorithm');
  });

  test('two good keys under one kid: each verifies its own', async () => {
    const w = await world();
    const other = await signingKey('ES256', (w.idp.keys[0] as SigningKey).kid);
    const ed = await signingKey('EdDSA', (w.idp.keys[0] as SigningKey).kid);
    w.idp.keys = [...w.idp.keys, other, ed];
    for (const key of w.idp.keys) expect(await w.judge(await w.token(key))).toBe('accept');
    expect(w.fetches()).toBe(1);
  });

  test('an empty set is an answer: the keys were withdrawn', async () => {
    let published: SigningKey[] = [];
    const w = await world({ fetch: fromMemory(() => published) });
    published = w.idp.keys;
    const token = await w.token();
    expect(await w.judge(token)).toBe('accept');
    published = [];
    w.clock.advance(601);
    expect(await w.judge(token)).toBe('unknown_key');
  });

  test('many broken keys do not hide a good one either, with its kid or with none', async () => {
    const broken = { kty: 'EC', crv: 'P-256', y: 'AAAA' };
    for (const header of [{}, { kid: undefined }]) {
      const w = await world();
      const [jwk] = good(w);
      const keys = Array.from({ length: 20 }, (_, i) => ({ ...broken, x: segment(String(i)), kid: jwk?.kid }));
      w.idp.intercept = only((_req, res) => json(res, { keys: [...keys, jwk] }));
      expect(await w.judge(await w.token(undefined, header))).toBe('accept');
    }
  });
});

describe('discovery (RFC 8414, OpenID Connect Discovery)', () => {
  const discovered = (issuer: string | string[], clock = clockAt(), more: Partial<JwtVerifierOptions> = {}) =>
    jwtVerifier({ issuer, audience: 'api', now: clock.now, ...more });

  test('asks RFC 8414 first, at the path-aware place', async () => {
    for (const path of ['', '/tenant/a']) {
      const idp = await provider({ path });
      expect(await judge(discovered(idp.issuer), await idp.mint({ aud: 'api' }))).toBe('accept');
      const asked = [`/.well-known/oauth-authorization-server${path}`, `${path}/jwks`];
      expect([...idp.hits.keys()]).toEqual(asked);
    }
  });

  test.each(['', '/tenant/a'])('then OpenID, appended to the issuer (path %p)', async path => {
    const idp = await provider({ path });
    idp.intercept = (_req, res, at) => {
      if (at === `${path}/.well-known/openid-configuration`) json(res, { issuer: idp.issuer, jwks_uri: idp.jwksUri });
      else if (at.startsWith('/.well-known/oauth-authorization-server')) json(res, {}, 404);
      else return false;
      return true;
    };
    expect(await judge(discovered(idp.issuer), await idp.mint({ aud: 'api' }))).toBe('accept');
    const asked = [...idp.hits.keys()];
    expect(asked[0]).toBe(`/.well-known/oauth-authorization-server${path}`);
    expect(asked).toContain(`${path}/.well-known/openid-configuration`);
    expect(idp.hits.get(`${path}/jwks`)).toBe(1);
  });

  test('an issuer with a trailing slash is compared byte for byte and still found', async () => {
    const idp = await provider();
    const issuer = `${idp.issuer}/`;
    idp.intercept = only(
      (_req, res) => json(res, { issuer, jwks_uri: idp.jwksUri }),
      '/.well-known/oauth-authorization-server',
    );
    const auth = discovered(issuer);
    expect(await judge(auth, await idp.mint({ iss: issuer, aud: 'api' }))).toBe('accept');
    expect(await judge(auth, await idp.mint({ aud: 'api' }))).toBe('foreign');
  });

  test.each<[string, (issuer: string) => unknown]>([
    ['another issuer', () => 'https://evil.example.com'],
    ['a trailing slash more', issuer => `${issuer}/`],
    ['another case', issuer => issuer.toUpperCase()],
    ['a path more', issuer => `${issuer}/tenant`],
    ['a list', issuer => [issuer]],
    ['no issuer', () => undefined],
  ])('a document that names %s is not believed: its keys are not even fetched (attack 48)', async (_, named) => {
    const idp = await provider();
    idp.intercept = (_req, res, at) => {
      if (at === '/jwks') return false;
      json(res, { issuer: named(idp.issuer), jwks_uri: idp.jwksUri });
      return true;
    };
    expect(await judge(discovered(idp.issuer), await idp.mint({ aud: 'api' }))).toBe('unavailable');
    expect(idp.hits.get('/jwks')).toBeUndefined();
  });

  test.each<[string, unknown]>([
    ['missing', undefined],
    ['a number', 42],
    ['no URL', 'jwks'],
    ['plain http elsewhere', 'http://keys.example.com/jwks'],
    ['a file', 'file:///etc/passwd'],
    ['data', 'data:application/json,{"keys":[]}'],
  ])('a jwks_uri that is %s is not fetched', async (_, jwksUri) => {
    const idp = await provider();
    const urls: string[] = [];
    const fetch: Fetch = (input, init) => {
      urls.push(String(input));
      return globalThis.fetch(input, init);
    };
    idp.intercept = (_req, res) => {
      json(res, { issuer: idp.issuer, jwks_uri: jwksUri });
      return true;
    };
    expect(await judge(discovered(idp.issuer, clockAt(), { fetch }), await idp.mint({ aud: 'api' }))).toBe(
      'unavailable',
    );
    expect(urls.every(url => url.startsWith(`${idp.issuer}/`) && url.includes('/.well-known/'))).toBe(true);
  });

  test('a redirect of a document is not followed', async () => {
    const [idp, evil] = [await provider(), await provider()];
    evil.intercept = (_req, res, at) => {
      if (at === '/jwks') return false;
      json(res, { issuer: idp.issuer, jwks_uri: evil.jwksUri });
      return true;
    };
    idp.intercept = (_req, res, at) => {
      res.writeHead(302, { location: `${evil.issuer}${at}` }).end();
      return true;
    };
    const key = evil.keys[0] as SigningKey;
    const token = await key.sign({ iss: idp.issuer, aud: 'api', exp: clockAt().at(60) });
    expect(await judge(discovered(idp.issuer), token)).toBe('unavailable');
    expect([...evil.hits]).toEqual([]);
  });

  test('discovered keys verify only their own issuer, also where two share a kid (W-5, attack 48)', async () => {
    const [a, b] = [await provider(), await provider()];
    a.keys = [await signingKey('ES256', 'same')];
    b.keys = [await signingKey('ES256', 'same')];
    const auth = discovered([a.issuer, b.issuer]);
    for (const idp of [a, b]) expect(await judge(auth, await idp.mint({ aud: 'api' }))).toBe('accept');
    expect(await judge(auth, await a.mint({ iss: b.issuer, aud: 'api' }))).toBe('signature');
    expect(await judge(auth, await b.mint({ iss: a.issuer, aud: 'api' }))).toBe('signature');
    b.keys = [await signingKey('ES256', 'only-b')];
    expect(await judge(auth, await b.mint({ aud: 'api' }))).toBe('accept');
    expect(await judge(auth, await b.mint({ iss: a.issuer, aud: 'api' }))).toBe('unknown_key');
  });

  test('one issuer of a list being down does not touch the other', async () => {
    const [a, b] = [await provider(), await provider()];
    a.intercept = req => {
      req.socket.destroy();
      return true;
    };
    const auth = discovered([a.issuer, b.issuer]);
    expect(await judge(auth, await a.mint({ aud: 'api' }))).toBe('unavailable');
    expect(await judge(auth, await b.mint({ aud: 'api' }))).toBe('accept');
  });

  test('a failing discovery is retried after a pause and heals by itself', async () => {
    const idp = await provider();
    const clock = clockAt();
    idp.intercept = (_req, res) => {
      json(res, {}, 503);
      return true;
    };
    const auth = discovered(idp.issuer, clock);
    const token = await idp.mint({ aud: 'api', exp: clock.at(DAY) });
    for (let i = 0; i < 20; i++) expect(await judge(auth, token)).toBe('unavailable');
    expect(idp.hits.get('/.well-known/oauth-authorization-server')).toBe(1);
    idp.intercept = undefined;
    clock.advance(60);
    expect(await judge(auth, token)).toBe('accept');
  });

  test('a foreign issuer is never looked up', async () => {
    const [idp, evil] = [await provider(), await provider()];
    expect(await judge(discovered(idp.issuer), await evil.mint({ aud: 'api' }))).toBe('foreign');
    expect([...evil.hits, ...idp.hits]).toEqual([]);
  });
});

describe('tenants: an issuer predicate with a jwksUri function (C18)', () => {
  /** Any number of tenants on one server, each with a key of its own under the same kid. */
  async function tenants(options: Partial<JwtVerifierOptions> = {}) {
    const idp = await provider();
    const clock = clockAt();
    idp.intercept = (_req, res, path) => {
      const name = /^\/t\/([^/]+)\/jwks$/.exec(path)?.[1];
      if (name) json(res, { keys: [{ ...keyPair('ES256', name).jwk, kid: 'key', alg: 'ES256' }] });
      return name !== undefined;
    };
    const asked: string[] = [];
    const auth = jwtVerifier({
      issuer: iss => iss.startsWith(`${idp.issuer}/t/`),
      jwksUri: iss => {
        asked.push(iss);
        return `${iss}/jwks`;
      },
      audience: 'api',
      now: clock.now,
      ...options,
    });
    const issuer = (name: string) => `${idp.issuer}/t/${name}`;
    const token = (name: string, signedBy = name) => {
      const claims = { iss: issuer(name), aud: 'api', exp: clock.at(DAY) };
      return forge({ alg: 'ES256', kid: 'key' }, claims, signer('ES256', keyPair('ES256', signedBy).privateKey));
    };
    return { idp, clock, auth, asked, issuer, token, hits: (name: string) => idp.hits.get(`/t/${name}/jwks`) ?? 0 };
  }

  test('each tenant is verified by its own keys and by no others', async () => {
    const t = await tenants();
    for (const name of ['a', 'b']) expect(await judge(t.auth, t.token(name))).toBe('accept');
    expect(await judge(t.auth, t.token('a', 'b'))).toBe('signature');
    expect(await judge(t.auth, t.token('b', 'a'))).toBe('signature');
    expect([t.hits('a'), t.hits('b')]).toEqual([1, 1]);
  });

  test('a cached token of one tenant stays that of one tenant', async () => {
    const t = await tenants();
    const one = t.token('a');
    for (let i = 0; i < 3; i++) {
      const verdict = await t.auth.check(one);
      expect(verdict).toMatchObject({ outcome: 'accept', auth: { extra: { issuer: t.issuer('a') } } });
    }
  });

  test('the function is asked only about issuers that the predicate lets through', async () => {
    const t = await tenants();
    const evil = forge(
      { alg: 'ES256' },
      { iss: 'https://evil.example.com', aud: 'api', exp: t.clock.at(60) },
      () => 'x',
    );
    expect(await judge(t.auth, evil)).toBe('foreign');
    expect(t.asked).toEqual([]);
  });

  test('issuers that the function sends to one URL share one set', async () => {
    const idp = await provider();
    const issuer = (iss: string) => iss.startsWith('https://tenant-');
    const auth = jwtVerifier({ issuer, jwksUri: () => idp.jwksUri, audience: 'api' });
    for (const name of ['a', 'b', 'c'])
      expect(await judge(auth, await idp.mint({ iss: `https://tenant-${name}.example.com`, aud: 'api' }))).toBe(
        'accept',
      );
    expect(idp.hits.get('/jwks')).toBe(1);
  });

  test('first fetches draw from one bucket: 20 at once, then one a second, and known tenants go on', async () => {
    const t = await tenants();
    const words: string[] = [];
    for (let i = 0; i < 25; i++) words.push(await judge(t.auth, t.token(`n${i}`)));
    expect(words).toEqual([...Array(20).fill('accept'), ...Array(5).fill('unavailable')]);
    const error = await failure<UnavailableError>(t.auth.check(t.token('n24')));
    expect(error.retryAfterSeconds).toBe(1);
    expect(t.hits('n24')).toBe(0);
    t.clock.advance(1);
    expect(await judge(t.auth, t.token('n20'))).toBe('accept');
    expect(await judge(t.auth, t.token('n21'))).toBe('unavailable');
    for (let i = 0; i < 20; i++) expect(await judge(t.auth, t.token(`n${i}`))).toBe('accept');
    t.clock.advance(4);
    for (let i = 21; i < 25; i++) expect(await judge(t.auth, t.token(`n${i}`))).toBe('accept');
  });

  test('a verifier keeps 100 sets: the 101st takes the place of the longest unused, the others stay', async () => {
    const t = await tenants({ cache: false });
    for (let i = 0; i <= 100; i++) {
      expect(await judge(t.auth, t.token(`n${i}`))).toBe('accept');
      t.clock.advance(1);
    }
    for (const name of ['n2', 'n50', 'n100']) {
      expect(await judge(t.auth, t.token(name))).toBe('accept');
      expect(t.hits(name)).toBe(1);
    }
    expect(await judge(t.auth, t.token('n0'))).toBe('accept');
    expect(t.hits('n0')).toBe(2);
  });

  test('a flood of tenants that do not exist takes no set away from those that do', async () => {
    const t = await tenants({ cache: false });
    const ordinary = t.idp.intercept as Answer;
    t.idp.intercept = (req, res, path) => {
      if (!path.startsWith('/t/nobody')) return ordinary(req, res, path);
      json(res, {}, 404);
      return true;
    };
    const names = Array.from({ length: 15 }, (_, i) => `n${i}`);
    for (const name of names) expect(await judge(t.auth, t.token(name))).toBe('accept');
    const sign = signer('ES256', keyPair('ES256', 'stranger').privateKey);
    for (let i = 0; i < 120; i++) {
      const claims = { iss: t.issuer(`nobody${i}`), aud: 'api', exp: t.clock.at(DAY) };
      expect(await judge(t.auth, forge({ alg: 'ES256', kid: 'key' }, claims, sign))).toBe('unavailable');
      t.clock.advance(1);
    }
    for (const name of names) {
      expect(await judge(t.auth, t.token(name))).toBe('accept');
      expect(t.hits(name)).toBe(1);
    }
  });

  test('an answer of the function that is no https URL is never fetched and never an acceptance', async () => {
    const answers: unknown[] = [
      ...['', 'jwks', 'http://keys.example.com/jwks', 'file:///etc/passwd', 'data:application/json,{"keys":[]}'],
      ...[42, null, undefined, Promise.resolve('https://keys.example.com/jwks')],
    ];
    const urls: unknown[] = [];
    const fetch: Fetch = async url => {
      urls.push(url);
      return Response.json({ keys: [{ ...keyPair('ES256', 'a').jwk, kid: 'key' }] });
    };
    for (const answer of answers) {
      const t = await tenants({ jwksUri: (() => answer) as never, fetch });
      expect(await judge(t.auth, t.token('a')).catch(() => 'error')).not.toBe('accept');
    }
    const t = await tenants({
      fetch,
      jwksUri: () => {
        throw new Error('bug');
      },
    });
    expect(await judge(t.auth, t.token('a')).catch(() => 'error')).not.toBe('accept');
    expect(urls).toEqual([]);
  });
});

describe('ready() (contract: prefetches discovery and keys; never required)', () => {
  test('after it the first token costs no fetch', async () => {
    const w = await world({ jwksUri: undefined });
    await w.auth.ready();
    expect(w.fetches()).toBe(1);
    w.idp.intercept = reset;
    expect(await w.judge(await w.token())).toBe('accept');
  });

  test('it fetches the keys of every issuer of a list', async () => {
    const [a, b] = [await provider(), await provider()];
    await jwtVerifier({ issuer: [a.issuer, b.issuer], audience: 'api' }).ready();
    expect([a.hits.get('/jwks'), b.hits.get('/jwks')]).toEqual([1, 1]);
  });

  test('several calls at once are one fetch, and a later one costs nothing', async () => {
    const w = await world();
    await Promise.all([w.auth.ready(), w.auth.ready(), w.judge(await w.token())]);
    await w.auth.ready();
    expect(w.fetches()).toBe(1);
  });

  test('it rejects with UnavailableError when it cannot, and the instance heals by itself', async () => {
    for (const jwksUri of [true, false]) {
      const w = await world(jwksUri ? {} : { jwksUri: undefined });
      w.idp.intercept = req => {
        req.socket.destroy();
        return true;
      };
      expect(await failure(w.auth.ready())).toBeInstanceOf(UnavailableError);
      w.idp.intercept = undefined;
      w.clock.advance(60);
      expect(await w.judge(await w.token())).toBe('accept');
      await w.auth.ready();
    }
  });

  test('with nothing to fetch it resolves: inline keys, tenants', async () => {
    const secret = 'x'.repeat(32);
    await jwtVerifier({ issuer: 'a', audience: 'api', secret }).ready();
    await jwtVerifier({ issuer: () => true, jwksUri: iss => `${iss}/jwks`, audience: 'api' }).ready();
  });

  test('an unbound audience stays a ConfigError, not an outage', async () => {
    const idp = await provider();
    const auth = jwtVerifier({ issuer: idp.issuer });
    await auth.ready().catch(() => {});
    expect(() => auth.protect()).toThrow(ConfigError);
  });
});

describe('events of key sets (DESIGN §7)', () => {
  test('keys_fetched and keys_failed name the URL', async () => {
    const [fetched, failed] = [listenTo('keys_fetched'), listenTo('keys_failed')];
    try {
      const w = await world({ cache: false });
      await w.judge(await w.token());
      expect(fetched.messages).toEqual([expect.objectContaining({ url: w.idp.jwksUri, keys: expect.anything() })]);
      expect(failed.messages).toEqual([]);
      w.idp.intercept = reset;
      w.clock.advance(601);
      const failure = failed.next();
      expect(await w.judge(await w.token())).toBe('accept');
      await failure;
      expect(failed.messages).toEqual([expect.objectContaining({ url: w.idp.jwksUri, message: expect.any(String) })]);
      expect(fetched.messages).toHaveLength(1);
    } finally {
      fetched.stop();
      failed.stop();
    }
  });

  test('an outage is told as unavailable, with the source and when to come back', async () => {
    const w = await world({ name: 'people' });
    w.idp.intercept = reset;
    const unavailable = listenTo('unavailable');
    try {
      const token = await w.token();
      await request(guardedApp(w.auth).app).post('/mcp').set('authorization', `Bearer ${token}`).expect(503);
      expect(unavailable.messages).toEqual([
        expect.objectContaining({
          source: 'people',
          message: expect.any(String),
          retryAfterSeconds: expect.any(Number),
        }),
      ]);
    } finally {
      unavailable.stop();
    }
  });
});

describe('no timer keeps the process alive', () => {
  const child = childProgram(new URL('../support/jwt-child.ts', import.meta.url));

  /** Runs a scenario in a process of its own; resolves when it has ended by itself. */
  async function run(scenario: string, idp: IdentityProvider): Promise<{ code: number | null; lines: string[] }> {
    const token = await idp.mint({ aud: 'api', exp: clockAt().at(DAY) });
    const env = { ...process.env, NODE_OPTIONS: '' };
    const running = spawn(process.execPath, [child, scenario, idp.issuer, token], { env });
    open.push(async () => void running.kill('SIGKILL'));
    let output = '';
    running.stdout.on('data', data => {
      output += data;
    });
    running.stderr.on('data', data => {
      output += data;
    });
    const [code] = (await once(running, 'close')) as [number | null];
    return { code, lines: output.trim().split('\n') };
  }

  test('after use, after a failure, while a fetch never ends, and after close() in a refresh', async () => {
    const idp = await provider();
    expect(await run('used', idp)).toEqual({ code: 0, lines: ['accept', 'accept'] });
    expect(await run('waiting', idp)).toEqual({ code: 0, lines: ['asked'] });
    let requests = 0;
    idp.intercept = only((_req, res) => {
      if (++requests === 1) json(res, { keys: idp.keys.map(key => key.publicJwk) });
    });
    expect(await run('refreshing', idp)).toEqual({ code: 0, lines: ['accept', 'accept'] });
    expect(requests).toBe(2);
    requests = 0;
    idp.intercept = only((req, res) => {
      if (++requests === 1) json(res, { keys: idp.keys.map(key => key.publicJwk) });
      else req.socket.destroy();
    });
    expect(await run('refreshing', idp)).toEqual({ code: 0, lines: ['accept', 'accept'] });
    idp.intercept = reset;
    expect(await run('failed', idp)).toEqual({ code: 0, lines: ['unavailable'] });
  }, 60_000);
});
