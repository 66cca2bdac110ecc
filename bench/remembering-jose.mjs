import { hash } from 'node:crypto';
import { compactVerify, importJWK } from 'jose';
import { LRUCache } from 'lru-cache';
import { resource } from './tokens.mjs';

/**
 * What a guard with our cache cannot do without for a token that it has not seen, in one flat function: the shape and
 * the payload before the signature, the digest, the entry, an AuthInfo of its own and the CORS headers. No composition,
 * no rules, no events: what ours costs beyond it is the price of those.
 */
export function rememberingJose({ jwksUri }) {
  const seen = new LRUCache({ max: 5_000, maxSize: 20_000_000 });
  const keys = fetch(jwksUri)
    .then(response => response.json())
    .then(async set => new Map(await Promise.all(set.keys.map(async jwk => [jwk.kid, await importJWK(jwk, jwk.alg)]))));
  let known;
  void keys.then(map => {
    known = map;
  });

  return (req, res, next) => {
    res.setHeader('Access-Control-Allow-Origin', '*');
    res.setHeader('Access-Control-Expose-Headers', 'WWW-Authenticate, Mcp-Session-Id, Retry-After');
    const token = req.headers.authorization.slice(7);
    if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) return refuse(res);
    const [header, payload] = token.split('.').map((part, index) => (index < 2 ? parse(part) : part));
    if (payload.aud !== resource || payload.exp <= Date.now() / 1_000) return refuse(res);
    const digest = hash('sha256', token, 'binary');
    const accept = () => {
      const { client_id: clientId, scope, exp: expiresAt } = payload;
      req.auth = { token, clientId, scopes: scope.split(' '), expiresAt, resource: new URL(resource) };
      next();
    };
    if (seen.has(digest)) return accept();
    const verify = async () => {
      await compactVerify(token, (known ?? (await keys)).get(header.kid), { algorithms: [header.alg] });
      seen.set(digest, payload, { size: 3 * token.length });
    };
    verify().then(accept, () => refuse(res));
  };
}

const parse = part => JSON.parse(Buffer.from(part, 'base64url').toString());

const refuse = res => res.status(401).json({ error: 'invalid_token' });
