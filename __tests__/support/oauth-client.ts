import { createHash, randomBytes } from 'node:crypto';

export type Fields = Readonly<Record<string, string>>;

/** A browser without scripts: keeps cookies by host, follows nothing by itself. */
export class Browser {
  /** Set-Cookie lines as they came, all of them. */
  readonly received: string[] = [];
  readonly #cookies = new Map<string, Map<string, string>>();
  readonly #rewrite: (url: string) => string;

  /** @param rewrite where a public URL is really served */
  constructor(rewrite: (url: string) => string = url => url) {
    this.#rewrite = rewrite;
  }

  cookies(url: string): Map<string, string> {
    const { host } = new URL(url);
    let jar = this.#cookies.get(host);
    if (jar === undefined) {
      jar = new Map();
      this.#cookies.set(host, jar);
    }
    return jar;
  }

  get(url: string, headers: Fields = {}): Promise<Page> {
    return this.#ask(url, { headers: { accept: 'text/html', ...headers } });
  }

  post(url: string, form: Fields | URLSearchParams, headers: Fields = {}): Promise<Page> {
    return this.#ask(url, {
      method: 'POST',
      body: new URLSearchParams(form as Record<string, string>),
      headers: { accept: 'text/html', ...headers },
    });
  }

  async #ask(url: string, init: RequestInit & { headers: Fields }): Promise<Page> {
    const jar = this.cookies(url);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(this.#rewrite(url), {
      ...init,
      redirect: 'manual',
      headers: { ...(cookie !== '' && { cookie }), ...init.headers },
    });
    for (const line of response.headers.getSetCookie()) {
      this.received.push(line);
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0(;|$)/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    const location = response.headers.get('location');
    return {
      status: response.status,
      headers: response.headers,
      text: await response.text(),
      location: location === null ? undefined : new URL(location, url),
    };
  }
}

export interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly location: URL | undefined;
}

/** The one form of a page: where it is posted, and its hidden fields. */
export function formOf({ text }: Pick<Page, 'text'>): { action: string; fields: Record<string, string> } {
  const action = /<form[^>]*\baction="([^"]*)"/.exec(text)?.[1];
  if (action === undefined) throw new Error(`no form: ${text.slice(0, 400)}`);
  const fields: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g))
    fields[unescaped(name)] = unescaped(value);
  return { action: unescaped(action), fields };
}

function unescaped(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** Where an authorization server is served. */
export interface Endpoints {
  readonly base: string;
  /** `/authorize` and so on, below this. */
  readonly prefix?: string;
  readonly rewrite?: (url: string) => string;
}

export const REDIRECT = 'http://127.0.0.1:33999/callback';

/** An MCP client and the person in front of it. */
export class OAuthClient {
  readonly id: string;
  readonly secret: string | undefined;
  readonly redirectUri: string;
  readonly browser: Browser;
  readonly endpoints: Endpoints;
  /** The verifier of the last authorization request. */
  verifier = '';

  constructor(
    endpoints: Endpoints,
    known: { id: string; secret?: string | undefined; redirectUri?: string | undefined; browser?: Browser | undefined },
  ) {
    this.endpoints = endpoints;
    this.id = known.id;
    this.secret = known.secret;
    this.redirectUri = known.redirectUri ?? REDIRECT;
    this.browser = known.browser ?? new Browser(endpoints.rewrite);
  }

  static async register(endpoints: Endpoints, metadata: Record<string, unknown> = {}, browser?: Browser) {
    const { status, body } = await register(endpoints, {
      client_name: 'Test Client',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
      ...metadata,
    });
    if (status !== 201) throw new Error(`registration: ${status} ${JSON.stringify(body)}`);
    return new OAuthClient(endpoints, {
      id: String(body.client_id),
      secret: body.client_secret as string | undefined,
      redirectUri: (body.redirect_uris as string[])[0],
      browser,
    });
  }

  url(path: string): string {
    return `${this.endpoints.base}${this.endpoints.prefix ?? ''}${path}`;
  }

  /** The URL of an authorization request; `undefined` takes a parameter away. */
  authorizeUrl(changes: Record<string, string | undefined> = {}): string {
    this.verifier = randomBytes(32).toString('base64url');
    const params: Record<string, string | undefined> = {
      response_type: 'code',
      client_id: this.id,
      redirect_uri: this.redirectUri,
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
      state: 'the-state',
      ...changes,
    };
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) if (value !== undefined) query.set(name, value);
    return this.url(`/authorize?${query}`);
  }

  authorize(changes: Record<string, string | undefined> = {}, headers: Fields = {}): Promise<Page> {
    return this.browser.get(this.authorizeUrl(changes), headers);
  }

  /** Posts the form of a consent page. */
  decide(page: Page, decision: string = 'approve', headers: Fields = {}): Promise<Page> {
    const { action, fields } = formOf(page);
    return this.browser.post(action, { ...fields, decision }, headers);
  }

  /** Goes where a page sends the browser, up to the provider's answer: the callback URL, not yet opened. */
  async signIn(page: Page): Promise<string> {
    if (page.location === undefined) throw new Error(`no redirect: ${page.status} ${page.text.slice(0, 400)}`);
    const back = await this.browser.get(page.location.href);
    if (back.location === undefined) throw new Error(`the provider sent nobody back: ${back.status}`);
    return back.location.href;
  }

  /** Authorize, approve and sign in: what the callback answers. */
  async connect(changes: Record<string, string | undefined> = {}): Promise<Page> {
    const page = await this.authorize(changes);
    const approved = page.location === undefined ? await this.decide(page) : page;
    return this.browser.get(await this.signIn(approved));
  }

  /** The code of a whole sign-in. */
  async code(changes: Record<string, string | undefined> = {}): Promise<string> {
    const { location, status, text } = await this.connect(changes);
    const code = location?.searchParams.get('code');
    if (code === null || code === undefined) throw new Error(`no code: ${status} ${location?.href ?? text}`);
    return code;
  }

  redeem(code: string, changes: Record<string, string | undefined> = {}): Promise<Answer> {
    return this.token({
      grant_type: 'authorization_code',
      code,
      code_verifier: this.verifier,
      redirect_uri: this.redirectUri,
      ...changes,
    });
  }

  refresh(refreshToken: unknown, changes: Record<string, string | undefined> = {}): Promise<Answer> {
    return this.token({ grant_type: 'refresh_token', refresh_token: String(refreshToken), ...changes });
  }

  revoke(token: unknown, changes: Record<string, string | undefined> = {}): Promise<Answer> {
    return this.#post('/revoke', { token: String(token), ...this.#credentials(), ...changes });
  }

  token(params: Record<string, string | undefined>, headers: Fields = {}): Promise<Answer> {
    return this.#post('/token', { ...this.#credentials(), ...params }, headers);
  }

  /** A whole sign-in and its tokens. */
  async tokens(changes: Record<string, string | undefined> = {}): Promise<Tokens> {
    const { status, body } = await this.redeem(await this.code(changes));
    if (status !== 200) throw new Error(`token: ${status} ${JSON.stringify(body)}`);
    return body as unknown as Tokens;
  }

  #credentials(): Record<string, string> {
    return { client_id: this.id, ...(this.secret !== undefined && { client_secret: this.secret }) };
  }

  async #post(path: string, params: Record<string, string | undefined>, headers: Fields = {}): Promise<Answer> {
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) if (value !== undefined) form.set(name, value);
    return post(this.endpoints, path, form, headers);
  }
}

export interface Tokens {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: string;
}

export async function post(
  { base, prefix = '', rewrite = url => url }: Endpoints,
  path: string,
  body: string | URLSearchParams,
  headers: Fields = {},
): Promise<Answer> {
  const response = await fetch(rewrite(`${base}${prefix}${path}`), { method: 'POST', body, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
}

export function register(endpoints: Endpoints, metadata: object): Promise<Answer> {
  return post(endpoints, '/register', JSON.stringify(metadata), { 'content-type': 'application/json' });
}
