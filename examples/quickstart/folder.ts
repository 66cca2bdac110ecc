import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Keeps what must be the same after a restart. Git ignores it; delete it to start anew. */
export const folder = process.env.QUICKSTART_FOLDER ?? fileURLToPath(new URL('../../.quickstart', import.meta.url));

export function load<T>(name: string): T | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function save<T>(name: string, value: T): T {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, name), JSON.stringify(value, undefined, 2), { mode: 0o600 });
  return value;
}
