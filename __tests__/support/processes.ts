import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { close, listen } from './identity-provider.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** A program that a test has started, with all that it starts itself. */
export interface Running {
  readonly output: () => string;
  /** Resolves once the output contains the text, or fails with what there was when the process ended. */
  until(text: string): Promise<string>;
  /** Waits for the end, after a signal to all of it if there is one. */
  end(signal?: NodeJS.Signals): Promise<[code: number | null, signal: string | null]>;
}

const started: ChildProcess[] = [];
const folders: string[] = [];

/** Ends what a failing test has left behind, and removes the folders. */
export function cleanUp(): void {
  for (const { pid, exitCode, signalCode } of started.splice(0))
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'express-mcp-auth-'));
  folders.push(folder);
  return folder;
}

/** A port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const { port } = server.address() as AddressInfo;
  await close(server);
  return port;
}

export function start(command: string, environment: Record<string, string> = {}): Running {
  const env = { ...process.env, NODE_OPTIONS: '', ...environment };
  const child = spawn(command, { cwd: root, env, shell: true, detached: true });
  started.push(child);
  let text = '';
  child.stdout.on('data', chunk => (text += chunk));
  child.stderr.on('data', chunk => (text += chunk));
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  return {
    output: () => text,
    until: wanted =>
      new Promise((resolve, reject) => {
        const look = () => text.includes(wanted) && resolve(text);
        for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
        void closed.then(() => reject(new Error(`ended without "${wanted}":\n${text}`)));
        look();
      }),
    end: signal => {
      // To the whole group, as a terminal does on Ctrl-C, and once more, as npm does that passes it on.
      if (signal) process.kill(-(child.pid as number), signal);
      if (signal) child.kill(signal);
      return closed;
    },
  };
}

/** Starts what `npm start` starts, without the build before it, in a folder of its own. */
export function quickstart(environment: Record<string, string>): Running {
  return start(scripts.start, { QUICKSTART_FOLDER: newFolder(), ...environment });
}
