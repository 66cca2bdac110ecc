import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Outline } from '../composition/plan.js';
import { RESOURCE_METADATA_PATH, resourceMetadata, resourceMetadataUrl } from '../oauth/resource-metadata.js';
import { pathOf } from '../oauth/url.js';
import { allowAnyOrigin, answerPreflight } from './cors.js';
import { type FrameworkRequest, originalPathOf } from './handler.js';
import { sendJson } from './refusal.js';

/** Serves a request if it is for one of our own addresses, and says whether it did. */
export type OwnRoutes = (req: IncomingMessage, res: ServerResponse) => boolean;

const PROBED_NAMES = ['oauth-protected-resource', 'oauth-authorization-server', 'openid-configuration'];
const DOCUMENT_METHODS = ['GET', 'HEAD'];
const NOT_FOUND = JSON.stringify({
  error: 'not_found',
  error_description: 'This server publishes no such document. See the resource_metadata of its 401 challenge.',
});

/** The discovery documents of a composition, or `undefined` where it has none (RFC 9728). */
export function documentsOf(plan: Outline): OwnRoutes | undefined {
  const { resource, authorizationServers, scopesSupported, resourceName, resourceDocumentation } = plan;
  if (resource === undefined || plan.resourceMetadataUrl === undefined) return undefined;
  const document = JSON.stringify(
    resourceMetadata({ resource, authorizationServers, scopesSupported, resourceName, resourceDocumentation }),
  );
  const addresses = new Set([withoutSlash(pathOf(resourceMetadataUrl(resource)))]);
  if (plan.rootMetadata) addresses.add(RESOURCE_METADATA_PATH);
  const probed = probedPaths(withoutSlash(pathOf(resource)));

  return (req, res) => {
    // Most requests are not for a document, and this handler runs in front of all of them.
    if (!((req as FrameworkRequest).originalUrl ?? req.url)?.includes('/.well-known/')) return false;
    const path = originalPathOf(req);
    if (path === null) return false;
    const isPreflight = req.method === 'OPTIONS' && plan.cors;
    if (req.method !== 'GET' && req.method !== 'HEAD' && !isPreflight) return false;
    const address = withoutSlash(path);
    const isDocument = addresses.has(address);
    if (!isDocument && !probed.some(name => address === name || address.startsWith(`${name}/`))) return false;
    if (isPreflight) {
      answerPreflight(req, res, DOCUMENT_METHODS);
      return true;
    }
    if (plan.cors) allowAnyOrigin(res);
    res.setHeader('Cache-Control', isDocument ? 'public, max-age=3600' : 'no-store');
    sendJson(req, res, isDocument ? 200 : 404, isDocument ? document : NOT_FOUND);
    return true;
  };
}

/**
 * Where clients look for documents of this resource: a 404 as JSON sends them on, while a guard's 401 or the page of a
 * single-page app stops them.
 */
function probedPaths(resourcePath: string): readonly string[] {
  return PROBED_NAMES.flatMap(name => [`/.well-known/${name}${resourcePath}`, `${resourcePath}/.well-known/${name}`]);
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
