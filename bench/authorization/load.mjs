import { connections } from './browser.mjs';

/** Does something `count` times, several at once, and answers what came of it. `work` gets the number. */
export async function times(count, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next++;
      results[index] = await work(index);
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  return results;
}
