import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientDirectory } from '../../authorization/authorization-server.js';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import { publish } from '../../core/events.js';
import { sendUncached } from './answers.js';
import { BodyTooLarge, readJson } from './read-params.js';

/** The registration endpoint (RFC 7591 section 3). */
export async function register(
  req: IncomingMessage,
  res: ServerResponse,
  issue: NonNullable<ClientDirectory['register']>,
): Promise<void> {
  try {
    const result = await issue(await readJson(req));
    if ('error' in result)
      return sendUncached(req, res, 400, { error: result.error, error_description: result.description });
    const { client, answer } = result;
    publish('client_registered', req, () => ({
      clientId: client.id,
      clientName: client.metadata.client_name,
      redirectUris: client.metadata.redirect_uris,
    }));
    sendUncached(req, res, 201, answer);
  } catch (failure) {
    if (!(failure instanceof OAuthFailure)) throw failure;
    const status = failure instanceof BodyTooLarge ? 413 : 400;
    sendUncached(req, res, status, { error: 'invalid_client_metadata', error_description: failure.message });
  }
}
