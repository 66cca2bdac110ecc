import { setTimeout as pause } from 'node:timers/promises';
import { joseByHand, ours } from './contenders.mjs';
import { drive, headersOf } from './fake-http.mjs';
import { countsAtMost } from './goals.mjs';
import { compact, signingKey } from './keys.mjs';
import { claims, tokens } from './tokens.mjs';

const issuer = 'https://login.example.com';
const floodMinutes = 5;

/** How often a key set is fetched and who is refused meanwhile: exact counts, with a fetch and a clock of our own. */
export async function countKeySets() {
  return [
    await compare(1, '1000 concurrent cold requests: fetches', async world => (await coldStart(world)).fetches),
    await compare(0, '1000 concurrent cold requests: failures', async world => (await coldStart(world)).refused),
    await compare(5 + 6 * floodMinutes, `${floodMinutes} min flood of unknown keys: fetches`, async world => {
      await world.send(world.mint(1));
      const before = world.fetches;
      for (let elapsed = 0; elapsed < floodMinutes * 60; elapsed++) {
        await world.send(forgeries(world, 20));
        world.wait(1);
      }
      return world.fetches - before;
    }),
    await compare(0, 'rotation right after a fetch: failures of 700', async world => {
      await world.send(world.mint(1));
      world.keys = [signingKey('ES256')];
      return world.send(world.mint(700));
    }),
    await compare(0, 'outage, known key, key set too old: failures of 700', async world => {
      await world.send(world.mint(1));
      world.answer = () => Promise.reject(new TypeError('fetch failed'));
      world.wait(601);
      return world.send(world.mint(700));
    }),
    await compare(0, 'the same, endpoint hangs: failures of 700', async world => {
      await world.send(world.mint(1));
      world.answer = signal =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      world.wait(601);
      return world.send(world.mint(700), 700);
    }),
  ];
}

async function coldStart(world) {
  world.answer = () => pause(50, world.keySet());
  const refused = await world.send(world.mint(1000), 1000);
  return { refused, fetches: world.fetches };
}

/** Plays the scenario for us and for jose by hand, each in a world of its own. */
async function compare(limit, what, scenario) {
  const [mine, baseline] = [await play(ours, scenario), await play(joseByHand, scenario)];
  return countsAtMost(limit, { what: `key set: ${what}`, ours: mine, baseline });
}

/** Runs the scenario with a clock that only `world.wait(seconds)` moves; jose can be given no clock, so it is everyone's. */
async function play(make, scenario) {
  const { now } = Date;
  let clock = now();
  Date.now = () => clock;
  try {
    return await scenario(
      new World(make, seconds => {
        clock += seconds * 1000;
      }),
    );
  } finally {
    Date.now = now;
  }
}

/** An issuer without a network, and a middleware that trusts it. */
class World {
  keys = [signingKey('ES256')];
  fetches = 0;
  answer = async () => this.keySet();

  constructor(make, wait) {
    this.wait = wait;
    const fetch = (_url, { signal }) => {
      this.fetches++;
      return this.answer(signal);
    };
    this.middleware = make({ issuer, jwksUri: `${issuer}/jwks`, fetch, now: () => Date.now() });
  }

  keySet() {
    return Response.json({ keys: this.keys.map(key => key.jwk) });
  }

  mint(count) {
    return tokens.valid(() => this.keys[0].sign(claims(issuer)), count);
  }

  /** Sends the tokens and answers how many were refused. */
  async send(tokens, inFlight) {
    const { refused } = await drive(this.middleware, headersOf(tokens), tokens.length, inFlight);
    return refused;
  }
}

let forged = 0;

/** Tokens that look right, of keys that do not exist. */
const forgeries = (world, count) =>
  Array.from({ length: count }, () =>
    compact({ alg: world.keys[0].alg, kid: `unknown-${++forged}` }, claims(issuer), () => Buffer.alloc(64, 1)),
  );
