import { writeFileSync } from 'node:fs';
import { lmdbStore } from '../../lib/stores/lmdb.js';

/** Run as a process of its own, beside others that have the same file open. It does what its arguments or messages say. */
const LONG = 3_600;
const open = (path: string) => lmdbStore({ path });
type Opened = ReturnType<typeof open>;

const tasks: Record<string, (store: Opened, argument: string, path: string) => Promise<unknown>> = {
  async 'write until you are killed'(store) {
    for (let index = 0; ; index++) {
      await store.set(`key ${index}`, `value ${index}`, LONG);
      await store.set(`spent ${index}`, 'value', LONG);
      await store.take(`spent ${index}`);
      process.send?.(index);
    }
  },
  take: (store, count) => Promise.all(Array.from({ length: Number(count) }, (_, index) => store.take(`key ${index}`))),
  async count(store, times) {
    for (let done = 0; done < Number(times); ) {
      const value = (await store.get('counter')) ?? '';
      if (await store.replace('counter', value, `${Number(value) + 1}`, LONG)) done++;
    }
  },
  async 'set and flag'(store, key, path) {
    await store.set(key, 'value', LONG);
    writeFileSync(`${path}-flag-${key}`, '');
  },
  async fill(store, count) {
    const value = 'x'.repeat(10_000);
    await Promise.all(Array.from({ length: Number(count) }, (_, index) => store.set(`key ${index}`, value, LONG)));
  },
  async 'fill the disk'(store) {
    const outcomes = new Set<string>();
    for (let index = 0; index < 1_000; index++)
      await store.set(`key ${index}`, 'x'.repeat(5_000), LONG).then(
        () => outcomes.add('kept'),
        error => outcomes.add(error.name),
      );
    console.log([...outcomes].join(', '), (await store.get('key 0'))?.length);
  },
  async 'set and end'(store) {
    await store.set('key', 'value', LONG);
    console.log(await store.get('key'));
  },
};

const stores = new Map<string, Opened>();
async function perform(task: string, path: string, argument = ''): Promise<unknown> {
  const store = stores.get(path) ?? open(path);
  stores.set(path, store);
  return await tasks[task]?.(store, argument, path);
}

const [task, path] = process.argv.slice(2);
if (task !== undefined && path !== undefined) void perform(task, path);
process.on('message', async (message: [string, string, string?]) => {
  process.send?.((await perform(...message)) ?? null);
});
process.send?.('ready');
