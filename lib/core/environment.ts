/** `NODE_ENV` as it is now: the only environment variable that the verifiers look at. */
export function nodeEnv(): string | undefined {
  return process.env.NODE_ENV;
}
