import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';

export const connections = 8;

const agent = new Agent({ keepAlive: true, maxSockets: connections });
const random = bytes => randomBytes(bytes).toString('base64url');

/** What the MCP Inspector registers. */
export const inspector = {
  client_name: 'MCP Inspector',
  client_uri: 'https://github.com/modelcontextprotocol/inspector',
  redirect_uris: ['http://localhost:6274/oauth/callback', 'http://localhost:6274/oauth/callback/debug'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
  scope: 'read write',
};

/** Registers a client (RFC 7591) and answers its record. */
export async function register(origin, metadata = inspector) {
  return JSON.parse((await expect(201, postRegistration(origin, metadata))).body);
}

export const postRegistration = (origin, metadata) =>
  send(`${origin}/register`, { type: 'application/json', body: JSON.stringify(metadata) });

/** An authorization request with a browser that has been nowhere yet. */
export function openAuthorization(origin, client, state = random(32)) {
  const verifier = random(32);
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: client.redirect_uris[0],
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    scope: 'read write',
    state,
  });
  return { client, state, verifier, url: `${origin}/authorize?${query}`, cookies: new Map() };
}

/** Opens the page; answers it, or the redirect where there is none. */
export const visit = authorization => send(authorization.url, { cookies: authorization.cookies });

/** Opens the page and presses its button; answers the redirect to the identity provider. */
export async function approve(authorization) {
  const page = await visit(authorization);
  return page.status === 200 ? submit(page.body, authorization) : page;
}

function submit(html, { url, cookies }) {
  const form = new URLSearchParams();
  for (const [input] of html.matchAll(/<input type="hidden"[^>]*>/g))
    form.set(attribute(input, 'name'), attribute(input, 'value'));
  form.set(attribute(/<button[^>]*value="approve"[^>]*>/.exec(html)[0], 'name'), 'approve');
  const action = attribute(/<form[^>]*>/.exec(html)[0], 'action');
  return send(new URL(action, url).href, { body: form, cookies });
}

/** The whole way of a client: page, approval, return from the provider, tokens. */
export async function signIn(origin, client) {
  const authorization = openAuthorization(origin, client);
  const upstream = new URL((await expectRedirect(approve(authorization))).location);
  const callback = new URL(upstream.searchParams.get('redirect_uri'));
  callback.search = new URLSearchParams({ code: random(32), state: upstream.searchParams.get('state') });
  const back = await expectRedirect(send(callback.href, { cookies: authorization.cookies }));
  const { searchParams } = new URL(back.location);
  if (searchParams.get('state') !== authorization.state) throw new Error(`no answer to the client: ${back.location}`);
  return askForTokens(origin, client, {
    grant_type: 'authorization_code',
    code: searchParams.get('code'),
    code_verifier: authorization.verifier,
    redirect_uri: client.redirect_uris[0],
  });
}

/** Uses up the refresh token of a session; answers the session that follows. */
export const refresh = (origin, session) =>
  askForTokens(origin, session.client, { grant_type: 'refresh_token', refresh_token: session.refreshToken });

/** Calls the resource with the access token of a session; answers the status. */
export async function call(origin, session) {
  return (await send(`${origin}/mcp`, { token: session.accessToken })).status;
}

async function askForTokens(origin, client, params) {
  const body = new URLSearchParams({ ...params, client_id: client.client_id });
  const { access_token, refresh_token } = JSON.parse((await expect(200, send(`${origin}/token`, { body }))).body);
  if (!access_token || !refresh_token) throw new Error('an answer without tokens');
  return { client, accessToken: access_token, refreshToken: refresh_token };
}

/** GET, or POST where there is a body. Keeps the cookies that come back. */
function send(url, { body, type = 'application/x-www-form-urlencoded', cookies = new Map(), token } = {}) {
  const bytes = body === undefined ? undefined : Buffer.from(String(body));
  const headers = {
    accept: 'text/html, application/json',
    ...(bytes && { 'content-type': type, 'content-length': bytes.length }),
    ...(cookies.size > 0 && { cookie: [...cookies].map(pair => pair.join('=')).join('; ') }),
    ...(token && { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const method = bytes === undefined ? 'GET' : 'POST';
    const req = request(url, { method, headers, agent, timeout: 30_000 }, res => {
      const chunks = [];
      res.on('data', chunk => chunks.push(chunk)).on('error', reject);
      res.on('end', () => {
        for (const line of res.headers['set-cookie'] ?? []) keep(cookies, line);
        resolve({ status: res.statusCode, location: res.headers.location, body: Buffer.concat(chunks).toString() });
      });
    });
    req.on('timeout', () => req.destroy(new Error(`no answer from ${url}`))).on('error', reject);
    req.end(bytes);
  });
}

function keep(cookies, line) {
  const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
  if (value === '' || /max-age=0/i.test(line)) cookies.delete(name);
  else cookies.set(name, value);
}

async function expect(status, answer) {
  const { status: got, body } = await answer;
  if (got !== status) throw new Error(`expected ${status}, got ${got}: ${body.slice(0, 200)}`);
  return { body };
}

async function expectRedirect(answer) {
  const { status, location, body } = await answer;
  if (location === undefined) throw new Error(`expected a redirect, got ${status}: ${body.slice(0, 200)}`);
  return { location };
}

const attribute = (tag, name) => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)[1];
