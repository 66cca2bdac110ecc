import { type Fetch, readText } from '../../net/fetch-json.js';

const MAX_BYTES = 256 * 1_024;

/** What a token endpoint said beside what every one says. */
export interface AnswerNotes {
  /** Scopes as they were reported; `undefined` where the answer names none. */
  scope: string | undefined;
  idToken: string | undefined;
  refreshExpiresIn: number | undefined;
}

/**
 * A fetch that hands the answer of a token endpoint on as RFC 6749 section 5 would have it. Providers answer in forms
 * (GitHub), put errors into a 200, separate scopes by commas, write numbers as text, leave out the token type.
 * The ID token is kept aside: it is judged by a verifier of its own.
 */
export function tolerantFetch(fetch: Fetch | undefined, notes: AnswerNotes): Fetch {
  return async (input, init) => {
    const response = await (fetch === undefined ? globalThis.fetch(input, lean(init)) : fetch(input, init));
    const text = await readText(response, MAX_BYTES);
    const members = membersOf(text);
    if (members === undefined) return new Response(text, { status: response.status === 200 ? 502 : response.status });
    notes.scope = scopeOf(members.scope);
    notes.idToken = typeof members.id_token === 'string' ? members.id_token : undefined;
    notes.refreshExpiresIn = numberOf(members.refresh_expires_in) ?? numberOf(members.refresh_token_expires_in);
    const isError = typeof members.error === 'string';
    if (!isError && response.status === 200) return parsedResponse(ordinary(members));
    const status = isError && response.status === 200 ? 400 : response.status;
    const headers = { 'Content-Type': 'application/json' };
    return new Response(JSON.stringify(isError ? { error: members.error } : ordinary(members)), { status, headers });
  };
}

// A request that can be redirected, or belongs to a window, is copied by Node's fetch, and its body becomes a stream that
// is split in two: a third of what it costs. A redirect is refused in either form.
function lean(init: RequestInit | undefined): RequestInit {
  return { ...init, body: String(init?.body), redirect: 'error', window: null };
}

// What has been parsed need not be written and parsed again: a body of its own would cost as much as the rest of it.
function parsedResponse(json: object): Response {
  return Object.assign(new Response(null), { json: async () => json });
}

function ordinary(members: Readonly<Record<string, unknown>>): object {
  const expiresIn = numberOf(members.expires_in);
  return {
    access_token: members.access_token,
    token_type: typeof members.token_type === 'string' && members.token_type !== '' ? members.token_type : 'bearer',
    ...(typeof members.refresh_token === 'string' &&
      members.refresh_token !== '' && { refresh_token: members.refresh_token }),
    ...(expiresIn !== undefined && { expires_in: expiresIn }),
  };
}

function membersOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined;
  } catch {
    const form = Object.fromEntries(new URLSearchParams(text));
    return 'access_token' in form || 'error' in form ? form : undefined;
  }
}

// An empty scope says that nothing was granted; an absent one that everything was (RFC 6749 section 5.1).
function scopeOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.filter(scope => typeof scope === 'string').join(' ');
  return typeof value === 'string'
    ? value
        .split(/[\s,]+/)
        .filter(Boolean)
        .join(' ')
    : undefined;
}

// Zero and less stand for "does not expire" where providers write them.
function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) && number > 0 ? Math.floor(number) : undefined;
}
