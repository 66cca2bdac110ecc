import { createHmac, randomBytes } from 'node:crypto';
import { jwtVerifier, remoteAuth } from 'express-mcp-auth';
import { drive, headersOf } from './fake-http.mjs';
import { compact, signingKey } from './keys.mjs';
import { claims, resource, tokens } from './tokens.mjs';

/**
 * A million verifications by one guard in batches of 1000: 800 repeat tokens with a remote key set, 100 tokens that
 * nobody has seen and 100 with a bad signature, so that every cache is full long before the first tenth is over.
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
const repeat = tokens.valid(() => key.sign(claims(remote)), 800);

const heap = [];
for (let done = 1000; done <= total; done += 1000) {
  const batch = [...repeat, ...tokens.valid(mint, 100), ...tokens.badSignature(mint, 100)];
  const { passed, refused } = await drive(auth, headersOf(batch));
  if (passed !== 900 || refused !== 100) throw new Error(`expected 900 passed, 100 refused, got ${passed}, ${refused}`);
  if (done % (total / 10) === 0) heap.push(heapUsed());
}
process.send(heap);
process.disconnect();

function heapUsed() {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}
