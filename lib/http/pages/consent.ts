import type { ConsentView } from '../../authorization/authorization-server.js';

import { displayed, outwardLink, shown, shownHost, shownId, webAddress } from './display.js';
import { type Content, html } from './html.js';
import { alertBox, factList, layout } from './layout.js';

/** The page on which a person lets a client in or turns it away. */
export function consentPage(view: ConsentView): string {
  const { client, server } = view;
  const name = displayed(client.name ?? '', { limit: 80 });
  const who = name === '' ? html`an application without a name` : html`&ldquo;<bdi>${name}</bdi>&rdquo;`;
  const serverName = shown(server.name, { limit: 80 });
  const hidden = Object.entries(view.fields).map(
    ([field, value]) => html`<input type="hidden" name="${field}" value="${value}">\n`,
  );

  return layout({
    title: 'Allow access?',
    server,
    main: html`<h1>Allow ${who} to use ${serverName}?</h1>
<p>${
      name === ''
        ? 'The application that asks has given no name.'
        : html`<span class="badge">Unverified name</span> The application chose this name itself, and nobody has checked it.`
    }</p>
<section class="box" aria-labelledby="destination">
<h2 class="label" id="destination">After you decide and sign in, your browser is sent to</h2>
<p class="host">${shownHost(view.redirectHost)}</p>
<p class="note">Allow this only if you know this address and have just asked to connect from there.</p>
</section>
${alertBox(view.warnings)}
<section aria-labelledby="scopes">
<h2 id="scopes">What it asks for</h2>
${scopeList(view.scopes)}
</section>
<form method="post" action="${view.action}" autocomplete="off">
${hidden}<button type="submit" name="decision" value="deny">Deny</button>
<button type="submit" name="decision" value="approve" class="main">Allow</button>
</form>
${factList([
  ['Website', client.uri === undefined ? undefined : website(client.uri)],
  ['Client ID', html`<code>${shownId(client.id)}</code>`],
  ['Access to', shown(view.resource, { limit: 300 })],
])}`,
  });
}

function scopeList(scopes: readonly string[]): Content {
  if (scopes.length === 0) return html`<p>Access to this server, with no particular permissions.</p>`;
  return html`<ul class="scopes">${scopes.map(scope => html`<li><code>${shown(scope, { limit: 200 })}</code></li>`)}</ul>`;
}

// The text of the link is its address: it cannot say one thing and lead to another.
function website(uri: string): Content {
  const address = webAddress(uri);
  return address !== undefined && outwardLink(address, shown(address, { limit: 200 }));
}
