import { UnavailableError } from '../core/errors.js';

/** How long an operation of a store may take, in milliseconds, unless the operator says otherwise. */
export const PATIENCE_MS = 5_000;

/**
 * The answer of a store that is not in this process. Its failure is an outage, and so is its silence: clients queue
 * what they cannot send, and a request must not wait for as long as that takes.
 *
 * @throws UnavailableError for both
 */
export async function answerOf<T>(store: string, operation: () => Promise<T>, timeoutMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new UnavailableError(`${store} gave no answer within ${timeoutMs} ms`)),
      timeoutMs,
    ).unref();
  });
  try {
    return await Promise.race([operation(), silence]);
  } catch (error) {
    throw outageOf(store, error);
  } finally {
    clearTimeout(timer);
  }
}

/** What a store threw, as an outage. */
export function outageOf(store: string, error: unknown): UnavailableError {
  return error instanceof UnavailableError ? error : new UnavailableError(`${store} failed`, { cause: error });
}
