import { holds } from '../composition/judge.js';
import { excerpt } from '../core/events.js';
import type { ServedResource } from '../core/source.js';
import { resourceMatcher } from '../oauth/resource.js';
import { unique } from '../oauth/scope.js';
import { OAuthFailure } from './oauth-failure.js';

/** The resources of all compositions of one server: tokens are for exactly one of them (RFC 8707). */
export class Resources {
  readonly #served = new Map<object, ServedResource>();
  readonly #defaultResource: string | undefined;
  /** All of them, and all that any of them requires or supports: asked with every request, changed by compositions. */
  #distinct: readonly ServedResource[] = [];
  #scopes: readonly string[] = [];

  constructor(defaultResource: string | undefined) {
    this.#defaultResource = defaultResource;
  }

  join(user: object, served: ServedResource): void {
    this.#served.set(user, served);
    this.#settle();
  }

  leave(user: object): void {
    this.#served.delete(user);
    this.#settle();
  }

  /**
   * The resource that a request means: the named one, else the only one, else the default.
   *
   * @throws OAuthFailure `invalid_target`
   */
  resolve(named: string | undefined): ServedResource {
    const all = this.#distinct;
    const wanted = named ?? (all.length === 1 ? all[0]?.resource : this.#defaultResource);
    if (wanted === undefined)
      throw new OAuthFailure(
        'invalid_target',
        'This server protects several resources: name one with the resource parameter.',
      );
    const found = all.find(served => isResource(served, wanted));
    if (found === undefined)
      throw new OAuthFailure('invalid_target', 'The resource is not one that this server protects.', {
        reason: `asked for ${excerpt(wanted)}, protected: ${all.map(({ resource }) => resource).join(' ')}`,
      });
    return found;
  }

  /** The resource of a grant, by the string that stands in it. */
  find(resource: string): ServedResource | undefined {
    return this.#distinct.find(served => isResource(served, resource));
  }

  /** All that any composition requires or supports. */
  get scopes(): readonly string[] {
    return this.#scopes;
  }

  // Two compositions with one resource are one resource that requires what both require.
  #settle(): void {
    const byResource = new Map<string, ServedResource>();
    for (const served of this.#served.values()) {
      const before = byResource.get(served.resource);
      byResource.set(served.resource, before === undefined ? served : joined(before, served));
    }
    this.#distinct = [...byResource.values()];
    this.#scopes = unique(
      [...this.#served.values()].flatMap(served => [...served.scopesSupported, ...served.requiredScopes]),
    );
  }
}

function joined(a: ServedResource, b: ServedResource): ServedResource {
  return {
    resource: a.resource,
    legacyResources: unique([...a.legacyResources, ...b.legacyResources]),
    requiredScopes: unique([...a.requiredScopes, ...b.requiredScopes]),
    scopesSupported: unique([...a.scopesSupported, ...b.scopesSupported]),
    scopeSatisfies: a.scopeSatisfies ?? b.scopeSatisfies,
  };
}

function isResource(served: ServedResource, candidate: string): boolean {
  return candidate === served.resource || resourceMatcher([served.resource, ...served.legacyResources])(candidate);
}

/** Whether the granted scopes cover what a resource requires. */
export function coversRequired(served: ServedResource, granted: readonly string[]): boolean {
  return holds(served, granted, served.requiredScopes);
}
