import { randomUUID } from 'node:crypto';

/** The protected resource of every measurement, and so the audience of every good token. */
export const resource = 'https://mcp.example.com/mcp';

/** Claims of an ordinary access token: with RS256 it is about 750 bytes long. */
export function claims(issuer, overrides = {}) {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: issuer,
    sub: `user-${randomUUID()}`,
    aud: resource,
    client_id: 'bench-client',
    scope: 'read write',
    iat: now - 60,
    exp: now + 3600,
    jti: randomUUID(),
    ...overrides,
  };
}

const hourAgo = () => ({ exp: Math.floor(Date.now() / 1000) - 3600 });

/** What a server meets, each as a function from a way to mint to `count` distinct tokens. */
export const tokens = {
  valid: (mint, count) => times(count, () => mint()),
  expired: (mint, count) => times(count, () => mint(hourAgo())),
  wrongAudience: (mint, count) => times(count, () => mint({ aud: 'https://other.example.com/mcp' })),
  /** Cut off after the payload, as by a header limit or a bad copy. */
  malformed: (mint, count) => times(count, () => withoutSignature(mint())),
  /** A sound signature, of another token. */
  badSignature(mint, count) {
    const donor = mint();
    return times(count, () => withoutSignature(mint()) + donor.slice(donor.lastIndexOf('.')));
  },
};

const times = (count, make) => Array.from({ length: count }, make);
const withoutSignature = token => token.slice(0, token.lastIndexOf('.'));
