import { describe, expect, test } from '@jest/globals';
import { foreignCharacters, prints } from './layer-rules.js';
import { readTree } from './source-tree.js';

const lib = readTree('lib');

describe('the source', () => {
  test('lib/ is plain ASCII, without tabs', () => {
    expect(foreignCharacters(lib)).toEqual([]);
    expect(foreignCharacters(new Map([['a.ts', 'one\n// caf\u00e9\n\u200b\n\tx']]))).toEqual([
      'a.ts:2',
      'a.ts:3',
      'a.ts:4',
    ]);
  });

  test('lib/ prints nothing: warnings go through process.emitWarning, the rest through events', () => {
    expect(prints(lib)).toEqual([]);
    const loud = new Map([
      ['a.ts', `console.log('x');`],
      ['b.ts', `process.stderr.write('x');`],
      ['c.ts', `const { warn } = console;`],
      ['d.ts', `// console.log is not called here, and 'console' is only a word`],
    ]);
    expect(prints(loud)).toEqual(['a.ts uses console.log', 'b.ts uses stderr', 'c.ts uses console.*']);
  });
});
