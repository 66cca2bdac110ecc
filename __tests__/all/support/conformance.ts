import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newFolder } from '../../support/processes.js';
import type { Browse } from './witness.js';

const modules = fileURLToPath(new URL('../conformance/node_modules/', import.meta.url));
const node22 = join(modules, '.bin/node');
const suite = join(modules, '@modelcontextprotocol/conformance/dist/index.js');

export interface Check {
  readonly id: string;
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  readonly errorMessage?: string;
}

export interface Report {
  readonly exitCode: number | null;
  readonly output: string;
  readonly checks: readonly Check[];
}

/**
 * Runs the authorization mode of the official suite. It prints an authorization URL and waits for somebody to end up at
 * its callback: `browse` is that somebody. Only one scenario fails for want of the other, so both run.
 */
export async function runConformance(options: {
  readonly issuer: string;
  readonly resource: string;
  readonly clientId: string;
  readonly port: number;
  readonly specVersion: string;
  readonly browse: Browse;
}): Promise<Report> {
  const folder = join(newFolder(), 'report');
  mkdirSync(folder);
  const { issuer, resource, clientId, port, specVersion, browse } = options;
  const flags = {
    '--url': issuer,
    '--resource': resource,
    '--client-id': clientId,
    '--port': String(port),
    '--spec-version': specVersion,
    '-o': folder,
  };
  const child = spawn(node22, [suite, 'authorization', ...Object.entries(flags).flat()], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let walked: Promise<unknown> | undefined;
  const walk = async (start: URL) => {
    const redirectUri = String(start.searchParams.get('redirect_uri'));
    await fetch(await browse(start, redirectUri));
  };
  const read = (chunk: Buffer) => {
    output += chunk;
    const start = /^https?:\/\/\S+[?&]response_type=code\S*$/m.exec(output)?.[0];
    if (walked !== undefined || start === undefined || !output.includes('Waiting up to 5 minutes')) return;
    walked = walk(new URL(start)).catch(error => {
      output += `\n${error}`;
      child.kill();
    });
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  await walked;
  const reports = readdirSync(folder).map(name => JSON.parse(readFileSync(join(folder, name, 'checks.json'), 'utf8')));
  return { exitCode, output, checks: reports.flat() };
}
