import assert from 'node:assert/strict';
import type { Store } from '../store/store.js';

const SHORT = 1;
const LONG = 60;
const WAITED = 1.5;
const RIVALS = Array.from({ length: 50 }, (_, index) => `rival ${index}`);

/** What a store said once the short lifetimes were over. */
export type Aged = Awaited<ReturnType<typeof aging>>;

/** Writes records of all kinds, lets the short lifetimes pass, and asks for them. */
export async function aging(store: Store, advance: (seconds: number) => unknown = wait) {
  const put = (key: string, ttlSeconds: number) => store.set(key, 'value', ttlSeconds);
  await Promise.all([
    ...['over', 'taken', 'replaced', 'deleted', 'added', 'rivals'].map(key => put(key, SHORT)),
    put('half', 0.5),
    put('zero', 0),
    put('past', -5),
    put('long', LONG),
    store.add('add', 'value', SHORT),
    put('set longer', SHORT).then(() => put('set longer', LONG)),
    put('set shorter', LONG).then(() => put('set shorter', SHORT)),
    put('replace longer', SHORT).then(() => store.replace('replace longer', 'value', 'value', LONG)),
    put('replace shorter', LONG).then(() => store.replace('replace shorter', 'value', 'new', SHORT)),
    put('replace nothing', SHORT).then(() => store.replace('replace nothing', 'other', 'new', LONG)),
    put('add nothing', SHORT).then(() => store.add('add nothing', 'new', LONG)),
  ]);
  await advance(WAITED);
  const seen = {
    taken: await store.take('taken'),
    replaced: await store.replace('replaced', 'value', 'new', LONG),
    deleted: await store.delete('deleted'),
    added: await store.add('added', 'new', LONG),
    rivals: await Promise.all(RIVALS.map(rival => store.add('rivals', rival, LONG))),
    values: new Map<string, string | null>(),
  };
  for (const key of ['over', 'taken', 'replaced', 'deleted', 'added', 'rivals', 'half', 'zero', 'past', 'long', 'add'])
    seen.values.set(key, await store.get(key));
  for (const key of [
    'set longer',
    'set shorter',
    'replace longer',
    'replace shorter',
    'replace nothing',
    'add nothing',
  ])
    seen.values.set(key, await store.get(key));
  return seen;
}

function wait(seconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, seconds * 1_000));
}

const is = (key: string, value: string | null) => (aged: Aged) => assert.equal(aged.values.get(key), value);

/** What is true of every store that aged. */
export const lifetimeChecks: readonly (readonly [name: string, check: (aged: Aged) => void])[] = [
  ['a record whose lifetime is over is absent', is('over', null)],
  ['a lifetime is in seconds', is('long', 'value')],
  ['an added record ends too', is('add', null)],
  ['half a second is a lifetime', is('half', null)],
  ['a lifetime of nothing is over at once', is('zero', null)],
  ['a lifetime of less than nothing is over at once', is('past', null)],
  ['set gives a record a new lifetime, also a longer one', is('set longer', 'value')],
  ['set gives a record a new lifetime, also a shorter one', is('set shorter', null)],
  ['replace gives a record a new lifetime, also a longer one', is('replace longer', 'value')],
  ['replace gives a record a new lifetime, also a shorter one', is('replace shorter', null)],
  ['a replace that finds another value prolongs nothing', is('replace nothing', null)],
  ['an add that finds a record prolongs nothing', is('add nothing', null)],
  [
    'a record that is over cannot be taken, and stays away',
    aged => {
      assert.equal(aged.taken, null);
      is('taken', null)(aged);
    },
  ],
  [
    'a record that is over cannot be replaced, and stays away',
    aged => {
      assert.equal(aged.replaced, false);
      is('replaced', null)(aged);
    },
  ],
  ['a record that is over may be deleted, and stays away', is('deleted', null)],
  [
    'a record that is over gives way to another',
    aged => {
      assert.equal(aged.added, true);
      is('added', 'new')(aged);
    },
  ],
  [
    'of fifty parallel adds over a record that is over one is kept',
    aged => {
      assert.equal(aged.rivals.filter(Boolean).length, 1);
      is('rivals', RIVALS[aged.rivals.indexOf(true)] as string)(aged);
    },
  ],
];
