import { ConfigError } from '../core/errors.js';
import { kindOf } from '../core/options.js';
import type { Store } from '../store/store.js';
import { type Aged, aging, lifetimeChecks } from './store-lifetimes.js';
import { raceChecks } from './store-races.js';
import { recordChecks } from './store-records.js';

/** A store that a test may use up. */
export interface StoreUnderTest {
  readonly store: Store;
  /** Removes what the test left behind. Default: `store.close()`, where there is one. */
  readonly cleanup?: (() => unknown) | undefined;
  /** Moves the clock of the store forward, where it has one of its own. Default: the tests wait, in real time. */
  readonly advance?: ((seconds: number) => unknown) | undefined;
}

/** Opens a store that is empty and shares nothing with the other ones. */
export type OpenStore = () => Store | StoreUnderTest | Promise<Store | StoreUnderTest>;

/** What Jest, Vitest, Mocha and `node:test` have in common. */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly test: (name: string, body: () => Promise<void>) => unknown;
}

/**
 * The tests that every store must pass, for a store of your own. It names them with the runner's `describe` and `test`,
 * global ones unless they are passed in, and compares with `node:assert`.
 *
 * A store keeps well-formed text without NUL, under keys of up to 500 bytes, byte for byte; a lifetime may be off by
 * some tenths of a second, but a record never comes back.
 *
 * @throws ConfigError where there are no such functions
 */
export function storeContract(open: OpenStore, runner: TestRunner = globalRunner()): void {
  const { describe, test } = runner;
  const opened = async (): Promise<StoreUnderTest> => {
    const given = await open();
    return 'store' in given ? given : { store: given };
  };
  const close = async ({ store, cleanup = () => store.close?.() }: StoreUnderTest) => {
    await cleanup();
  };

  describe('the store contract', () => {
    for (const [name, check] of [...recordChecks, ...raceChecks])
      test(name, async () => {
        const subject = await opened();
        try {
          await check(subject.store);
        } finally {
          await close(subject);
        }
      });

    // All of these look at one store that aged once: waiting takes the longest.
    let aged: Promise<Aged> | undefined;
    for (const [name, check] of lifetimeChecks)
      test(name, async () => {
        aged ??= opened().then(subject => aging(subject.store, subject.advance).finally(() => close(subject)));
        check(await aged);
      });
  });
}

function globalRunner(): TestRunner {
  const { describe, test, it } = globalThis as unknown as Partial<TestRunner> & { readonly it?: TestRunner['test'] };
  const named = test ?? it;
  if (typeof describe === 'function' && typeof named === 'function') return { describe, test: named };
  throw new ConfigError(
    'storeContract',
    'runner',
    `must be { describe, test }, got ${kindOf(undefined)} and there are no global ones`,
    'Pass them, for example from "node:test" or "vitest".',
  );
}
