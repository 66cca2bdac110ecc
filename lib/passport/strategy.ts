import type { IncomingMessage, ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import type { AuthInfo } from '../core/auth-info.js';
import { isPromise } from '../core/promise.js';
import type { Auth } from '../http/auth.js';
import { isSettled, rethrow } from '../http/guard.js';
import { requireInternals } from '../http/internals.js';
import type { Refusal } from '../http/refusal.js';
import { dropAuth, setAuth } from '../http/settled.js';

interface PassportRequest extends IncomingMessage {
  res?: ServerResponse;
  user?: unknown;
  authInfo?: unknown;
}

/** A passport strategy, in the shape that `passport.use` takes. */
export interface McpStrategy {
  /** `mcp`. */
  name: string;
  /** Judges one request, and calls one of the actions that passport lends it. */
  authenticate(req: IncomingMessage, options?: unknown): void;
}

/** The actions that passport lends to a strategy for one request. */
interface Actions {
  success(user: AuthInfo, info: object): void;
  fail(challenge: string | number, status?: number): void;
  error(error: unknown): void;
}

/**
 * Lets `passport.authenticate('mcp', { session: false })` run on an `Auth`: credentials are judged as by its guard,
 * from the `Authorization` header alone, and refused with its status and challenge. `req.user` and `req.auth` are the
 * caller, and `getAuth(req)` works behind it. CORS and preflights are the app's.
 *
 * Among several strategies it goes first: `authenticate(['mcp', 'other'])`. When all of them fail, passport answers with
 * the status of the first; behind another one our 403, 400 or 503 would go out as 401, and clients would sign in anew.
 *
 * @throws ConfigError for anything but an `Auth`, and for one whose audience is known to nobody
 */
export function mcpStrategy(auth: Auth): McpStrategy {
  const gate = requireInternals('mcpStrategy', auth).gate();
  const strategy = new BearerStrategy((_token, done) => done(null, false));
  strategy.name = 'mcp';
  // The bearer strategy would read a token from body and query too, so the request is not shown to it.
  strategy.authenticate = function (this: unknown, req: IncomingMessage, options?: unknown): void {
    // Passport may lend its actions to one object for many requests: they are taken before the first wait.
    const { success, fail, error } = this as Actions;
    const conclude = (answer: Awaited<ReturnType<typeof gate>>): void => {
      if (isSettled(answer)) {
        setAuth(req, answer);
        success(answer.auth, { scope: [...answer.auth.scopes] });
        return;
      }
      dropAuth(req);
      addHeadersIfRefused(req, answer, options);
      if (answer.challenge === undefined) fail(answer.status);
      else fail(answer.challenge, answer.status);
    };
    const answer = gate(req);
    if (isPromise(answer)) answer.then(conclude, error).catch(rethrow);
    else conclude(answer);
  };
  return strategy;
}

/**
 * Passport writes challenges on 401 only, and another strategy may still accept: so our headers are added when the
 * response is written, if it is our refusal that is written.
 */
function addHeadersIfRefused(req: PassportRequest, refusal: Refusal, options: unknown): void {
  const { res } = req;
  const { assignProperty = 'user' } = (options ?? {}) as { assignProperty?: string };
  const traces = (): unknown[] => [req.user, req.authInfo, (req as unknown as Record<string, unknown>)[assignProperty]];
  const before = traces();
  if (res === undefined || res.headersSent) return;
  onHeaders(res, function (this: ServerResponse) {
    const wasAccepted = traces().some((trace, index) => trace !== before[index]);
    if (wasAccepted || this.statusCode !== refusal.status) return;
    for (const [name, value] of refusal.headers) if (!this.hasHeader(name)) this.setHeader(name, value);
  });
}
