import { afterEach, describe, expect, test } from '@jest/globals';
import { jwtVerifier, multiAuth } from 'express-mcp-auth';
import fc from 'fast-check';
import { bearer, endpoint, platforms, READER, remote, send, serve, stopAll } from '../support/app.js';
import { forge, keyPair, signer, unsigned } from '../support/jwt-forge.js';
import { judge, listenTo } from '../support/jwt-judge.js';

afterEach(stopAll);

const ISSUER = 'https://idp.example.com';
const BASE = 'https://mcp.example.com';
const verifier = () => jwtVerifier({ issuer: ISSUER, jwks: { keys: [{ ...keyPair('ES256').jwk, kid: 'a' }] } });
const auth = () => multiAuth([verifier()], { baseUrl: BASE, legacyResources: ['https://old.example.com/mcp'] });
const payload = (members: string) => `{"iss":"${ISSUER}","exp":9000000000,${members}}`;
const token = (members: string) => forge({ alg: 'ES256', kid: 'a' }, payload(members), unsigned).replace(/$/, 'AA');
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('attack 50: what unverified claims may cost', () => {
  test.each([
    ['aud', 'audience'],
    ['nbf', 'malformed'],
    ['sub', 'malformed'],
    ['scope', 'malformed'],
  ])('a deeply nested %s is refused for what it is, not as an error', async (name, reason) => {
    const aud = name === 'aud' ? '' : `"aud":"${BASE}/mcp",`;
    expect(await judge(auth(), token(`${aud}"${name}":${nested(5_500)}`))).toBe(reason);
  });

  test('so are a deeply nested alg, typ, crit and kid', async () => {
    for (const name of ['alg', 'crit', 'kid']) {
      const header = `{"alg":"ES256","${name}":${nested(5_500)}}`;
      const deep = forge(header, payload(`"aud":"${BASE}/mcp"`), unsigned);
      expect([name, await judge(auth(), `${deep}AA`)]).toEqual([name, expect.not.stringMatching(/^(accept|error)$/)]);
    }
  });

  test('I5: an event shows the start of what came, lists and objects included', async () => {
    const cases: [string, string][] = [
      ['"other"', 'other'],
      ['["a","b",3,null,true]', '["a","b",3,null,true]'],
      ['["a",["b"],{"c":1}]', '["a",[...],{...}]'],
      ['{"c":1}', '{...}'],
      ['7', '7'],
      ['[]', '[]'],
      [`"${'x'.repeat(300)}"`, `${'x'.repeat(200)}...`],
    ];
    const heard = listenTo<{ received: string }>('rejected');
    for (const [aud] of cases) await auth().check(token(`"aud":${aud}`));
    await auth().check(token(`"aud":${JSON.stringify(Array.from({ length: 1_000 }, (_, i) => `a${i}`))}`));
    heard.stop();
    const received = heard.messages.map(message => message.received);
    expect(received.slice(0, -1)).toEqual(cases.map(([, shown]) => shown));
    expect(received.at(-1)).toMatch(/^\["a0","a1",.*\.\.\.$/);
    expect(received.at(-1)?.length).toBeLessThan(210);
  });

  describe('a long list of audiences', () => {
    const platformUrl = globalThis.URL;
    afterEach(() => {
      globalThis.URL = platformUrl;
    });
    function countParses() {
      let parses = 0;
      globalThis.URL = class extends platformUrl {
        constructor(url: string | URL, base?: string | URL) {
          parses++;
          super(url, base);
        }
        static override canParse(url: string, base?: string) {
          parses++;
          return platformUrl.canParse(url, base);
        }
      } as typeof URL;
      return () => parses;
    }

    test.each(['', '/mcp', '/mcp/'])('whose members end in %j has few of them parsed', async end => {
      const guarded = auth();
      const list = Array.from({ length: 700 }, (_, i) => `h://${i.toString(36)}${end}`);
      const long = token(`"aud":${JSON.stringify(list)}`);
      await guarded.check('bind it first');
      const parses = countParses();
      expect(await judge(guarded, long)).toBe('audience');
      expect(parses()).toBeLessThanOrEqual(2 * 64);
    });

    test('still holds the resource wherever it stands, and other spellings of it among the first', async () => {
      const sign = signer('ES256', keyPair('ES256').privateKey);
      const signed = (aud: readonly unknown[]) =>
        forge({ alg: 'ES256', kid: 'a' }, payload(`"aud":${JSON.stringify(aud)}`), sign);
      const others = Array.from({ length: 300 }, (_, i) => `https://h${i}.example.com/mcp`);
      const words: string[] = [];
      for (const aud of [
        [...others, `${BASE}/mcp`],
        [...others.slice(0, 60), 'HTTPS://MCP.example.com:443/mcp/', ...others],
        [...others.slice(0, 60), 'https://old.example.com/mcp', ...others],
        [1, null, [`${BASE}/mcp`], { aud: `${BASE}/mcp` }],
      ])
        words.push(await judge(auth(), signed(aud)));
      expect(words).toEqual(['accept', 'accept', 'accept', 'audience']);
    });
  });
});

describe.each(platforms)('RS-18: on $name a token in the query', platform => {
  const guarded = async () => serve(platform.app((req, res, next) => remote()(req, res, next), endpoint().step));

  test('is found however it is spelled, and nothing else is taken for one', async () => {
    const origin = await guarded();
    const pieces = ['access_token', 'access%5Ftoken', '%61ccess_toke%6e', 'ACCESS_TOKEN', 'x', '=', '&', '?', '+'];
    const ends = ['', '[]', '%5B%5D', '.a', '%2ea', '%3D', '%', '%zz', '#', ';'];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...pieces, ...ends, 'access_token', '&'), { maxLength: 6 }),
        async parts => {
          const query = parts.join('');
          const names = [...new URLSearchParams(query).keys()].map(name => name.split(/[[.]/)[0]);
          const answer = await send(origin, `/mcp?${query}`, { headers: [bearer(READER)] });
          expect([query, answer.status]).toEqual([query, names.includes('access_token') ? 400 : 200]);
        },
      ),
      { numRuns: 150 },
    );
  }, 30_000);
});
