import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express from 'express';
import { oauthProxy } from 'express-mcp-auth';
import helmet from 'helmet';
import { exportJWK, generateKeyPair } from 'jose';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import { identityProvider } from '../../../examples/quickstart/identity-provider.js';
import { close, listen } from '../../support/identity-provider.js';
import { OAuthClient } from '../../support/oauth-client.js';
import { newFolder } from '../../support/processes.js';
import { SECRET } from '../../support/proxy-app.js';

export const NAME = 'Assistant';

export interface World {
  readonly base: string;
  readonly browser: Browser;
  /** Where the two kinds of clients get their answers. */
  readonly callbacks: Readonly<Record<'loopback' | 'https', string>>;
  /** A page of the hosted client, from which it opens popups. */
  readonly clientPage: string;
  /** A client that has just registered itself. */
  client(callback: 'loopback' | 'https'): Promise<OAuthClient>;
  /** A person's browser: what goes wrong in any of its tabs is in `problems`. */
  person(options?: { javaScriptEnabled?: boolean }): Promise<{ context: BrowserContext; problems: string[] }>;
  /** Everybody closes their browser. */
  leave(): Promise<void>;
  /** Where this process reaches a site that has a public name in the browser. */
  rewrite(url: string): string;
  close(): Promise<void>;
}

/** A browser that cannot leave this machine, with names of our own on it. */
export function launch(names: Readonly<Record<string, number>> = {}): Promise<Browser> {
  const rules = Object.entries(names).map(([name, port]) => `MAP ${name}:443 127.0.0.1:${port}`);
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--host-resolver-rules=${[...rules, 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1', 'EXCLUDE localhost'].join(', ')}`,
    ],
  });
}

/**
 * A server, an identity provider and two clients, each on a site of its own: a server on loopback as a developer starts
 * it, or one with a public name over https.
 */
export async function browserWorld(place: 'loopback' | 'public', withHelmet: boolean): Promise<World> {
  const closing: (() => Promise<unknown>)[] = [];
  const tls = selfSigned();
  /** Serves a site over http on loopback, and over https for the browser where it has a public name. */
  const site = async (name: string, host = '127.0.0.1') => {
    let listener: RequestListener = () => {};
    const handle: RequestListener = (req, res) => listener(req, res);
    const http = createHttp(handle);
    const inner = (await listen(http)).replace('127.0.0.1', host);
    const https = createHttps(tls, handle);
    await new Promise<void>(resolve => https.listen(0, '127.0.0.1', resolve));
    closing.push(
      () => close(http),
      () => close(https as never),
    );
    const serve = (next: RequestListener) => {
      listener = next;
    };
    return { inner, outer: `https://${name}`, name, port: (https.address() as AddressInfo).port, serve };
  };
  const sites = {
    app: await site('mcp.example.com'),
    // `localhost` and 127.0.0.1 are different sites to a browser, as two companies are.
    login: await site('login.example.org', 'localhost'),
    client: await site('assistant.example.net'),
  };
  const isPublic = place === 'public';
  const base = isPublic ? sites.app.outer : sites.app.inner;
  const issuer = isPublic ? sites.login.outer : sites.login.inner;
  const rewrite = (url: string) =>
    Object.values(sites).reduce((address, { outer, inner }) => address.replace(outer, inner), url);

  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const registered = { clientId: 'mcp-server', clientSecret: SECRET, redirectUri: `${base}/auth/callback` };
  const provider = await identityProvider(issuer, registered, await exportJWK(privateKey));
  sites.login.serve(express().use(provider.router) as unknown as RequestListener);
  const proxy = oauthProxy({
    baseUrl: base,
    resourceName: 'Notes',
    upstream: { issuer, clientId: registered.clientId, clientSecret: registered.clientSecret, scopes: [] },
    requiredScopes: ['tools'],
    secrets: SECRET,
    fetch: (url, init) => fetch(rewrite(String(url)), init),
  });
  const app = express();
  if (withHelmet) app.use(helmet());
  app.use(proxy);
  sites.app.serve(app as unknown as RequestListener);
  sites.client.serve((_req, res) => {
    res.setHeader('content-type', 'text/html');
    res.end('<!doctype html><title>Assistant</title><h1>You may close this window</h1>');
  });

  const { app: a, login: l, client: c } = sites;
  const browser = await launch({ [a.name]: a.port, [l.name]: l.port, [c.name]: c.port });
  closing.push(
    () => browser.close(),
    () => proxy.close(),
  );
  const people: BrowserContext[] = [];
  const callbacks = { loopback: `${c.inner}/callback`, https: `${c.outer}/callback` };
  return {
    base,
    browser,
    callbacks,
    clientPage: c.outer,
    client: callback =>
      OAuthClient.register({ base, rewrite }, { client_name: NAME, redirect_uris: [callbacks[callback]] }),
    async person(options = {}) {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
      people.push(context);
      const problems: string[] = [];
      context.on('page', page => {
        // Such as a style, a form or a redirect that a Content-Security-Policy does not let pass.
        page.on('console', message => {
          const isIcon = message.location().url.endsWith('/favicon.ico');
          if (message.type() === 'error' && !isIcon) problems.push(message.text());
        });
        page.on('pageerror', error => void problems.push(String(error)));
      });
      return { context, problems };
    },
    async leave() {
      for (const context of people.splice(0)) await context.close();
    },
    rewrite,
    async close() {
      for (const each of closing.reverse()) await each();
    },
  };
}

function selfSigned(): { key: string; cert: string } {
  const folder = newFolder();
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-subj', '/CN=localhost', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...curve, ...names, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}
