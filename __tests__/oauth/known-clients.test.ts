import { describe, expect, test } from '@jest/globals';
import { isKnownRedirect, knownRedirectUris } from '../../lib/oauth/known-clients.js';
import { redirectPolicy } from '../../lib/oauth/redirect-uri.js';
import { registrations } from '../support/registrations.js';

describe('the list of known clients (E-23)', () => {
  test('every entry is exact, and allowed by default', () => {
    const policy = redirectPolicy({ knownClients: true });
    expect(knownRedirectUris.length).toBeGreaterThan(30);
    for (const uri of knownRedirectUris) {
      expect([uri, policy.problem(uri), policy.isAutoRedirectable(uri)]).toEqual([uri, null, true]);
      expect(uri).not.toContain('*');
    }
    expect(new Set(knownRedirectUris).size).toBe(knownRedirectUris.length);
  });

  test('it holds the redirect URIs that the clients send, but for those with an id in them', () => {
    const { claudeCode, chatgpt, codex, ...others } = registrations;
    for (const { redirect_uris } of Object.values(others))
      for (const uri of redirect_uris) expect([uri, isKnownRedirect(uri)]).toEqual([uri, true]);
    for (const uri of chatgpt.redirect_uris) expect(isKnownRedirect(uri)).toBe(false);
  });

  test.each([
    'https://claude.ai/api/mcp/auth_callback',
    'https://claude.com/api/mcp/auth_callback',
    'https://chatgpt.com/connector_platform_oauth_redirect',
    'https://vscode.dev/redirect',
    'https://insiders.vscode.dev/redirect',
    'http://127.0.0.1:33418/',
  ])('%s is known, and nothing near it', uri => {
    expect(isKnownRedirect(uri)).toBe(true);
    for (const near of [`${uri}/`, `${uri}?x`, `${uri}#`, ` ${uri}`, uri.replace('://', '://x.'), uri.toUpperCase()])
      expect([near, isKnownRedirect(near)]).toEqual([near, false]);
  });

  test.each(['__proto__', 'constructor', 'toString', ''])('attack 85: %j is not known', uri => {
    expect(isKnownRedirect(uri)).toBe(false);
  });
});
