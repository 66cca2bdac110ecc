import { measureCosts } from './costs.mjs';
import { surviveExhaustion } from './exhaustion.mjs';
import { measureOwnToken } from './own-token.mjs';
import { countTransactionBytes } from './transaction-size.mjs';

/** The authorization server, against others; the flood lasts so many seconds. */
export async function measureAuthorization({ floodSeconds }) {
  const { goals, table } = await measureCosts();
  return {
    table,
    goals: [
      ...goals,
      await measureOwnToken(),
      ...(await countTransactionBytes()),
      await surviveExhaustion(floodSeconds),
    ],
  };
}
