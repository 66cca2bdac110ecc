import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
  UnauthorizedError as UnauthorizedV2,
} from '@modelcontextprotocol/client';
import { UnauthorizedError as UnauthorizedV1 } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

export const REDIRECT = 'http://127.0.0.1:33419/callback';

/** Takes the person from the authorization URL to the client's address, and answers that last URL. */
export type Browse = (start: URL, redirectUri: string) => Promise<URL>;

interface Tokens {
  access_token: string;
  token_type: string;
  refresh_token?: string | undefined;
}

/** What a client of either SDK keeps, and how often it did what. */
export class Memory {
  readonly redirectUrl = REDIRECT;
  readonly clientMetadata;
  registrations = 0;
  signIns = 0;
  info: any;
  saved: Tokens | undefined;
  callback: URL | undefined;
  #state: string | undefined;
  #verifier = '';
  #discovery: any;
  readonly #browse: Browse;

  constructor(browse: Browse, metadata: object = {}) {
    this.#browse = browse;
    this.clientMetadata = {
      client_name: 'Witness',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      ...metadata,
    };
  }

  clientInformation(): any {
    return this.info;
  }
  saveClientInformation(info: unknown): void {
    this.registrations++;
    this.info = info;
  }
  tokens(): any {
    return this.saved;
  }
  saveTokens(tokens: Tokens): void {
    this.saved = tokens;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  discoveryState(): any {
    return this.#discovery;
  }
  saveDiscoveryState(discovery: unknown): void {
    this.#discovery = discovery;
  }
  state(): string {
    this.#state = crypto.randomUUID();
    return this.#state;
  }
  invalidateCredentials(what: string): void {
    if (what === 'all' || what === 'client') this.info = undefined;
    if (what === 'all' || what === 'tokens') this.saved = undefined;
  }
  async redirectToAuthorization(url: URL): Promise<void> {
    this.signIns++;
    this.callback = await this.#browse(url, REDIRECT);
    const { searchParams } = this.callback;
    if (searchParams.get('state') !== this.#state) throw new Error(`another state came back: ${this.callback}`);
  }
  /** The answer to the last authorization request, once. */
  takeCallback(): URLSearchParams {
    const { callback } = this;
    this.callback = undefined;
    if (callback === undefined) throw new Error('nobody was sent to sign in');
    return callback.searchParams;
  }
}

export interface Connected {
  listTools(): Promise<string[]>;
  callTool(name: string): Promise<unknown>;
  close(): Promise<void>;
}

const sdkV1 = async (url: URL, memory: Memory): Promise<Connected> => {
  const open = async () => {
    const client = new ClientV1({ name: 'witness', version: '1.0.0' });
    const transport = new TransportV1(url, { authProvider: memory });
    return {
      client,
      transport,
      connected: client.connect(transport as never).then(() => true, unless(UnauthorizedV1)),
    };
  };
  let { client, transport, connected } = await open();
  if (!(await connected)) {
    await transport.finishAuth(String(memory.takeCallback().get('code')));
    ({ client, transport, connected } = await open());
    if (!(await connected)) throw new Error('not let in after the sign-in');
  }
  return {
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: name => client.callTool({ name, arguments: {} }),
    close: () => client.close(),
  };
};

const sdkV2 =
  (options: ConstructorParameters<typeof ClientV2>[1] = {}) =>
  async (url: URL, memory: Memory): Promise<Connected> => {
    const open = async () => {
      const client = new ClientV2({ name: 'witness', version: '1.0.0' }, options);
      const transport = new TransportV2(url, { authProvider: memory });
      return { client, transport, connected: client.connect(transport).then(() => true, unless(UnauthorizedV2)) };
    };
    let { client, transport, connected } = await open();
    if (!(await connected)) {
      await transport.finishAuth(memory.takeCallback());
      ({ client, transport, connected } = await open());
      if (!(await connected)) throw new Error('not let in after the sign-in');
    }
    return {
      listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
      callTool: name => client.callTool({ name, arguments: {} }),
      close: () => client.close(),
    };
  };

function unless(expected: new (...args: any[]) => Error): (error: unknown) => false {
  return error => {
    if (error instanceof expected) return false;
    throw error;
  };
}

/** The clients that people have: both SDKs, and the newer wire of the second. */
export const witnesses = [
  { name: 'SDK v1', connect: sdkV1 },
  { name: 'SDK v2', connect: sdkV2() },
  { name: 'SDK v2 on the wire of 2026-07-28', connect: sdkV2({ versionNegotiation: { mode: 'auto' } }) },
] as const;
