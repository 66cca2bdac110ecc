import { randomBytes } from 'node:crypto';
import express from 'express';

/**
 * The floor: what Express and the platform's `fetch` take for the same requests, with handlers that parse the body,
 * answer a page, a redirect or JSON, and ask the identity provider where the others ask it. It checks nothing, seals
 * nothing and takes any token; what the others cost beyond it is their own work.
 */
export function bare(app, { origin, upstream }, { hasPage = true } = {}) {
  const states = new Map();
  const secret = () => randomBytes(32).toString('base64url');
  const form = express.urlencoded({ extended: false });
  const ask = async params =>
    (await fetch(`${upstream}/token`, { method: 'POST', body: new URLSearchParams(params) })).json();

  const goUpstream = (res, { redirect_uri, state }) => {
    const id = secret();
    states.set(id, { redirect_uri, state });
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
    const field = name => `<input type="hidden" name="${name}" value="${encodeURI(query[name])}">`;
    res.send(
      `<form action="/consent" method="post">${field('redirect_uri')}${field('state')}<button name="decision" value="approve">Allow</button></form>`,
    );
  });
  app.post('/consent', form, ({ body }, res) => goUpstream(res, body));
  app.get('/callback', async ({ query }, res) => {
    const { redirect_uri, state } = states.get(query.state);
    states.delete(query.state);
    await ask({ grant_type: 'authorization_code', code: query.code });
    res.redirect(303, `${redirect_uri}?${new URLSearchParams({ code: secret(), state })}`);
  });
  app.post('/token', form, async ({ body }, res) => {
    if (body.grant_type === 'refresh_token') await ask(body);
    res.json({ access_token: secret(), refresh_token: secret(), token_type: 'Bearer', expires_in: 3600 });
  });
}
