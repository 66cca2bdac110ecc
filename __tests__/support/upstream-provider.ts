import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { JWTPayload } from 'jose';
import { close, listen } from './identity-provider.js';
import { type SigningKey, signingKey } from './keys.js';

export const UPSTREAM_ID = 'app-at-the-provider';
export const UPSTREAM_SECRET = 'the-secret-of-the-app-at-the-provider';

/** One request that reached the provider. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly params: Readonly<Record<string, string>>;
}

type Intercept = (req: IncomingMessage, res: ServerResponse, params: Readonly<Record<string, string>>) => boolean;

/** What the provider answers; change it between requests. */
export interface Behaviour {
  /** Who signs in. */
  subject: string;
  /** The `error` that the sign-in ends with, if any. */
  signInError?: string | undefined;
  /** The `iss` of the answer to the sign-in; left out by default. */
  iss?: string | undefined;
  /** The `scope` of token answers: as asked, a string of its own, or `null` for no member. */
  scope: 'asked' | (string & {}) | null;
  expiresIn: number | string | null;
  /** What a token answer says about refresh tokens; `rotate` ends the session when an old one comes again. */
  refreshTokens: 'rotate' | 'keep' | 'none';
  refreshExpiresIn?: number | undefined;
  /** The format of token answers. */
  format: 'json' | 'form';
  /** Whether an error comes with the status 200. */
  errorStatus: 200 | 400;
  /** An ID token with these claims over the ordinary ones comes with a code, and with a refresh. */
  idToken?: JWTPayload | undefined;
  idTokenOnRefresh?: JWTPayload | undefined;
  idTokenKey?: SigningKey | undefined;
}

/** A real identity provider on loopback that knows one app, remembers what it was asked, and can be made to misbehave. */
export interface UpstreamProvider {
  readonly origin: string;
  readonly endpoints: { authorizationEndpoint: string; tokenEndpoint: string; revocationEndpoint: string };
  readonly behaviour: Behaviour;
  readonly requests: UpstreamRequest[];
  /** Members added to the discovery document. */
  readonly metadata: Record<string, unknown>;
  /** Replaces the answer of a path; return false to fall through to the ordinary one. */
  readonly intercept: Map<string, Intercept>;
  /** Requests of one path, and of one grant type. */
  of(path: string, grantType?: string): UpstreamRequest[];
  /** Whose access token this is, while it is good. */
  whoIs(accessToken: string): { subject: string; scopes: string[] } | null;
  /** All secrets that the provider handed out. */
  readonly secrets: string[];
  /** Ends every session: refresh tokens are `invalid_grant`, access tokens nobody's. */
  forget(): void;
  /** How often a refresh token came that had been rotated away. */
  readonly thefts: () => number;
  close(): Promise<void>;
}

interface Session {
  subject: string;
  scope: string;
  refreshToken: string | undefined;
  readonly used: Set<string>;
  ended: boolean;
}

// An RSA key takes long to make: one for all providers of a test file is enough, and most files sign no ID token at all.
function onceMade(kid: string): () => Promise<SigningKey> {
  let made: Promise<SigningKey> | undefined;
  return () => {
    made ??= signingKey('RS256', kid);
    return made;
  };
}
const sharedKey = onceMade('of-the-provider');
/** A key of the same kind that no provider publishes. */
export const strangersKey = onceMade('of-somebody-else');

export async function upstreamProvider(): Promise<UpstreamProvider> {
  const behaviour: Behaviour = {
    subject: 'alice',
    scope: 'asked',
    expiresIn: 3_600,
    refreshTokens: 'rotate',
    format: 'json',
    errorStatus: 400,
  };
  const requests: UpstreamRequest[] = [];
  const metadata: Record<string, unknown> = {};
  const intercept = new Map<string, Intercept>();
  const secrets: string[] = [];
  const codes = new Map<string, Readonly<Record<string, string>>>();
  const sessions: Session[] = [];
  const access = new Map<string, Session>();
  let count = 0;
  let thefts = 0;
  const secret = (kind: string) => {
    const made = `up-${kind}-${++count}-${createHash('sha256').update(`${kind}${count}${Math.random()}`).digest('hex')}`;
    secrets.push(made);
    return made;
  };

  const authorize = (res: ServerResponse, params: Readonly<Record<string, string>>) => {
    const target = new URL(params.redirect_uri ?? 'http://127.0.0.1:9/none');
    if (behaviour.signInError !== undefined) {
      target.searchParams.set('error', behaviour.signInError);
      target.searchParams.set('error_description', '<script>alert("provider")</script>');
    } else {
      const code = secret('code');
      codes.set(code, params);
      target.searchParams.set('code', code);
    }
    if (params.state !== undefined) target.searchParams.set('state', params.state);
    if (behaviour.iss !== undefined) target.searchParams.set('iss', behaviour.iss);
    res.writeHead(302, { location: target.href }).end();
  };

  const answer = (res: ServerResponse, members: Record<string, unknown>, status = 200) => {
    if (behaviour.format === 'json') {
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(members));
      return;
    }
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(members)) form.set(name, String(value));
    res.writeHead(status, { 'content-type': 'application/x-www-form-urlencoded' }).end(form.toString());
  };
  const refuse = (res: ServerResponse, error: string) => answer(res, { error }, behaviour.errorStatus);

  const isTheApp = (req: IncomingMessage, params: Readonly<Record<string, string>>) => {
    const header = req.headers.authorization ?? '';
    const [id, given] = header.startsWith('Basic ')
      ? Buffer.from(header.slice(6), 'base64').toString().split(':').map(decodeURIComponent)
      : [params.client_id, params.client_secret];
    return id === UPSTREAM_ID && (given === UPSTREAM_SECRET || given === undefined);
  };

  const issue = async (res: ServerResponse, session: Session, asked: string, claims: JWTPayload | undefined) => {
    const token = secret('access');
    access.set(token, session);
    const scope = behaviour.scope === 'asked' ? asked : behaviour.scope;
    session.scope = scope ?? asked;
    answer(res, {
      access_token: token,
      token_type: 'Bearer',
      ...(behaviour.expiresIn !== null && { expires_in: behaviour.expiresIn }),
      ...(session.refreshToken !== undefined && { refresh_token: session.refreshToken }),
      ...(behaviour.refreshExpiresIn !== undefined && { refresh_expires_in: behaviour.refreshExpiresIn }),
      ...(scope !== null && { scope }),
      ...(claims !== undefined && { id_token: await (behaviour.idTokenKey ?? (await sharedKey())).sign(claims) }),
    });
  };

  const token = async (req: IncomingMessage, res: ServerResponse, params: Readonly<Record<string, string>>) => {
    if (!isTheApp(req, params)) return refuse(res, 'invalid_client');
    if (params.grant_type === 'authorization_code') {
      const asked = codes.get(params.code ?? '');
      codes.delete(params.code ?? '');
      const challenge = createHash('sha256')
        .update(params.code_verifier ?? '')
        .digest('base64url');
      if (asked === undefined || asked.redirect_uri !== params.redirect_uri) return refuse(res, 'invalid_grant');
      if (asked.code_challenge !== undefined && asked.code_challenge !== challenge) return refuse(res, 'invalid_grant');
      const session: Session = {
        subject: behaviour.subject,
        scope: '',
        refreshToken: behaviour.refreshTokens === 'none' ? undefined : secret('refresh'),
        used: new Set(),
        ended: false,
      };
      sessions.push(session);
      const now = Math.floor(Date.now() / 1_000);
      const identity = {
        iss: provider.origin,
        aud: UPSTREAM_ID,
        sub: behaviour.subject,
        exp: now + 300,
        iat: now,
        ...(asked.nonce !== undefined && { nonce: asked.nonce }),
      };
      return issue(
        res,
        session,
        asked.scope ?? '',
        behaviour.idToken === undefined ? undefined : { ...identity, ...behaviour.idToken },
      );
    }
    if (params.grant_type !== 'refresh_token') return refuse(res, 'unsupported_grant_type');
    const given = params.refresh_token ?? '';
    const session = sessions.find(each => each.refreshToken === given || each.used.has(given));
    if (session === undefined || session.ended) return refuse(res, 'invalid_grant');
    if (session.used.has(given)) {
      thefts++;
      session.ended = true;
      return refuse(res, 'invalid_grant');
    }
    const before = session.scope;
    const kept = session.refreshToken;
    if (behaviour.refreshTokens === 'rotate') {
      session.used.add(given);
      session.refreshToken = secret('refresh');
    } else session.refreshToken = undefined;
    const now = Math.floor(Date.now() / 1_000);
    await issue(
      res,
      session,
      before,
      behaviour.idTokenOnRefresh && {
        iss: provider.origin,
        aud: UPSTREAM_ID,
        sub: session.subject,
        exp: now + 300,
        ...behaviour.idTokenOnRefresh,
      },
    );
    if (behaviour.refreshTokens !== 'rotate') session.refreshToken = kept;
  };

  const revoke = (res: ServerResponse, params: Readonly<Record<string, string>>) => {
    const session = sessions.find(each => each.refreshToken === params.token) ?? access.get(params.token ?? '');
    if (session !== undefined) session.ended = true;
    res.writeHead(200).end();
  };

  const server = createServer(async (req, res) => {
    const url = new URL(req.url ?? '/', 'http://provider');
    let body = '';
    for await (const chunk of req) body += String(chunk);
    const params = Object.fromEntries(req.method === 'POST' ? new URLSearchParams(body) : url.searchParams);
    requests.push({
      method: req.method ?? '',
      path: url.pathname,
      authorization: req.headers.authorization,
      params,
    });
    if (intercept.get(url.pathname)?.(req, res, params)) return;
    if (url.pathname === '/authorize') authorize(res, params);
    else if (url.pathname === '/token') await token(req, res, params);
    else if (url.pathname === '/revoke') revoke(res, params);
    else if (url.pathname === '/jwks') {
      const keys = [(await sharedKey()).publicJwk];
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
    } else if (url.pathname === '/.well-known/openid-configuration')
      res.writeHead(200, { 'content-type': 'application/json' }).end(
        JSON.stringify({
          issuer: provider.origin,
          authorization_endpoint: `${provider.origin}/authorize`,
          token_endpoint: `${provider.origin}/token`,
          revocation_endpoint: `${provider.origin}/revoke`,
          jwks_uri: `${provider.origin}/jwks`,
          ...metadata,
        }),
      );
    else res.writeHead(404).end();
  });
  const origin = await listen(server);
  const provider: UpstreamProvider = {
    origin,
    endpoints: {
      authorizationEndpoint: `${origin}/authorize`,
      tokenEndpoint: `${origin}/token`,
      revocationEndpoint: `${origin}/revoke`,
    },
    behaviour,
    requests,
    metadata,
    intercept,
    secrets,
    of: (path, grantType) =>
      requests.filter(each => each.path === path && (grantType === undefined || each.params.grant_type === grantType)),
    whoIs(accessToken) {
      const session = access.get(accessToken);
      if (session === undefined || session.ended) return null;
      return { subject: session.subject, scopes: session.scope.split(/[ ,]+/).filter(Boolean) };
    },
    forget() {
      for (const session of sessions) session.ended = true;
    },
    thefts: () => thefts,
    close: () => close(server),
  };
  return provider;
}
