import { afterEach, expect } from '@jest/globals';
import { type Store, UnavailableError } from 'express-mcp-auth';

/** Collects what ends the things that a test opens; they end after it, the last one first. */
export function endsAfterEach(): (() => unknown)[] {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  return ends;
}

/** Calls every operation; says with which errors they ended, and how long they took together, in milliseconds. */
export async function failures(store: Store): Promise<{ errors: unknown[]; took: number }> {
  const began = performance.now();
  const settled = await Promise.allSettled([
    store.get('key'),
    store.set('key', 'new', 3_600),
    store.add('key', 'new', 3_600),
    store.take('key'),
    store.replace('key', 'value', 'new', 3_600),
    store.delete('key'),
  ]);
  const errors = settled.map(one => (one.status === 'rejected' ? one.reason : `not an error: ${one.value}`));
  return { errors, took: performance.now() - began };
}

/** What {@link failures} finds where the store is out of reach. */
export const outages = Array.from({ length: 6 }, () => expect.any(UnavailableError));
