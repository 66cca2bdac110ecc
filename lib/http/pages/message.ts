import { outwardLink, shown, shownHost } from './display.js';
import { type Content, html } from './html.js';
import { factList, layout, type PageServer } from './layout.js';

/** A way on from a page, with the host that it leads to: the person decides, nothing goes there by itself. */
export interface PageLink {
  readonly href: string;
  readonly text: string;
  readonly host: string;
}

/** A page that says what happened and what to do next. Every text is unescaped. */
export interface Message {
  readonly title: string;
  readonly heading: string;
  readonly paragraphs: readonly string[];
  /** Facts for whoever looks closer, by their name. */
  readonly details?: Readonly<Record<string, string>> | undefined;
  readonly link?: PageLink | undefined;
  readonly server: PageServer;
}

export function messagePage({ title, heading, paragraphs, details = {}, link, server }: Message): string {
  return layout({
    title,
    server,
    main: html`<h1>${shown(heading, { limit: 160 })}</h1>
${paragraphs.map(paragraph => html`<p>${shown(paragraph, { limit: 800 })}</p>\n`)}${link && linkBox(link)}
${factList(Object.entries(details).map(([term, value]) => [term, shown(value, { limit: 300 })]))}`,
  });
}

function linkBox({ href, text, host }: PageLink): Content {
  return html`<section class="box" aria-labelledby="destination">
<h2 class="label" id="destination">The link below leads to</h2>
<p class="host">${shownHost(host)}</p>
<p class="note">Follow it only if you know this address and have just asked to connect from there.</p>
</section>
<p>${outwardLink(href, shown(text, { limit: 120 }), 'button')}</p>`;
}

/** An authorization error (RFC 6749 section 4.1.2.1) on its way to a client that nobody has approved. */
export interface RedirectNotice {
  /** What is wrong, in a sentence for people. */
  readonly message: string;
  /** The redirect URI with the error in it. */
  readonly href: string;
  /** The host of the redirect URI, or its scheme. */
  readonly host: string;
  /** The error code. */
  readonly error?: string | undefined;
  readonly clientName?: string | undefined;
  readonly server: PageServer;
}

/**
 * Shown instead of a redirect to an address that any stranger could have registered, so that this server sends no
 * browser anywhere without being asked.
 */
export function redirectNoticePage({ message, href, host, error, clientName, server }: RedirectNotice): string {
  return messagePage({
    title: 'Request refused',
    heading: 'This request cannot go on',
    paragraphs: [
      message,
      'Usually the application is told so directly. Nobody has allowed it anything here yet, so your browser was not sent there.',
    ],
    link: { href, text: 'Return to the application', host },
    details: {
      ...(error !== undefined && { Error: error }),
      ...(clientName !== undefined && { 'Unverified name': clientName }),
    },
    server,
  });
}
