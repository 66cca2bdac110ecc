import assert from 'node:assert/strict';
import type { Store } from '../store/store.js';
import type { StoreCheck } from './store-records.js';

const LONG = 3_600;
const RIVALS = Array.from({ length: 50 }, (_, index) => `rival ${index}`);
const ROUNDS = 20;
const ATTEMPTS = 500;

/** The only rival whose attempt succeeded. */
function winner(won: readonly boolean[]): string | undefined {
  assert.equal(won.filter(Boolean).length, 1, 'exactly one of fifty must win');
  return RIVALS[won.indexOf(true)];
}

/** Plays a race often enough, on fresh keys, for the unlucky order to come up. */
async function rounds(play: (key: string) => Promise<void>): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) await play(`key ${round}`);
}

async function increment(store: Store, key: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const value = (await store.get(key)) ?? '0';
    if (await store.replace(key, value, `${Number(value) + 1}`, LONG)) return;
  }
  assert.fail('a replace of the value that was just read must succeed in the end');
}

export const raceChecks: readonly StoreCheck[] = [
  [
    'of fifty parallel takes one gets the value',
    async store => {
      await store.set('key', 'value', LONG);
      const taken = await Promise.all(RIVALS.map(() => store.take('key')));
      winner(taken.map(value => value === 'value'));
      assert.equal(taken.filter(value => value === null).length, RIVALS.length - 1);
      assert.equal(await store.get('key'), null);
    },
  ],
  [
    'of fifty parallel adds one is kept',
    async store => {
      const added = await Promise.all(RIVALS.map(rival => store.add('key', rival, LONG)));
      assert.equal(await store.get('key'), winner(added));
    },
  ],
  [
    'of fifty parallel replaces one is kept',
    async store => {
      await store.set('key', 'value', LONG);
      const replaced = await Promise.all(RIVALS.map(rival => store.replace('key', 'value', rival, LONG)));
      assert.equal(await store.get('key'), winner(replaced));
    },
  ],
  [
    'no replace is lost: a counter that many count up is exact',
    async store => {
      await store.set('key', '0', LONG);
      await Promise.all(
        Array.from({ length: 5 }, async () => {
          for (let count = 0; count < 5; count++) await increment(store, 'key');
        }),
      );
      assert.equal(await store.get('key'), '25');
    },
  ],
  [
    'what is taken while it is replaced is either the old value or the new one, and gone in the end',
    store =>
      rounds(async key => {
        await store.set(key, 'old', LONG);
        const [taken, replaced] = await Promise.all([store.take(key), store.replace(key, 'old', 'new', LONG)]);
        assert.equal(taken, replaced ? 'new' : 'old');
        assert.equal(await store.get(key), null);
      }),
  ],
  [
    'what is deleted while it is replaced stays deleted',
    store =>
      rounds(async key => {
        await store.set(key, 'old', LONG);
        await Promise.all([store.replace(key, 'old', 'new', LONG), store.delete(key)]);
        assert.equal(await store.get(key), null);
      }),
  ],
  [
    'what is added while it is taken is kept or refused, never lost',
    store =>
      rounds(async key => {
        await store.set(key, 'old', LONG);
        const [taken, added] = await Promise.all([store.take(key), store.add(key, 'new', LONG)]);
        assert.equal(taken, 'old');
        assert.equal(await store.get(key), added ? 'new' : null);
      }),
  ],
];
