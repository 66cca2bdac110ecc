import { channel } from 'node:diagnostics_channel';
import type { Reason } from './auth-info.js';

/**
 * The events on `node:diagnostics_channel`, each under `express-mcp-auth:<name>`. A message never holds a token, code,
 * secret or cookie. Where a request was at hand it is the non-enumerable property `request`.
 */
export interface EventMap {
  /** A guard let a request through, or `check()` found a token good. */
  accepted: {
    source: string;
    clientId: string;
    issuer?: string | undefined;
    subject?: string | undefined;
    scopes: readonly string[];
  };
  /**
   * A source refused a token, or a request brought none that could be read; one message for each source that had
   * something to say. Of an error that a source threw it is published at once, also when another source then accepts;
   * `detail` is its name and code then.
   */
  rejected: {
    source?: string | undefined;
    reason: Reason;
    detail?: string | undefined;
    expected?: string | undefined;
    received?: string | undefined;
  };
  /**
   * A source could not tell. Published at once, also when another source then accepts the token. `message` is the text
   * of an `UnavailableError`, yours included; of any other error it is name and code, as its words may quote the token.
   */
  unavailable: { source: string; message: string; retryAfterSeconds: number };
  /** A token was good and lacked a scope: 403. `rule` says who asked for the scopes. */
  scope_refused: {
    source: string;
    clientId: string;
    required: readonly string[];
    granted: readonly string[];
    rule: 'composition' | 'source' | 'server' | 'protect';
  };
  /** A client registered itself. */
  client_registered: { clientId: string; clientName?: string | undefined; redirectUris: readonly string[] };
  /** A person approved a client on the consent page; not published where no page is shown. */
  consent_given: { clientId: string; scopes: readonly string[]; resource: string };
  /** A person denied a client on the consent page. */
  consent_denied: { clientId: string };
  /** A sign-in came back and a code went to the client. */
  code_issued: { clientId: string; subject: string; scopes: readonly string[] };
  /**
   * A sign-in of a known client ended without a code, before the consent page or after it; `remedy` says what the
   * operator can change. A denial on the page is `consent_denied`.
   */
  sign_in_refused: { clientId: string; reason: string; remedy?: string | undefined };
  /** Tokens were issued; `grantType` is `authorization_code` or `refresh_token`. */
  token_issued: {
    clientId: string;
    subject: string;
    grantType: string;
    scopes: readonly string[];
    resource: string;
  };
  /**
   * The token or revocation endpoint refused a request. `error` and `description` are what the client was told, `reason`
   * may say more than that; `clientId` is there once the client is known.
   */
  token_refused: { clientId?: string | undefined; error: string; description: string; reason: string };
  /** A spent refresh token came again, too late for an honest mistake; its grant ended. */
  refresh_reused: { clientId: string; subject: string };
  /**
   * A grant ended before its time: its client revoked it, a spent refresh token or a used code came again, or the
   * identity provider refused to refresh its tokens.
   */
  grant_revoked: { clientId: string; subject: string; by: 'client' | 'reuse' | 'code_replayed' | 'upstream' };
  /**
   * The identity provider failed or refused on one leg: `discovery`, `authorize` (an error in its answer to the
   * sign-in, a denial there included), `code`, `refresh` or `revoke`. What a `verifier` finds is `rejected` or
   * `unavailable`.
   */
  upstream_failed: { leg: string; message: string };
  /**
   * An endpoint of the authorization server could not answer (500 or 503): its store failed, the provider was out of
   * reach at a refresh, or a function of yours threw. `endpoint` is `authorize`, `consent`, `callback`, `token`,
   * `revoke`, `jwks` or `register`. `message` is the text of an error of this package; of any other it is name and code.
   */
  endpoint_failed: { endpoint: string; message: string };
  /** A key set was fetched; `url` is without its query. */
  keys_fetched: { url: string; keys: number };
  /** A key set or the discovery that leads to it failed; `message` says what was expected and what came. */
  keys_failed: { url: string; message: string };
}

/** The name of an event; its channel is `express-mcp-auth:<name>`. */
export type EventName = keyof EventMap;

/**
 * The message of one event, as a subscriber gets it; `request` is not enumerable, so that serialising prints no
 * header.
 */
export type EventMessage<Name extends EventName> = EventMap[Name] & { readonly request?: object };

// Held here for good: Node 20 drops the subscribers of a channel that was collected.
const channels = {
  accepted: channel('express-mcp-auth:accepted'),
  rejected: channel('express-mcp-auth:rejected'),
  unavailable: channel('express-mcp-auth:unavailable'),
  scope_refused: channel('express-mcp-auth:scope_refused'),
  client_registered: channel('express-mcp-auth:client_registered'),
  consent_given: channel('express-mcp-auth:consent_given'),
  consent_denied: channel('express-mcp-auth:consent_denied'),
  code_issued: channel('express-mcp-auth:code_issued'),
  sign_in_refused: channel('express-mcp-auth:sign_in_refused'),
  token_issued: channel('express-mcp-auth:token_issued'),
  token_refused: channel('express-mcp-auth:token_refused'),
  refresh_reused: channel('express-mcp-auth:refresh_reused'),
  grant_revoked: channel('express-mcp-auth:grant_revoked'),
  upstream_failed: channel('express-mcp-auth:upstream_failed'),
  endpoint_failed: channel('express-mcp-auth:endpoint_failed'),
  keys_fetched: channel('express-mcp-auth:keys_fetched'),
  keys_failed: channel('express-mcp-auth:keys_failed'),
} satisfies Record<EventName, unknown>;

/** Publishes an event; the message is only built when somebody listens. */
export function publish<Name extends EventName>(name: Name, request: object | undefined, build: () => EventMap[Name]) {
  const target = channels[name];
  if (!target.hasSubscribers) return;
  const message = build();
  if (request !== undefined) Object.defineProperty(message, 'request', { value: request });
  target.publish(message);
}

const MAX_EXCERPT = 200;
// Line ends, escape sequences of terminals, characters that turn the writing around: each could forge a line of a log.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/**
 * What a stranger sent, cut to a length that a log line can take and with a question mark for what does not print. Of
 * a list only as much is written as is shown, and nothing of what lies deeper: it may be as long or as deep as a token,
 * and nobody has verified it.
 */
export function excerpt(value: unknown): string {
  const text = typeof value === 'string' ? value : Array.isArray(value) ? startOf(value) : memberText(value);
  const shown = text.length > MAX_EXCERPT ? `${text.slice(0, MAX_EXCERPT)}...` : text;
  return shown.replace(UNPRINTABLE, '?');
}

function startOf(list: readonly unknown[]): string {
  let text = '[';
  for (const member of list) {
    if (text.length > MAX_EXCERPT) return text;
    text += text === '[' ? memberText(member) : `,${memberText(member)}`;
  }
  return `${text}]`;
}

function memberText(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_EXCERPT));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '[...]' : '{...}';
  return typeof value === 'function' ? 'a function' : String(value);
}
