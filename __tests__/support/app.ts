import {
  Agent,
  request as clientRequest,
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createRequire } from 'node:module';
import { connect as openSocket } from 'node:net';
import { runInThisContext } from 'node:vm';
import connect from 'connect';
import express from 'express';
import { type AuthInfo, customVerifier, remoteAuth, staticTokenVerifier } from 'express-mcp-auth';
import { close, listen } from './identity-provider.js';

/** Express 4 beside Express 5; it ships no types, the part used here is the same. */
export const express4 = createRequire(import.meta.url)('express4') as typeof express;

export type Next = (error?: unknown) => void;
export type Step = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;
export type Layer = Step | readonly [mount: string, step: Step];

export interface Platform {
  readonly name: string;
  /** Whether a layer can be mounted below a path. */
  readonly mounts: boolean;
  /** Layers run in order; what nobody answers is 404, an error is 500 with the error's name in `x-error`. */
  app(...layers: Layer[]): RequestListener;
}

const failed = (error: unknown, _req: unknown, res: ServerResponse, _next: unknown): void => {
  if (res.headersSent) return;
  res.statusCode = 500;
  res.setHeader('x-error', error instanceof Error ? error.name : 'unknown');
  res.end();
};

type Use = { use(...args: unknown[]): unknown };

function layered<App extends Use>(app: App, layers: readonly Layer[]): App {
  for (const layer of layers) {
    if (typeof layer === 'function') app.use(layer);
    else app.use(...layer);
  }
  app.use(failed);
  return app;
}

function chained(layers: readonly Layer[]): RequestListener {
  return (req, res) => {
    const run = (index: number, error?: unknown): void => {
      const layer = layers[index];
      if (error !== undefined) failed(error, req, res, undefined);
      else if (layer === undefined) res.writeHead(404).end();
      else if (typeof layer !== 'function') throw new Error('bare node:http has no mounts');
      else void layer(req, res, failure => run(index + 1, failure));
    };
    run(0);
  };
}

const onExpress5: Platform = {
  name: 'Express 5',
  mounts: true,
  app: (...layers) => layered(express() as unknown as Use, layers) as unknown as RequestListener,
};
const onExpress4: Platform = {
  name: 'Express 4',
  mounts: true,
  app: (...layers) => layered(express4() as unknown as Use, layers) as unknown as RequestListener,
};
const onConnect: Platform = {
  name: 'Connect 3',
  mounts: true,
  app: (...layers) => layered(connect() as unknown as Use, layers) as unknown as RequestListener,
};
const onNode: Platform = { name: 'node:http', mounts: false, app: (...layers) => chained(layers) };

export const platforms: readonly Platform[] = [onExpress5, onExpress4, onConnect, onNode];

const started: Server[] = [];

/** Serves until `stopAll()`, on a free loopback port. */
export async function serve(listener: RequestListener, options: ServerOptions = {}): Promise<string> {
  const server = createServer(options, listener);
  started.push(server);
  return listen(server);
}

export async function stopAll(): Promise<void> {
  await Promise.all(started.splice(0).map(close));
}

export interface Answer {
  readonly status: number;
  /** Names in lower case, values as received, in order. */
  readonly lines: readonly (readonly [name: string, value: string])[];
  readonly text: string;
  header(name: string): string | undefined;
}

/** One request written byte for byte on a socket: odd targets, duplicated headers, nothing normalised. */
export function send(
  origin: string,
  target: string,
  options: { method?: string; headers?: readonly (readonly [string, string])[]; body?: string } = {},
): Promise<Answer> {
  const { port, hostname } = new URL(origin);
  const { method = 'GET', headers = [], body = '' } = options;
  const length = body === '' ? [] : [['content-length', String(Buffer.byteLength(body, 'latin1'))] as const];
  const host = headers.some(([name]) => name.toLowerCase() === 'host') ? [] : [['Host', 'localhost'] as const];
  const all = [...host, ['Connection', 'close'] as const, ...length, ...headers];
  const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = openSocket(Number(port), hostname, () => socket.write(head + body, 'latin1'));
    socket.on('data', chunk => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      const bytes = Buffer.concat(chunks).toString('latin1');
      if (bytes === '') reject(new Error(`no answer to ${method} ${JSON.stringify(target)}`));
      else resolve(parsed(bytes));
    });
  });
}

function parsed(bytes: string): Answer {
  const end = bytes.indexOf('\r\n\r\n');
  const [first = '', ...rest] = bytes.slice(0, end).split('\r\n');
  const lines = rest.map(line => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const header = (name: string) => lines.find(([key]) => key === name.toLowerCase())?.[1];
  const body = bytes.slice(end + 4);
  const text = header('transfer-encoding') === 'chunked' ? dechunked(body) : body;
  return { status: Number(first.split(' ')[1]), lines, text: Buffer.from(text, 'latin1').toString('utf8'), header };
}

function dechunked(body: string): string {
  let text = '';
  for (let rest = body; ; ) {
    const line = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (!size) return text;
    text += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 4 + size);
  }
}

/** Many requests over kept connections, for properties; targets and header values go out as they are. */
export function client(origin: string) {
  const { port, hostname } = new URL(origin);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const ask = (path: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; challenge: string | undefined; text: string }>((resolve, reject) => {
      const outgoing = clientRequest({ host: hostname, port, path, agent, headers }, response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, challenge: response.headers['www-authenticate'], text }),
        );
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
  return { ask, end: () => agent.destroy() };
}

export interface Challenge {
  readonly scheme: string;
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Reads one challenge by the letter of RFC 9110 §11.6.1 with every value quoted, and holds it to RFC 6750 §3: each
 * parameter once, `scope` and `error*` only of the characters they may have. Throws for anything else.
 */
export function challengeOf(header: string | string[] | undefined): Challenge {
  if (typeof header !== 'string') throw new Error(`expected exactly one WWW-Authenticate, got ${String(header)}`);
  const start = /^([A-Za-z]+)(?: +|$)/.exec(header);
  if (!start) throw new Error(`no scheme: ${header}`);
  const params: Record<string, string> = Object.create(null);
  let rest = header.slice(start[0].length);
  while (rest !== '') {
    const param = /^([a-z_]+)="((?:[^"\\]|\\.)*)"(?:, *(?=[a-z_])|$)/.exec(rest);
    if (!param) throw new Error(`not an auth-param: ${rest}`);
    const [all, name = '', quoted = ''] = param;
    if (name in params) throw new Error(`${name} twice: ${header}`);
    params[name] = quoted.replace(/\\(.)/g, '$1');
    if (name.startsWith('error') && !/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(params[name]))
      throw new Error(`${name} has characters it may not have: ${params[name]}`);
    if (name === 'scope' && !/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(params[name]))
      throw new Error(`scope is no scope: ${params[name]}`);
    rest = rest.slice(all.length);
  }
  return { scheme: start[1] as string, params: { ...params } };
}

export interface Warned {
  readonly code: string;
  readonly text: string;
}

/** Jest hands tests a copy of `process`; warnings are emitted on the real one. */
const realProcess = runInThisContext('process') as NodeJS.Process;

/** Collects the package's warnings from the process's own 'warning' event until `stop()`. */
export function recordWarnings(): { readonly seen: Warned[]; stop(): void } {
  const seen: Warned[] = [];
  const listener = (warning: Error & { code?: string }) => {
    if (warning.name === 'ExpressMcpAuthWarning') seen.push({ code: warning.code ?? '', text: warning.message });
  };
  realProcess.on('warning', listener);
  return { seen, stop: () => void realProcess.off('warning', listener) };
}

/** `https://mcp.example.com/mcp` is the resource of most tests. */
export const BASE = 'https://mcp.example.com';
export const METADATA = `${BASE}/.well-known/oauth-protected-resource/mcp`;
export const ISSUER = 'https://login.example.com';
/** Grants `read`. */
export const READER = 'reader-token-0123456789';
/** Grants `read` and `write`. */
export const WRITER = 'writer-token-0123456789';
/** Known, and grants nothing. */
export const NARROW = 'narrow-token-0123456789';
export const UNKNOWN = 'nobody-knows-this-token';

export const keys = (options: Parameters<typeof staticTokenVerifier>[1] = { name: 'keys' }) =>
  staticTokenVerifier(
    {
      [NARROW]: { clientId: 'narrow' },
      [READER]: { clientId: 'reader', scopes: ['read'] },
      [WRITER]: { clientId: 'writer', scopes: ['read', 'write'], subject: 'u-1', claims: { team: { name: 'blue' } } },
    },
    options,
  );

/** A server with documents and static keys, at BASE unless told otherwise. */
export const remote = (options: Partial<Parameters<typeof remoteAuth>[0]> = {}) =>
  remoteAuth({ verifier: keys(), authorizationServers: [ISSUER], baseUrl: BASE, ...options });

/** A verifier that knows READER and counts what it is asked, each time after a turn of the event loop. */
export function counted(name = 'counted') {
  const asked: string[] = [];
  const verifier = customVerifier({
    name,
    verify: async token => {
      asked.push(token);
      await new Promise(resolve => setImmediate(resolve));
      return token === READER ? { token, clientId: 'reader', scopes: ['read'] } : null;
    },
  });
  return { asked, verifier };
}

export const authOf = (req: unknown): AuthInfo | undefined => (req as { auth?: AuthInfo }).auth;

/** The handler behind the guard: answers who called and what they sent, and counts its calls. */
export function endpoint() {
  const calls: string[] = [];
  const step: Step = (req, res) => {
    calls.push(`${req.method} ${req.url}`);
    let sent = '';
    req.setEncoding('utf8');
    req.on('data', chunk => {
      sent += chunk;
    });
    req.on('end', () => {
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ reached: true, clientId: authOf(req)?.clientId, sent }));
    });
  };
  return { calls, step };
}

export const bearer = (token: string): readonly [string, string] => ['Authorization', `Bearer ${token}`];
