import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { McpServer as McpServerV2, requireScopes } from '@modelcontextprotocol/server';
import express, { type Express } from 'express';
import type { Auth, AuthInfo } from 'express-mcp-auth';
import { close, listen } from './identity-provider.js';

/** A request that reached the server, with the status it got. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly authorization: boolean;
}

/** A running MCP server behind an `Auth`. */
export interface McpApp {
  readonly origin: string;
  /** The MCP endpoint. */
  readonly url: URL;
  readonly auth: Auth;
  /** Requests whose answer has begun, in that order. */
  readonly seen: Seen[];
  /** Sessions that are open now. */
  readonly sessions: ReadonlyMap<string, unknown>;
  close(): Promise<void>;
}

/** What every transport of both SDKs can do; each request goes to the transport of its session. */
interface SessionTransport {
  sessionId?: string | undefined;
  handleRequest(req: IncomingMessage, res: ServerResponse, body?: unknown): Promise<void>;
  close(): Promise<void>;
}

interface Sessions {
  opened(id: string, transport: SessionTransport): void;
  closed(id: string): void;
}

export interface McpAppOptions {
  /** Answer requests as JSON instead of a stream. */
  json?: boolean;
  /** Parse bodies before the guard, as most apps do. */
  parse?: boolean;
  /** Further routes, before the MCP route and behind the guard's `app.use`. */
  extend?: (app: Express) => void;
}

const text = (value: unknown) => ({ content: [{ type: 'text' as const, text: JSON.stringify(value) }] });

/** A server of SDK v1: `whoami` tells what the tool sees, `announce` sends a notification on the GET stream. */
function serverV1(): McpServerV1 {
  const server = new McpServerV1({ name: 'v1', version: '1.0.0' });
  server.registerTool('whoami', { description: 'The caller' }, extra => text(extra.authInfo ?? null));
  server.registerTool('announce', { description: 'A notification' }, () => {
    server.sendToolListChanged();
    return text('announced');
  });
  server.registerTool('progress', { description: 'A stream' }, async extra => {
    const progressToken = extra._meta?.progressToken ?? 'none';
    for (const progress of [1, 2])
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress } });
    return text('done');
  });
  return server;
}

/** The same server in SDK v2, with a tool that asks for a scope of its own. */
export function serverV2(): McpServerV2 {
  const server = new McpServerV2({ name: 'v2', version: '1.0.0' });
  server.registerTool('whoami', { description: 'The caller' }, ctx => text(ctx.http?.authInfo ?? null));
  server.registerTool('announce', { description: 'A notification' }, () => {
    server.sendToolListChanged();
    return text('announced');
  });
  server.registerTool('progress', { description: 'A stream' }, async ctx => {
    const progressToken = ctx.mcpReq._meta?.progressToken ?? 'none';
    for (const progress of [1, 2])
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress } });
    return text('done');
  });
  server.registerTool(
    'purge',
    { description: 'Needs a scope of its own', scopeChallenge: requireScopes('notes:write') },
    () => text('purged'),
  );
  return server;
}

async function openV1(sessions: Sessions, json: boolean): Promise<SessionTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    enableJsonResponse: json,
    onsessioninitialized: id => sessions.opened(id, transport as SessionTransport),
    onsessionclosed: id => sessions.closed(id),
  });
  await serverV1().connect(transport as never);
  return transport as SessionTransport;
}

async function openV2(sessions: Sessions, json: boolean): Promise<SessionTransport> {
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    enableJsonResponse: json,
    onsessioninitialized: id => sessions.opened(id, transport as SessionTransport),
    onsessionclosed: id => sessions.closed(id),
  });
  await serverV2().connect(transport);
  return transport as SessionTransport;
}

/** One server and one transport per session, as both SDKs ask for. `build` gets the origin before anything is mounted. */
export async function mcpSessionApp(
  sdk: 'v1' | 'v2',
  build: (origin: string) => Auth | Promise<Auth>,
  options: McpAppOptions = {},
): Promise<McpApp> {
  const transports = new Map<string, SessionTransport>();
  const sessions: Sessions = {
    opened: (id, transport) => void transports.set(id, transport),
    closed: id => void transports.delete(id),
  };
  const app = await mcpApp(
    build,
    async (req, res) => {
      const id = req.headers['mcp-session-id'];
      const known = typeof id === 'string' ? transports.get(id) : undefined;
      if (known === undefined && id !== undefined) {
        res.writeHead(404).end();
        return;
      }
      const transport = known ?? (await (sdk === 'v1' ? openV1 : openV2)(sessions, options.json ?? false));
      await transport.handleRequest(req, res, (req as { body?: unknown }).body);
    },
    options,
  );
  return {
    ...app,
    sessions: transports,
    close: async () => {
      await Promise.all([...transports.values()].map(transport => transport.close()));
      await app.close();
    },
  };
}

/** An Express app that listens on loopback, with the guard in front of `/mcp` and any handler behind it. */
export async function mcpApp(
  build: (origin: string) => Auth | Promise<Auth>,
  handler: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
  options: McpAppOptions = {},
): Promise<McpApp> {
  const http = createServer();
  const origin = await listen(http);
  const auth = await build(origin);
  const seen: Seen[] = [];
  const app = express();
  app.use((req, res, next) => {
    const writeHead = res.writeHead;
    res.writeHead = function (this: typeof res, ...args: unknown[]) {
      const { method, path } = req;
      seen.push({ method, path, status: Number(args[0]), authorization: req.headers.authorization !== undefined });
      return Reflect.apply(writeHead, this, args);
    } as typeof res.writeHead;
    next();
  });
  if (options.parse) app.use(express.json());
  app.use(auth);
  options.extend?.(app);
  app.all('/mcp', (req, res, next) => {
    handler(req, res).catch(next);
  });
  http.on('request', app);
  return {
    origin,
    url: new URL(`${origin}/mcp`),
    auth,
    seen,
    sessions: new Map(),
    close: async () => {
      await auth.close();
      await close(http);
    },
  };
}

/** The identity a tool saw, as the result of `whoami` carries it. */
export function whoami(result: unknown): (Omit<AuthInfo, 'resource'> & { resource?: string }) | null {
  const { content } = result as { content: { text: string }[] };
  return JSON.parse(content[0]?.text ?? 'null');
}
