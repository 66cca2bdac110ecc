import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { matchesRegistered, redirectPolicy } from '../../lib/oauth/redirect-uri.js';
import { anyText } from '../support/any-text.js';

const policy = redirectPolicy({ knownClients: true });

/** Strings made of what redirect URIs and attacks on them are made of. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom('https:', 'http:', 'HTTPS:', 'javascript:', 'java\tscript:', 'data:', 'cursor:', '//', '/', '\\'),
      fc.constantFrom('127.0.0.1', '127.1', '[::1]', 'localhost', 'a.test', 'evil.test', '0x7f.1', 'x@', ':', '@', '.'),
      fc.constantFrom(':80', ':443', ':0', ':65535', ':65536', '/cb', '/..', '%2e', '%2f', '%00', '?x=1', '#', '*'),
      fc.constantFrom('anysphere.cursor-mcp/oauth/callback', ' ', '\n', '\u0000', '\uff0e', '\u202e'),
      anyText({ maxLength: 4 }),
    ),
    { maxLength: 9 },
  )
  .map(parts => parts.join(''));

describe('which redirect URIs may be used (RFC 7591 section 5, RFC 8252, D-1)', () => {
  test.each([
    'https://claude.ai/api/mcp/auth_callback',
    'https://a.test',
    'https://a.test:8443/cb?x=1&y=%2F',
    'https://[2001:db8::1]/cb',
    'https://localhost:8443/cb',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:1/cb',
    'http://localhost:65535/cb?x=1',
    'http://localhost',
    'http://[::1]:3000/',
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'warp://mcp/oauth2callback',
    'com.raycast:/oauth?package_name=Extension',
  ])('B-15: %s is allowed', uri => {
    expect(policy.problem(uri)).toBeNull();
  });

  test.each([
    ['javascript:alert(1)//', 'scheme'],
    ['JaVaScRiPt:alert(1)', 'scheme'],
    [' javascript:alert(1)', 'white space'],
    ['java\tscript:alert(1)', 'white space'],
    ['java\nscript:alert(1)', 'white space'],
    ['\u0000javascript:alert(1)', 'white space'],
    ['javascript://a.test/%0aalert(1)', 'scheme'],
    ['data:text/html,x', 'scheme'],
    ['vbscript:x', 'scheme'],
    ['file:///etc/passwd', 'scheme'],
    ['blob:https://a.test/1', 'scheme'],
    ['filesystem:https://a.test/1', 'scheme'],
    ['about:blank', 'scheme'],
    ['ws://a.test/', 'scheme'],
    ['WSS://a.test/', 'scheme'],
    ['ftp://a.test/', 'scheme'],
    ['intent://a#Intent;end', 'fragment'],
    ['intent://a/b', 'scheme'],
    ['view-source:https://a.test/', 'scheme'],
  ])('attack 5, K-24: %j is refused', (uri, reason) => {
    expect(policy.problem(uri)).toContain(reason);
    // Not even where an operator lists it.
    expect(() => redirectPolicy({ allow: [uri], knownClients: true })).toThrow(reason);
    expect(() => redirectPolicy({ only: [uri], knownClients: true })).toThrow(reason);
  });

  test.each([
    ['https://evil.test\\@a.test/cb', 'backslash'],
    ['https:a.test/cb', 'well-formed'],
    ['https:///a.test/cb', 'well-formed'],
    ['https:/a.test/cb', 'well-formed'],
    ['https://a.test/c\tb', 'white space'],
    ['https://a.test/c\nb', 'white space'],
    ['https://a.test/c b', 'white space'],
    ['https://a.test/cb\r\nSet-Cookie: x=1', 'white space'],
    ['https://a.test/\u0000', 'control character'],
    ['https://\uff41.test/cb', 'percent-encoded'],
    ['https://a\u3002test/cb', 'percent-encoded'],
    ['https://a.test/caf\u00e9', 'percent-encoded'],
    ['https://a.test/{cb}', 'percent-encoded'],
    ['https://a.test/<script>', 'percent-encoded'],
    ['https://a.test/"x', 'percent-encoded'],
    ['HTTPS://a.test/cb', 'well-formed'],
    ['https://a%2etest/cb', 'well-formed'],
    ['https://*/cb', 'well-formed'],
    ['https://*.a.test/cb', 'well-formed'],
    ['https://a.test:/cb', 'well-formed'],
    ['https://a.test:0/cb', 'well-formed'],
    ['https://a.test:080/cb', 'well-formed'],
    ['https://a.test:65536/cb', 'well-formed'],
    ['https://127.1/cb', 'well-formed'],
    ['https://2130706433/cb', 'well-formed'],
    ['https://0x7f.0.0.1/cb', 'well-formed'],
    ['https://[::0:1]/cb', 'well-formed'],
    ['https://a.test%2f@evil.test/cb', 'user name'],
    ['https://user:pass@a.test/cb', 'user name'],
    ['https://a.test@evil.test', 'user name'],
    ['http://127.0.0.1@evil.test/cb', 'user name'],
    ['cursor://user@anysphere.cursor-mcp/oauth/callback', 'user name'],
    ['https://a.test/cb#', 'fragment'],
    ['https://a.test/cb#x', 'fragment'],
    ['cursor://anysphere.cursor-mcp/oauth/callback#x', 'fragment'],
    ['/cb', 'absolute'],
    ['//a.test/cb', 'absolute'],
    ['a.test/cb', 'absolute'],
    ['', 'absolute'],
    ['null', 'absolute'],
    [`https://a.test/${'a'.repeat(2_048)}`, '2048 characters'],
  ])('attack 3: %j is refused', (uri, reason) => {
    expect(policy.problem(uri)).toContain(reason);
  });

  test.each([
    'http://a.test/cb',
    'http://192.168.0.1/cb',
    'http://0.0.0.0:1/cb',
    'http://127.0.0.2/cb',
    'http://127.0.0.1.evil.test:1/cb',
    'http://localhost.evil.test/cb',
    'http://notlocalhost/cb',
    'http://localhost./cb',
    'http://LOCALHOST/cb',
    'http://[::ffff:127.0.0.1]/cb',
  ])('attack 4: http on %s is refused', uri => {
    expect(policy.problem(uri)).not.toBeNull();
    expect(policy.isLoopback(uri)).toBe(false);
  });

  test.each([
    'cursor://anysphere.cursor-mcp/oauth/callback/x',
    'cursor://anysphere.cursor-mcp/oauth/callback?x=1',
    'cursor://evil/oauth/callback',
    'CURSOR://anysphere.cursor-mcp/oauth/callback',
    'vscode://evil.extension/cb',
    'com.example.app:/cb',
    'myapp:cb',
  ])('D-1: the private-use scheme of %s is refused until it is allowed exactly', uri => {
    expect(policy.problem(uri)).toContain('private-use scheme');
    const open = redirectPolicy({ allow: [uri], knownClients: true });
    expect(open.problem(uri)).toBeNull();
    expect(open.problem(`${uri}/x`)).toContain('private-use scheme');
  });

  test('E-23: without knownClients their private-use schemes are refused, and nothing of theirs is trusted', () => {
    const strict = redirectPolicy({ knownClients: false });
    expect(strict.problem('cursor://anysphere.cursor-mcp/oauth/callback')).toContain('private-use scheme');
    expect(strict.problem('https://claude.ai/api/mcp/auth_callback')).toBeNull();
    expect(strict.isAutoRedirectable('https://claude.ai/api/mcp/auth_callback')).toBe(false);
    expect(strict.isAutoRedirectable('http://localhost:1/cb')).toBe(true);
  });

  test('E-22: only replaces everything else, known clients and loopback included', () => {
    const closed = redirectPolicy({
      allow: ['myapp://cb'],
      only: ['https://a.test/cb', 'http://localhost/callback', 'http://127.0.0.1:7777/cb'],
      knownClients: true,
    });
    expect(closed.problem('https://a.test/cb')).toBeNull();
    expect(closed.problem('http://localhost/callback')).toBeNull();
    // RFC 8252 section 7.3: an entry that names no port means any; one that names a port means that.
    expect(closed.problem('http://localhost:53123/callback')).toBeNull();
    expect(closed.problem('http://127.0.0.1:7777/cb')).toBeNull();
    for (const uri of [
      'https://a.test/cb/',
      'https://b.test/cb',
      'http://127.0.0.1:7778/cb',
      'http://127.0.0.1:53123/callback',
      'https://claude.ai/api/mcp/auth_callback',
      'cursor://anysphere.cursor-mcp/oauth/callback',
      'myapp://cb',
    ])
      expect(closed.problem(uri)).toContain('not among');
    expect(redirectPolicy({ only: [], knownClients: true }).problem('https://a.test/cb')).toContain('not among');
  });

  test('attack 7: answers before a decision go to loopback and known clients only', () => {
    expect(policy.isAutoRedirectable('http://127.0.0.1:1/cb')).toBe(true);
    expect(policy.isAutoRedirectable('http://[::1]:1/')).toBe(true);
    expect(policy.isAutoRedirectable('https://claude.com/api/mcp/auth_callback')).toBe(true);
    expect(policy.isAutoRedirectable('cursor://anysphere.cursor-mcp/oauth/callback')).toBe(true);
    for (const uri of [
      'https://evil.test/cb',
      'https://claude.ai/api/mcp/auth_callback/',
      'https://claude.ai/api/mcp/auth_callback?x=1',
      'https://127.0.0.1:1/cb',
      'http://127.0.0.1.evil.test/cb',
      'javascript:alert(1)',
    ])
      expect(policy.isAutoRedirectable(uri)).toBe(false);
  });

  test('attack 3: whatever is allowed means the same to a URL parser', () => {
    fc.assert(
      fc.property(hostile, uri => {
        if (policy.problem(uri) !== null) return;
        const url = new URL(uri);
        expect([url.username, url.password, url.hash]).toEqual(['', '', '']);
        expect(/^[\x21-\x7e]{1,2048}$/.test(uri)).toBe(true);
        expect(['https:', 'http:', 'cursor:']).toContain(url.protocol);
        if (url.protocol === 'cursor:') expect(uri).toBe('cursor://anysphere.cursor-mcp/oauth/callback');
        else expect(uri.toLowerCase().startsWith(`${url.protocol}//${url.hostname}`)).toBe(true);
        if (url.protocol === 'http:') expect(['127.0.0.1', '[::1]', 'localhost']).toContain(url.hostname);
      }),
      { numRuns: 4_000 },
    );
  });

  test('nothing throws, whatever the string', () => {
    fc.assert(
      fc.property(fc.oneof(hostile, anyText()), anyText(), (uri, other) => {
        expect([null, 'string']).toContain(policy.problem(uri) === null ? null : typeof policy.problem(uri));
        expect(typeof policy.isLoopback(uri)).toBe('boolean');
        expect(typeof policy.isAutoRedirectable(uri)).toBe('boolean');
        expect(typeof matchesRegistered(uri, other)).toBe('boolean');
      }),
      { numRuns: 1_000 },
    );
  });

  test.each(['a', '.', '/', ':', '@', '%2e', 'a.', '[', 'http://127.0.0.1:1', '\n'])(
    'attack 97: 1 MB of %j is refused at once',
    unit => {
      const long = unit.repeat(1_000_000 / unit.length);
      const start = performance.now();
      for (const uri of [long, `https://${long}`, `http://localhost:${long}`, `https://a.test/${long}`]) {
        expect(policy.problem(uri)).not.toBeNull();
        expect(policy.isAutoRedirectable(uri)).toBe(policy.isLoopback(uri));
        expect(matchesRegistered(uri, `${uri}x`)).toBe(false);
      }
      expect(performance.now() - start).toBeLessThan(500);
    },
  );
});

describe('whether a requested redirect URI is the registered one (AS-9, D-2, K-15)', () => {
  test.each([
    'https://a.test/cb',
    'https://a.test/cb?x=1',
    'http://127.0.0.1:3000/cb',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ])('%s is itself', uri => {
    expect(matchesRegistered(uri, uri)).toBe(true);
  });

  test.each(['https://evil.test', 'https://evil.test/cb', 'javascript:alert(1)', ''])(
    'attack 1: %j is another',
    uri => {
      expect(matchesRegistered('https://a.test/cb', uri)).toBe(false);
    },
  );

  test.each([
    'https://a.test/cb/',
    'https://a.test/cb?x=1',
    'https://a.test/cb?',
    'https://a.test/cb#f',
    'https://a.test/cb/../x',
    'https://a.test/x/../cb',
    'https://a.test/./cb',
    'https://a.test/CB',
    'https://a.test//cb',
    'https://a.test:443/cb',
    'https://a.test:8443/cb',
    'https://A.test/cb',
    'https://a.test./cb',
    'HTTPS://a.test/cb',
    'http://a.test/cb',
    'https://a.test%2f@evil.test/cb',
    'https://a.test/cb%00',
    'https://a.test/%63b',
    'https://a.test/cb ',
    ' https://a.test/cb',
    'https://a.test/cb\u0000',
    'https://a.test.evil.test/cb',
    'https://evil.test/https://a.test/cb',
  ])('attack 2: %j is not https://a.test/cb', uri => {
    expect(matchesRegistered('https://a.test/cb', uri)).toBe(false);
  });

  test.each(['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb', 'http://127.0.0.1:80/cb', 'http://127.0.0.1:65535/cb'])(
    'B-8, RFC 8252 section 7.3: %s is http://127.0.0.1:3000/cb',
    uri => {
      expect(matchesRegistered('http://127.0.0.1:3000/cb', uri)).toBe(true);
    },
  );

  test.each([
    'http://127.0.0.1.evil.test:1/cb',
    'http://127.0.0.1@evil.test/cb',
    'http://127.0.0.1:1@evil.test/cb',
    'http://127.0.0.1:pass@evil.test/cb',
    'http://127.1:1/cb',
    'http://2130706433/cb',
    'http://0x7f.0.0.1:1/cb',
    'http://0.0.0.0:1/cb',
    'http://127.0.0.2:1/cb',
    'http://localhost:1/cb',
    'http://[::1]:1/cb',
    'https://127.0.0.1:1/cb',
    'HTTP://127.0.0.1:1/cb',
    'http://127.0.0.1:1/other',
    'http://127.0.0.1:1/cb?x=1',
    'http://127.0.0.1:1/cb/',
    'http://127.0.0.1:1/cb#x',
    'http://127.0.0.1:1',
    'http://127.0.0.1:0/cb',
    'http://127.0.0.1:65536/cb',
    'http://127.0.0.1:99999999999/cb',
    'http://127.0.0.1:/cb',
    'http://127.0.0.1:080/cb',
    'http://127.0.0.1:-1/cb',
    'http://127.0.0.1:1\\@evil.test/cb',
    'http:127.0.0.1:1/cb',
    'http:///127.0.0.1:1/cb',
    'http://127.0.0.1:1/cb\n',
    'http://\uff11\uff12\uff17.0.0.1:1/cb',
  ])('attack 4: %j is not http://127.0.0.1:3000/cb', uri => {
    expect(matchesRegistered('http://127.0.0.1:3000/cb', uri)).toBe(false);
  });

  test('localhost, 127.0.0.1 and [::1] each keep their own host', () => {
    const uris = ['http://localhost:1/cb', 'http://127.0.0.1:2/cb', 'http://[::1]:3/cb'];
    for (const [i, registered] of uris.entries())
      for (const [j, requested] of uris.entries())
        expect(matchesRegistered(registered, requested.replace(/:\d\//, ':9/'))).toBe(i === j);
  });

  test('a registration without port and path takes any port and still no path', () => {
    expect(matchesRegistered('http://localhost', 'http://localhost:33418')).toBe(true);
    expect(matchesRegistered('http://localhost', 'http://localhost:33418/')).toBe(false);
    expect(matchesRegistered('http://127.0.0.1/', 'http://127.0.0.1:59656/')).toBe(true);
  });

  test('only the port of a loopback URI ever differs', () => {
    const loopback = fc
      .tuple(
        fc.constantFrom('http://127.0.0.1', 'http://localhost', 'http://[::1]', 'https://127.0.0.1', 'http://127.1'),
        fc.constantFrom('', ':', ':0', ':1', ':80', ':65535', ':65536', ':1x', ':1@evil.test'),
        fc.constantFrom('', '/', '/cb', '/cb?x', '?x', '#x', '@evil.test/cb', '\\cb'),
      )
      .map(parts => parts.join(''));
    const PORT = /^(http:\/\/(?:127\.0\.0\.1|localhost|\[::1\]))(?::[1-9]\d{0,4})?(?=[/?]|$)/;
    fc.assert(
      fc.property(fc.oneof(loopback, hostile), fc.oneof(loopback, hostile), (registered, requested) => {
        const isMatch = matchesRegistered(registered, requested);
        expect(isMatch).toBe(matchesRegistered(requested, registered));
        if (!isMatch || registered === requested) return;
        expect(registered.replace(PORT, '$1')).toBe(requested.replace(PORT, '$1'));
        expect(new URL(requested).host.replace(/:\d+$/, '')).toBe(new URL(registered).host.replace(/:\d+$/, ''));
      }),
      { numRuns: 4_000 },
    );
  });
});
