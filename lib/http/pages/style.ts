import { html } from './html.js';

/**
 * The style of every page, inline so that a page needs nothing else. The Content-Security-Policy allows it by the hash
 * of exactly this text.
 */
export const STYLE = html`
:root {
  color-scheme: light dark;
  --page: #f3f5f9; --card: #ffffff; --text: #18202c; --muted: #566072; --line: #dde2ea; --edge: #7a8496;
  --accent: #2a56c6; --accent-strong: #1f449f; --on-accent: #ffffff; --tint: #eef3fe; --tint-line: #c3d3f7;
  --warn: #fff6df; --warn-line: #d9a528; --on-warn: #553a00; --shadow: 0 1px 2px #18202c14, 0 12px 32px #18202c14;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1218; --card: #171c25; --text: #e8ebf1; --muted: #a5afbf; --line: #2b3341; --edge: #7d889b;
    --accent: #94b3ff; --accent-strong: #b3c9ff; --on-accent: #0c1630; --tint: #1b2540; --tint-line: #36487a;
    --warn: #2c2310; --warn-line: #a67f24; --on-warn: #f7dc94; --shadow: 0 1px 2px #00000066, 0 12px 32px #0000004d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; padding: 2.5rem 1rem; display: flex; flex-direction: column; align-items: center;
  background: var(--page); color: var(--text); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100%;
}
header, main { width: 100%; max-width: 33rem; }
header { display: flex; align-items: center; gap: .75rem; padding: 0 .25rem 1.25rem; }
header svg { flex: none; width: 2.25rem; height: 2.25rem; color: var(--accent); }
header p { margin: 0; line-height: 1.3; }
header .name { font-weight: 650; }
header .url { color: var(--muted); font-size: .875rem; }
main { background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 2rem; box-shadow: var(--shadow); }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em; font-weight: 700; text-wrap: pretty; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem; font-weight: 650; }
p { margin: 0 0 .75rem; }
.note { color: var(--muted); font-size: .875rem; }
.badge {
  display: inline-block; padding: 0 .5rem; border: 1px solid var(--warn-line); border-radius: 1rem;
  background: var(--warn); color: var(--on-warn); font-size: .8125rem; line-height: 1.45; font-weight: 600; white-space: nowrap;
}
.box { margin: 1.25rem 0; padding: 1rem 1.125rem; border: 1px solid var(--tint-line); border-radius: .75rem; background: var(--tint); }
.box p:last-child, .alert p:last-child { margin-bottom: 0; }
.box .label { margin: 0; font-size: .875rem; color: var(--muted); }
.host, code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.host { margin: .125rem 0 .375rem; font-size: 1.375rem; line-height: 1.3; font-weight: 700; }
.alert {
  display: flex; gap: .75rem; margin: 1.25rem 0; padding: .875rem 1.125rem; border: 1px solid var(--warn-line);
  border-radius: .75rem; background: var(--warn); color: var(--on-warn);
}
.alert svg { flex: none; width: 1.25rem; height: 1.25rem; margin-top: .15rem; }
.alert p { margin-bottom: .5rem; }
ul.scopes { margin: 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: .5rem; }
ul.scopes li { padding: .1875rem .625rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--page); }
ol, .steps ul { margin: 0 0 .75rem; padding-left: 1.25rem; }
li > p { margin: 0; }
code { font-size: .9em; }
dl { margin: 1.5rem 0 0; padding-top: 1.25rem; border-top: 1px solid var(--line); font-size: .875rem; display: grid; gap: .375rem 1rem; grid-template-columns: minmax(6rem, max-content) 1fr; }
dt { color: var(--muted); }
dd { margin: 0; min-width: 0; }
.steps { border: 1px solid var(--line); border-radius: .75rem; }
details + details { border-top: 1px solid var(--line); }
summary { padding: .625rem 1rem; border-radius: .75rem; cursor: pointer; font-weight: 600; }
.steps ul { padding: 0 1.25rem .25rem 2.25rem; font-size: .9375rem; }
form { margin: 1.75rem 0 0; display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
button, .button {
  display: block; width: 100%; min-height: 2.875rem; padding: .625rem 1rem; border: 1px solid var(--edge);
  border-radius: .625rem; background: transparent; color: var(--text); font: inherit; font-weight: 650;
  text-align: center; text-decoration: none; cursor: pointer;
}
button:hover, .button:hover { background: var(--page); }
button.main { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
button.main:hover { border-color: var(--accent-strong); background: var(--accent-strong); }
a.link { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
summary:focus-visible { outline-offset: -3px; }
@media (max-width: 30rem) {
  body { padding: 1rem .75rem; }
  main { padding: 1.375rem 1.125rem; }
  h1 { font-size: 1.3125rem; }
  .host { font-size: 1.125rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media print { body { min-height: 0; padding: 0; } main { border: 0; box-shadow: none; } form { display: none; } }
`;
