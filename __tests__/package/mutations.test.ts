import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
// @ts-expect-error a list without types, for a script
import { mutations } from '../mutations/mutations.mjs';
import { root } from './source-tree.js';

interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly also?: { readonly find: string };
}

describe('the list of mutations', () => {
  test.each((mutations as Mutation[]).map(mutation => [mutation.name, mutation] as const))(
    'finds the guard that it removes, once: %s',
    (_, { file, find, also }) => {
      const source = readFileSync(join(root, 'lib', file), 'utf8');
      for (const text of also === undefined ? [find] : [find, also.find])
        expect([text, source.split(text).length - 1]).toEqual([text, 1]);
    },
  );
});
