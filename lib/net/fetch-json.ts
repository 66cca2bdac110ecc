import { errorText } from '../core/error-text.js';

export type Fetch = typeof globalThis.fetch;

export interface JsonRequest {
  readonly fetch: Fetch | undefined;
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export interface JsonResponse {
  readonly status: number;
  /** The parsed body of a 200; `undefined` for any other status. */
  readonly json: unknown;
}

/**
 * The one door out: no redirects (they would carry credentials to another place, or the request to an inner one),
 * bounded in bytes as they are after decompression, and in time by the signal, also for a `fetch` that ignores it.
 *
 * @throws Error with a message for operators: a network failure, an oversize or unreadable body
 */
export async function fetchJson(request: JsonRequest): Promise<JsonResponse> {
  const { url, method = 'GET', headers, body, signal, maxBytes } = request;
  const fetch = request.fetch ?? globalThis.fetch;
  const init: RequestInit = { method, redirect: 'manual', signal, headers: { Accept: 'application/json', ...headers } };
  if (body !== undefined) init.body = body;
  const response = await orAborted(fetch(url, init), signal);
  if (response.status !== 200) {
    void response.body?.cancel().catch(() => {});
    return { status: response.status, json: undefined };
  }
  const text = await orAborted(readText(response, maxBytes), signal);
  try {
    return { status: 200, json: JSON.parse(text) as unknown };
  } catch {
    throw new AnswerError('the body is not JSON');
  }
}

/** @throws AnswerError for a body that is larger, as it is after decompression */
export async function readText(response: Response, maxBytes: number): Promise<string> {
  if (response.body === null) return '';
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.byteLength;
    if (size > maxBytes) {
      void reader.cancel().catch(() => {});
      throw new AnswerError(`the body is larger than ${maxBytes} bytes`);
    }
    chunks.push(part.value);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** A signal that aborts after a time, with a timer that keeps no process alive; `done` lets go of the timer. */
export function deadline(timeoutMs: number): {
  readonly signal: AbortSignal;
  readonly abort: () => void;
  readonly done: () => void;
} {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError')),
    timeoutMs,
  );
  timer.unref();
  return {
    signal: controller.signal,
    abort: () => controller.abort(new DOMException('closed', 'AbortError')),
    done: () => clearTimeout(timer),
  };
}

/** An answer that is not what was asked for, in words of ours. */
export class AnswerError extends Error {}

/** A failure in words for operators, without the words of others. */
export function failureText(error: unknown): string {
  return error instanceof AnswerError ? error.message : errorText(error);
}
