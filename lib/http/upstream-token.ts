import type { IncomingMessage } from 'node:http';
import { getAuth, settledOf } from './settled.js';

/**
 * The caller's live access token at the identity provider, refreshed when it has expired, for calls that this server
 * makes on the caller's behalf; `null` where the source that accepted the caller has none. It never reaches `req.auth`:
 * passing the caller's own token on is what MCP forbids, and this is not that token.
 *
 * @throws ConfigError when no guard ran; UnavailableError while the store, or a provider that must be asked, is out
 * of reach
 */
export async function getUpstreamToken(req: object): Promise<string | null> {
  getAuth(req);
  const { leaf, identity } = settledOf(req as IncomingMessage) ?? {};
  if (leaf === undefined || identity === undefined) return null;
  return (await leaf.source.upstreamToken?.(identity)) ?? null;
}
