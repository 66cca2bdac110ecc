import type { IncomingMessage, ServerResponse } from 'node:http';
import { authInfo } from '../composition/auth-info.js';
import { type Judge, judgeOf } from '../composition/judge.js';
import { leavesOf } from '../composition/names.js';
import { readScopes } from '../composition/options.js';
import { bindLeaves, outline } from '../composition/plan.js';
import { report } from '../composition/report.js';
import { dismiss, enlist } from '../composition/users.js';
import type { AuthInfo, Verdict } from '../core/auth-info.js';
import { ConfigError } from '../core/errors.js';
import { kindOf, Options } from '../core/options.js';
import type { Source } from '../core/source.js';
import { warnings } from '../core/warnings.js';
import { documentsOf } from './documents.js';
import { type Composition, type Gate, gateOf, guardOf } from './guard.js';
import { mountOf, type Next, type RequestHandler } from './handler.js';
import { placementOf } from './placement.js';

/**
 * What every factory returns: a request handler to mount at the root of the app, with the parts of it for apps that
 * are laid out in another way. Works under Express 4 and 5, Connect and `node:http`.
 */
export interface Auth {
  (req: IncomingMessage, res: ServerResponse, next: Next): void;
  readonly name: string;
  readonly baseUrl?: string;
  /** The public URL of the MCP endpoint. */
  readonly resource?: string;
  /** The scopes required before a source is known; a source may have its own. */
  readonly requiredScopes: readonly string[];
  readonly scopesSupported: readonly string[];
  /** Discovery documents and OAuth endpoints; everything else goes to `next()`. */
  readonly router: RequestHandler;
  /** Discovery documents only, for an app that mounts the rest below a prefix. */
  readonly wellKnown: RequestHandler;
  /** The bearer guard alone; `requiredScopes` adds to what the composition requires. */
  protect(options?: { readonly requiredScopes?: readonly string[] }): RequestHandler;
  /** The caller, or `null` for every no. @throws UnavailableError where nobody could tell */
  verifyToken(token: string): Promise<AuthInfo | null>;
  /** The verdict, scopes left to the guard. @throws UnavailableError where nobody could tell */
  check(token: string): Promise<Verdict>;
  /** The scopes that a client must ask for to be granted the required ones. */
  challengeScopes(required?: readonly string[]): readonly string[];
  /** Prefetches discovery and keys. @throws UnavailableError when it cannot; later use tries again by itself */
  ready(): Promise<void>;
  /** Releases what it holds; a source in several compositions is closed with the last of them. */
  close(): Promise<void>;
}

const sources = new WeakMap<object, Source>();
const gates = new WeakMap<object, () => Gate>();

/** The source behind an `Auth`, or `undefined` for anything that no factory of this package made. */
export function sourceOf(auth: unknown): Source | undefined {
  return typeof auth === 'function' ? sources.get(auth) : undefined;
}

/** The gate of an `Auth`, for callers that answer requests in their own way. */
export function gateOfAuth(factory: string, auth: unknown): Gate {
  const gate = typeof auth === 'function' ? gates.get(auth) : undefined;
  if (gate === undefined)
    throw new ConfigError(
      factory,
      'auth',
      `must be an Auth, got ${kindOf(auth)}`,
      'Pass what multiAuth, remoteAuth or a verifier factory returned.',
    );
  return gate();
}

/** Makes the `Auth` of a source. Nothing is bound before the first use: a source may be meant for a composition only. */
export function createAuth(source: Source): Auth {
  const root: Source =
    source.bind === undefined
      ? source
      : { factory: source.factory, name: source.name, settings: {}, verifiers: [source] };
  const plan = outline(root);
  const documents = documentsOf(plan);
  const warn = warnings();
  const leafSources = leavesOf(root);
  const user = {};
  if (source.bind === undefined) for (const leaf of leafSources) enlist(leaf, user);

  const composition = once((): Composition & { judge: Judge } => {
    const leaves = bindLeaves(plan);
    for (const leaf of leafSources) enlist(leaf, user);
    return { plan, judge: judgeOf(leaves), settled: new WeakMap() };
  });
  const guard = once(() => guardOf(composition(), []));

  const rooted = new WeakSet<IncomingMessage>();
  const isGuarded = placementOf({ plan, hasRoutes: documents !== undefined, seenAtRoot: req => rooted.has(req), warn });

  function mcpAuth(req: IncomingMessage, res: ServerResponse, next: Next): void {
    let protect: RequestHandler;
    try {
      protect = guard();
    } catch (error) {
      next(error);
      return;
    }
    if (documents?.(req, res)) return;
    if (isGuarded(req, mcpAuth)) protect(req, res, next);
    else next();
  }

  function mcpAuthDocuments(req: IncomingMessage, res: ServerResponse, next: Next): void {
    if (documents !== undefined && mountOf(req) === '') rooted.add(req);
    if (!documents?.(req, res)) next();
  }

  const judgeToken = async (token: string) => {
    const { judge } = composition();
    if (typeof token !== 'string' || token === '')
      return { outcome: 'reject', rejections: [{ reason: 'malformed' }] } as const;
    const ruling = await judge(token, []);
    if (ruling.outcome === 'unavailable') throw ruling.error;
    return ruling;
  };

  const members: Omit<Auth, never> = {
    name: source.name ?? source.factory,
    ...(plan.baseUrl !== undefined && { baseUrl: plan.baseUrl }),
    ...(plan.resource !== undefined && { resource: plan.resource }),
    requiredScopes: plan.requiredScopes,
    scopesSupported: plan.scopesSupported,
    router: mcpAuthDocuments,
    wellKnown: mcpAuthDocuments,
    protect(options = {}) {
      const read = new Options('protect', options, ['requiredScopes']);
      return guardOf(composition(), readScopes(read, 'requiredScopes') ?? []);
    },
    async verifyToken(token) {
      const ruling = await judgeToken(token);
      report(ruling, []);
      if (ruling.outcome !== 'accept') return null;
      return authInfo(token, ruling.leaf, ruling.identity, plan.resourceMetadataUrl);
    },
    async check(token) {
      const ruling = await judgeToken(token);
      if (ruling.outcome === 'reject') {
        report(ruling, []);
        const [first] = ruling.rejections;
        if (first === undefined || first.reason === 'foreign') return { outcome: 'foreign' };
        const { source: _, ...rejection } = first;
        return { outcome: 'reject', ...rejection };
      }
      const { leaf, identity } = ruling;
      report({ outcome: 'accept', leaf, identity }, []);
      const auth = authInfo(token, leaf, identity, plan.resourceMetadataUrl);
      return { outcome: 'accept', auth, ...(leaf.ruleOwner !== undefined && { requiredScopes: leaf.requiredScopes }) };
    },
    challengeScopes: (required = plan.requiredScopes) => plan.challengeScopes(required),
    async ready() {
      composition();
      await Promise.all(leafSources.map(leaf => leaf.ready?.()));
    },
    async close() {
      await Promise.all(leafSources.map(leaf => dismiss(leaf, user)));
    },
  };
  for (const [name, value] of Object.entries(members))
    Object.defineProperty(mcpAuth, name, { value, enumerable: true });
  sources.set(mcpAuth, source);
  gates.set(
    mcpAuth,
    once(() => gateOf(composition(), [])),
  );
  return mcpAuth as unknown as Auth;
}

function once<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => {
    value ??= make();
    return value;
  };
}
