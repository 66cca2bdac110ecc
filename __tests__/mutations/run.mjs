/**
 * Removes one guard at a time and demands that a test notices.
 *
 *   npm run test:mutations                    all of them
 *   npm run test:mutations -- --only csrf     those whose name or file holds the text
 *   npm run test:mutations -- --list          their names
 *   npm run test:mutations -- --workers 4     how many run at once; by default one for each processor
 *
 * lib itself is never touched: every worker has a copy of it in a scratch folder, and Jest is told that the package
 * lies there. A mutation is killed when a test fails that passes without it. The exit code is 1 when one survives,
 * when one does not fit the source any more, and when one does not even compile.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import base from '../../jest.config.js';
import { mutations } from './mutations.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PATIENCE_MS = 180_000;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    list: { type: 'boolean' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
const { only } = options;
const chosen = mutations.filter(({ name, file }) => only === undefined || name.includes(only) || file.includes(only));

if (options.list) {
  for (const { name, file } of chosen) console.log(`${name}  (${file})`);
  process.exit(0);
}
if (chosen.length === 0) {
  console.error(`no mutation is called ${only}; see --list`);
  process.exit(1);
}

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'mutations-')));
const running = new Set();
function cleanUp() {
  for (const child of running) child.kill('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
}
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

/** A copy of lib, and a Jest configuration in which the package is that copy. */
function workplace(index) {
  const folder = join(scratch, String(index));
  mkdirSync(folder);
  cpSync(join(ROOT, 'lib'), join(folder, 'lib'), { recursive: true });
  // Packages are looked for from the copy upwards.
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
  writeFileSync(join(folder, 'package.json'), readFileSync(join(ROOT, 'package.json')));
  const resolver = join(folder, 'resolver.cjs');
  writeFileSync(resolver, resolverInto(folder));
  const config = { ...base, rootDir: ROOT, resolver, collectCoverage: false, coverageThreshold: undefined };
  const configFile = join(folder, 'jest.config.json');
  writeFileSync(configFile, JSON.stringify(config));
  return { folder, configFile };
}

/** Resolves as always, and where that leads into lib, to the same file of the copy: by name, by path and within it. */
function resolverInto(folder) {
  const [lib, copy, original] = [join(ROOT, 'lib'), join(folder, 'lib'), join(ROOT, 'jest.resolver.cjs')].map(path =>
    JSON.stringify(path),
  );
  return `const { sep } = require('node:path');
const original = require(${original});
module.exports = (request, options) => {
  const found = original(request, options);
  return found.startsWith(${lib} + sep) ? ${copy} + found.slice(${lib}.length) : found;
};
`;
}

/** Runs tests in one process, one after the other: the names of those that failed, and files that did not even load. */
function test({ folder, configFile }, files, pattern) {
  const outputFile = join(folder, 'result.json');
  rmSync(outputFile, { force: true });
  const child = spawn(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--no-warnings=ExperimentalWarning',
      join(ROOT, 'node_modules/jest/bin/jest.js'),
      '--config',
      configFile,
      '--runInBand',
      '--forceExit',
      '--json',
      `--outputFile=${outputFile}`,
      ...(pattern === undefined ? [] : ['--testNamePattern', pattern]),
      ...files.map(file => `__tests__/${file}`),
    ],
    { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  running.add(child);
  let output = '';
  child.stderr.on('data', chunk => {
    output += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (_, signal) => {
      clearTimeout(timer);
      running.delete(child);
      if (signal !== null) return resolve({ ran: 1, failed: new Set(['the tests came to no end']), broken: [] });
      let report;
      try {
        report = JSON.parse(readFileSync(outputFile, 'utf8'));
      } catch {
        return reject(new Error(`Jest gave no report:\n${output.slice(-2_000)}`));
      }
      const results = report.testResults.flatMap(file => file.assertionResults);
      resolve({
        ran: results.filter(({ status }) => status === 'passed' || status === 'failed').length,
        failed: new Set(results.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName)),
        broken: report.testResults.filter(file => file.assertionResults.length === 0).map(file => file.message),
      });
    });
  });
}

/** Puts the mutation into a copy, runs its tests, and takes it out again. */
async function attempt(place, mutation, knownFailures) {
  const file = join(place.folder, 'lib', mutation.file);
  const source = existsSync(file) ? readFileSync(file, 'utf8') : '';
  let mutated = source;
  for (const { find, replace } of mutation.also === undefined ? [mutation] : [mutation, mutation.also]) {
    const count = source.split(find).length - 1;
    if (count !== 1) return { verdict: 'STALE', detail: `its text is ${count} times in lib/${mutation.file}: ${find}` };
    mutated = mutated.replace(find, () => replace);
  }
  writeFileSync(file, mutated);
  try {
    const { ran, failed, broken } = await test(place, mutation.tests, mutation.pattern);
    if (broken.length > 0) return { verdict: 'BROKEN', detail: broken[0].slice(0, 600) };
    if (ran === 0) return { verdict: 'BROKEN', detail: `no test is called ${mutation.pattern}` };
    const caughtBy = [...failed].filter(name => !knownFailures.has(name));
    if (caughtBy.length === 0) return { verdict: 'SURVIVED', detail: `${ran} tests passed without it` };
    return { verdict: 'killed', detail: `${caughtBy.length} of ${ran}` };
  } finally {
    writeFileSync(file, source);
  }
}

const workers = Math.max(1, Number.parseInt(options.workers, 10) || 1);
const places = Array.from({ length: Math.min(workers, chosen.length) }, (_, index) => workplace(index));
const started = Date.now();

const files = [...new Set(chosen.flatMap(({ tests }) => tests))];
const [first] = places;
const baseline = await test(first, files);
if (baseline.broken.length > 0) {
  console.error(baseline.broken.join('\n'));
  process.exit(1);
}
if (baseline.failed.size > 0) {
  console.log(`${baseline.failed.size} tests fail without any mutation, and count for nothing:`);
  for (const name of baseline.failed) console.log(`  ${name}`);
}
console.log(`${baseline.ran} tests of ${files.length} files against ${chosen.length} mutations`);

const queue = [...chosen];
const outcomes = new Map();
await Promise.all(
  places.map(async place => {
    for (let mutation = queue.shift(); mutation !== undefined; mutation = queue.shift()) {
      const { verdict, detail } = await attempt(place, mutation, baseline.failed);
      outcomes.set(mutation, verdict);
      console.log(`${verdict.padEnd(8)} ${mutation.name}  (lib/${mutation.file}; ${detail})`);
    }
  }),
);

const bad = chosen.filter(mutation => outcomes.get(mutation) !== 'killed');
const seconds = Math.round((Date.now() - started) / 1_000);
console.log(`\n${chosen.length - bad.length} of ${chosen.length} killed in ${seconds} s`);
for (const mutation of bad) {
  console.log(`\n${outcomes.get(mutation)} ${mutation.name}: lib/${mutation.file}`);
  console.log(`- ${mutation.find.replaceAll('\n', '\n- ')}\n+ ${mutation.replace.replaceAll('\n', '\n+ ')}`);
}
process.exit(bad.length === 0 ? 0 : 1);
