import { UnavailableError } from '../../core/errors.js';
import { publish } from '../../core/events.js';
import { deadline, type Fetch, failureText } from '../../net/fetch-json.js';
import { discoverIssuer, urlMember } from '../../verifiers/keys/discovery.js';

/** Where the identity provider answers. */
export interface UpstreamEndpoints {
  readonly issuer: string | undefined;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string | undefined;
  /** Whether the provider promises `iss` in its answers (RFC 9207): then one without it is refused. */
  readonly promisesIss: boolean;
}

export type ResolveEndpoints = () => Promise<UpstreamEndpoints>;

const KEEP_MS = 3_600_000;
const BACK_OFF_MS = 1_000;

export function fixedEndpoints(endpoints: UpstreamEndpoints): ResolveEndpoints {
  return async () => endpoints;
}

/** Discovers the endpoints on first use, one question at a time; an answer is kept for an hour, and longer in an outage. */
export function discoveredEndpoints(options: {
  readonly issuer: string;
  readonly revocationEndpoint: string | undefined;
  readonly timeoutMs: number;
  readonly fetch: Fetch | undefined;
  readonly now: () => number;
}): ResolveEndpoints {
  const { issuer, timeoutMs, fetch, now } = options;
  let known: { endpoints: UpstreamEndpoints; at: number } | undefined;
  let running: Promise<UpstreamEndpoints> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  const discover = async (): Promise<UpstreamEndpoints> => {
    const { signal, done } = deadline(timeoutMs);
    try {
      const endpoints = await discoverIssuer(issuer, {
        fetch,
        signal,
        read: document => ({
          issuer,
          authorizationEndpoint: urlMember(document, 'authorization_endpoint', issuer),
          tokenEndpoint: urlMember(document, 'token_endpoint', issuer),
          revocationEndpoint:
            options.revocationEndpoint ??
            (document.revocation_endpoint === undefined
              ? undefined
              : urlMember(document, 'revocation_endpoint', issuer)),
          promisesIss: document.authorization_response_iss_parameter_supported === true,
        }),
      });
      known = { endpoints, at: now() };
      return endpoints;
    } catch (cause) {
      failedAt = now();
      publish('upstream_failed', undefined, () => ({ leg: 'discovery', message: failureText(cause) }));
      if (known !== undefined) return known.endpoints;
      throw new UnavailableError('the identity provider could not be discovered', { retryAfterSeconds: 1, cause });
    } finally {
      done();
      running = undefined;
    }
  };

  return async () => {
    if (known !== undefined && now() - known.at < KEEP_MS) return known.endpoints;
    if (running === undefined && now() - failedAt < BACK_OFF_MS && now() >= failedAt) {
      if (known !== undefined) return known.endpoints;
      throw new UnavailableError('the identity provider could not be discovered a moment ago', {
        retryAfterSeconds: 1,
      });
    }
    running ??= discover();
    return running;
  };
}
