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
  /** A request was refused with 401 or 400; one message for each source that had something to say. */
  rejected: {
    source?: string | undefined;
    reason: Reason;
    detail?: string | undefined;
    expected?: string | undefined;
    received?: string | undefined;
  };
  /** A source could not tell. Published at once, also when another source then accepts the token. */
  unavailable: { source: string; message: string; retryAfterSeconds: number };
  /** A token was good and lacked a scope: 403. `rule` says who asked for the scopes. */
  scope_refused: {
    source: string;
    clientId: string;
    required: readonly string[];
    granted: readonly string[];
    rule: 'composition' | 'source' | 'server' | 'protect';
  };
  /** A key set was fetched. */
  keys_fetched: { url: string; keys: number };
  /** A key set or the discovery that leads to it failed; `message` says what was expected and what came. */
  keys_failed: { url: string; message: string };
}

export type EventName = keyof EventMap;
export type EventMessage<Name extends EventName> = EventMap[Name] & { readonly request?: object };

// Held here for good: Node 20 drops the subscribers of a channel that was collected.
const channels = {
  accepted: channel('express-mcp-auth:accepted'),
  rejected: channel('express-mcp-auth:rejected'),
  unavailable: channel('express-mcp-auth:unavailable'),
  scope_refused: channel('express-mcp-auth:scope_refused'),
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

/** Text from a stranger, cut to a length that a log line can take. */
export function excerpt(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
