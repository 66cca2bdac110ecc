import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from './source-tree.js';

export interface Run {
  readonly code: number;
  readonly output: string;
}

/** Runs a program to its end; the output is what it printed on both streams. */
export function run(command: string, args: readonly string[], cwd: string): Promise<Run> {
  return new Promise(resolve => {
    const options = { cwd, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } } as const;
    const child = execFile(command, [...args], options, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? 1, output: stdout + stderr }),
    );
  });
}

/** Packs what would be published, once. */
export async function pack(): Promise<{ folder: string; files: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'express-mcp-auth-'));
  const packed = await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], root);
  if (packed.code !== 0) throw new Error(packed.output);
  const tarball = readdirSync(folder).find(name => name.endsWith('.tgz')) as string;
  const extracted = await run('tar', ['-xzf', tarball], folder);
  if (extracted.code !== 0) throw new Error(extracted.output);
  const files = readdirSync(join(folder, 'package'), { recursive: true, encoding: 'utf8' });
  return { folder, files: files.map(name => name.replaceAll('\\', '/')).sort() };
}

/**
 * Makes a project with the packed package installed: a copy of its files, and of everything else only what is named,
 * so that a dependency that is used but not declared is missed. No registry is asked.
 */
export function consumer(packed: string, files: Record<string, string>, packages: readonly string[] = []): string {
  const folder = mkdtempSync(join(packed, 'consumer-'));
  const modules = join(folder, 'node_modules');
  const installed = join(modules, 'express-mcp-auth');
  mkdirSync(modules);
  cpSync(join(packed, 'package'), installed, { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const name of new Set([...Object.keys(dependencies), ...packages])) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

export const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true });

/** A strict TypeScript project whose libraries are checked too. */
export const tsconfig = (options: Record<string, unknown> = {}): string =>
  JSON.stringify({
    compilerOptions: {
      target: 'ES2022',
      module: 'NodeNext',
      lib: ['ES2023'],
      types: ['node'],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      ...options,
    },
  });

export const tsc = (folder: string): Promise<Run> =>
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], folder);

/** Runs a file of a consumer. */
export const node = (folder: string, file: string) => run(process.execPath, [file], folder);

/** What a consumer does, in either module system and on every Express: a guarded app that answers with and without the key. */
export const story = `
  const key = 'a-key-of-sixteen-characters-or-more';
  const auth = multiAuth(staticTokenVerifier({ [key]: { clientId: 'ci' } }, { name: 'keys' }));
  const app = express();
  app.use(auth);
  app.get('/mcp', (req, res) => res.json(getAuth(req).extra.source));
  const server = app.listen(0, '127.0.0.1', async () => {
    const url = 'http://127.0.0.1:' + server.address().port + '/mcp';
    const statusOf = async headers => {
      const response = await fetch(url, { headers });
      return response.status + ' ' + (response.ok ? await response.text() : '');
    };
    console.log(await statusOf({}), await statusOf({ authorization: 'Bearer ' + key }));
    server.close();
    server.closeAllConnections();
  });`;

/** What the story needs of the package. */
export const names = 'getAuth, multiAuth, staticTokenVerifier';
