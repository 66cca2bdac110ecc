import type { IncomingMessage, ServerResponse } from 'node:http';
import { authInfo } from '../composition/auth-info.js';
import { judgeOf, type Ruling } from '../composition/judge.js';
import { leavesOf } from '../composition/names.js';
import { readScopes } from '../composition/options.js';
import { bindLeaves, outline } from '../composition/plan.js';
import { report } from '../composition/report.js';
import { servedResource } from '../composition/served.js';
import { usage } from '../composition/users.js';
import { Options } from '../core/options.js';
import type { Source } from '../core/source.js';
import { warnings } from '../core/warnings.js';
import type { Auth } from './auth.js';
import { type Composition, gateOf, guardOf } from './guard.js';
import { mountOf, type Next, type RequestHandler } from './handler.js';
import { rememberInternals } from './internals.js';
import { ownRoutesOf, type RoutesOfPlan } from './own-routes.js';
import { placementOf } from './placement.js';

/** Makes the `Auth` of a source. Nothing is bound before the first use: a source may be meant for a composition only. */
export function createAuth(source: Source): Auth {
  const root = asComposition(source);
  const plan = outline(root);
  const leafSources = leavesOf(root);
  const use = usage(leafSources, {
    fromStart: source.bind === undefined || source.authorizationServer !== undefined,
    served: servedResource(plan),
  });

  const composition = once((): Composition => {
    const leaves = bindLeaves(plan);
    use.begin();
    return { plan, judge: judgeOf(leaves) };
  });
  const gate = once(() => gateOf(composition(), []));
  const handlers = handlersOf(() => guardOf(composition(), []), ownRoutesOf(plan), plan);

  const judge = async (token: string): Promise<Exclude<Ruling, { outcome: 'unavailable' }>> => {
    const composed = composition();
    if (typeof token !== 'string' || token === '') return { outcome: 'reject', rejections: [{ reason: 'malformed' }] };
    const ruling = await composed.judge.rule(composed.judge.recognize(token), []);
    if (ruling.outcome === 'unavailable') throw ruling.error;
    return ruling;
  };
  const describe = (token: string, { leaf, identity }: Extract<Ruling, { leaf: unknown }>) =>
    authInfo(token, leaf, identity, plan.resourceMetadataUrl);

  const members = {
    name: source.name ?? source.factory,
    ...(plan.baseUrl !== undefined && { baseUrl: plan.baseUrl }),
    ...(plan.resource !== undefined && { resource: plan.resource }),
    requiredScopes: plan.requiredScopes,
    scopesSupported: plan.scopesSupported,
    router: handlers.router,
    wellKnown: handlers.documents,
    protect(options = {}) {
      const read = new Options('protect', options, ['requiredScopes']);
      return guardOf(composition(), readScopes(read, 'requiredScopes') ?? []);
    },
    async verifyToken(token) {
      const ruling = await judge(token);
      report(ruling, []);
      return ruling.outcome === 'accept' ? describe(token, ruling) : null;
    },
    async check(token) {
      const ruling = await judge(token);
      if (ruling.outcome === 'reject') {
        report(ruling, []);
        const [first] = ruling.rejections;
        if (first === undefined || first.reason === 'foreign') return { outcome: 'foreign' };
        const { source: _, ...rejection } = first;
        return { outcome: 'reject', ...rejection };
      }
      report({ ...ruling, outcome: 'accept' }, []);
      const { ruleOwner, requiredScopes } = ruling.leaf;
      return { outcome: 'accept', auth: describe(token, ruling), ...(ruleOwner !== undefined && { requiredScopes }) };
    },
    challengeScopes: (required = plan.requiredScopes) => plan.challengeScopes(required),
    async ready() {
      composition();
      await Promise.all(leafSources.map(leaf => leaf.ready?.()));
    },
    close: () => use.end(),
  } satisfies Partial<Auth>;

  const auth = handlers.auth;
  for (const [name, value] of Object.entries(members)) Object.defineProperty(auth, name, { value, enumerable: true });
  rememberInternals(auth, {
    source,
    gate,
    judge: async token => {
      const ruling = await judge(token);
      report(ruling, []);
      return ruling.outcome === 'reject' ? ruling : { outcome: ruling.outcome, auth: describe(token, ruling) };
    },
    absorb: () => use.absorb(),
  });
  return auth as unknown as Auth;
}

/** A verifier or a server by itself is a composition of one. */
function asComposition(source: Source): Source {
  if (source.bind === undefined) return source;
  const { factory, name } = source;
  return source.authorizationServer === undefined
    ? { factory, name, settings: {}, verifiers: [source] }
    : { factory, name, settings: {}, server: source };
}

function handlersOf(
  makeGuard: () => RequestHandler,
  { documents, endpoints }: RoutesOfPlan,
  plan: Composition['plan'],
): { readonly auth: RequestHandler; readonly router: RequestHandler; readonly documents: RequestHandler } {
  const guard = once(makeGuard);
  const seenAtRoot = new WeakSet<IncomingMessage>();
  const hasRoutes = documents !== undefined || endpoints !== undefined;
  const isGuarded = placementOf({ plan, hasRoutes, seenAtRoot: req => seenAtRoot.has(req), warn: warnings() });
  const noteRoot = (req: IncomingMessage) => {
    if (documents !== undefined && mountOf(req) === '') seenAtRoot.add(req);
  };

  function mcpAuth(req: IncomingMessage, res: ServerResponse, next: Next): void {
    let protect: RequestHandler;
    try {
      protect = guard();
    } catch (error) {
      next(error);
      return;
    }
    if (documents?.(req, res) || endpoints?.(req, res)) return;
    if (isGuarded(req, mcpAuth)) protect(req, res, next);
    else next();
  }

  function mcpAuthRouter(req: IncomingMessage, res: ServerResponse, next: Next): void {
    noteRoot(req);
    if (!documents?.(req, res) && !endpoints?.(req, res)) next();
  }

  function mcpAuthDocuments(req: IncomingMessage, res: ServerResponse, next: Next): void {
    noteRoot(req);
    if (!documents?.(req, res)) next();
  }

  return { auth: mcpAuth, router: mcpAuthRouter, documents: mcpAuthDocuments };
}

function once<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => {
    value ??= make();
    return value;
  };
}
