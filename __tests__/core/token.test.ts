import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Token } from '../../lib/core/token.js';

describe('RFC 8725 §3.14 (bis): only the compact serialisation of a JWS is one', () => {
  test.each(['a.b.c', 'a.b.', 'A-_9.b.c', `${'x'.repeat(500)}.y.z`])('%j is', value => {
    expect(new Token(value).isCompactJws).toBe(true);
  });

  test.each([
    ...['', '.', '..', 'a', 'a.b', '.b.c', 'a..c', 'a..', '..c', 'a.b.c.d', 'a.b..', 'a.b.c.', 'a.b.c.d.e'],
    ...['a.b.c\n', '\na.b.c', 'a.b\n.c', 'a b.c.d', 'a.b.c=', 'a.b.c+', 'a.b.c/', 'a.b.ä', 'a.b.\0', '{"a":"b.c."}'],
  ])('%j is not', value => {
    expect(new Token(value).isCompactJws).toBe(false);
    expect(new Token(value).jwt).toBeNull();
  });

  test('whatever comes, it is three parts of the alphabet of base64url, the last of which may be empty', () => {
    const character = fc.constantFrom('.', '.', 'a', 'Z', '0', '-', '_', '=', ' ', '\n', '~', 'é');
    fc.assert(
      fc.property(fc.array(character, { maxLength: 8 }), characters => {
        const value = characters.join('');
        expect(new Token(value).isCompactJws).toBe(/^[\w-]+\.[\w-]+\.[\w-]*$/.test(value));
      }),
      { numRuns: 2_000 },
    );
  });
});
