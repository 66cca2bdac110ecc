/**
 * The `Authorization` header of `client_secret_basic`. RFC 6749 section 2.3.1 form-encodes both halves. Only what that
 * demands is escaped: providers that take the halves as they come still know an id with a hyphen, as most have.
 */
export function basicAuthorization(clientId: string, clientSecret: string): string {
  return `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(clientSecret)}`).toString('base64')}`;
}

// The tilde need not be escaped (RFC 3986 section 2.3); URLSearchParams does, and secrets of Entra have one.
function formEncode(value: string): string {
  return new URLSearchParams({ '': value }).toString().slice(1).replaceAll('%7E', '~');
}
