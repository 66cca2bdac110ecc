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
  readonly auth: AuthInfo;
  /** What guards have asked for so far beyond the rule of the leaf. */
  readonly extraScopes: readonly string[];
  /** What guards of other compositions had found out before. */
  readonly before: Settled | undefined;
}

/** Hands back the object that it is given, so that the class below can put a private field on any object. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is what it is for
    return object;
  }
}

/**
 * Remembers what was settled, in a private field of the list of headers, which lives and dies with its request and which
 * nobody keeps. Not of the request itself if it can be helped: Express leaves each with a shape of its own, which makes a
 * field that is added dear. Nor in a WeakMap: entries that die with their request are the dearest kind for the collector.
 */
class Keeper extends Given {
  #settled: Settled;

  private constructor(place: object, settled: Settled) {
    super(place);
    this.#settled = settled;
  }

  static find(req: object): Settled | undefined {
    const list = listOf(req);
    // Most requests are new to every guard. Whoever has kept his own in the request itself found this list taken.
    if (!(#settled in list)) return undefined;
    return list.#settled.request === req ? list.#settled : Keeper.#read(req, req);
  }

  static keep(req: object, settled: Settled): void {
    const list = listOf(req);
    // A copy of a request has the list of the first, whose place it does not take.
    const isTaken = #settled in list && list.#settled.request !== req;
    const place = isTaken ? req : list;
    if (#settled in place) place.#settled = settled;
    else new Keeper(place, settled);
  }

  static #read(place: object, req: object): Settled | undefined {
    return #settled in place && place.#settled.request === req ? place.#settled : undefined;
  }
}

function listOf(req: object): object {
  const { rawHeaders } = req as { readonly rawHeaders?: unknown };
  return Array.isArray(rawHeaders) ? rawHeaders : req;
}

/** What the last guard found out about a request. */
export function settledOf(req: object): Settled | undefined {
  return Keeper.find(req);
}

/** What a guard of this composition found out, if one ran: that of the last guard, or of one before it. */
export function settledBy(composition: object, last: Settled | undefined): Settled | undefined {
  let settled = last;
  while (settled !== undefined && settled.composition !== composition) settled = settled.before;
  return settled;
}

/** Hands the caller to the handlers behind; whatever somebody else left in `req.auth` is overwritten. */
export function setAuth(req: IncomingMessage, settled: Settled): void {
  Keeper.keep(req, settled);
  (req as FrameworkRequest).auth = settled.auth;
}

/** Takes back what somebody else left in `req.auth` of a request that was refused here and may go on elsewhere. */
export function dropAuth(req: IncomingMessage): void {
  const request = req as FrameworkRequest;
  if (request.auth !== undefined && request.auth !== settledOf(req)?.auth) request.auth = undefined;
}

/**
 * The caller of a request that a guard of this package let through.
 *
 * @throws ConfigError when no guard ran, so that a handler cannot run unguarded by mistake; and behind an app that has put
 *   another list in place of `req.rawHeaders` since, as it is kept there whom the guard let through
 */
export function getAuth(req: object): AuthInfo {
  const auth = settledOf(req)?.auth;
  if (auth === undefined)
    throw new ConfigError(
      'getAuth',
      'req',
      'was let through by no guard of this package',
      'Put the guard in front of the handler: app.use(auth), or app.all("/mcp", auth, handler); behind it, leave req.rawHeaders the list that it is.',
    );
  return auth;
}
