import type { AuthorizationServer } from '../authorization/authorization-server.js';
import type { Outline } from '../composition/plan.js';
import { authorizationServerOf } from '../composition/served.js';
import { documentsOf, type OwnRoutes } from './documents.js';
import { endpointsOf } from './oauth/routes.js';
import { serverDocumentsOf } from './oauth/server-documents.js';

export interface RoutesOfPlan {
  readonly documents: OwnRoutes | undefined;
  readonly endpoints: OwnRoutes | undefined;
}

/** Everything that a composition answers itself: its own documents, and those and the endpoints of its server. */
export function ownRoutesOf(plan: Outline): RoutesOfPlan {
  const resource = documentsOf(plan);
  const server = authorizationServerOf(plan.source) as AuthorizationServer | undefined;
  if (server === undefined) return { documents: resource, endpoints: undefined };
  const ofServer = serverDocumentsOf(server, plan.cors);
  return {
    // The server's first: a resource without a path owns every name that it does not serve.
    documents: (req, res) => ofServer(req, res) || resource?.(req, res) === true,
    endpoints: endpointsOf(server, plan.cors),
  };
}
