import { measureAuthorization } from './authorization/measure.mjs';
import { formatGoals } from './goals.mjs';
import { measureHttp } from './http.mjs';
import { measureImport } from './import.mjs';
import { countKeySets } from './key-sets.mjs';
import { measureMemory } from './memory.mjs';
import { measureMiddleware } from './middleware.mjs';
import { measureTenIssuers } from './ten-issuers.mjs';

/** `--long`: the flood of the authorization server lasts a minute. */
const floodSeconds = process.argv.includes('--long') ? 60 : 10;
const limit = setTimeout(() => fail('gave up after 20 minutes'), 1_200_000);

const middleware = await measureMiddleware();
console.log(`\n${middleware.table}`);
const http = await measureHttp();
console.log(`\n${http.table}`);
const authorization = await measureAuthorization({ floodSeconds });
console.log(`\n${authorization.table}`);

const goals = [
  ...middleware.goals,
  ...(await measureTenIssuers()),
  ...http.goals,
  ...authorization.goals,
  ...(await countKeySets()),
  await measureMemory(),
  await measureImport(),
];
console.log(`\n${formatGoals(goals)}\n`);

clearTimeout(limit);
const missed = goals.filter(goal => !goal.met && goal.outOfReach === undefined);
const met = goals.filter(goal => goal.met);
if (missed.length > 0) fail(`${missed.length} of ${goals.length} goals missed`);
console.log(`${met.length} of ${goals.length} goals met, none missed that is within reach`);

function fail(message) {
  console.error(message);
  process.exit(1);
}
