import { describe, expect, test } from '@jest/globals';
import { memoryStore } from 'express-mcp-auth';
import { sealedRecords } from '../../lib/authorization/records.js';
import { keyDerivation } from '../../lib/crypto/key-ring.js';

/** Records whose opening can be counted: what is remembered is not opened again. */
function counting() {
  const derive = keyDerivation(['s'.repeat(32)], 'https://mcp.example.com');
  let opened = 0;
  const records = sealedRecords(
    memoryStore({ maxBytes: 256 * 1_024 * 1_024 }),
    purpose => {
      const ring = derive(purpose);
      return {
        ...ring,
        open: (sealed, context) => {
          opened++;
          return ring.open(sealed, context);
        },
      };
    },
    'https://mcp.example.com',
  )<{ readonly text: string }>('test');
  const openings = async (id: string) => {
    const before = opened;
    expect(await records.get(id)).not.toBeNull();
    return opened - before;
  };
  return { records, openings };
}

describe('records that were opened before', () => {
  const text = 'a'.repeat(20_000);
  const write = async ({ records }: ReturnType<typeof counting>, count: number) => {
    for (let index = 0; index < count; index++) await records.add(`${index}`, { text: `${index}${text}` }, 60);
  };

  test('are remembered', async () => {
    const world = counting();
    await write(world, 100);
    expect(await world.openings('0')).toBe(0);
  });

  test('count by what is kept of them: a stranger can make long ones deflate to next to nothing', async () => {
    const world = counting();
    await write(world, 1_000);
    expect(await world.openings('0')).toBe(1);
    expect(await world.openings('999')).toBe(0);
  });
});
