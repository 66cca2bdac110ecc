import { request as httpRequest } from 'node:http';
import { expect } from '@jest/globals';
import type { Answer, OAuthClient, Page } from '../../support/oauth-client.js';
import type { ProxyApp, SpyStore } from '../../support/proxy-app.js';

/** An https address that any stranger can register. */
export const HOSTED = 'https://client.example/cb';
export const EVIL = 'https://evil.test/cb';

/** The headers that every page must have: nobody frames it, keeps it, or learns where it was. */
export function expectPageHeaders({ headers }: Page): void {
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect(headers.get('content-security-policy')).not.toMatch(/script-src|form-action|unsafe/);
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(headers.get('x-frame-options')).toBe('DENY');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('referrer-policy')).toBe('no-referrer');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
}

/** A page that says no, and sends the browser nowhere. */
export function expectPage(page: Page, status = 400): void {
  expect({ status: page.status, location: page.location?.href }).toEqual({ status, location: undefined });
  expect(page.text).not.toMatch(/http-equiv|<script/i);
  expectPageHeaders(page);
}

/** A consent page: the person is asked. */
export function expectAsked(page: Page): void {
  expect({ status: page.status, location: page.location?.href }).toEqual({ status: 200, location: undefined });
  expect(page.text).toContain('name="decision" value="approve"');
  expectPageHeaders(page);
}

/** A redirect that tells the client of an error, with `state` and `iss`, and of nothing else. */
export function expectRedirectError(
  { status, location }: Page,
  to: string,
  error: string | RegExp,
  issuer: string,
  state: string | null = 'the-state',
): void {
  expect(status).toBe(303);
  const sent = location as URL;
  expect(sent.href.startsWith(`${to}${to.includes('?') ? '&' : '?'}`)).toBe(true);
  expect(sent.searchParams.getAll('error')).toEqual([expect.stringMatching(error)]);
  expect(sent.searchParams.getAll('iss')).toEqual([issuer]);
  expect(sent.searchParams.get('state')).toBe(state);
  expect(sent.searchParams.has('code')).toBe(false);
}

/** A JSON error that nobody may keep, with nothing else in it. */
export function expectFailure(answer: Answer, status: number, error: string): void {
  expect({ status: answer.status, error: answer.body.error }).toEqual({ status, error });
  expect(Object.keys(answer.body).sort()).toEqual(['error', 'error_description']);
  expect(answer.headers.get('cache-control')).toBe('no-store');
}

/** The answer of the token endpoint when all is well. */
export function expectTokens(answer: Answer): void {
  expect(answer.status).toBe(200);
  expect(answer.body.access_token).toMatch(/^mcp_at_/);
}

/** What a store holds, to be compared later. */
export function heldBy({ live, writes }: SpyStore): { live: Map<string, string>; writes: number } {
  return { live: new Map(live), writes: writes.length };
}

/** Fails when a request that was refused has changed anything stored. */
export async function expectNothingStored<T>(store: SpyStore, work: () => Promise<T>): Promise<T> {
  const before = heldBy(store);
  const result = await work();
  expect(heldBy(store)).toEqual(before);
  return result;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

/** A request as written: no header is added, joined or sorted, and the path is not normalised. */
export function raw(
  { origin }: Pick<ProxyApp, 'origin'>,
  method: string,
  path: string,
  { headers = [], body = '' }: { headers?: readonly (readonly [string, string])[]; body?: string | Buffer } = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(origin);
  const given = headers.some(([name]) => name.toLowerCase() === 'host') ? [] : [['host', `${hostname}:${port}`]];
  const length = [['content-length', String(Buffer.byteLength(body))]];
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { hostname, port, method, path, headers: [...given, ...length, ...headers].flat() as unknown as string[] },
      response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** An authorization request with its redirect URI as written. */
export function authorizeAt(client: OAuthClient, redirectUri: string): Promise<Page> {
  return client.authorize({ redirect_uri: redirectUri });
}
