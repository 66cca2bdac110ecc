import { readScopes } from '../composition/options.js';
import { UnavailableError } from '../core/errors.js';
import { kindOf, Options } from '../core/options.js';
import { isOutage } from '../core/outage.js';
import { FOREIGN, reject } from '../core/source.js';
import type { Auth } from '../http/auth.js';
import { createAuth } from '../http/create-auth.js';
import { parseScopes } from '../oauth/scope.js';
import { type CustomIdentity, claimOf, judgeIdentity } from '../verifiers/custom.js';

const FACTORY = 'passportVerifier';

/** Any passport strategy that reads a token from the `Authorization` header. */
export interface TokenStrategy {
  /** Calls `success`, `fail`, `error`, `redirect` or `pass` of the object that it runs on, as passport has it. */
  // biome-ignore lint/suspicious/noExplicitAny: strategies declare requests of their own frameworks
  authenticate(this: any, req: any, options?: any): unknown;
}

/** Options of `passportVerifier`. */
export interface PassportVerifierOptions {
  /** The name in `req.auth.extra.source`. Default `passportVerifier`. */
  readonly name?: string | undefined;
  /** Whether a token is this strategy's, without I/O; with it a failure is a refusal and not "somebody else's". */
  readonly accepts?: ((token: string) => boolean) | undefined;
  /** Scopes that tokens of this verifier need. Default: none of its own. */
  readonly requiredScopes?: readonly string[] | undefined;
  /** How long the strategy may take before it counts as out of reach, in milliseconds. Default 5000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Makes a source of a passport strategy: passport-http-bearer, passport-jwt, an API-key strategy. It sees a request
 * of its own that holds the token and nothing else; the first of its actions counts. With `success(user, info)`
 * scopes are `info.scope`, the client is `info.client_id`, the subject `user.sub` or `user.id`, and `extra.user` the
 * user as it came.
 *
 * @throws ConfigError for wrong or unknown options
 */
export function passportVerifier(strategy: TokenStrategy, options: PassportVerifierOptions = {}): Auth {
  const read = new Options(FACTORY, options, ['name', 'accepts', 'requiredScopes', 'timeoutMs']);
  if (typeof strategy?.authenticate !== 'function')
    read.fail(
      'strategy',
      `must be a passport strategy, got ${kindOf(strategy)}`,
      'Pass an object with authenticate(req).',
    );
  const accepts = read.function<(token: string) => boolean>('accepts');
  const timeoutMs = read.number('timeoutMs', { min: 1, max: 120_000, fallback: 5_000 });
  return createAuth({
    factory: FACTORY,
    name: read.string('name'),
    settings: { requiredScopes: readScopes(read, 'requiredScopes') },
    bind: binding => ({
      claim: claimOf(accepts),
      verify: async ({ value }) => {
        const { success } = await run(strategy, value, timeoutMs);
        if (success !== undefined) return judgeIdentity(identityOf(success.user, success.info), binding, Date.now());
        return accepts === undefined ? FOREIGN : reject('refused');
      },
    }),
  });
}

interface StrategyAnswer {
  readonly success?: { readonly user: unknown; readonly info: unknown };
}

function run(strategy: TokenStrategy, token: string, timeoutMs: number): Promise<StrategyAnswer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new UnavailableError(`the passport strategy gave no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    timer.unref();
    const settle = (answer: () => void) => () => {
      clearTimeout(timer);
      answer();
    };
    const refuse = settle(() => resolve({}));
    const fail = (error: unknown) => settle(() => reject(error))();
    const request = {
      method: 'GET',
      url: '/',
      headers: { authorization: `Bearer ${token}` },
      query: {},
      body: {},
    };
    const worker = Object.assign(Object.create(strategy) as TokenStrategy, {
      success: (user: unknown, info: unknown) =>
        user ? settle(() => resolve({ success: { user, info } }))() : refuse(),
      // passport-jwt reports a failed key look-up as a failure with an error.
      fail: (challenge: unknown) => (isOutage(challenge) ? fail(challenge) : refuse()),
      redirect: refuse,
      pass: refuse,
      error: fail,
    });
    try {
      Promise.resolve(worker.authenticate(request, {})).catch(fail);
    } catch (error) {
      fail(error);
    }
  });
}

function identityOf(user: unknown, info: unknown): CustomIdentity {
  const { scope, client_id: clientId } = (info ?? {}) as { scope?: unknown; client_id?: unknown };
  // A string has a method called sub.
  const { sub, id } = (typeof user === 'object' && user !== null ? user : {}) as { sub?: unknown; id?: unknown };
  const subject = sub ?? id;
  return {
    clientId: typeof clientId === 'string' ? clientId : undefined,
    scopes: parseScopes(scope),
    subject: subject === undefined || subject === null ? undefined : String(subject),
    extra: { user },
  };
}
