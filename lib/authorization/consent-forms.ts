import { type DeriveKeys, randomToken } from '../crypto/key-ring.js';
import type { AuthorizationRequest } from './transactions.js';

/**
 * What a consent page carries: the request itself, sealed, so that nothing is stored for a page that nobody answers;
 * and a token that only a form of ours in the same browser can bring.
 */
export interface ConsentForms {
  seal(request: AuthorizationRequest): string;
  /** `null` for a form that is not ours or has expired. */
  open(sealed: string): AuthorizationRequest | null;
  /** A token for one rendering; `browser` is the value of the CSRF cookie. */
  csrfToken(browser: string, sealed: string): string;
  isCsrfToken(token: string, browser: string, sealed: string): boolean;
  /** The value by which the browser that approved is known again when it returns from the sign-in. */
  bindingOf(requestId: string): string;
  isBinding(value: string, requestId: string): boolean;
}

export function consentForms(derive: DeriveKeys, now: () => number): ConsentForms {
  const forms = derive('consent form');
  const csrf = derive('csrf');
  const binding = derive('browser binding');
  const csrfText = (nonce: string, browser: string, sealed: string) => `${nonce} ${browser} ${sealed}`;
  const isSigned = (ring: typeof csrf, text: string, signature: string) =>
    ring.verify(text, Buffer.from(signature, 'base64url'));
  return {
    seal: request => forms.seal(JSON.stringify(request), 'request').toString('base64url'),
    open(sealed) {
      const plain = forms.open(Buffer.from(sealed, 'base64url'), 'request');
      if (plain === null) return null;
      const request = JSON.parse(plain.toString()) as AuthorizationRequest;
      return request.expiresAt > now() / 1_000 ? request : null;
    },
    csrfToken(browser, sealed) {
      const nonce = randomToken(12);
      return `${nonce}.${csrf.sign(csrfText(nonce, browser, sealed)).toString('base64url')}`;
    },
    isCsrfToken(token, browser, sealed) {
      const [nonce = '', signature = ''] = token.split('.', 2);
      return browser !== '' && isSigned(csrf, csrfText(nonce, browser, sealed), signature);
    },
    bindingOf: requestId => binding.sign(requestId).toString('base64url'),
    isBinding: (value, requestId) => isSigned(binding, requestId, value),
  };
}
