import type { IncomingMessage } from 'node:http';
import type { Leaf } from '../composition/plan.js';
import type { AuthInfo, Identity } from '../core/auth-info.js';
import { ConfigError } from '../core/errors.js';
import type { FrameworkRequest } from './handler.js';

/** What the first guard of a composition found out about a request; the guards behind it only look at scopes. */
export interface Settled {
  /** The request it is about: a copy of it is another request, whose credentials nobody has judged. */
  readonly request: object;
  readonly composition: object;
  readonly leaf: Leaf;
  readonly identity: Identity;
  readonly token: string;
  /** What handlers see. They may change it, so the next guard makes it anew. */
  auth: AuthInfo;
  /** What guards have asked for so far beyond the rule of the leaf. */
  extraScopes: readonly string[];
  /** What guards of other compositions had found out before. */
  readonly before: Settled | undefined;
}

// A private symbol and not a WeakMap: entries that die with each request are the dearest kind for the collector.
const SETTLED = Symbol('express-mcp-auth');

interface SettledRequest {
  [SETTLED]?: Settled;
}

/** What the last guard found out about a request. */
export function settledOf(req: object): Settled | undefined {
  const settled = (req as SettledRequest)[SETTLED];
  return settled?.request === req ? settled : undefined;
}

/** What a guard of this composition found out about the request, if one ran. */
export function settledBy(composition: object, req: IncomingMessage): Settled | undefined {
  let settled = settledOf(req);
  while (settled !== undefined && settled.composition !== composition) settled = settled.before;
  return settled;
}

/** Hands the caller to the handlers behind; whatever somebody else left in `req.auth` is overwritten. */
export function setAuth(req: IncomingMessage, settled: Settled): void {
  const request = req as FrameworkRequest & SettledRequest;
  const before = settledOf(req);
  if (before !== settled) request[SETTLED] = before === settled.before ? settled : { ...settled, before };
  request.auth = settled.auth;
}

/** Takes back what somebody else left in `req.auth` of a request that was refused here and may go on elsewhere. */
export function dropAuth(req: IncomingMessage): void {
  const request = req as FrameworkRequest;
  if (request.auth !== undefined && request.auth !== settledOf(req)?.auth) request.auth = undefined;
}

/**
 * The caller of a request that a guard of this package let through.
 *
 * @throws ConfigError when no guard ran, so that a handler cannot run unguarded by mistake
 */
export function getAuth(req: object): AuthInfo {
  const auth = settledOf(req)?.auth;
  if (auth === undefined)
    throw new ConfigError(
      'getAuth',
      'req',
      'was let through by no guard of this package',
      'Put the guard in front of the handler: app.use(auth), or app.all("/mcp", auth, handler).',
    );
  return auth;
}
