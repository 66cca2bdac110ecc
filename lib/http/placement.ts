import type { IncomingMessage } from 'node:http';
import type { Outline } from '../composition/plan.js';
import { excerpt } from '../core/events.js';
import type { WarningCode } from '../core/warnings.js';
import { pathGuard } from '../oauth/mcp-path.js';
import { resourceUrl } from '../oauth/resource.js';
import { isPlainTarget, pathOf, whatwgPath } from '../oauth/url.js';
import { type FrameworkRequest, mountOf, originalPathOf, pathOfRequest } from './handler.js';

export interface PlacementFacts {
  readonly plan: Outline;
  readonly hasRoutes: boolean;
  /** Whether these routes see requests at the root of the app, where documents live. */
  readonly seenAtRoot: (req: IncomingMessage) => boolean;
  readonly warn: (code: WarningCode, text: () => string) => void;
}

/**
 * Decides whether a request that reached an `Auth` falls under its guard: the table in section 2 of the design.
 * In doubt it does.
 */
export function placementOf({ plan, hasRoutes, seenAtRoot, warn }: PlacementFacts) {
  const guardsEverything = !hasRoutes && !plan.hasExplicitMcpPath;
  const isGuardedPath = pathGuard([
    plan.mcpPath,
    ...(plan.baseUrl === undefined ? [] : [pathOf(resourceUrl(plan.baseUrl, plan.mcpPath)) || '/']),
    ...(plan.resource === undefined ? [] : [pathOf(plan.resource) || '/']),
  ]);

  const isGuardedTarget = (target: string, path: string | null): boolean => {
    if (path === null || isGuardedPath(path)) return true;
    if (isPlainTarget(target)) return false;
    const otherPath = whatwgPath(target);
    return otherPath === null || isGuardedPath(otherPath);
  };

  const fallsUnderGuard = (req: FrameworkRequest, mount: string): boolean => {
    if (guardsEverything || mount !== '') return true;
    const { url = '', originalUrl = url } = req;
    if (isGuardedTarget(url, pathOfRequest(req))) return true;
    // An app that rewrites req.url has two paths in play; either is enough.
    return originalUrl !== url && isGuardedTarget(originalUrl, originalPathOf(req));
  };

  let standsAtRoot = false;
  return (req: FrameworkRequest, self: unknown): boolean => {
    const mount = mountOf(req);
    // Most requests that come here: nothing below could change the answer, and each look at a request of Express is dear.
    if (standsAtRoot && mount === '' && req.url === plan.mcpPath) return true;
    const { route } = req;
    const hasRoute = route !== undefined && route !== null;
    // At the root of the app it serves its documents itself; a route takes in its own path only.
    if (mount === '' && !hasRoute) standsAtRoot = true;
    if (mount !== '' && hasRoutes && !standsAtRoot && !seenAtRoot(req)) warn('MCP_AUTH_MOUNT', () => mountText(mount));
    if (hasRoute) {
      const isOnRoute = route.stack?.some(layer => layer.handle === self) ?? false;
      if (!isOnRoute && !fallsUnderGuard(req, mount)) warn('MCP_AUTH_ROUTE', () => routeText(originalPathOf(req)));
      return true;
    }
    if (fallsUnderGuard(req, mount)) return true;
    if (looksLikeMcp(req)) warn('MCP_AUTH_UNGUARDED', () => unguardedText(originalPathOf(req), plan.mcpPath));
    return false;
  };
}

// Clients send MCP-Protocol-Version on discovery too; nothing is unguarded about that.
function looksLikeMcp(req: IncomingMessage): boolean {
  const { headers } = req;
  if (headers['mcp-session-id'] === undefined && headers['mcp-protocol-version'] === undefined) return false;
  return req.method !== 'OPTIONS' && originalPathOf(req)?.includes('/.well-known/') !== true;
}

function mountText(mount: string): string {
  return `An Auth with discovery documents is mounted below ${excerpt(JSON.stringify(mount))}, but clients look for the documents at the root of the host. Add this line in front, at the root of the app: app.use(auth.wellKnown);`;
}

function routeText(path: string | null): string {
  return `An Auth ran for ${excerpt(JSON.stringify(path))} while req.route was set by a route that does not hold it, so it guarded the path. If that route came earlier and called next(), put app.use(auth) in front of it; if the Auth is wrapped in another function, use it directly: app.all('/mcp', auth, handler);`;
}

function unguardedText(path: string | null, mcpPath: string): string {
  const shown = excerpt(JSON.stringify(path));
  return `A request with MCP headers passed unguarded at ${shown}: this Auth guards ${JSON.stringify(mcpPath)}. If an MCP handler answers there, add app.use(${shown}, auth.protect()); or set the mcpPath option.`;
}
