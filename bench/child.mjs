import { fork } from 'node:child_process';
import { once } from 'node:events';

/** Runs a file of this folder in a process of its own, and answers the one message that it sends home. */
export async function reportOf(file, options) {
  const child = fork(new URL(file, import.meta.url), options);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${file} ended with ${code} before it reported`);
  });
  const [report] = await Promise.race([once(child, 'message'), ended]);
  return report;
}
