import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { costsAtMost } from './goals.mjs';

const probe = fileURLToPath(new URL('import-probe.mjs', import.meta.url));
const run = promisify(execFile);
const rounds = 15;

/** CPU time of the first import of our main entry and of jose, each in fresh processes, in turns. */
export async function measureImport() {
  const samples = { 'express-mcp-auth': [], jose: [] };
  for (let round = 0; round < rounds; round++) {
    for (const name in samples) samples[name].push(Number((await run(process.execPath, [probe, name])).stdout));
  }
  return costsAtMost(1.5, {
    what: 'import of the main entry, against jose',
    ours: samples['express-mcp-auth'],
    baseline: samples.jose,
    unit: value => `${(value / 1000).toFixed(1)} ms`,
  });
}
