import { formatGoals } from './goals.mjs';
import { measureHttp } from './http.mjs';
import { measureImport } from './import.mjs';
import { countKeySets } from './key-sets.mjs';
import { measureMemory } from './memory.mjs';
import { measureMiddleware } from './middleware.mjs';
import { measureTenIssuers } from './ten-issuers.mjs';

const limit = setTimeout(() => fail('gave up after 8 minutes'), 480_000);

const middleware = await measureMiddleware();
console.log(`\n${middleware.table}`);
const http = await measureHttp();
console.log(`\n${http.table}`);

const goals = [
  ...middleware.goals,
  ...(await measureTenIssuers()),
  ...http.goals,
  ...(await countKeySets()),
  await measureMemory(),
  await measureImport(),
];
console.log(`\n${formatGoals(goals)}\n`);

clearTimeout(limit);
const missed = goals.filter(goal => !goal.met);
if (missed.length > 0) fail(`${missed.length} of ${goals.length} goals missed`);
console.log(`all ${goals.length} goals met`);

function fail(message) {
  console.error(message);
  process.exit(1);
}
