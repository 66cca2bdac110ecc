import type { AuthorizationServer } from '../../authorization/authorization-server.js';
import { openidMetadata, serverMetadata } from '../../authorization/server-metadata.js';
import { pathOf } from '../../oauth/url.js';
import { allowAnyOrigin, answerPreflight } from '../cors.js';
import type { OwnRoutes } from '../documents.js';
import { originalPathOf } from '../handler.js';
import { sendJson } from '../refusal.js';

const METHODS = ['GET', 'HEAD'];

/** The metadata of an authorization server at the root of its host (RFC 8414 section 3.1, OpenID Discovery section 4). */
export function serverDocumentsOf(server: AuthorizationServer, cors: boolean): OwnRoutes {
  const path = pathOf(server.issuer).replace(/\/$/, '');
  const documents = new Map([
    [`/.well-known/oauth-authorization-server${path}`, serverMetadata],
    [`/.well-known/openid-configuration${path}`, openidMetadata],
    [`${path}/.well-known/openid-configuration`, openidMetadata],
  ]);
  return (req, res) => {
    const address = originalPathOf(req);
    if (!address?.includes('/.well-known/')) return false;
    const document = documents.get(address.endsWith('/') ? address.slice(0, -1) : address);
    if (document === undefined) return false;
    if (req.method === 'OPTIONS' && cors) {
      answerPreflight(req, res, METHODS);
      return true;
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') return false;
    if (cors) allowAnyOrigin(res);
    res.setHeader('Cache-Control', 'public, max-age=3600');
    sendJson(req, res, 200, JSON.stringify(document(server)));
    return true;
  };
}
