import { memoryStore } from '../../lib/store/memory.js';

/** Run as a process of its own with little memory: floods a store and must end by itself. */
const [size, count, megabytes, pauseMs] = process.argv.slice(2).map(Number) as [number, number, number, number];
let ms = Date.now();
const store = memoryStore({ maxBytes: megabytes * 1_024 * 1_024, now: () => ms });

await store.set('session', 'value', 30 * 86_400);
for (let index = 0; index < count; index++) {
  await store.set(`record ${index}`, Buffer.alloc(size, `${index} `).toString('latin1'), 600);
  ms += pauseMs;
}
console.log((await store.get('session')) === 'value' ? 'session kept' : 'session lost');
