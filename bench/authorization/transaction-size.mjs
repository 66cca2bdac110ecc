import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import express from 'express';
import { memoryStore } from 'express-mcp-auth';
import { countsAtMost } from '../goals.mjs';
import { listen } from '../issuer.mjs';
import { approve, inspector, openAuthorization, register } from './browser.mjs';
import { proxy } from './contenders.mjs';

const ordinary = [
  inspector,
  {
    client_name: 'Cursor',
    redirect_uris: [
      'cursor://anysphere.cursor-mcp/oauth/callback',
      'https://www.cursor.com/agents/mcp/oauth/callback',
      'http://localhost:8787/callback',
    ],
    token_endpoint_auth_method: 'none',
  },
  {
    client_name: 'Visual Studio Code',
    client_uri: 'https://code.visualstudio.com',
    redirect_uris: [
      'https://insiders.vscode.dev/redirect',
      'https://vscode.dev/redirect',
      'http://127.0.0.1/',
      'http://127.0.0.1:33418/',
    ],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
];

/** As much as a client id of the greatest length holds, none of which deflates, and the longest `state`. */
const huge = {
  client_name: randomBytes(30).toString('base64url'),
  redirect_uris: [`https://client.example.com/${randomBytes(420).toString('base64url')}`],
  token_endpoint_auth_method: 'none',
};

/** The bytes of key and value that the store is given when somebody approves. Exact. */
export async function countTransactionBytes() {
  const { store, written } = recordingStore();
  const app = express();
  const { origin, close } = await listen(createServer(app));
  const upstream = 'http://127.0.0.1:1';
  app.use(await proxy({ origin, upstream }, { store }));
  const bytesOf = async (metadata, state) => {
    const client = await register(origin, metadata);
    const before = written.length;
    const { location = '' } = await approve(openAuthorization(origin, client, state));
    if (!location.startsWith(upstream)) throw new Error(`the approval did not lead upstream, but to "${location}"`);
    if (written.length !== before + 1) throw new Error(`an approval made ${written.length - before} records`);
    return written.at(-1);
  };
  const sizes = [];
  for (const metadata of ordinary) sizes.push(await bytesOf(metadata));
  const largest = await bytesOf(huge, 's'.repeat(2048));
  await close();
  return [
    countsAtMost(2000, {
      what: 'proxy: bytes of a stored transaction, real clients',
      ours: Math.max(...sizes),
      baseline: '',
    }),
    countsAtMost(6000, { what: 'proxy: bytes of a stored transaction, longest request', ours: largest, baseline: '' }),
  ];
}

function recordingStore() {
  const inner = memoryStore();
  const written = [];
  const write = name => (key, value, ttlSeconds) => {
    written.push(Buffer.byteLength(key) + Buffer.byteLength(value));
    return inner[name](key, value, ttlSeconds);
  };
  return { store: { ...inner, set: write('set'), add: write('add') }, written };
}
