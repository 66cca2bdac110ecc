import { jwtVerifier, multiAuth } from 'express-mcp-auth';
import { expectAll, measureCalls, warmUp } from './calls.mjs';
import { headersOf } from './fake-http.mjs';
import { costsAtMost } from './goals.mjs';
import { startIssuer } from './issuer.mjs';
import { resource, tokens } from './tokens.mjs';

/** Repeat tokens of the last of ten issuers, against a guard that knows that issuer only. */
export async function measureTenIssuers() {
  const issuers = [];
  for (let i = 0; i < 10; i++) issuers.push(await startIssuer('ES256'));
  const verifiers = issuers.map(({ issuer, jwksUri }) => jwtVerifier({ issuer, jwksUri, audience: resource }));
  const { issuer, jwksUri, minter } = issuers.at(-1);
  const handlers = { ten: multiAuth(verifiers), single: jwtVerifier({ issuer, jwksUri, audience: resource }) };

  const headers = headersOf(tokens.valid(minter('ES256'), 1000));
  for (const name in handlers) {
    await expectAll('passed', name, handlers[name], headers);
    await warmUp(handlers[name], headers);
  }
  const samples = await measureCalls(handlers, 40, () => ({ headers, calls: 8 * headers.length }));
  for (const each of issuers) await each.close();
  return [
    costsAtMost(1.15, {
      what: 'middleware: last of ten issuers, against a single verifier',
      ours: samples.ten,
      baseline: samples.single,
    }),
  ];
}
