import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

// Where the packages that it imports are found.
const folder = fileURLToPath(new URL('../../node_modules/.cache/express-mcp-auth/', import.meta.url));

/**
 * Compiles a program that tests run as processes of its own, with what it imports of lib, and answers where it is: Node
 * alone starts it in half the time that a loader for TypeScript needs, which some tests pay several times.
 */
export function childProgram(source: URL): string {
  const entry = fileURLToPath(source);
  mkdirSync(folder, { recursive: true });
  // One for each worker of Jest: none reads what another is writing.
  const outfile = join(folder, `${basename(entry, '.ts')}-${process.pid}.mjs`);
  buildSync({
    entryPoints: [entry],
    outfile,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
  });
  return outfile;
}
