import { fork } from 'node:child_process';
import { once } from 'node:events';

export const startUpstream = () => start('upstream.mjs', []);

/** A contender in a process of its own, where nothing else spends CPU time. */
export async function startServer(name, upstream, { execArgv = [], stdio = 'inherit' } = {}) {
  const { child, origin, stop } = await start('server.mjs', [name, upstream.origin], { execArgv, stdio });
  const ask = async question => {
    child.send(question);
    const [answer] = await once(child, 'message');
    return answer;
  };
  return {
    name,
    origin,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    /** CPU time in µs since the process started, all its threads. */
    cpu: async () => (await ask({})).cpu,
    heap: async () => (await ask({})).heap,
    advance: seconds => ask({ advanceSeconds: seconds }),
    stop,
  };
}

async function start(file, args, options = {}) {
  const child = fork(new URL(file, import.meta.url), args, {
    ...options,
    stdio: ['ignore', options.stdio ?? 'inherit', options.stdio ?? 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const early = ended.then(([code]) => {
    throw new Error(`${file} ${args.join(' ')} ended with ${code} before it was up`);
  });
  const [{ origin }] = await Promise.race([once(child, 'message'), early]);
  early.catch(() => {});
  const stop = async () => {
    if (child.connected) child.disconnect();
    await ended;
  };
  return { child, origin, stop };
}
