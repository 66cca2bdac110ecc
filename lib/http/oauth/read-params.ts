import type { IncomingMessage } from 'node:http';
import { OAuthFailure } from '../../authorization/oauth-failure.js';
import { Params } from '../../authorization/params.js';
import type { FrameworkRequest } from '../handler.js';

export const MAX_BODY_BYTES = 32_768;

/** A body that is larger than anything that is meant well. */
export class BodyTooLarge extends OAuthFailure {
  constructor() {
    super('invalid_request', `The body is larger than ${MAX_BODY_BYTES} bytes.`);
  }
}

/** The query as it stands in the URL: a framework's parser would make lists and objects of it. */
export function readQuery(req: IncomingMessage): Params {
  const url = (req as FrameworkRequest).originalUrl ?? req.url ?? '';
  const start = url.indexOf('?');
  return new Params(new URLSearchParams(start === -1 ? '' : url.slice(start + 1)));
}

/** A form body, whether or not the app has parsed it before. @throws OAuthFailure `invalid_request` */
export async function readForm(req: IncomingMessage): Promise<Params> {
  const body = await readBody(req);
  if (typeof body !== 'string') return new Params(fieldsOf(body));
  if (body !== '' && mediaTypeOf(req) !== 'application/x-www-form-urlencoded')
    throw new OAuthFailure('invalid_request', 'Send the parameters as application/x-www-form-urlencoded.');
  return new Params(new URLSearchParams(body));
}

/** A JSON body. @throws OAuthFailure `invalid_request` */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  const body = await readBody(req);
  if (typeof body !== 'string') return body;
  if (mediaTypeOf(req) !== 'application/json')
    throw new OAuthFailure('invalid_request', 'Send the metadata as application/json.');
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw new OAuthFailure('invalid_request', 'The body is not JSON.');
  }
}

// A parser of the app has read the stream, or nobody has. What it left on req.body then may be anything.
async function readBody(req: IncomingMessage): Promise<string | Record<string, unknown>> {
  const { body, _body: isParsed } = req as { body?: unknown; _body?: boolean };
  if (isParsed === true || req.readableDidRead) {
    if (typeof body === 'string') return body;
    if (Buffer.isBuffer(body)) return body.toString();
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  }
  return readStream(req);
}

function readStream(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = (error: Error) => {
      req.removeAllListeners('data');
      req.resume();
      reject(error);
    };
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) stop(new BodyTooLarge());
      else chunks.push(chunk);
    });
    req.once('end', () => resolve(Buffer.concat(chunks).toString()));
    req.once('error', stop);
    req.once('close', () => {
      if (!req.readableEnded) reject(new OAuthFailure('invalid_request', 'The body ended too early.'));
    });
  });
}

function fieldsOf(body: Record<string, unknown>): [string, string][] {
  return Object.entries(body).map(([name, value]) => {
    // A list or an object is what parsers make of a repeated or nested parameter.
    if (typeof value !== 'string')
      throw new OAuthFailure('invalid_request', 'Every parameter must come once, as text.');
    return [name, value];
  });
}

function mediaTypeOf(req: IncomingMessage): string | undefined {
  return req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
}
