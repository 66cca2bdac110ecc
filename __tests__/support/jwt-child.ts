import { jwtVerifier, UnavailableError } from '../../lib/index.js';

/** Run as a process of its own: uses a verifier in one of a few ways and must then end by itself. */
const [scenario, issuer, token] = process.argv.slice(2) as [string, string, string];
const options = { issuer, audience: 'api', jwksUri: `${issuer}/jwks` };

const outcome = async (auth: ReturnType<typeof jwtVerifier>) => {
  try {
    return (await auth.check(token)).outcome;
  } catch (error) {
    return error instanceof UnavailableError ? 'unavailable' : String(error);
  }
};

if (scenario === 'used') {
  const auth = jwtVerifier(options);
  console.log(await outcome(auth));
  console.log(await outcome(auth));
} else if (scenario === 'failed') {
  console.log(await outcome(jwtVerifier(options)));
} else if (scenario === 'waiting') {
  // A fetch that never ends holds nothing open, so only a timer of the verifier could keep the process.
  const fetch = () => new Promise<Response>(() => {});
  outcome(jwtVerifier({ ...options, fetch, jwksCache: { timeoutMs: 100_000 } })).then(console.log, console.log);
  console.log('asked');
} else if (scenario === 'refreshing') {
  let ms = Date.now();
  const auth = jwtVerifier({ ...options, now: () => ms, jwksCache: { timeoutMs: 100_000 } });
  console.log(await outcome(auth));
  ms += 700_000;
  console.log(await outcome(auth));
  await auth.close();
}
