import type { AuthorizationServer, Client, ClientAuth, TokenEndpointResponse } from 'oauth4webapi';
import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { deadline, type Fetch, failureText } from '../../net/fetch-json.js';
import { basicAuthorization } from '../../oauth/basic.js';
import { type AnswerNotes, tolerantFetch } from './upstream-answer.js';
import type { UpstreamConfig } from './upstream-config.js';

// Loaded with the first sign-in: an app that only verifies tokens never needs it.
type OAuth = typeof import('oauth4webapi');
let loaded: OAuth | undefined;
const load = async (): Promise<OAuth> => {
  loaded ??= await import('oauth4webapi');
  return loaded;
};

/** What the token endpoint gave for a code or a refresh token. */
export interface UpstreamAnswer {
  readonly accessToken: string;
  readonly refreshToken: string | undefined;
  readonly expiresIn: number | undefined;
  readonly notes: AnswerNotes;
}

/** The provider says no, in the words of RFC 6749 section 5.2. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly code: string;

  constructor(code: string) {
    super(`the identity provider answered ${code.slice(0, 64)}`);
    this.code = code;
  }
}

type Context = {
  oauth: OAuth;
  as: AuthorizationServer;
  client: Client;
  auth: ClientAuth;
  options: object;
};

/** The back-channel requests to the identity provider, on oauth4webapi. */
export class TokenEndpoint {
  readonly #config: UpstreamConfig;

  constructor(config: UpstreamConfig) {
    this.#config = config;
  }

  /** @throws UpstreamError, UnavailableError */
  exchangeCode(callback: URLSearchParams, state: string, codeVerifier: string | undefined): Promise<UpstreamAnswer> {
    return this.#tokens('code', async ({ oauth, as, client, auth, options }) => {
      const { redirectUri } = this.#config;
      const params = oauth.validateAuthResponse(as, client, callback, state);
      const response = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        auth,
        params,
        redirectUri,
        codeVerifier ?? oauth.nopkce,
        options,
      );
      return oauth.processAuthorizationCodeResponse(as, client, response);
    });
  }

  /** @throws UpstreamError, UnavailableError */
  refresh(refreshToken: string): Promise<UpstreamAnswer> {
    return this.#tokens('refresh', async ({ oauth, as, client, auth, options }) =>
      oauth.processRefreshTokenResponse(
        as,
        client,
        await oauth.refreshTokenGrantRequest(as, client, auth, refreshToken, options),
      ),
    );
  }

  async revoke(token: string, hint: 'refresh_token' | 'access_token'): Promise<void> {
    const { revocationEndpoint } = await this.#config.endpoints();
    if (revocationEndpoint === undefined) return;
    // The answer has no body that means anything.
    await this.#ask('revoke', this.#config.fetch ?? globalThis.fetch, async ({ oauth, as, client, auth, options }) => {
      const additionalParameters = { ...this.#config.tokenParams, token_type_hint: hint };
      return oauth.processRevocationResponse(
        await oauth.revocationRequest(as, client, auth, token, { ...options, additionalParameters }),
      );
    });
  }

  async #tokens(leg: string, work: (context: Context) => Promise<TokenEndpointResponse>): Promise<UpstreamAnswer> {
    const notes: AnswerNotes = { scope: undefined, idToken: undefined, refreshExpiresIn: undefined };
    const answer = await this.#ask(leg, tolerantFetch(this.#config.fetch, notes), work);
    const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn } = answer;
    return { accessToken, refreshToken, expiresIn, notes };
  }

  async #ask<Answer>(leg: string, fetch: Fetch, work: (context: Context) => Promise<Answer>): Promise<Answer> {
    const oauth = await load();
    const { signal, done } = deadline(this.#config.timeoutMs);
    try {
      return await work({ oauth, ...(await this.#context(oauth, fetch, signal)) });
    } catch (error) {
      throw this.#failure(leg, error, oauth);
    } finally {
      done();
    }
  }

  async #context(oauth: OAuth, fetch: Fetch, signal: AbortSignal) {
    const { clientId, clientSecret = '', clientAuthMethod, tokenParams } = this.#config;
    const endpoints = await this.#config.endpoints();
    const as: AuthorizationServer = {
      issuer: endpoints.issuer ?? new URL(endpoints.tokenEndpoint).origin,
      token_endpoint: endpoints.tokenEndpoint,
      ...(endpoints.revocationEndpoint !== undefined && { revocation_endpoint: endpoints.revocationEndpoint }),
      ...(endpoints.promisesIss && { authorization_response_iss_parameter_supported: true }),
    };
    const auth = {
      client_secret_basic: () => basicAuth(clientId, clientSecret),
      client_secret_post: () => oauth.ClientSecretPost(clientSecret),
      none: () => oauth.None(),
    }[clientAuthMethod]();
    const options = {
      [oauth.customFetch]: fetch,
      // https is demanded where the URLs are read; what is left is loopback.
      [oauth.allowInsecureRequests]: true,
      signal,
      additionalParameters: tokenParams,
    };
    return { as, client: { client_id: clientId }, auth, options };
  }

  #failure(leg: string, error: unknown, oauth: OAuth): Error {
    if (error instanceof oauth.ResponseBodyError && error.status < 500 && error.status !== 429) {
      publish('upstream_failed', undefined, () => ({
        leg,
        message: `status ${error.status}, error ${error.error.slice(0, 64)}`,
      }));
      return new UpstreamError(error.error);
    }
    const message =
      error instanceof oauth.OperationProcessingError
        ? `unexpected answer, ${error.code ?? 'no code'}`
        : failureText(error);
    publish('upstream_failed', undefined, () => ({ leg, message }));
    return new UnavailableError('the identity provider gave no usable answer', { cause: error });
  }
}

// oauth4webapi escapes each hyphen and dot too, which providers that do not decode take for another client.
function basicAuth(clientId: string, clientSecret: string): ClientAuth {
  const authorization = basicAuthorization(clientId, clientSecret);
  return (_as, _client, _body, headers) => headers.set('authorization', authorization);
}
