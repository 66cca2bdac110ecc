import { describe, test } from 'node:test';
import { memoryStore } from '../../lib/store/memory.js';
import { storeContract } from '../../lib/testing/index.js';

/** Run by another runner than Jest. */
const open = () => {
  let ms = Date.now();
  const advance = (seconds: number) => {
    ms += seconds * 1_000;
  };
  return { store: memoryStore({ now: () => ms }), advance };
};

if (process.argv[2] === undefined) storeContract(open, { describe, test });
else
  try {
    storeContract(open);
  } catch (error) {
    console.log((error as Error).message);
  }
