import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

describe('the memory of the process', () => {
  const run = async (heapMegabytes: number, child: string, ...args: string[]) => {
    const file = fileURLToPath(new URL(child, import.meta.url));
    const flags = [`--max-old-space-size=${heapMegabytes}`, '--import', 'tsx', file, ...args];
    const running = spawn(process.execPath, flags, { env: { ...process.env, NODE_OPTIONS: '' } });
    const [output] = await Promise.all([text(running.stdout), once(running, 'close')]);
    return output;
  };

  test.each([
    ['large records', '90000', '1000', '16', '0'],
    ['small records', '8', '200000', '16', '0'],
    ['records that are soon over, before the store is full', '20000', '5000', '64', '1000'],
  ])(
    'survives a flood of %s; no timer keeps it alive',
    async (_, ...flood) => {
      expect(await run(44, '../stores/memory-child.ts', ...flood)).toBe('session kept\n');
    },
    30_000,
  );

  test('survives a flood of bad tokens that come again, each much larger once it is read', async () => {
    expect(await run(80, '../verifiers/bad-tokens-child.ts', '500')).toBe('signature\n');
  }, 30_000);
});
