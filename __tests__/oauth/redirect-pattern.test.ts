import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { redirectPattern } from '../../lib/oauth/redirect-pattern.js';
import { anyText } from '../support/any-text.js';

describe('patterns for redirect URIs (attack 6)', () => {
  test.each<[pattern: string, yes: string[], no: string[]]>([
    [
      'https://a.test/cb',
      ['https://a.test/cb'],
      ['https://a.test/cb/', 'https://a.test/cb?x=1', 'https://A.test/cb', 'https://a.test:443/cb', 'http://a.test/cb'],
    ],
    [
      'https://*.a.test/cb',
      ['https://x.a.test/cb', 'https://X.A.test/cb', 'https://a-b_c.a.test/cb'],
      [
        'https://a.test/cb',
        'https://.a.test/cb',
        'https://x.y.a.test/cb',
        'https://x.a.test/cb/',
        'https://x.a.test/cb?x',
        'https://x.a.test:8443/cb',
        'http://x.a.test/cb',
        'https://evil.test/?x=.a.test/cb',
        'https://evil.test/x.a.test/cb',
        'https://evil.test#.a.test/cb',
        'https://evil.test\\.a.test/cb',
        'https://evil.test@x.a.test/cb',
        'https://x.a.test@evil.test/cb',
        'https://x.a.test.evil.test/cb',
        'https://xa.test/cb',
      ],
    ],
    [
      'https://a.test:*/cb',
      ['https://a.test/cb', 'https://a.test:1/cb', 'https://a.test:65535/cb'],
      ['https://a.test:0/cb', 'https://a.test:65536/cb', 'https://a.test:x@evil.test/cb', 'https://b.test:1/cb'],
    ],
    [
      'https://a.test/app/*',
      ['https://a.test/app/', 'https://a.test/app/x', 'https://a.test/app/x/y.z', 'https://a.test/app/x..y'],
      [
        'https://a.test/app',
        'https://a.test/application',
        'https://a.test/app/../x',
        'https://a.test/app/..',
        'https://a.test/app/./x',
        'https://a.test/app/%2e%2e/x',
        'https://a.test/app/%2E./x',
        'https://a.test/app/..%2fx',
        'https://a.test/app/..%5cx',
        'https://a.test/app/x?y=1',
        'https://a.test/app/x#y',
        'https://a.test/app/x y',
      ],
    ],
    [
      'https://a.test/*',
      ['https://a.test/', 'https://a.test/x/y'],
      ['https://a.test', 'https://a.test?x', 'https://b.test/'],
    ],
    ['https://a.test/app/*?k=v', ['https://a.test/app/x?k=v'], ['https://a.test/app/x', 'https://a.test/app/x?k=v&l']],
    [
      'https://*.a.test:*/app/*',
      ['https://x.a.test/app/', 'https://x.a.test:8443/app/y'],
      ['https://a.test:8443/app/y', 'https://x.a.test:8443/y'],
    ],
    [
      'http://localhost:*/cb',
      ['http://localhost/cb', 'http://localhost:1/cb'],
      ['http://localhost:1/cb2', 'http://127.0.0.1:1/cb', 'https://localhost:1/cb', 'http://localhost:1@evil.test/cb'],
    ],
    [
      'http://127.0.0.1/cb',
      ['http://127.0.0.1/cb', 'http://127.0.0.1:9/cb'],
      ['http://127.1/cb', 'http://localhost/cb'],
    ],
    ['http://127.0.0.1:9/cb', ['http://127.0.0.1:9/cb'], ['http://127.0.0.1/cb', 'http://127.0.0.1:8/cb']],
    ['http://[::1]/*', ['http://[::1]:1/x'], ['http://[::2]:1/x']],
    ['myapp://cb', ['myapp://cb'], ['myapp://cb/', 'myapp://cb?x', 'MYAPP://cb']],
    ['com.example.app:/cb', ['com.example.app:/cb'], ['com.example.app:/cb/x']],
  ])('%s', (pattern, yes, no) => {
    const matches = redirectPattern(pattern);
    for (const uri of yes) expect([uri, matches(uri)]).toEqual([uri, true]);
    for (const uri of no) expect([uri, matches(uri)]).toEqual([uri, false]);
  });

  test.each([
    ['*', 'no http(s) URL'],
    ['**', 'no http(s) URL'],
    ['*://a.test/cb', 'no http(s) URL'],
    ['http*://a.test/cb', 'no http(s) URL'],
    ['https:*', 'no http(s) URL'],
    ['myapp://*', 'exact URI'],
    ['cursor://anysphere.cursor-mcp/*', 'exact URI'],
    ['javascript:*', 'exact URI'],
    ['https://*', 'left-most label'],
    ['https://*/cb', 'left-most label'],
    ['https://*a.test/cb', 'left-most label'],
    ['https://a*.test/cb', 'left-most label'],
    ['https://x.*.a.test/cb', 'left-most label'],
    ['https://*.*.a.test/cb', 'left-most label'],
    ['https://**.a.test/cb', 'left-most label'],
    ['https://a.*/cb', 'left-most label'],
    ['https://*.test/cb', 'no domain'],
    ['https://*./cb', 'no domain'],
    ['https://*..a.test/cb', 'no domain'],
    ['https://a.test:8*/cb', 'port'],
    ['https://a.test:**/cb', 'port'],
    ['https://a.test/*/cb', 'last segment'],
    ['https://a.test/c*', 'last segment'],
    ['https://a.test/*b', 'last segment'],
    ['https://a.test/**', 'last segment'],
    ['https://a.test/*/*', 'last segment'],
    ['https://a.test/../*', 'dot segment'],
    ['https://a.test/%2e%2e/*', 'dot segment'],
    ['https://a.test/cb?x=*', 'query'],
    ['https://a.test/cb#*', 'no http(s) URL'],
    ['https://*.a.test/cb#x', 'no http(s) URL'],
    ['https://user@*.a.test/cb', 'left-most label'],
    ['https://*.a.test@evil.test/cb', 'user name'],
    ['https://*.a.test:0/cb', 'well-formed'],
    ['HTTPS://*.a.test/cb', 'well-formed'],
    ['https://*.a b.test/cb', 'white space'],
    ['http://a.test/cb', 'is http on a host'],
    ['http://a.test/*', 'is http on a host'],
    ['http://*.localhost/cb', 'no domain'],
    ['https://a.test/cb#x', 'fragment'],
    ['https://[2001:db8::*]/cb', 'left-most label'],
    ['', 'absolute'],
    ['a.test', 'absolute'],
  ])('%j is no pattern', (pattern, reason) => {
    expect(() => redirectPattern(pattern)).toThrow(reason);
  });

  test('what matches lies under the pattern for a URL parser too', () => {
    const matches = redirectPattern('https://*.a.test:*/app/*');
    const part = fc.oneof(
      fc.constantFrom(
        'x',
        '.a.test',
        'a.test',
        'evil.test',
        '.',
        '..',
        '/',
        '//',
        '/app/',
        '\\',
        '@',
        ':1',
        '%2e',
        '%2F',
      ),
      fc.constantFrom('?', '#', '%5c', '\t', '%00', ';', '[', ']', '\u3002', '\uff0f', '*'),
      anyText({ maxLength: 2 }),
    );
    const candidate = fc.array(part, { maxLength: 8 }).map(parts => `https://${parts.join('')}`);
    const near = fc.array(part, { maxLength: 4 }).map(parts => `https://x.a.test/app/${parts.join('')}`);
    let count = 0;
    fc.assert(
      fc.property(fc.oneof(candidate, near), uri => {
        if (!matches(uri)) return true;
        count++;
        const url = new URL(uri);
        return (
          url.protocol === 'https:' &&
          /^[^.]+\.a\.test$/.test(url.hostname) &&
          url.pathname.startsWith('/app/') &&
          !decodeURIComponent(url.pathname).split(/[/\\]/).includes('..') &&
          `${url.username}${url.search}${url.hash}` === ''
        );
      }),
      { numRuns: 2_000 },
    );
    expect(count).toBeGreaterThan(20);
  });

  test('reading a pattern either succeeds or throws an Error with a reason', () => {
    const piece = fc.constantFrom(
      'https://',
      'http://',
      '*',
      '.',
      'a',
      '.test',
      ':',
      '/',
      '?',
      '#',
      '[',
      ']',
      '@',
      '..',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        try {
          expect(typeof redirectPattern(pieces.join(''))('https://a.test/')).toBe('boolean');
        } catch (error) {
          expect((error as Error).constructor).toBe(Error);
          expect((error as Error).message).toMatch(/^(is|has|holds|carries|leaves) /);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test.each(['a.', 'a.a.test', '*', '/', '/../', '%2e', '.a.test/'])(
    'attack 6: 100 kB of %j is answered within 50 ms',
    unit => {
      const matchers = ['https://*.a.test/*', 'https://*.a.test:*/x/*', 'http://localhost:*/*'].map(redirectPattern);
      const long = unit.repeat(100_000 / unit.length);
      const start = performance.now();
      for (const matches of matchers)
        for (const uri of [long, `https://${long}`, `https://x.a.test/${long}`, `http://localhost:1/${long}`])
          expect(matches(uri)).toBe(false);
      expect(performance.now() - start).toBeLessThan(50);
    },
  );
});
