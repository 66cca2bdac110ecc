import { publish } from '../core/events.js';
import { holds, type Ruling } from './judge.js';

/** Publishes what came of a token. Errors that a source threw were published when they were caught. */
export function report(ruling: Ruling, extraScopes: readonly string[], request?: object): void {
  switch (ruling.outcome) {
    case 'accept': {
      const { leaf, identity } = ruling;
      publish('accepted', request, () => ({
        source: leaf.name,
        clientId: identity.clientId ?? leaf.name,
        issuer: identity.issuer,
        subject: identity.subject,
        scopes: identity.scopes,
      }));
      break;
    }
    case 'insufficient_scope': {
      const { leaf, identity } = ruling;
      publish('scope_refused', request, () => ({
        source: leaf.name,
        clientId: identity.clientId ?? leaf.name,
        required: [...new Set([...leaf.requiredScopes, ...extraScopes])],
        granted: identity.scopes,
        rule: holds(leaf, identity.scopes, leaf.requiredScopes) ? 'protect' : (leaf.ruleOwner ?? 'protect'),
      }));
      break;
    }
    case 'reject':
      for (const rejection of ruling.rejections)
        if (rejection.reason !== 'error') publish('rejected', request, () => ({ ...rejection }));
      break;
    case 'unavailable':
      break;
  }
}
