import {
  auth,
  Client,
  type OAuthClientInformation,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type OAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { browse } from './browser.js';
import { folder, load, save } from './folder.js';
import { announced, heading } from './print.js';

interface Session {
  readonly url: string;
  client?: OAuthClientInformation | undefined;
  tokens?: OAuthTokens | undefined;
  discovery?: OAuthDiscoveryState | undefined;
}

/** An MCP client of the official SDK that signs in, or is still signed in from the last run. Answers its access token. */
export async function runClient(url: string): Promise<string> {
  const before = load<Session>('client.json');
  const session: Session = before?.url === url ? before : { url };
  const keep = (change: Partial<Session>) => void save('client.json', Object.assign(session, change));
  const redirectUrl = 'http://127.0.0.1:33418/callback';
  let verifier = '';
  let callback: URL | undefined;
  const authProvider: OAuthClientProvider = {
    redirectUrl,
    clientMetadata: {
      client_name: 'Quickstart client',
      redirect_uris: [redirectUrl],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    clientInformation: () => session.client,
    saveClientInformation: client => keep({ client }),
    tokens: () => session.tokens,
    saveTokens: tokens => keep({ tokens }),
    invalidateCredentials: what => {
      if (what === 'all' || what === 'client') keep({ client: undefined });
      if (what === 'all' || what === 'tokens') keep({ tokens: undefined });
    },
    discoveryState: () => session.discovery,
    saveDiscoveryState: discovery => keep({ discovery }),
    saveCodeVerifier: value => {
      verifier = value;
    },
    codeVerifier: () => verifier,
    redirectToAuthorization: async start => {
      callback = await browse(announced, start, redirectUrl);
    },
  };
  const open = async () => {
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider, fetch: announced });
    const client = new Client({ name: 'quickstart', version: '1.0.0' });
    return { client, transport, connected: client.connect(transport) };
  };

  if (session.tokens) heading(`The client is still signed in: its tokens of the last run are in ${folder}`);
  else heading('A client signs in');
  let { client, transport, connected } = await open();
  try {
    await connected;
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || callback === undefined) throw error;
    await transport.finishAuth(callback.searchParams);
    ({ client, transport, connected } = await open());
    await connected;
  }
  await client.callTool({ name: 'whoami', arguments: {} });
  await client.close();

  heading('It refreshes its tokens, as it would after an hour');
  await auth(authProvider, { serverUrl: url, fetchFn: announced });
  return (session.tokens as OAuthTokens).access_token;
}
