import type { ServedResource, Source } from '../core/source.js';

// A verifier can be in several compositions; what it holds is let go with the last of them.
const usersOf = new WeakMap<Source, Set<object>>();

export interface Usage {
  /** The composition was used by itself. */
  begin(): void;
  /** It became part of another composition, which is the user then. */
  absorb(): void;
  /** Closes the sources that nobody else uses. */
  end(): Promise<void>;
}

/** Counts one composition as a user of its verifiers. */
export function usage(
  leaves: readonly Source[],
  { fromStart, served }: { readonly fromStart: boolean; readonly served: ServedResource | undefined },
): Usage {
  const user = {};
  let isUsed = false;
  const enlist = () => {
    for (const leaf of leaves) {
      const users = usersOf.get(leaf) ?? new Set();
      usersOf.set(leaf, users.add(user));
      if (served !== undefined) leaf.join?.(user, served);
    }
  };
  const leave = () => {
    for (const leaf of leaves) {
      usersOf.get(leaf)?.delete(user);
      leaf.leave?.(user);
    }
  };
  if (fromStart) enlist();
  return {
    begin() {
      isUsed = true;
      enlist();
    },
    absorb() {
      if (!isUsed) leave();
    },
    async end() {
      leave();
      const unused = leaves.filter(leaf => (usersOf.get(leaf)?.size ?? 0) === 0);
      await Promise.all(unused.map(leaf => leaf.close?.()));
    },
  };
}
