import { ConfigError } from '../core/errors.js';
import type { Options } from '../core/options.js';
import type { Binding } from '../core/source.js';

/** Who a token must be meant for: named values, the bound resource, or (loudly) anybody. */
export interface AudienceRule {
  readonly named: readonly string[] | undefined;
  readonly anyAccepted: boolean;
}

export interface AudienceCheck {
  accepts(aud: unknown): boolean;
  /** What a token must name, for events. */
  readonly expected: string;
}

export function readAudience(options: Options): AudienceRule {
  const named = options.oneOrMore('audience');
  const anyAccepted = options.boolean('dangerouslyAcceptAnyAudience') ?? false;
  if (named !== undefined && anyAccepted)
    options.fail('dangerouslyAcceptAnyAudience', 'contradicts audience', 'Give one of the two.');
  return { named, anyAccepted };
}

/**
 * Settles the rule for one composition. An explicit audience is compared as a string, a resource as a resource.
 *
 * @throws ConfigError where neither is known: a token for another service would pass
 */
export function bindAudience(factory: string, rule: AudienceRule, binding: Binding): AudienceCheck {
  if (rule.anyAccepted) return { accepts: () => true, expected: 'anything' };
  const { named } = rule;
  if (named !== undefined) return { accepts: aud => some(aud, one => named.includes(one)), expected: named.join(' ') };
  if (binding.resource === undefined)
    throw new ConfigError(
      factory,
      'audience',
      'is not given, and no composition around it has a baseUrl to derive the resource from',
      'Give audience, or use the verifier in multiAuth(verifiers, { baseUrl }). To accept tokens that were meant for other services, say dangerouslyAcceptAnyAudience: true.',
    );
  const { resource, isResource } = binding;
  return { accepts: aud => hasExactly(aud, resource) || some(firstOf(aud), isResource), expected: resource };
}

// Nobody has verified the list yet, and a URL takes long to compare.
const MAX_COMPARED = 64;

function hasExactly(aud: unknown, resource: string): boolean {
  return aud === resource || (Array.isArray(aud) && aud.includes(resource));
}

function firstOf(aud: unknown): unknown {
  return Array.isArray(aud) && aud.length > MAX_COMPARED ? aud.slice(0, MAX_COMPARED) : aud;
}

function some(aud: unknown, matches: (one: string) => boolean): boolean {
  if (typeof aud === 'string') return matches(aud);
  return Array.isArray(aud) && aud.some(one => typeof one === 'string' && matches(one));
}
