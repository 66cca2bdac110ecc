import { createServer, type ServerResponse } from 'node:http';
import { close, listen } from './identity-provider.js';

/** One introspection request as it arrived. */
export interface Question {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly params: URLSearchParams;
  /** The Basic credentials, form-decoded as RFC 6749 §2.3.1 says. */
  readonly basic?: { readonly id: string; readonly secret: string };
}

/** A real RFC 7662 endpoint on loopback: knows the tokens it was given, records what it is asked, and can misbehave. */
export interface IntrospectionServer {
  readonly url: string;
  readonly questions: Question[];
  /** Answers by token; a token that is not here is inactive. */
  readonly tokens: Map<string, unknown>;
  /** Takes an answer over; return false to fall through to the ordinary one. */
  intercept?: ((question: Question, res: ServerResponse) => boolean) | undefined;
  close(): Promise<void>;
}

export async function introspectionServer(): Promise<IntrospectionServer> {
  const questions: Question[] = [];
  const tokens = new Map<string, unknown>();
  let endpoint: IntrospectionServer;
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    const params = new URLSearchParams(body);
    const basic = basicCredentials(req.headers.authorization);
    const question: Question = {
      method: req.method ?? '',
      url: req.url ?? '',
      headers: req.headers,
      params,
      ...(basic && { basic }),
    };
    questions.push(question);
    if (endpoint.intercept?.(question, res)) return;
    const answer = tokens.get(params.get('token') ?? '') ?? { active: false };
    res.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
  const origin = await listen(server);
  endpoint = { url: `${origin}/introspect`, questions, tokens, close: () => close(server) };
  return endpoint;
}

function basicCredentials(header: string | undefined): Question['basic'] {
  const encoded = /^Basic (.+)$/.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [id = '', secret = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':', 2);
  const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
  return { id: decode(id), secret: decode(secret) };
}

/** A call of the injected `fetch` that waits for the test to answer it. */
export interface HeldCall {
  readonly token: string;
  /** Whether the caller gave up on it. */
  readonly aborted: boolean;
  answer(body: unknown, status?: number): void;
  fail(error: unknown): void;
}

/** An injected `fetch` whose every answer is held until the test gives it, so that order and concurrency are exact. */
export interface HeldFetch {
  readonly fetch: typeof fetch;
  readonly calls: HeldCall[];
  /** Calls that are waiting for an answer, oldest first. */
  readonly pending: HeldCall[];
  /** The most calls that were ever waiting at once. */
  readonly peak: number;
  /** Resolves with the nth call (from 1) when it has been made. */
  call(nth: number): Promise<HeldCall>;
}

export function heldFetch(): HeldFetch {
  const calls: HeldCall[] = [];
  const pending: HeldCall[] = [];
  const waiting = new Map<number, (call: HeldCall) => void>();
  let peak = 0;
  const held = (_input: unknown, init?: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      const signal = init?.signal;
      const leave = () => {
        const index = pending.indexOf(call);
        if (index >= 0) pending.splice(index, 1);
      };
      const call: HeldCall = {
        token: new URLSearchParams(String(init?.body)).get('token') ?? '',
        get aborted() {
          return signal?.aborted ?? false;
        },
        answer(body, status = 200) {
          leave();
          resolve(new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers: jsonType }));
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      signal?.addEventListener('abort', () => call.fail(signal.reason), { once: true });
      calls.push(call);
      pending.push(call);
      peak = Math.max(peak, pending.length);
      waiting.get(calls.length)?.(call);
    });
  return {
    fetch: held as typeof fetch,
    calls,
    pending,
    get peak() {
      return peak;
    },
    call: nth =>
      calls[nth - 1] === undefined
        ? new Promise(resolve => waiting.set(nth, resolve))
        : Promise.resolve(calls[nth - 1] as HeldCall),
  };
}

const jsonType = { 'content-type': 'application/json' };

/** Lets everything that is ready run, so that "nothing more happens" can be asserted. */
export async function drain(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>(resolve => setImmediate(resolve));
}
