/** Whether a value is a promise of any class: `globalThis.Promise` may have been replaced by instrumentation. */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function';
}

/** What a predicate of the operator said: only `true` is a yes. */
export function isTrue(answer: unknown): boolean {
  if (answer === true) return true;
  disregard(answer);
  return false;
}

/** Lets go of a promise that an operator's function returned by mistake: its rejection must not end the process. */
export function disregard(value: unknown): void {
  if (isPromise(value)) Promise.resolve(value).catch(() => {});
}
