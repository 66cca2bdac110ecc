import { afterAll, afterEach, beforeAll, jest } from '@jest/globals';
import { Clock, closeAll, type ProxyApp, proxyApp, type Setup, spyStore } from '../../support/proxy-app.js';
import { type UpstreamProvider, upstreamProvider } from '../../support/upstream-provider.js';

let provider: UpstreamProvider | undefined;
let ordinary: UpstreamProvider['behaviour'] | undefined;

// A busy machine is no fault of the code: what must be fast says so itself.
jest.setTimeout(60_000);

beforeAll(async () => {
  provider = await upstreamProvider();
});
afterEach(closeAll);
afterAll(async () => {
  await provider?.close();
  provider = undefined;
});

/**
 * A proxy of its own for one test, in front of the one provider of the test file: its RSA key costs more than all the
 * rest. The provider behaves as it did at first.
 */
export async function world(setup: Setup = {}): Promise<ProxyApp> {
  provider ??= await upstreamProvider();
  ordinary ??= { ...provider.behaviour };
  for (const name of Object.keys(provider.behaviour))
    delete (provider.behaviour as unknown as Record<string, unknown>)[name];
  Object.assign(provider.behaviour, ordinary);
  provider.requests.length = 0;
  provider.secrets.length = 0;
  provider.intercept.clear();
  for (const name of Object.keys(provider.metadata)) delete provider.metadata[name];
  const clock = new Clock();
  return proxyApp(setup, { provider, clock, store: spyStore(clock.now), base: undefined as unknown as string });
}
