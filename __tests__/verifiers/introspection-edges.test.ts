import { describe, expect, jest, test } from '@jest/globals';
import { type IntrospectionVerifierOptions, introspectionVerifier, jwtVerifier } from 'express-mcp-auth';
import { drain, heldFetch } from '../support/introspection-server.js';
import { clockAt } from '../support/jwt-forge.js';
import { failure, judge } from '../support/jwt-judge.js';
import { signingKey } from '../support/keys.js';

const URL_ = 'https://as.example.com/introspect';
const good = { active: true, aud: 'api', client_id: 'app' };
const DAY = 86_400;

/** An endpoint in memory that answers by token, and a verifier of it by a clock that only moves when told to. */
function world(options: Partial<IntrospectionVerifierOptions> = {}) {
  const clock = clockAt();
  const asked: string[] = [];
  const answers = new Map<string, unknown>();
  let respond = (token: string): Response => Response.json(answers.get(token) ?? { active: false });
  const auth = introspectionVerifier({
    introspectionUrl: URL_,
    clientId: 'rs',
    clientSecret: 'introspection-secret',
    audience: 'api',
    now: clock.now,
    fetch: async (_url, init) => {
      const token = new URLSearchParams(String(init?.body)).get('token') ?? '';
      asked.push(token);
      return respond(token);
    },
    ...options,
  });
  return {
    clock,
    asked,
    answers,
    auth,
    judge: (token: string) => judge(auth, token),
    respondWith(next: (token: string) => Response | undefined) {
      respond = token => next(token) ?? Response.json(answers.get(token) ?? { active: false });
    },
  };
}

describe('what is remembered', () => {
  test('an active answer that has gone stale hides no fresh inactive one: a revoked token is asked about once in 10 s', async () => {
    const w = world();
    w.answers.set('token', good);
    expect(await w.judge('token')).toBe('accept');
    w.answers.delete('token');
    w.clock.advance(31);
    for (let i = 0; i < 100; i++) expect(await w.judge('token')).toBe('foreign');
    expect(w.asked).toHaveLength(2);
    w.clock.advance(11);
    w.answers.set('token', good);
    for (let i = 0; i < 100; i++) expect(await w.judge('token')).toBe('accept');
    expect(w.asked).toHaveLength(3);
  });

  test('a token that became active again is good as soon as the endpoint says so, and stays so', async () => {
    const w = world();
    expect(await w.judge('token')).toBe('foreign');
    w.answers.set('token', good);
    w.clock.advance(11);
    expect(await w.judge('token')).toBe('accept');
    w.clock.advance(-5);
    expect(await w.judge('token')).toBe('accept');
  });

  test('a clock that steps back makes no answer fresh', async () => {
    const w = world();
    w.answers.set('token', good);
    w.clock.advance(DAY);
    expect(await w.judge('token')).toBe('accept');
    w.answers.delete('token');
    w.clock.advance(-DAY);
    expect(await w.judge('token')).toBe('foreign');
    w.clock.advance(-DAY);
    w.answers.set('token', good);
    expect(await w.judge('token')).toBe('accept');
  });
});

describe('attack 62: what counts as a failure of the endpoint', () => {
  /** Fails three times for `odd`, then asks about two other tokens at once and counts how many were answered. */
  async function answeredAfter(failing: (token: string) => Response | undefined): Promise<number> {
    const w = world({ cacheTtlSeconds: 0 });
    for (const token of ['a', 'b', 'c', 'd', 'e', 'f']) w.answers.set(token, good);
    w.respondWith(token => (token.startsWith('odd') ? failing(token) : undefined));
    for (const token of ['odd1', 'odd2', 'odd3']) expect(await w.judge(token)).toBe('unavailable');
    const words = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(w.judge));
    return words.filter(word => word === 'accept').length;
  }
  const status = (code: number) => () => new Response(null, { status: code });

  test.each([400, 413, 414, 422, 431])(
    'status %i to one token is that token’s: the others are still asked about',
    async code => {
      expect(await answeredAfter(status(code))).toBe(6);
    },
  );

  test.each([401, 403, 404, 408, 429, 500, 502, 503, 504, 301, 204])('status %i is the endpoint’s', async code => {
    expect(await answeredAfter(status(code))).toBe(1);
  });

  test.each<[string, () => Response]>([
    [
      'a network failure',
      () => {
        throw new TypeError('fetch failed');
      },
    ],
    ['a body that is no JSON', () => new Response('<html>')],
    ['JSON without active', () => Response.json({})],
  ])('%s is the endpoint’s', async (_, failing) => {
    expect(await answeredAfter(failing)).toBe(1);
  });

  test('odd tokens hold up nobody, though some are always under way', async () => {
    const held = heldFetch();
    const w = world({ cacheTtlSeconds: 0, fetch: held.fetch });
    const odd = Array.from({ length: 4 }, (_, i) => w.judge(`odd${i}`));
    await drain();
    for (const call of held.pending.slice()) call.answer('no', 400);
    expect(await Promise.all(odd)).toEqual(Array(4).fill('unavailable'));
    const [more, users] = [['odd5', 'odd6'].map(w.judge), ['a', 'b', 'c'].map(w.judge)];
    await drain();
    expect(held.pending.map(call => call.token)).toEqual(['odd5', 'odd6', 'a', 'b', 'c']);
    for (const call of held.pending.slice())
      call.answer(call.token.startsWith('odd') ? 'no' : good, call.token.startsWith('odd') ? 400 : 200);
    expect(await Promise.all(users)).toEqual(['accept', 'accept', 'accept']);
    await Promise.all(more);
  });

  test('a probe that is told 400 shows that the endpoint is there again', async () => {
    const w = world({ cacheTtlSeconds: 0 });
    for (const token of ['a', 'b', 'c']) w.answers.set(token, good);
    w.respondWith(status(503));
    for (const token of ['a', 'b', 'c']) await w.judge(token);
    w.respondWith(token => (token === 'odd' ? new Response(null, { status: 400 }) : undefined));
    expect(await w.judge('odd')).toBe('unavailable');
    expect(await Promise.all(['a', 'b', 'c'].map(w.judge))).toEqual(['accept', 'accept', 'accept']);
  });
});

describe('close()', () => {
  test('ends what is under way and what waits, without a new question', async () => {
    const held = heldFetch();
    const w = world({ fetch: held.fetch });
    const words = Array.from({ length: 60 }, (_, i) => w.judge(`token${i}`));
    await drain();
    expect(held.pending).toHaveLength(50);
    await w.auth.close();
    expect(await Promise.all(words)).toEqual(Array(60).fill('unavailable'));
    expect(held.calls).toHaveLength(50);
    expect(held.calls.every(call => call.aborted)).toBe(true);
  });

  test('forgets what was answered, and whoever asks again starts anew', async () => {
    const w = world();
    w.answers.set('token', good);
    await w.judge('token');
    await w.judge('nobody');
    w.answers.set('nobody', good);
    await w.auth.close();
    expect([await w.judge('token'), await w.judge('nobody')]).toEqual(['accept', 'accept']);
    expect(w.asked).toEqual(['token', 'nobody', 'token', 'nobody']);
  });

  test('what it ended counts as no failure of the endpoint', async () => {
    const held = heldFetch();
    const w = world({ fetch: held.fetch });
    const before = ['a', 'b', 'c'].map(w.judge);
    await drain();
    await w.auth.close();
    await Promise.all(before);
    const after = ['a', 'b', 'c'].map(w.judge);
    await drain();
    expect(held.pending).toHaveLength(3);
    for (const call of held.pending.slice()) call.answer(good);
    expect(await Promise.all(after)).toEqual(['accept', 'accept', 'accept']);
  });

  test('of a jwtVerifier forgets bad signatures too', async () => {
    const [key, other] = [await signingKey('ES256', 'a'), await signingKey('ES256', 'a')];
    const auth = jwtVerifier({ issuer: 'https://idp.example.com', audience: 'api', jwks: { keys: [key.publicJwk] } });
    const token = await other.sign({ iss: 'https://idp.example.com', aud: 'api', exp: 9_000_000_000 });
    const checks = jest.spyOn(globalThis.crypto.subtle, 'verify');
    for (let i = 0; i < 3; i++) expect(await judge(auth, token)).toBe('signature');
    expect(checks).toHaveBeenCalledTimes(1);
    await auth.close();
    expect(await judge(auth, token)).toBe('signature');
    expect(checks).toHaveBeenCalledTimes(2);
    checks.mockRestore();
  });

  test('the error of a check that it ended is an outage with a delay', async () => {
    const held = heldFetch();
    const w = world({ fetch: held.fetch });
    const error = failure(w.auth.check('token'));
    await drain();
    await w.auth.close();
    expect(await error).toMatchObject({ name: 'UnavailableError', retryAfterSeconds: expect.any(Number) });
  });
});
