import assert from 'node:assert/strict';
import type { Store } from '../store/store.js';

/** Something that is true of every store, shown on an empty one. */
export type StoreCheck = readonly [name: string, check: (store: Store) => Promise<void>];

const LONG = 3_600;

// What breaks out of file names, patterns, statements, objects and encodings.
const hostileKeys = [
  'a:b',
  'a/b',
  '../../a',
  'a\\b',
  'a b',
  ' a',
  'a ',
  'a',
  'A',
  '*',
  '?',
  '[a-z]',
  'h?llo*',
  '{tag}a',
  '%',
  '%61',
  '_',
  '$1',
  '"',
  "'",
  "'; DROP TABLE records; --",
  '\r\n',
  '\t',
  '\u0001',
  '\u007f',
  '0',
  '00',
  '-1',
  '1e3',
  'null',
  'undefined',
  'true',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  '\u00e9',
  'e\u0301',
  '\u00df',
  'ss',
  '\u{1f512}',
  '\uffff',
  'k'.repeat(500),
  `${'k'.repeat(499)}l`,
];

const values = [
  ['an empty one', ''],
  ['white space', ' \t\r\n '],
  ['what looks like something else', '{"a":[null,1e400]}'],
  ['a hundred kilobytes', 'x'.repeat(100_000)],
  ['a hundred kilobytes of every script', '\u00e9\u4e2d\u{1f511}\u05d0z'.repeat(10_000)],
  ['an unpaired combining mark', '\u0301a\ufeff\u200b\uffff'],
] as const;

export const recordChecks: readonly StoreCheck[] = [
  [
    'what is absent is null, cannot be taken or replaced, and may be deleted',
    async store => {
      assert.equal(await store.get('absent'), null);
      assert.equal(await store.take('absent'), null);
      assert.equal(await store.replace('absent', 'old', 'new', LONG), false);
      assert.equal(await store.replace('absent', '', 'new', LONG), false);
      assert.equal(await store.delete('absent'), undefined);
      assert.equal(await store.get('absent'), null);
    },
  ],
  [
    'set keeps a value and overwrites it',
    async store => {
      assert.equal(await store.set('key', 'one', LONG), undefined);
      assert.equal(await store.get('key'), 'one');
      assert.equal(await store.get('key'), 'one');
      await store.set('key', 'two', LONG);
      assert.equal(await store.get('key'), 'two');
    },
  ],
  [
    'add keeps a value only where there is none',
    async store => {
      assert.equal(await store.add('key', 'one', LONG), true);
      assert.equal(await store.add('key', 'two', LONG), false);
      assert.equal(await store.add('key', 'one', LONG), false);
      assert.equal(await store.get('key'), 'one');
      await store.delete('key');
      assert.equal(await store.add('key', 'three', LONG), true);
      assert.equal(await store.get('key'), 'three');
    },
  ],
  [
    'take gives a value once',
    async store => {
      await store.set('key', 'one', LONG);
      assert.equal(await store.take('key'), 'one');
      assert.equal(await store.take('key'), null);
      assert.equal(await store.get('key'), null);
      assert.equal(await store.replace('key', 'one', 'two', LONG), false);
      assert.equal(await store.add('key', 'two', LONG), true);
    },
  ],
  [
    'replace changes a value that is still the expected one, and no other',
    async store => {
      await store.set('key', 'one', LONG);
      for (const other of ['two', 'ONE', 'one ', 'on', '', '%'])
        assert.equal(await store.replace('key', other, 'three', LONG), false);
      assert.equal(await store.get('key'), 'one');
      assert.equal(await store.replace('key', 'one', 'two', LONG), true);
      assert.equal(await store.get('key'), 'two');
      assert.equal(await store.replace('key', 'one', 'three', LONG), false);
      assert.equal(await store.replace('key', 'two', 'two', LONG), true);
      assert.equal(await store.get('key'), 'two');
    },
  ],
  [
    'delete removes a value for good',
    async store => {
      await store.set('key', 'one', LONG);
      assert.equal(await store.delete('key'), undefined);
      assert.equal(await store.get('key'), null);
      assert.equal(await store.replace('key', 'one', 'two', LONG), false);
      assert.equal(await store.delete('key'), undefined);
    },
  ],
  [
    'keys are what they are, byte for byte, and independent of each other',
    async store => {
      const all = await Promise.all(hostileKeys.map(key => store.get(key)));
      assert.deepEqual(new Set(all), new Set([null]));
      await Promise.all(hostileKeys.map((key, index) => store.set(key, `value ${index}`, LONG)));
      const odd = hostileKeys.filter((_, index) => index % 2 === 1);
      for (const [index, key] of hostileKeys.entries())
        assert.equal(await store.get(key), `value ${index}`, JSON.stringify(key));
      await Promise.all(odd.map(key => store.delete(key)));
      for (const [index, key] of hostileKeys.entries())
        assert.equal(await store.take(key), index % 2 === 1 ? null : `value ${index}`, JSON.stringify(key));
    },
  ],
  ...values.map(
    ([name, value]): StoreCheck => [
      `a value comes back as it was: ${name}`,
      async store => {
        await store.set('set', value, LONG);
        assert.equal((await store.get('set')) === value, true);
        assert.equal((await store.take('set')) === value, true);
        assert.equal(await store.add('added', value, LONG), true);
        assert.equal((await store.get('added')) === value, true);
        assert.equal(await store.replace('added', `${value}.`, 'other', LONG), false);
        assert.equal(await store.replace('added', value, `${value}!`, LONG), true);
        assert.equal((await store.get('added')) === `${value}!`, true);
      },
    ],
  ),
  [
    'many records stand beside each other',
    async store => {
      const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`);
      await Promise.all(keys.map(key => store.set(key, `value of ${key}`, LONG)));
      assert.deepEqual(
        await Promise.all(keys.map(key => store.get(key))),
        keys.map(key => `value of ${key}`),
      );
    },
  ],
];
