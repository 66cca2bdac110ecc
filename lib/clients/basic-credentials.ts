/**
 * Both halves of HTTP Basic credentials, each as sent and as decoded: RFC 6749 section 2.3.1 has clients form-encode
 * them first, and many do not. The decoded reading comes first; where both are the same there is one.
 */
export interface BasicCredentials {
  readonly ids: readonly string[];
  readonly secrets: readonly string[];
}

const BASIC = /^basic(?:\s+(.*))?$/is;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** `undefined` where the header is about something else, `null` for Basic credentials that cannot be read. Never throws. */
export function readBasicCredentials(header: string | undefined): BasicCredentials | null | undefined {
  if (header === undefined) return undefined;
  const match = BASIC.exec(header);
  if (match === null) return undefined;
  const encoded = match[1] ?? '';
  if (!BASE64.test(encoded)) return null;
  const text = utf8(Buffer.from(encoded, 'base64'));
  const colon = text?.indexOf(':') ?? -1;
  if (text === null || colon <= 0) return null;
  return { ids: readings(text.slice(0, colon)), secrets: readings(text.slice(colon + 1)) };
}

function readings(raw: string): readonly string[] {
  try {
    return [...new Set([decodeURIComponent(raw.replaceAll('+', ' ')), raw])];
  } catch {
    return [raw];
  }
}

function utf8(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
