import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { root } from './source-tree.js';

type Entry = { readonly optionalDependencies?: Record<string, string>; readonly resolved?: string };
type Entries = Readonly<Record<string, Entry>>;

/** Whether npm finds the package from there: beside it or in any folder above. */
function resolves(entries: Entries, from: string, name: string): boolean {
  const above = from.split(/(?<=^|\/)node_modules\//);
  const folders = above.map((_, index) =>
    above
      .slice(0, index + 1)
      .join('node_modules/')
      .replace(/\/$/, ''),
  );
  return ['', from, ...folders].some(folder => `${folder ? `${folder}/` : ''}node_modules/${name}` in entries);
}

/** `npm install` leaves out an optional package that its registry cannot deliver, and `npm ci` then refuses the lock. */
function missing(entries: Entries): string[] {
  return Object.entries(entries).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(name => !resolves(entries, path, name)),
  );
}

describe('package-lock.json', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Entries };

  test('has an entry for every optional package of every platform, so that npm ci accepts it', () => {
    expect(missing(packages)).toEqual([]);
  });

  test('an optional package without an entry is caught', () => {
    const optionalDependencies = { 'a-linux': '1.0.0', 'a-darwin': '1.0.0' };
    const entries = { 'node_modules/b/node_modules/a': { optionalDependencies }, 'node_modules/a-linux': {} };
    expect(missing(entries)).toEqual(['a-darwin']);
    expect(missing({ ...entries, 'node_modules/b/node_modules/a-darwin': {} })).toEqual([]);
    expect(missing({ ...entries, 'node_modules/c/node_modules/a-darwin': {} })).toEqual(['a-darwin']);
  });

  test('names no registry', () => {
    expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
  });
});
