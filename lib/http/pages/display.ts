import { type Content, html, type Markup } from './html.js';

const SPACES = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000]+/gu;
// Controls, bidi overrides, zero-width and other invisible characters could turn a name round, hide a part of it or
// make two names look alike; private and unassigned ones mean nothing to a reader.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}]/gu;
// A pile of combining marks grows over the lines above and below it.
const PILED_MARKS = /(\p{M}{3})\p{M}+/gu;
// What most names and all addresses are: nothing in it has to be cleaned.
const PLAIN = /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/;
const ELLIPSIS = '\u2026';
const RUNNABLE = /^(about|blob|data|file|filesystem|javascript|vbscript|view-source):$/;

export interface Display {
  /** Longest text shown, in characters. */
  readonly limit: number;
  /** Which end of a longer text is shown. */
  readonly keep?: 'start' | 'end';
}

/** A stranger's text as it may be shown: one line of visible characters, cut to a length. Not escaped yet. */
export function displayed(text: string, { limit, keep = 'start' }: Display): string {
  if (text.length <= limit && PLAIN.test(text)) return text;
  const end = keep === 'end';
  // Cut before the expressions too: nobody has them work through megabytes.
  const part = end ? text.slice(-8 * limit) : text.slice(0, 8 * limit);
  const clean = part.replace(SPACES, ' ').replace(UNSEEN, '').replace(PILED_MARKS, '$1').replace(SPACES, ' ').trim();
  const characters = Array.from(clean);
  if (part === text && characters.length <= limit) return clean;
  return end ? ELLIPSIS + characters.slice(-limit).join('') : characters.slice(0, limit).join('') + ELLIPSIS;
}

/** The same as HTML. Letters written from right to left stay inside it, instead of reordering what is around them. */
export function shown(text: string, display: Display): Markup {
  return html`<bdi>${displayed(text, display)}</bdi>`;
}

/** A host at its full length; of an impossible one the end, for anybody owns `claude.ai.example.com`. */
export function shownHost(host: string): Markup {
  return shown(host, { limit: 280, keep: 'end' });
}

/** A client ID: the beginning of an opaque one tells it apart, a URL is read as a whole. */
export function shownId(id: string): Markup {
  return shown(id, { limit: webAddress(id) === undefined ? 40 : 200 });
}

/** A web address in its normal form, or `undefined` for any other and for one whose user name poses as a host. */
export function webAddress(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) return undefined;
  return parsed.username === '' && parsed.password === '' ? parsed.href : undefined;
}

/** A link that hands neither our address nor our window on; only its text where the address could run code here. */
export function outwardLink(href: string, text: Content, look = 'link'): Markup {
  const unsafe = !/^[\x21-\x7e]+$/.test(href) || !URL.canParse(href) || RUNNABLE.test(new URL(href).protocol);
  return unsafe ? html`${text}` : html`<a class="${look}" href="${href}" rel="noreferrer noopener">${text}</a>`;
}
