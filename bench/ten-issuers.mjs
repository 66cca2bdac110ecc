import { jwtVerifier, multiAuth } from 'express-mcp-auth';
import { drive, exchanges } from './fake-http.mjs';
import { costsAtMost } from './goals.mjs';
import { startIssuer } from './issuer.mjs';
import { interleave } from './measure.mjs';
import { resource, tokens } from './tokens.mjs';

/** Repeat tokens of the last of ten issuers, against a guard that knows that issuer only. */
export async function measureTenIssuers() {
  const issuers = [];
  for (let i = 0; i < 10; i++) issuers.push(await startIssuer('ES256'));
  const verifiers = issuers.map(({ issuer, jwksUri }) => jwtVerifier({ issuer, jwksUri, audience: resource }));
  const { issuer, jwksUri, minter } = issuers.at(-1);
  const handlers = { ten: multiAuth(verifiers), single: jwtVerifier({ issuer, jwksUri, audience: resource }) };

  const pool = tokens.valid(minter('ES256'), 1000);
  for (const [name, handler] of Object.entries(handlers)) {
    const { passed } = await drive(handler, exchanges(pool));
    if (passed !== pool.length) throw new Error(`${name}: ${passed} of ${pool.length} passed`);
  }
  const perRound = 8 * pool.length;
  const samples = await interleave(Object.keys(handlers), 40, name => {
    const slice = exchanges(Array.from({ length: perRound }, (_, i) => pool[i % pool.length]));
    return { operations: perRound, run: () => drive(handlers[name], slice) };
  });
  for (const each of issuers) await each.close();
  return [
    costsAtMost(1.15, {
      what: 'middleware: last of ten issuers, against a single verifier',
      ours: samples.get('ten'),
      baseline: samples.get('single'),
    }),
  ];
}
