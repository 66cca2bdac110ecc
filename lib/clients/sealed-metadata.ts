import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Recent } from '../core/recent.js';
import type { ClientMetadata } from '../oauth/client-metadata.js';

/** What a stateless client id carries. */
export interface SealedRegistration {
  readonly metadata: ClientMetadata;
  /** In seconds since the epoch. */
  readonly issuedAt: number;
}

const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const;
const APPLICATION_TYPES = [undefined, 'native', 'web'] as const;
const HEAD_BYTES = 5;
// Ten redirect URIs of the greatest length, and a name and a link beside them.
const MAX_TEXT_BYTES = 32 * 1_024;
// The texts are short and the memory is made anew for each: a window of 8 KiB holds the dictionary and what an id has
// room for, a small table finds as much in it, and one chunk takes what comes of it. What is sealed stays readable
// whatever these were.
const SMALL = { windowBits: 13, memLevel: 5, chunkSize: 2_048 };
const REMEMBERED_BYTES = 256 * 1_024;
const BYTES_OF_AN_ENTRY = 512;
// Longer than any application registers: what a stranger makes up pushes fewer of them out.
const MAX_REMEMBERED = 1_024;

/** Deflates with a preset dictionary. The same applications register the same texts again and again: those are kept. */
export function deflater(dictionary: Buffer): (text: string) => Buffer {
  const known = new Recent<Buffer>({ maxSize: REMEMBERED_BYTES });
  return text => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const deflated = deflateRawSync(text, { ...SMALL, dictionary, level: 9 });
    if (text.length > MAX_REMEMBERED) return deflated;
    // A copy: what zlib answers is a piece of a pool, all of which it would keep.
    const kept = Buffer.allocUnsafeSlow(deflated.length);
    deflated.copy(kept);
    known.set(text, kept, BYTES_OF_AN_ENTRY + 2 * text.length + kept.length);
    return kept;
  };
}

/**
 * The members that are used, as small as they get: the time, one byte for the two choices, and the texts, a line each
 * (none of them can hold a line break), deflated with what the known clients register as the dictionary.
 */
export function packRegistration(
  { metadata, issuedAt }: SealedRegistration,
  deflate: ReturnType<typeof deflater>,
): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(issuedAt);
  const method = AUTH_METHODS.indexOf(metadata.token_endpoint_auth_method);
  head.writeUInt8(method * APPLICATION_TYPES.length + APPLICATION_TYPES.indexOf(metadata.application_type), 4);
  const lines = [metadata.client_name ?? '', metadata.client_uri ?? '', ...metadata.redirect_uris];
  return Buffer.concat([head, deflate(lines.join('\n'))]);
}

/** @throws for what {@link packRegistration} did not write, or wrote with another dictionary */
export function unpackRegistration(packed: Buffer, dictionary: Buffer): SealedRegistration {
  const options = { dictionary, chunkSize: SMALL.chunkSize, maxOutputLength: MAX_TEXT_BYTES };
  const text = inflateRawSync(packed.subarray(HEAD_BYTES), options).toString();
  const [name = '', uri = '', ...redirectUris] = text.split('\n');
  const choices = packed.readUInt8(4);
  const method = AUTH_METHODS[Math.floor(choices / APPLICATION_TYPES.length)];
  const applicationType = APPLICATION_TYPES[choices % APPLICATION_TYPES.length];
  if (method === undefined) throw new RangeError('no such client authentication method');
  return {
    issuedAt: packed.readUInt32BE(),
    metadata: {
      redirect_uris: redirectUris,
      token_endpoint_auth_method: method,
      ...(name !== '' && { client_name: name }),
      ...(uri !== '' && { client_uri: uri }),
      ...(applicationType !== undefined && { application_type: applicationType }),
    },
  };
}
