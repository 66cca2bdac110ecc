import { createServer } from 'node:http';
import { signingKey } from './keys.mjs';
import { claims } from './tokens.mjs';

/** An authorization server on loopback, as far as verification is concerned: an identifier, a key set, tokens. */
export async function startIssuer(...algorithms) {
  const keys = algorithms.map(signingKey);
  const server = createServer((_req, res) => {
    res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: keys.map(key => key.jwk) }));
  });
  const { origin, close } = await listen(server);
  return {
    issuer: origin,
    jwksUri: `${origin}/jwks`,
    /** A function that mints tokens of this issuer with `alg`. */
    minter: alg => overrides => keys.find(key => key.alg === alg).sign(claims(origin, overrides)),
    close,
  };
}

/** Starts `server` on a free loopback port. */
export async function listen(server) {
  // Contenders wait for their turn: a connection that is closed meanwhile would meet the next request.
  server.keepAliveTimeout = 0;
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const close = () => {
    server.closeAllConnections();
    return new Promise(resolve => server.close(resolve));
  };
  return { port, origin: `http://127.0.0.1:${port}`, close };
}
