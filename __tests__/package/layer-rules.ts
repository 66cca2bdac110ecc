import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { importsOf, membersOf, root, type SourceTree } from './source-tree.js';

/** The floors of lib/: a file imports from lower floors and from its own folder, never upward or sideways. */
const floors: Record<string, number> = {
  core: 0,
  crypto: 1,
  net: 1,
  oauth: 2,
  store: 2,
  stores: 3,
  clients: 3,
  composition: 3,
  authorization: 4,
  http: 5,
  verifiers: 6,
  servers: 7,
  passport: 8,
  testing: 3,
  'multi-auth.ts': 8,
  'index.ts': 9,
  'express-types.ts': 9,
};

/** Which folders may import a package; one that is not listed may be imported by none. */
const fences: Record<string, readonly string[]> = {
  cookie: ['http'],
  'express-rate-limit': ['http'],
  helmet: ['http'],
  jose: ['verifiers'],
  'jose/errors': ['verifiers'],
  'jose/jws/compact/verify': ['verifiers'],
  'jose/key/import': ['verifiers'],
  lmdb: ['stores'],
  'lru-cache': ['core'],
  oauth4webapi: ['servers'],
  'on-headers': ['http', 'passport'],
  parseurl: ['http'],
  'passport-http-bearer': ['passport'],
  'node:crypto': ['authorization', 'clients', 'core', 'crypto', 'http', 'servers', 'verifiers'],
  'node:diagnostics_channel': ['core'],
  'node:assert/strict': ['testing'],
  'node:fs': ['stores'],
  'node:http': ['http', 'passport', 'express-types.ts'],
  'node:timers/promises': ['authorization'],
  'node:util': ['verifiers'],
  'node:zlib': ['authorization', 'clients'],
};

/** Files that no entry of the package need reach yet. */
export const groundwork: readonly string[] = [];

/** The sources behind the entries of package.json. */
export const entries: readonly string[] = Object.values(
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports as Record<string, string | { default: string }>,
).flatMap(entry => (typeof entry === 'string' ? [] : [entry.default.replace('./dist/', '').replace(/\.js$/, '.ts')]));

const banned = /^(utils?|helpers?|common|misc|types|manager|service|impl|base)\.ts$/;
const harmless = new Set(['nextTick', 'emitWarning']);
const folderOf = (file: string) => file.split('/')[0] as string;
const isLocal = (specifier: string) => specifier.startsWith('.');

/** The file that a relative import names: './x.js' is x.ts. */
function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}

function localImports(tree: SourceTree, file: string): string[] {
  return importsOf(tree.get(file) ?? '')
    .filter(isLocal)
    .map(specifier => resolve(file, specifier));
}

export function upwardImports(tree: SourceTree): string[] {
  return [...tree.keys()].flatMap(file => {
    const floor = floors[folderOf(file)];
    if (floor === undefined) return [`${file} stands on no floor`];
    return localImports(tree, file)
      .filter(target => folderOf(target) !== folderOf(file) && !((floors[folderOf(target)] ?? 99) < floor))
      .map(target => `${file} imports ${target}`);
  });
}

export function circles(tree: SourceTree): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    if (done.has(file) || path.includes(file)) return;
    for (const target of localImports(tree, file)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of tree.keys()) visit(file, []);
  return found;
}

export function missingFiles(tree: SourceTree): string[] {
  return [...tree.keys()].flatMap(file =>
    localImports(tree, file)
      .filter(target => !tree.has(target))
      .map(target => `${file} imports ${target}, which is not there`),
  );
}

export function orphans(tree: SourceTree): string[] {
  const reached = new Set<string>();
  const visit = (file: string) => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const target of localImports(tree, file)) visit(target);
  };
  entries.forEach(visit);
  return [...tree.keys()].filter(file => !file.endsWith('.d.ts') && !reached.has(file));
}

export function brokenFences(tree: SourceTree): string[] {
  return [...tree].flatMap(([file, source]) =>
    importsOf(source)
      .filter(specifier => !isLocal(specifier) && !fences[specifier]?.includes(folderOf(file)))
      .map(specifier => `${file} imports ${specifier}`),
  );
}

/** The environment is read in one file of core/, and of `process` nothing else is used but what is harmless. */
export function environmentReads(tree: SourceTree): string[] {
  const reads = [...tree].flatMap(([file, source]) => membersOf(source, 'process').map(member => ({ file, member })));
  const reader = reads.find(({ file, member }) => member === 'env' && folderOf(file) === 'core')?.file;
  return reads
    .filter(({ file, member }) => (member === 'env' ? file !== reader : !harmless.has(member)))
    .map(({ file, member }) => `${file} uses process.${member}`);
}

export function badNames(tree: SourceTree): string[] {
  return [...tree.keys()].filter(file => {
    const name = posix.basename(file);
    return banned.test(name) || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*(\.d)?\.ts$/.test(name);
  });
}

export function longFiles(tree: SourceTree, limit = 300): string[] {
  return [...tree].filter(([, source]) => source.split('\n').length - 1 > limit).map(([file]) => file);
}

/** Nothing is printed: neither through `console` nor straight to a stream. */
export function prints(tree: SourceTree): string[] {
  return [...tree].flatMap(([file, source]) => {
    const streams = membersOf(source, 'process').filter(member => member === 'stdout' || member === 'stderr');
    const names = [...membersOf(source, 'console').map(name => `console.${name}`), ...streams];
    return names.map(name => `${file} uses ${name}`);
  });
}

export function foreignCharacters(tree: SourceTree): string[] {
  return [...tree].flatMap(([file, source]) =>
    source.split('\n').flatMap((line, index) => (/[^\x20-\x7e]/.test(line) ? [`${file}:${index + 1}`] : [])),
  );
}
