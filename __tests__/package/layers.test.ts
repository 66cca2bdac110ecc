import { describe, expect, test } from '@jest/globals';
import * as rules from './layer-rules.js';
import { readTree, type SourceTree } from './source-tree.js';

const lib = readTree('lib');

/** lib/ with files changed or added, so that a rule is seen to fail. */
const changed = (files: Record<string, string>): SourceTree => new Map([...lib, ...Object.entries(files)]);
const append = (file: string, line: string) => changed({ [file]: `${lib.get(file) ?? ''}\n${line}\n` });

describe('the floors of lib/', () => {
  test('lib/ is there and every import in it names a file of it', () => {
    expect(lib.size).toBeGreaterThan(20);
    expect(rules.missingFiles(lib)).toEqual([]);
  });

  test('a file imports only from lower floors or its own folder', () => {
    expect(rules.upwardImports(lib)).toEqual([]);
  });

  test.each([
    ['an import', `import { multiAuth } from '../multi-auth.js';`],
    ['a type import', `import type { Auth } from '../http/auth.js';`],
    ['an inline type', `export type Up = import('../http/auth.js').Auth;`],
    ['a re-export', `export * from '../verifiers/jwt.js';`],
    ['a named re-export', `export { x } from '../verifiers/jwt.js';`],
    ['a dynamic import', `export const late = () => import('../verifiers/jwt.js');`],
  ])('%s upward is caught', (_, line) => {
    expect(rules.upwardImports(append('core/errors.ts', line))).toContainEqual(
      expect.stringMatching(/^core\/errors\.ts imports /),
    );
  });

  test('an import of a folder on the same floor, and a folder without a floor, are caught', () => {
    const tree = changed({ 'net/a.ts': `import '../crypto/b.js';`, 'crypto/b.ts': '', 'attic/c.ts': '' });
    const found = ['net/a.ts imports crypto/b.ts', 'attic/c.ts stands on no floor'];
    expect(rules.upwardImports(tree)).toEqual(expect.arrayContaining(found));
  });

  test('there is no circle, type imports included', () => {
    expect(rules.circles(lib)).toEqual([]);
  });

  test('a circle inside one folder is caught', () => {
    const tree = changed({
      'core/a.ts': `import type { B } from './b.js';`,
      'core/b.ts': `import './c.js';`,
      'core/c.ts': `export * from './a.js';`,
    });
    expect(rules.circles(tree)).toContain('core/a.ts -> core/b.ts -> core/c.ts -> core/a.ts');
  });

  test('every file is reached from an entry of the package, but for what waits for the next part', () => {
    expect(rules.entries).toContain('index.ts');
    expect(rules.orphans(lib).filter(file => !rules.groundwork.includes(file))).toEqual([]);
    expect(rules.orphans(changed({ 'core/lonely.ts': '' }))).toContain('core/lonely.ts');
  });
});

describe('the fences of lib/', () => {
  test('a package is imported only in the folders that it belongs to', () => {
    expect(rules.brokenFences(lib)).toEqual([]);
  });

  test.each([
    ['http/auth.ts', 'jose'],
    ['http/auth.ts', 'passport-http-bearer'],
    ['core/errors.ts', 'parseurl'],
    ['oauth/bearer.ts', 'node:http'],
    ['verifiers/jwt.ts', 'express'],
    ['core/errors.ts', 'left-pad'],
  ])('%s may not import %s', (file, name) => {
    expect(rules.brokenFences(append(file, `import '${name}';`))).toContain(`${file} imports ${name}`);
  });

  test('an import whose name is computed is caught', () => {
    const tree = append('core/errors.ts', `export const load = (name: string) => import(name);`);
    expect(rules.brokenFences(tree)).toContain('core/errors.ts imports <computed>');
  });

  test('the environment is read in one file of core/', () => {
    expect(rules.environmentReads(lib)).toEqual([]);
  });

  test.each([
    ['http/zz.ts', 'export const mode = process.env.NODE_ENV;'],
    ['http/zz.ts', `export const mode = process['env'];`],
    ['http/zz.ts', 'export const { env } = process;'],
    ['http/zz.ts', `export const read = () => process.cwd();`],
    ['core/zz.ts', 'export const mode = process.env.NODE_ENV;'],
    ['core/zz.ts', 'const { env } = process;'],
  ])('%s with %s is caught', (file, source) => {
    const found = rules.environmentReads(changed({ [file]: source }));
    expect(found).toContainEqual(expect.stringMatching(new RegExp(`^${file} uses process\\.`)));
  });
});

describe('the files of lib/', () => {
  test('no file is longer than 300 lines', () => {
    expect(rules.longFiles(lib)).toEqual([]);
    expect(rules.longFiles(changed({ 'core/long.ts': '\n'.repeat(301) }))).toContain('core/long.ts');
    expect(rules.longFiles(changed({ 'core/long.ts': '\n'.repeat(300) }))).not.toContain('core/long.ts');
  });

  test('files are named in kebab-case, for what they hold', () => {
    expect(rules.badNames(lib)).toEqual([]);
    const bad = ['core/utils.ts', 'http/helpers.ts', 'oauth/types.ts', 'core/camelCase.ts', 'core/base.ts'];
    expect(rules.badNames(changed(Object.fromEntries(bad.map(name => [name, '']))))).toEqual(
      expect.arrayContaining(bad),
    );
  });
});
