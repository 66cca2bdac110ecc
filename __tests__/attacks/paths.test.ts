import type { IncomingMessage, RequestListener } from 'node:http';
import { parse as legacyParse } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import connect from 'connect';
import express from 'express';
import fc from 'fast-check';
import {
  BASE,
  bearer,
  client,
  express4,
  type Next,
  platforms,
  READER,
  recordWarnings,
  remote,
  send,
  serve,
  stopAll,
} from '../support/app.js';

let warnings: ReturnType<typeof recordWarnings>;
beforeEach(() => {
  warnings = recordWarnings();
});
afterEach(async () => {
  warnings.stop();
  await stopAll();
});

const secret = (_req: unknown, res: { end(text: string): unknown }) => void res.end('endpoint');

describe('attack 89: a path as other routers read it', () => {
  test.each(['/mcp.', '/mcp.json', '/mcp..', '/mcp./x', '/MCP.', '/m%63p.x', '//mcp.x', 'http://h/mcp.x'])(
    'Connect hands %s to a handler mounted at /mcp, so it is guarded',
    async target => {
      const open = connect().use('/mcp', secret);
      const closed = connect().use(remote()).use('/mcp', secret);
      const isRouted = (await send(await serve(open), target)).text === 'endpoint';
      expect(isRouted).toBe(!/%|\/\/mcp/.test(target));
      const origin = await serve(closed);
      expect((await send(origin, target)).status).toBe(401);
      const answer = await send(origin, target, { headers: [bearer(READER)] });
      expect(answer.status).toBe(isRouted ? 200 : 404);
    },
  );

  /** How handlers without a router find the path of a request. */
  const readings: Record<string, (target: string) => string | null> = {
    'new URL(url, base)': target => new URL(target, 'http://localhost').pathname,
    'new URL(url, base), decoded': target => decodeURIComponent(new URL(target, 'http://localhost').pathname),
    'new URL(base + url)': target => new URL(`http://localhost${target}`).pathname,
    'url.parse(url)': target => legacyParse(target).pathname,
    'url.parse(url, false, true)': target => legacyParse(target, false, true).pathname,
    'all before the question mark': target => target.split('?')[0] as string,
    'all before the first mark': target => target.split(/[?#]/)[0] as string,
  };
  const leadsToEndpoint = (read: (target: string) => string | null, target: string): boolean => {
    try {
      return /^\/mcp\/?$/i.test(read(target) ?? '');
    } catch {
      return false;
    }
  };
  /** A server on bare node:http whose handler says which of the readings lead to the endpoint. */
  const bare = (): RequestListener => {
    const auth = remote();
    return (req, res) =>
      auth(req, res, () => {
        const leaks = Object.keys(readings).filter(name => leadsToEndpoint(readings[name] as never, req.url ?? ''));
        res.end(`passed ${leaks.join(', ')}`);
      });
  };

  test.each([
    '//x/mcp',
    '/\\x/mcp',
    'javascript://x/mcp',
    'http://a;b/mcp',
    "http://a'b/mcp",
    '//',
    '//[x/mcp',
    '//:/mcp',
    '//@/mcp',
    '/x/../mcp//..',
    '/x/%2e%2e/mcp',
    '/x/..\\mcp',
    '///x/mcp',
  ])('bare node:http: %j is guarded', async target => {
    expect((await send(await serve(bare()), target)).status).toBe(401);
  });

  test.each(['/', '/health', '/x/mcp', '/mcpx', '/mcp-x', '/a.b/c', '/a/./b', '/%41', '/?//x/mcp', '/x?/../mcp', '*'])(
    'bare node:http: %j goes through',
    async target => {
      const method = target === '*' ? 'OPTIONS' : 'GET';
      expect((await send(await serve(bare()), target, { method })).text).toBe('passed ');
    },
  );

  test('no target that passes unguarded leads to the endpoint by any of the readings', async () => {
    const pieces = [
      '/',
      '/',
      '\\',
      '.',
      '..',
      '%2e',
      '%2f',
      '%5c',
      'mcp',
      'MCP',
      'e',
      ':',
      '@',
      ';',
      "'",
      '?',
      '#',
      '[',
    ];
    const schemes = ['', '', '', 'http://', 'javascript://', 'foo://'];
    const { ask, end } = client(await serve(bare()));
    let guarded = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...schemes),
        fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 6 }),
        fc.constantFrom('', '/mcp', '\\mcp', '/mcp/'),
        async (scheme, parts, end) => {
          const target = (scheme === '' ? '/' : scheme) + parts.join('') + end;
          const { status, text } = await ask(target);
          if (status === 401) guarded++;
          else if (status === 200 && text.startsWith('passed')) expect([target, text]).toEqual([target, 'passed ']);
        },
      ),
      { numRuns: 600 },
    );
    end();
    expect(guarded).toBeGreaterThan(20);
  }, 30_000);
});

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
])('attack 89: an %s app that Connect has mounted', (_name, make) => {
  const mounted = (auth = remote({ baseUrl: `${BASE}/api` })) => {
    const inner = make();
    inner.use(auth);
    inner.use((_req, res) => void res.send('inside'));
    return connect().use('/api', inner as unknown as connect.HandleFunction);
  };

  test.each(['/api', '/api.x', '/api.', '/api./x', '/api?x', '/api#x', '/api\\x', '/api\\x#', '/API.x', '/api/x#"'])(
    '%s, which Connect hands to it, is guarded',
    async target => {
      const origin = await serve(mounted());
      const answer = await send(origin, target);
      expect([answer.text === 'inside', answer.status === 200]).toEqual([false, false]);
    },
  );

  test.each(['http://e/api/x', 'http://e/api.x', 'http://e/api', 'http://e\\api/x', 'http://e?/api/x'])(
    '%s, in absolute form, is never answered by it without a token',
    async target => {
      expect((await send(await serve(mounted()), target)).text).not.toBe('inside');
    },
  );

  test('two mounts deep too', async () => {
    const origin = await serve(connect().use('/a', mounted()));
    for (const target of ['/a/api.x', '/a/api', '/a/api/x'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
  });
});

describe.each(platforms)('on $name a URL that was rewritten', platform => {
  const rewriting = (to: string) => {
    const rewrite = (req: IncomingMessage, _res: unknown, next: Next) => {
      req.url = to;
      next();
    };
    return platform.app(
      rewrite,
      (req, res, next) => remote()(req, res, next),
      (_req, res) => void res.end('passed'),
    );
  };

  test('to the endpoint is guarded, whatever it was', async () => {
    const origin = await serve(rewriting('/mcp'));
    for (const target of ['/x', 'http://h/x', '/x?y'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
  });

  // Without a framework nobody keeps the original.
  const keepsOriginal = platform.name !== 'node:http';
  (keepsOriginal ? test : test.failing)('from the endpoint is guarded, wherever it leads', async () => {
    const origin = await serve(rewriting('/index.html'));
    for (const target of ['/mcp', '//mcp', '/mcp?x', '//x/mcp'])
      expect([target, (await send(origin, target)).status]).toEqual([target, 401]);
  });

  test('attack 95: no warning quotes the query of the original', async () => {
    const origin = await serve(rewriting('/'));
    await send(origin, '/x?access=hush-hush', { headers: [['Mcp-Session-Id', '1']] });
    expect(JSON.stringify(warnings.seen)).not.toContain('hush');
  });
});
