import type { IncomingMessage } from 'node:http';
import type { Leaf } from '../composition/plan.js';
import type { AuthInfo, Identity } from '../core/auth-info.js';
import { ConfigError } from '../core/errors.js';
import type { FrameworkRequest } from './handler.js';

/** What the first guard of a composition found out about a request; the guards behind it only look at scopes. */
export interface Settled {
  /**
   * The request it is about: a copy of it is another request, whose credentials nobody has judged. Weak, as apps keep
   * headers, and would keep the request with them.
   */
  readonly request: WeakRef<object>;
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
 * Remembers what was settled, in a private field of the two objects that hold the headers of the request: an app may put
 * another in place of one of them. Not of the request itself if it can be helped: Express leaves each with a shape of its
 * own, which makes a field that is added dear. Nor in a WeakMap: entries that die with their request are the dearest kind
 * for the collector.
 */
class Keeper extends Given {
  #settled: Settled;

  private constructor(place: object, settled: Settled) {
    super(place);
    this.#settled = settled;
  }

  static find(req: object): Settled | undefined {
    const places = req as Places;
    return Keeper.#read(places.rawHeaders, req) ?? Keeper.#read(places.headers, req) ?? Keeper.#read(req, req);
  }

  static keep(req: object, settled: Settled): void {
    const { rawHeaders, headers } = req as Places;
    const inList = Keeper.#take(rawHeaders, req, settled);
    const inHeaders = Keeper.#take(headers, req, settled);
    if (!inList && !inHeaders) Keeper.#take(req, req, settled);
  }

  static #read(place: unknown, req: object): Settled | undefined {
    return isObject(place) && #settled in place && place.#settled.request.deref() === req ? place.#settled : undefined;
  }

  // A copy of a request may have the headers of the first, whose place it does not take.
  static #take(place: unknown, req: object, settled: Settled): boolean {
    if (!isObject(place)) return false;
    if (!(#settled in place)) new Keeper(place, settled);
    else if ((place.#settled.request.deref() ?? req) === req) place.#settled = settled;
    else return false;
    return true;
  }
}

interface Places {
  readonly rawHeaders?: unknown;
  readonly headers?: unknown;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
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
