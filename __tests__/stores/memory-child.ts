import { memoryStore } from '../../lib/store/memory.js';

/** Run as a process of its own with little memory: floods a store of 16 MiB and must end by itself. */
const [size, count] = process.argv.slice(2).map(Number) as [number, number];
const store = memoryStore({ maxBytes: 16 * 1_024 * 1_024 });

await store.set('session', 'value', 30 * 86_400);
for (let index = 0; index < count; index++)
  await store.set(`record ${index}`, Buffer.alloc(size, `${index} `).toString('latin1'), 600);
console.log((await store.get('session')) === 'value' ? 'session kept' : 'session lost');
