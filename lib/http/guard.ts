import type { IncomingMessage, ServerResponse } from 'node:http';
import { authInfo } from '../composition/auth-info.js';
import { holdsAll, type Judge, type Ruling } from '../composition/judge.js';
import type { Outline } from '../composition/plan.js';
import { report } from '../composition/report.js';
import type { Reason } from '../core/auth-info.js';
import { publish } from '../core/events.js';
import { isPromise } from '../core/promise.js';
import { allowAnyOrigin, answerPreflight } from './cors.js';
import { type Presented, readCredentials } from './credentials.js';
import type { Next, RequestHandler } from './handler.js';
import { type Refusal, refusalsOf, sendRefusal } from './refusal.js';
import { type Settled, setAuth, settledBy, settledOf } from './settled.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

export interface Composition {
  readonly plan: Outline;
  readonly judge: Judge;
}

/** Judges the credentials of a request; the answer is a refusal, or what was settled about the caller. */
export type Gate = (req: IncomingMessage) => Refusal | Settled | Promise<Refusal | Settled>;

export function isSettled(answer: Refusal | Settled): answer is Settled {
  return 'auth' in answer;
}

/**
 * @param extraScopes required beside what the composition requires
 */
export function gateOf(composition: Composition, extraScopes: readonly string[]): Gate {
  const { plan, judge } = composition;
  const refusals = refusalsOf(plan, extraScopes);

  const conclude = (
    req: IncomingMessage,
    token: string,
    ruling: Ruling,
    before: Settled | undefined,
  ): Refusal | Settled => {
    report(ruling, extraScopes, req);
    switch (ruling.outcome) {
      case 'accept': {
        const { leaf, identity } = ruling;
        const auth = authInfo(token, leaf, identity, plan.resourceMetadataUrl);
        return { request: req, composition, leaf, identity, token, auth, extraScopes, before };
      }
      case 'insufficient_scope':
        return refusals.insufficientScope(ruling.leaf.requiredScopes);
      case 'reject':
        return refusals.badToken;
      case 'unavailable':
        return refusals.unavailable(ruling.error);
    }
  };

  // The identity stands; what this guard asks for beyond the first one is judged by the scopes as they were granted.
  const askAgain = (req: IncomingMessage, settled: Settled, last: Settled | undefined): Refusal | Settled => {
    const { leaf, identity, token, extraScopes: askedBefore } = settled;
    if (!holdsAll(leaf, identity.scopes, extraScopes)) {
      report({ outcome: 'insufficient_scope', leaf, identity }, [...askedBefore, ...extraScopes], req);
      return refusals.insufficientScope([...leaf.requiredScopes, ...askedBefore]);
    }
    return {
      ...settled,
      auth: authInfo(token, leaf, identity, plan.resourceMetadataUrl),
      extraScopes: extraScopes.length > 0 ? [...askedBefore, ...extraScopes] : askedBefore,
      before: settled === last ? settled.before : last,
    };
  };

  return req => {
    const last = settledOf(req);
    const settled = settledBy(composition, last);
    if (settled !== undefined) return askAgain(req, settled, last);
    const presented = readCredentials(req, judge.recognize);
    if (presented.kind !== 'bearer') {
      const [reason, refusal] = withoutToken(presented.kind, refusals);
      publish('rejected', req, () => ({ reason }));
      return refusal;
    }
    const { token } = presented;
    const ruling = judge.rule(token, extraScopes, req);
    return isPromise(ruling)
      ? ruling.then(later => conclude(req, token.value, later, settledOf(req)))
      : conclude(req, token.value, ruling, last);
  };
}

function withoutToken(
  kind: Exclude<Presented['kind'], 'bearer'>,
  refusals: ReturnType<typeof refusalsOf>,
): [Reason, Refusal] {
  switch (kind) {
    case 'none':
      return ['no_credentials', refusals.noCredentials];
    case 'query':
      return ['bad_credentials', refusals.queryToken];
    case 'malformed':
      return ['bad_credentials', refusals.malformed];
  }
}

/** The guard as a request handler: it challenges every method before anything behind it can answer. */
export function guardOf(composition: Composition, extraScopes: readonly string[]): RequestHandler {
  const { cors } = composition.plan;
  const gate = gateOf(composition, extraScopes);

  const finish = (req: IncomingMessage, res: ServerResponse, next: Next, answer: Refusal | Settled): void => {
    if (isSettled(answer)) {
      setAuth(req, answer);
      next();
    } else {
      sendRefusal(req, res, answer);
    }
  };

  return function mcpGuard(req, res, next) {
    if (cors) {
      if (req.method === 'OPTIONS') return answerPreflight(req, res, METHODS);
      try {
        allowAnyOrigin(res);
      } catch (error) {
        // Something in front has answered already. Asked only now, because each look at the response of a framework is dear.
        if (!res.headersSent) throw error;
      }
    }
    const answer = gate(req);
    if (!isPromise(answer)) return finish(req, res, next, answer);
    answer.then(settled => finish(req, res, next, settled), next).catch(rethrow);
  };
}

/** What a handler behind next() throws belongs to the process, as it would without a promise in between. */
export function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}
