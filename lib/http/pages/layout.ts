import { displayed, shown } from './display.js';
import { type Content, html, type Markup } from './html.js';
import { STYLE } from './style.js';

/** This server as a page names it. */
export interface PageServer {
  readonly name: string;
  readonly url: string;
}

export interface Layout {
  /** Title of the window; the name of the server follows it. */
  readonly title: string;
  readonly server: PageServer;
  /** Everything in the main part, its heading included. */
  readonly main: Content;
}

// The browser is given an icon, so that it asks the app for none.
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Crect width='24' height='24' rx='6' fill='%232a56c6'/%3E%3Cpath d='M8 11V8.5a4 4 0 0 1 8 0V11m-9 0h10v7H7z' fill='none' stroke='%23fff' stroke-width='2' stroke-linejoin='round'/%3E%3C/svg%3E";
const LOCK = html`<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false"><rect width="24" height="24" rx="6" fill="currentColor" opacity=".14"/><path d="M8.5 11V8.75a3.5 3.5 0 0 1 7 0V11M7 11h10v6.5H7z" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round" stroke-linecap="round"/></svg>`;
const TRIANGLE = html`<svg viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d="M10 2.5 18.5 17h-17zM10 8v4m0 2.2v.3" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round" stroke-linecap="round"/></svg>`;

/** A whole page: no script, nothing from elsewhere, readable without its style. */
export function layout({ title, server, main }: Layout): string {
  const name = displayed(server.name, { limit: 80 });
  const url = displayed(server.url, { limit: 200 });
  return String(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${displayed(title, { limit: 80 })} - ${name}</title>
<link rel="icon" href="${ICON}">
<style>${STYLE}</style>
</head>
<body>
<header>${LOCK}<div><p class="name"><bdi>${name}</bdi></p>${name !== url && html`<p class="url"><bdi>${url}</bdi></p>`}</div></header>
<main>
${main}
</main>
</body>
</html>
`);
}

/** Sentences that nobody should overlook; nothing where there are none. */
export function alertBox(sentences: readonly string[]): Content {
  if (sentences.length === 0) return undefined;
  const paragraphs = sentences.map(sentence => html`<p>${shown(sentence, { limit: 500 })}</p>`);
  return html`<div class="alert" role="alert">${TRIANGLE}<div>${paragraphs}</div></div>`;
}

/** Facts for whoever looks closer. Entries without a value are left out. */
export function factList(facts: readonly (readonly [term: string, value: Content])[]): Content {
  const rows = facts
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([term, value]) => row(term, value));
  return rows.length > 0 && html`<dl>${rows}</dl>`;
}

function row(term: string, value: Content): Markup {
  return html`<dt>${displayed(term, { limit: 60 })}</dt><dd>${value}</dd>`;
}
