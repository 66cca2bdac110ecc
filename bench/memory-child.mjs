import { createHmac, randomBytes } from 'node:crypto';
import { jwtVerifier, remoteAuth } from 'express-mcp-auth';
import { drive, headersOf } from './fake-http.mjs';
import { compact, signingKey } from './keys.mjs';
import { claims, resource, tokens } from './tokens.mjs';

/**
 * A million verifications by one guard in batches of 1000: 960 repeat tokens with a remote key set, 20 tokens that
 * nobody has seen and 20 with a bad signature. Before that every cache is filled, so that only a leak can grow.
 * The distinct ones are HS256, which is quick to sign; what counts here is what stays behind.
 */
const total = 1_000_000;
const remote = 'https://login.example.com';
const shared = 'https://internal.example.com';
const key = signingKey('RS256');
const secret = randomBytes(32);

const auth = remoteAuth({
  baseUrl: new URL(resource).origin,
  authorizationServers: [remote],
  verifier: [
    jwtVerifier({
      issuer: remote,
      jwksUri: `${remote}/jwks`,
      fetch: async () => Response.json({ keys: [key.jwk] }),
    }),
    jwtVerifier({ issuer: shared, secret }),
  ],
});

const mint = overrides =>
  compact({ alg: 'HS256' }, claims(shared, overrides), input => createHmac('sha256', secret).update(input).digest());
const repeat = tokens.valid(() => key.sign(claims(remote)), 960);
const heap = [];

await verify([], 10_000);
for (let done = 1000; done <= total; done += 1000) {
  await verify(repeat, 20);
  if (done % (total / 10) === 0) heap.push(heapUsed());
}
process.send(heap);
process.disconnect();

/** Sends the good tokens, and as many that nobody has seen and that nobody signed as `distinct` says. */
async function verify(good, distinct) {
  const batch = [...good, ...tokens.valid(mint, distinct), ...tokens.badSignature(mint, distinct)];
  const { passed, refused } = await drive(auth, headersOf(batch));
  if (refused !== distinct) throw new Error(`expected ${distinct} refusals, got ${refused}, and ${passed} passed`);
}

function heapUsed() {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}
