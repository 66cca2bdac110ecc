import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** The events of an authorization server, beside those of its guard. */
export const SERVER_EVENTS = [
  'client_registered',
  'consent_given',
  'consent_denied',
  'code_issued',
  'sign_in_refused',
  'token_issued',
  'token_refused',
  'refresh_reused',
  'grant_revoked',
  'upstream_failed',
  'endpoint_failed',
] as const;
export type ServerEvent = (typeof SERVER_EVENTS)[number];
export type Message = Record<string, unknown> & { request?: unknown };

/** Listens until stopped; messages in the order they came. */
export function recordServerEvents() {
  const messages: { event: ServerEvent; message: Message }[] = [];
  const stops = SERVER_EVENTS.map(event => {
    const name = `express-mcp-auth:${event}`;
    const listener = (message: unknown) => void messages.push({ event, message: message as Message });
    subscribe(name, listener);
    return () => unsubscribe(name, listener);
  });
  return {
    messages,
    names: () => messages.map(each => each.event),
    of: (event: ServerEvent) => messages.filter(each => each.event === event).map(each => ({ ...each.message })),
    clear: () => void messages.splice(0),
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}
