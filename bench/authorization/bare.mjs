import { createCipheriv, createHmac, hash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import express from 'express';

/**
 * The floor: what Express, the platform's `fetch` and the cryptography of the design take for the same requests. The
 * handlers parse the body, answer a page, a redirect or JSON, ask the identity provider where the others ask it, sign
 * what a browser brings back and seal a record for each step that has to be taken once. They judge nothing, take any
 * token and compare-and-set nothing; what ours costs beyond them is its own work.
 */
export function bare(app, { origin, upstream }, { hasPage = true, post = postWithFetch } = {}) {
  const key = randomBytes(32);
  const records = new Map();
  const secret = () => randomBytes(32).toString('base64url');
  const digest = text => hash('sha256', text, 'base64url');
  const sign = text => createHmac('sha256', key).update(text).digest('base64url');
  const seal = value => {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from('bench'));
    const text = cipher.update(JSON.stringify(value));
    return Buffer.concat([iv, text, cipher.final(), cipher.getAuthTag()]).toString('base64url');
  };
  const put = (id, value) => records.set(digest(id), { value, sealed: seal(value) });
  const take = id => {
    const found = records.get(digest(id)).value;
    records.delete(digest(id));
    return found;
  };
  const form = express.urlencoded({ extended: false });
  const ask = params => post(`${upstream}/token`, new URLSearchParams(params));
  const grantOf = ({ redirect_uri: redirectUri = '', tokens = {} }) => ({
    ...{ redirectUri, clientId: secret(), resource: `${origin}/mcp`, scopes: ['read', 'write'], subject: 'alice' },
    ...{ codeHash: digest(secret()), codeChallenge: digest(secret()), createdAt: Date.now(), tokens },
  });

  const goUpstream = (res, { redirect_uri, state }) => {
    const id = secret();
    put(id, { redirect_uri, state, clientId: secret(), scopes: ['read', 'write'], codeVerifier: secret() });
    res.cookie('flow', sign(id), { httpOnly: true, sameSite: 'lax' });
    res.redirect(
      303,
      `${upstream}/authorize?${new URLSearchParams({ redirect_uri: `${origin}/callback`, state: id })}`,
    );
  };

  app.post('/register', express.json(), (req, res) => {
    res.status(201).json({ ...req.body, client_id: secret() });
  });
  app.get('/authorize', ({ query }, res) => {
    if (!hasPage) return goUpstream(res, query);
    const field = (name, value) => `<input type="hidden" name="${name}" value="${encodeURI(value)}">`;
    const { redirect_uri, state } = query;
    const fields = field('redirect_uri', redirect_uri) + field('state', state) + field('csrf', sign(state));
    res.send(
      `<form action="/consent" method="post">${fields}<button name="decision" value="approve">Allow</button></form>`,
    );
  });
  app.post('/consent', form, ({ body }, res) => {
    if (sign(body.state) === body.csrf) goUpstream(res, body);
  });
  app.get('/callback', async ({ query, headers }, res) => {
    if (!headers.cookie.includes(sign(query.state))) return res.sendStatus(400);
    const { redirect_uri, state } = take(query.state);
    const tokens = await ask({ grant_type: 'authorization_code', code: query.code });
    const code = secret();
    put(code, grantOf({ redirect_uri, tokens }));
    res.clearCookie('flow');
    res.redirect(303, `${redirect_uri}?${new URLSearchParams({ code, state })}`);
  });
  app.post('/token', form, async ({ body }, res) => {
    const answer = { access_token: secret(), refresh_token: secret(), token_type: 'Bearer', expires_in: 3600 };
    if (body.grant_type === 'refresh_token') {
      // The lease, what upstream gave, the rotation with its answer: three steps, each of them once.
      const grant = grantOf({});
      seal({ ...grant, lease: sign(body.refresh_token) });
      const tokens = await ask(body);
      seal({ ...grant, tokens });
      seal({ ...grant, tokens, lastAnswer: seal(answer), accessToken: digest(answer.access_token) });
    } else {
      const grant = take(body.code);
      put(secret(), { ...grant, challenge: digest(body.code_verifier), accessToken: digest(answer.access_token) });
    }
    res.json(answer);
  });
}

// As lean as the platform's `fetch` gets: nothing that it would have to copy, and the body read piece by piece.
async function postWithFetch(url, params) {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const init = { method: 'POST', body: params.toString(), headers, redirect: 'error', window: null };
  const reader = (await fetch(url, init)).body.getReader();
  const chunks = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) chunks.push(part.value);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const agent = new Agent({ keepAlive: true });

/** What `fetch` could be replaced with, as lean as it gets. */
export function postWithHttp(url, params) {
  const body = Buffer.from(params.toString());
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length };
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'POST', agent, headers }, res => {
      const chunks = [];
      res.on('data', chunk => chunks.push(chunk)).on('error', reject);
      res.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
    });
    req.on('error', reject).end(body);
  });
}
