import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthorizationServer, Endpoints, RateLimitName } from '../../authorization/authorization-server.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import { errorText } from '../../core/error-text.js';
import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { allowAnyOrigin, answerPreflight } from '../cors.js';
import type { OwnRoutes } from '../documents.js';
import { originalPathOf, pathOfRequest } from '../handler.js';
import { sendFailure, sendUnavailable, sendUncached } from './answers.js';
import { authorize } from './authorize.js';
import { callback } from './callback.js';
import { consent } from './consent.js';
import { serverCookies } from './cookies.js';
import { sendMessage } from './front-channel.js';
import { type Limiter, rateLimiters } from './rate-limits.js';
import { register } from './register.js';
import { revoke, token } from './token.js';

type Endpoint = (req: IncomingMessage, res: ServerResponse) => Promise<void> | void;

interface Route {
  readonly name: keyof Endpoints['paths'];
  readonly methods: readonly string[];
  readonly limit?: RateLimitName;
  readonly endpoint: Endpoint;
  /** For programs: open to any origin, faults as JSON. The others are visited by browsers and get pages. */
  readonly isBackChannel: boolean;
}

/** The endpoints of an authorization server. Any other method of these paths is not ours. */
export function endpointsOf(server: AuthorizationServer, cors: boolean): OwnRoutes {
  const front = { server, cookies: serverCookies(server) };
  const { register: canRegister } = server.clients;
  const routes: readonly Route[] = [
    {
      name: 'authorize',
      methods: ['GET', 'POST'],
      limit: 'authorize',
      endpoint: (req, res) => authorize(req, res, front),
      isBackChannel: false,
    },
    {
      name: 'consent',
      methods: ['POST'],
      limit: 'consent',
      endpoint: (req, res) => consent(req, res, front),
      isBackChannel: false,
    },
    {
      name: 'callback',
      methods: ['GET'],
      limit: 'callback',
      endpoint: (req, res) => callback(req, res, front),
      isBackChannel: false,
    },
    {
      name: 'token',
      methods: ['POST'],
      limit: 'token',
      endpoint: (req, res) => token(req, res, server),
      isBackChannel: true,
    },
    {
      name: 'revoke',
      methods: ['POST'],
      limit: 'revoke',
      endpoint: (req, res) => revoke(req, res, server),
      isBackChannel: true,
    },
    { name: 'jwks', methods: ['GET', 'HEAD'], endpoint: sendNoKeys, isBackChannel: true },
    ...(canRegister === undefined
      ? []
      : [
          {
            name: 'register',
            methods: ['POST'],
            limit: 'register',
            endpoint: (req: IncomingMessage, res: ServerResponse) => register(req, res, canRegister),
            isBackChannel: true,
          } as const,
        ]),
  ];
  const routeAt = finderOf(routes, server.endpoints);
  const limiters = new Map<RateLimitName, Limiter>();
  const limiterOf = server.rateLimits && rateLimiters(server.rateLimits);
  for (const { limit } of routes)
    if (limit !== undefined && limiterOf !== undefined) limiters.set(limit, limiterOf(limit));

  const run = async (route: Route, req: IncomingMessage, res: ServerResponse): Promise<void> => {
    try {
      if (route.isBackChannel && cors) allowAnyOrigin(res);
      const limiter = route.limit && limiters.get(route.limit);
      if (limiter !== undefined && (await limiter(req, res))) return;
      await route.endpoint(req, res);
    } catch (error) {
      if (!(error instanceof OAuthFailure))
        publish('endpoint_failed', req, () => ({ endpoint: route.name, message: errorText(error) }));
      if (res.headersSent) return void res.destroy();
      if (route.isBackChannel) return answerFault(req, res, server, error);
      await answerFaultWithPage(req, res, front, error);
    }
  };

  return (req, res) => {
    const route = routeAt(req);
    if (route === undefined) return false;
    if (req.method === 'OPTIONS' && route.isBackChannel && cors) {
      answerPreflight(req, res, route.methods);
      return true;
    }
    if (!route.methods.includes(req.method ?? '')) return false;
    run(route, req, res).catch(() => res.destroy());
    return true;
  };
}

/** With and without the path of the base URL, which a proxy in front may have taken off; and below a mount. */
function finderOf(routes: readonly Route[], { basePath, paths }: Endpoints) {
  const own = new Map(routes.map(route => [paths[route.name], route]));
  const published = new Map([...own].map(([path, route]) => [basePath + path, route]));
  // Every request of the app comes by here.
  return (req: IncomingMessage): Route | undefined => {
    const path = withoutSlash(originalPathOf(req));
    return published.get(path) ?? own.get(path) ?? own.get(withoutSlash(pathOfRequest(req)));
  };
}

/** Empty, as no route is, for a target that cannot be parsed. */
function withoutSlash(path: string | null): string {
  if (path === null) return '';
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

// Our tokens are opaque; OpenID discovery demands the member all the same.
function sendNoKeys(req: IncomingMessage, res: ServerResponse): void {
  sendUncached(req, res, 200, { keys: [] });
}

function answerFault(req: IncomingMessage, res: ServerResponse, server: AuthorizationServer, error: unknown): void {
  if (error instanceof OAuthFailure) {
    sendFailure(req, res, error, server);
  } else if (error instanceof UnavailableError) {
    sendUnavailable(req, res, error);
  } else {
    sendUncached(req, res, 500, { error: 'server_error', error_description: 'Something went wrong here.' });
  }
}

function answerFaultWithPage(
  req: IncomingMessage,
  res: ServerResponse,
  front: Parameters<typeof sendMessage>[2],
  error: unknown,
): Promise<void> {
  if (error instanceof UnavailableError) {
    res.setHeader('Retry-After', String(error.retryAfterSeconds));
    return sendMessage(req, res, front, 503, 'This cannot be done right now', 'Wait a moment and load the page again.');
  }
  if (error instanceof OAuthFailure)
    return sendMessage(req, res, front, 400, 'The request cannot be understood', error.message);
  return sendMessage(
    req,
    res,
    front,
    503,
    'Something went wrong here',
    'Go back to your application and connect again.',
  );
}
