import {
  type ClientOptions,
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

type TransportOptionsV1 = ConstructorParameters<typeof TransportV1>[1];
type TransportOptionsV2 = ConstructorParameters<typeof TransportV2>[1];

/** A connected client of SDK v1; a string is a token to send, anything else goes to its transport. */
export async function connectV1(url: URL, how: string | NonNullable<TransportOptionsV1>) {
  const options = typeof how === 'string' ? { requestInit: { headers: { Authorization: `Bearer ${how}` } } } : how;
  const transport = new TransportV1(url, options);
  const client = new ClientV1({ name: 'client-v1', version: '1.0.0' });
  await client.connect(transport as never);
  return { client, transport, close: () => client.close() };
}

/** A connected client of SDK v2; a string is a token to send, anything else goes to its transport. */
export async function connectV2(url: URL, how: string | NonNullable<TransportOptionsV2>, options: ClientOptions = {}) {
  const transport = new TransportV2(url, typeof how === 'string' ? { authProvider: { token: async () => how } } : how);
  const client = new ClientV2({ name: 'client-v2', version: '1.0.0' }, options);
  await client.connect(transport);
  return { client, transport, close: () => client.close() };
}
