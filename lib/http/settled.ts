import type { IncomingMessage } from 'node:http';
import type { Leaf } from '../composition/plan.js';
import type { AuthInfo, Identity } from '../core/auth-info.js';
import { ConfigError } from '../core/errors.js';
import type { FrameworkRequest } from './handler.js';

/** What the first guard of a composition found out about a request; the guards behind it only look at scopes. */
export interface Settled {
  readonly leaf: Leaf;
  readonly identity: Identity;
  readonly auth: AuthInfo;
}

const current = new WeakMap<object, AuthInfo>();

/** Hands the caller to the handlers behind; whatever somebody else left in `req.auth` is overwritten. */
export function setAuth(req: IncomingMessage, auth: AuthInfo): void {
  current.set(req, auth);
  (req as FrameworkRequest).auth = auth;
}

/** Takes back what somebody else left in `req.auth` of a request that was refused here and may go on elsewhere. */
export function dropAuth(req: IncomingMessage): void {
  const request = req as FrameworkRequest;
  if (request.auth !== undefined && request.auth !== current.get(req)) request.auth = undefined;
}

/**
 * The caller of a request that a guard of this package let through.
 *
 * @throws ConfigError when no guard ran, so that a handler cannot run unguarded by mistake
 */
export function getAuth(req: object): AuthInfo {
  const auth = current.get(req);
  if (auth === undefined)
    throw new ConfigError(
      'getAuth',
      'req',
      'was let through by no guard of this package',
      'Put the guard in front of the handler: app.use(auth), or app.all("/mcp", auth, handler).',
    );
  return auth;
}
