// More of them would save little more, and an app may have thousands of compositions.
const BATCH = 16;

/**
 * Hands out something fresh each time, made some at a time: what takes the platform long at first, because a busy server
 * has other code in the caches of its processor, takes little when it is done again at once.
 */
export function stock<T extends object>(make: () => T): () => T {
  const ready: T[] = [];
  return () => {
    const next = ready.pop();
    if (next !== undefined) return next;
    for (let count = 1; count < BATCH; count++) ready.push(make());
    return make();
  };
}
