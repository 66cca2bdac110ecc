import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { listen } from '../issuer.mjs';

/**
 * The identity provider, in a process of its own: whatever it is asked at its token endpoint, it answers with new
 * tokens, opaque and good for an hour. Nobody visits its authorization endpoint; `browser.mjs` comes back from it with
 * a made-up code.
 */
const secret = () => randomBytes(32).toString('base64url');

const server = createServer((req, res) => {
  req.resume().on('end', () => {
    const answer = {
      access_token: secret(),
      refresh_token: secret(),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read write',
    };
    res.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
});

const { origin } = await listen(server);
process.on('disconnect', () => process.exit());
process.send({ origin });
