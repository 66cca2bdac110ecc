import { ConfigError } from '../core/errors.js';
import type { Source } from '../core/source.js';

/** The sources of a composition, in the order in which they are asked: its server, then its verifiers. */
export function partsOf(source: Source): readonly Source[] {
  return source.server === undefined ? (source.verifiers ?? []) : [source.server, ...(source.verifiers ?? [])];
}

/** All verifiers of a composition, however deep. */
export function leavesOf(source: Source): readonly Source[] {
  return source.bind === undefined ? partsOf(source).flatMap(leavesOf) : [source];
}

/**
 * Gives every verifier of a composition its name: its own, else that of the composition it came in, else its factory's,
 * numbered when it repeats. Operators tell sources apart by them, and subjects are unique within a source, so two
 * sources never share one.
 */
export function nameSources(root: Source): ReadonlyMap<Source, string> {
  const explicit = new Map<string, Source>();
  const wishes: { leaf: Source; wish: string; own: boolean }[] = [];
  const visit = (source: Source, inherited: string | undefined) => {
    if (source !== root && source.name !== undefined) {
      const other = explicit.get(source.name);
      if (other !== undefined && other !== source)
        throw new ConfigError(
          root.factory,
          'name',
          `${JSON.stringify(source.name)} is given to two sources`,
          'Give each source of a composition its own name.',
        );
      explicit.set(source.name, source);
    }
    const name = source.name ?? inherited;
    if (source.bind === undefined) for (const part of partsOf(source)) visit(part, source === root ? undefined : name);
    else wishes.push({ leaf: source, wish: name ?? source.factory, own: source.name !== undefined });
  };
  visit(root, undefined);

  const names = new Map<Source, string>();
  const taken = new Set<string>();
  for (const { leaf, wish, own } of wishes) if (own) names.set(leaf, wish) && taken.add(wish);
  for (const { leaf, wish } of wishes) {
    if (names.has(leaf)) continue;
    let name = wish;
    for (let number = 2; taken.has(name); number++) name = `${wish}-${number}`;
    names.set(leaf, name);
    taken.add(name);
  }
  return names;
}
