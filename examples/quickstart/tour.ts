import { subscribe } from 'node:diagnostics_channel';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { EventMap } from 'express-mcp-auth';
import { heading } from './print.js';

const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}';
const accept = 'application/json, text/event-stream';

/** Calls the tool with each token through a real MCP client, then shows what each bad request gets. */
export async function tour(
  url: string,
  callers: Record<string, string>,
  refused: Record<string, string | undefined>,
): Promise<void> {
  heading('Who is recognised, by which source');
  for (const [who, token] of Object.entries(callers)) console.log(`  ${who.padEnd(42)}${await whoami(url, token)}`);

  // Why a token was refused is said to operators only: the answer would help an attacker.
  let reason: string | undefined;
  subscribe('express-mcp-auth:rejected', event => {
    reason = (event as EventMap['rejected']).reason;
  });
  subscribe('express-mcp-auth:scope_refused', event => {
    const { granted, required } = event as EventMap['scope_refused'];
    reason = `granted ${granted}, required ${required}`;
  });

  heading('What is refused');
  for (const [what, token] of Object.entries(refused)) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { accept, 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: call,
    });
    const [scheme, ...parameters] = (response.headers.get('www-authenticate') ?? '').split(/[ ,]+(?=\w+=")/);
    console.log(`  ${what.padEnd(20)}${response.status}  WWW-Authenticate: ${scheme}`);
    for (const parameter of parameters) console.log(' '.repeat(29) + parameter);
    console.log(`${' '.repeat(25)}(the reason, in the event: ${reason})`);
    await response.body?.cancel();
  }
}

async function whoami(url: string, token: string): Promise<string> {
  const client = new Client({ name: 'quickstart', version: '1.0.0' });
  const authProvider = { token: async () => token };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }));
  const result = await client.callTool({ name: 'whoami', arguments: {} });
  await client.close();
  const [content] = result.content;
  if (content?.type !== 'text') throw new Error('whoami answered without text');
  const { source, clientId, subject } = JSON.parse(content.text);
  const shownId = clientId.length > 24 ? `${clientId.slice(0, 21)}...` : clientId;
  return `source ${source}, client ${shownId}${subject ? `, subject ${subject}` : ''}`;
}

/** Prints commands that work when they are pasted into a shell while the server runs. */
export function printCurlLines(url: string, callers: Record<string, string>): void {
  heading('Try it yourself');
  const metadata = new URL(`/.well-known/oauth-protected-resource${new URL(url).pathname}`, url);
  console.log(`# where a client without a token is sent\ncurl -s ${metadata}\n`);
  for (const [who, token] of Object.entries(callers)) {
    const headers = [`Authorization: Bearer ${token}`, 'Content-Type: application/json', `Accept: ${accept}`];
    const options = headers.map(header => `-H '${header}' \\\n  `).join('');
    console.log(`# as ${who}\ncurl -s ${url} \\\n  ${options}-d '${call}'\n`);
  }
}
