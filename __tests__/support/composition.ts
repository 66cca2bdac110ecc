import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import express, { type Express } from 'express';
import { type Auth, customVerifier, getAuth } from 'express-mcp-auth';
import request, { type Response } from 'supertest';
import { close, listen } from './identity-provider.js';

export const BASE = 'https://mcp.example.com';
export const RESOURCE = `${BASE}/mcp`;

/** An app with the guard at its root; the handler of each path answers the identity it was given as JSON. */
export function mcpApp(auth: Auth, ...paths: string[]): Express {
  const app = express();
  app.use(auth);
  for (const path of paths.length > 0 ? paths : ['/mcp']) {
    app.all(path, (req, res) => {
      res.json(getAuth(req));
    });
  }
  return app;
}

/** Calls the MCP endpoint with a bearer token, or with no credentials at all. */
export async function call(target: Auth | Express, token?: string, path = '/mcp'): Promise<Response> {
  const app = 'verifyToken' in target ? mcpApp(target, path) : target;
  const sent = request(app).post(path);
  return token === undefined ? sent : sent.set('authorization', `Bearer ${token}`);
}

/** The parameters of the one Bearer challenge of a refusal; throws when there is none, two, or a parameter twice. */
export function challenge(response: Response): Record<string, string> {
  const header = response.headers['www-authenticate'] as string | undefined;
  if (header === undefined) throw new Error(`no challenge on status ${response.status}`);
  if (header.split(/\bBearer\b/).length !== 2 || !header.startsWith('Bearer')) throw new Error(`not one: ${header}`);
  const parameters: Record<string, string> = {};
  for (const [, name = '', value = ''] of header.matchAll(/([\w-]+)="((?:[^"\\]|\\.)*)"/g)) {
    if (name in parameters) throw new Error(`${name} twice: ${header}`);
    parameters[name] = value.replace(/\\(.)/g, '$1');
  }
  return parameters;
}

/** The document behind a public URL, fetched from the app itself. */
export async function fetched(app: Express, url: string): Promise<Response> {
  return request(app).get(new URL(url).pathname);
}

/** A verifier for opaque keys that records what it was asked; the answer may throw. */
export function vendor(answer: (token: string) => unknown, options: Record<string, unknown> = {}) {
  const asked: string[] = [];
  const verify = (token: string) => {
    asked.push(token);
    return answer(token);
  };
  return { source: customVerifier({ ...options, verify } as never), asked };
}

/** What a vendor's SDK would answer for a good token. */
export const accepted =
  (clientId: string, ...scopes: string[]) =>
  (token: string) => ({ token, clientId, scopes });

/** Runs the work and hands back what it throws. */
export async function thrown(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

export interface IntrospectionEndpoint {
  readonly url: string;
  /** Answers by token; a token that is not here is inactive. */
  readonly answers: Map<string, Record<string, unknown>>;
  /** The tokens it was asked about, in order. */
  readonly asked: string[];
  intercept?: ((req: IncomingMessage, res: ServerResponse) => boolean) | undefined;
  close(): Promise<void>;
}

/** A real RFC 7662 endpoint on loopback. */
export async function introspectionEndpoint(): Promise<IntrospectionEndpoint> {
  const answers = new Map<string, Record<string, unknown>>();
  const asked: string[] = [];
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += String(chunk);
    const token = new URLSearchParams(body).get('token') ?? '';
    asked.push(token);
    if (endpoint.intercept?.(req, res)) return;
    res.setHeader('content-type', 'application/json').end(JSON.stringify(answers.get(token) ?? { active: false }));
  });
  const origin = await listen(server);
  const endpoint: IntrospectionEndpoint = {
    url: `${origin}/introspect`,
    answers,
    asked,
    close: () => close(server),
  };
  return endpoint;
}

export type Message = Record<string, unknown> & { request?: unknown };

const EVENTS = ['accepted', 'rejected', 'unavailable', 'scope_refused', 'keys_fetched', 'keys_failed'] as const;
export type EventName = (typeof EVENTS)[number];

/** Listens on every channel of the package until stopped. */
export function recordEvents() {
  const messages: { event: EventName; message: Message }[] = [];
  const listeners = EVENTS.map(event => {
    const channel = `express-mcp-auth:${event}`;
    const listener = (message: unknown) => {
      messages.push({ event, message: message as Message });
    };
    subscribe(channel, listener);
    return () => unsubscribe(channel, listener);
  });
  return {
    messages,
    of: (event: EventName) => messages.filter(entry => entry.event === event).map(entry => entry.message),
    stop: () => {
      for (const stop of listeners) stop();
    },
  };
}
