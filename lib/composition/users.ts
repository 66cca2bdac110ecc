import type { Source } from '../core/source.js';

// A verifier can be in several compositions; what it holds is let go with the last of them.
const usersOf = new WeakMap<Source, Set<object>>();

export function enlist(leaf: Source, user: object): void {
  const users = usersOf.get(leaf) ?? new Set();
  usersOf.set(leaf, users.add(user));
}

/** Closes the source when this was its last user. */
export async function dismiss(leaf: Source, user: object): Promise<void> {
  const users = usersOf.get(leaf);
  users?.delete(user);
  if ((users?.size ?? 0) === 0) await leaf.close?.();
}
