import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

export interface Issuer {
  readonly issuer: string;
  /** Signs a token of this issuer; eight hours long unless the claims say otherwise. */
  mint(claims: JWTPayload): Promise<string>;
}

/** Two authorization servers in one process, as far as a resource server sees them: discovery and keys. */
export async function startIdentityProvider(): Promise<{ people: Issuer; services: Issuer; server: Server }> {
  const documents = new Map<string, unknown>();
  const server = createServer((req, res) => {
    const document = documents.get(req.url ?? '');
    res.writeHead(document ? 200 : 404, { 'content-type': 'application/json' });
    res.end(JSON.stringify(document ?? { error: 'not_found' }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function issuerAt(path: string): Promise<Issuer> {
    const issuer = origin + path;
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const header = { alg: 'ES256', kid: `key-of${path.replace('/', '-')}`, typ: 'at+jwt' };
    documents.set(`/.well-known/oauth-authorization-server${path}`, { issuer, jwks_uri: `${issuer}/jwks` });
    documents.set(`${path}/jwks`, { keys: [{ ...(await exportJWK(publicKey)), ...header, typ: undefined }] });
    const mint = (claims: JWTPayload) =>
      new SignJWT({ iss: issuer, exp: Math.floor(Date.now() / 1000) + 8 * 3600, ...claims })
        .setProtectedHeader(header)
        .sign(privateKey);
    return { issuer, mint };
  }
  return { people: await issuerAt('/people'), services: await issuerAt('/services'), server };
}
