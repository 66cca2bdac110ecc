import { channel } from 'node:diagnostics_channel';
import { expect } from '@jest/globals';
import express, { type Express } from 'express';
import { type Auth, type AuthInfo, getAuth, UnavailableError } from 'express-mcp-auth';

/** What `check()` says, as one word: `accept`, `foreign`, `unavailable`, or the reason of a reject. */
export async function judge(auth: Auth, token: string): Promise<string> {
  try {
    const verdict = await auth.check(token);
    return verdict.outcome === 'reject' ? verdict.reason : verdict.outcome;
  } catch (error) {
    if (error instanceof UnavailableError) return 'unavailable';
    throw error;
  }
}

/** Matches every answer of `judge` that is a clear no: foreign, or any reason of a reject. */
export const refused = expect.not.stringMatching(/^(accept|unavailable)$/);

export async function accepted(auth: Auth, token: string): Promise<AuthInfo> {
  const verdict = await auth.check(token);
  if (verdict.outcome !== 'accept') throw new Error(`expected an acceptance, got ${JSON.stringify(verdict)}`);
  return verdict.auth;
}

/** The error that a promise rejects with; fails when it does not reject. */
export async function failure<E extends Error = Error>(promise: Promise<unknown>): Promise<E> {
  const nothing = Symbol('no error');
  const error = await promise.then(
    () => nothing,
    (reason: unknown) => reason,
  );
  if (error === nothing) throw new Error('expected a rejection');
  return error as E;
}

export interface GuardedApp {
  readonly app: Express;
  /** How often the handler behind the guard ran. */
  handled: number;
  /** What reached the error handler. */
  readonly errors: unknown[];
}

/** An app with the guard on one route; its handler answers with the identity it was given. */
export function guardedApp(auth: Auth): GuardedApp {
  const app = express();
  const guarded: GuardedApp = { app, handled: 0, errors: [] };
  app.post('/mcp', auth, (req, res) => {
    guarded.handled++;
    const { clientId, scopes, extra } = getAuth(req);
    res.json({ clientId, scopes, source: extra.source });
  });
  app.use((error: unknown, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
    guarded.errors.push(error);
    res.status(500).json({ error: 'handed to next' });
  });
  return guarded;
}

/** Collects the messages of an event until `stop()`; `next()` waits for one more. */
export function listenTo<T = Record<string, unknown>>(event: string) {
  const messages: T[] = [];
  const waiting: ((message: T) => void)[] = [];
  const events = channel(`express-mcp-auth:${event}`);
  const listener = (message: unknown) => {
    messages.push(message as T);
    for (const resolve of waiting.splice(0)) resolve(message as T);
  };
  events.subscribe(listener);
  return {
    messages,
    next: () => new Promise<T>(resolve => waiting.push(resolve)),
    stop: () => events.unsubscribe(listener),
  };
}
