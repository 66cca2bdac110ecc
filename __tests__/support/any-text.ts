import fc from 'fast-check';

/** What code stumbles over as a whole: names that every object has, and characters that are several code points. */
const pieces = [
  ...['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'valueOf'],
  ...['e\u0301', '\u1112\u1161\u11ab', '\u{1f1e8}\u{1f1ed}', '\u{1f469}\u200d\u{1f4bb}', '\u2764\ufe0f'],
];

const SURROGATES = { first: 0xd800, count: 0x800 };
const codePoint = fc
  .integer({ min: 0, max: 0x10ffff - SURROGATES.count })
  .map(code => String.fromCodePoint(code < SURROGATES.first ? code : code + SURROGATES.count));

/**
 * Any text of well-formed Unicode; `maxLength` counts code points and pieces. `fc.string({ unit: 'binary' })` finds the
 * same texts and more of its time goes into a table of all code points than into most tests that use it.
 */
export const anyText = ({ maxLength = 10 }: { maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof({ weight: 30, arbitrary: codePoint }, { weight: 1, arbitrary: fc.constantFrom(...pieces) }), {
      maxLength,
    })
    .map(parts => parts.join(''));
