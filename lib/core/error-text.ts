import { ConfigError, OAuthError, UnavailableError } from './errors.js';

// Names and codes as libraries write them; anything else in their place might be text too.
const NAME = /^[A-Z][A-Za-z0-9]{0,39}$/;
const CODE = /^([A-Z][A-Z0-9_]{0,39}|[a-z_]{1,40})$/;

/**
 * An error in words for operators: its name and code. Only errors of this package show their message. Those of others
 * may quote a token or a secret, and in any coding: in a URL, in base64, cut short.
 */
export function errorText(error: unknown): string {
  try {
    if (!(error instanceof Error)) return 'something that is no Error was thrown';
    const { name } = error;
    if (error instanceof ConfigError || error instanceof OAuthError || error instanceof UnavailableError)
      return `${name}: ${error.message}`;
    const code = codeOf(error) ?? codeOf(error.cause);
    const shown = typeof name === 'string' && NAME.test(name) ? name : 'Error';
    return code === undefined ? shown : `${shown}, ${code}`;
  } catch {
    return 'an Error that cannot be read was thrown';
  }
}

// A failed fetch keeps the code of the socket in its cause.
function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && CODE.test(code) ? code : undefined;
}
