import { displayed, shown, shownId } from './display.js';
import { type Content, html } from './html.js';
import { factList, layout, type PageServer } from './layout.js';
import { RESET_STEPS } from './reset-steps.js';

/** A request that cannot be answered by a redirect: who asks, or where the answer would go, is not registered here. */
export interface UnknownClient {
  readonly clientId: string;
  /** Given when the client is known, and this address of it is not. */
  readonly redirectUri?: string | undefined;
  /** One more sentence for people, for example that this is the client ID of the identity provider. */
  readonly note?: string | undefined;
  readonly server: PageServer;
}

export interface UnknownClientJson extends Omit<UnknownClient, 'server'> {
  readonly registrationEndpoint?: string | undefined;
}

/** Says in words how to make the client register anew: clients replay a lost registration until a person steps in. */
export function unknownClientPage({ clientId, redirectUri, note, server }: UnknownClient): string {
  const problem =
    redirectUri === undefined
      ? 'The application that opened this page uses a client ID that this server does not know, or knows no longer.'
      : 'The application that opened this page wants the answer sent to an address that it has not registered here.';
  return layout({
    title: redirectUri === undefined ? 'Unknown application' : 'Unknown address',
    server,
    main: html`<h1>${redirectUri === undefined ? 'This application is not registered here' : 'This address is not registered here'}</h1>
<p>${problem} Nothing has been changed, and nothing was sent to the application.</p>
${note !== undefined && html`<p>${shown(note, { limit: 500 })}</p>`}
<h2>What to do</h2>
<ol>
<li><p>Close this window.</p></li>
<li><p>In your application, remove this server or clear its authentication.</p></li>
<li><p>Connect again. The application then registers anew.</p></li>
</ol>
<h2>Step by step</h2>
<p class="note">NAME stands for the name that this server has in your application.</p>
<div class="steps">
${RESET_STEPS.map(
  ({ client, steps }) =>
    html`<details><summary>${client}</summary><ul>${steps.map(step => html`<li>${typed(step)}</li>`)}</ul></details>\n`,
)}</div>
${factList([
  ['Client ID', html`<code>${shownId(clientId)}</code>`],
  ['Address', redirectUri !== undefined && html`<code>${shown(redirectUri, { limit: 200 })}</code>`],
])}`,
  });
}

/** The same for programs: a JSON body, with the address where the client can register (RFC 7591) if there is one. */
export function unknownClientJson({ clientId, redirectUri, note, registrationEndpoint }: UnknownClientJson): {
  readonly error: 'invalid_client' | 'invalid_request';
  readonly error_description: string;
  readonly registration_endpoint?: string;
} {
  const problem =
    redirectUri === undefined
      ? `This client ID is not known here, or no longer: ${quotable(clientId)}.`
      : 'This redirect URI is not registered for this client.';
  const remedy = 'Clear what the MCP client has stored for this server and connect again, so that it registers anew.';
  return {
    error: redirectUri === undefined ? 'invalid_client' : 'invalid_request',
    error_description: note === undefined ? `${problem} ${remedy}` : `${problem} ${note} ${remedy}`,
    ...(registrationEndpoint !== undefined && { registration_endpoint: registrationEndpoint }),
  };
}

// RFC 6749 section 5.2 lets a description hold nothing else.
function quotable(text: string): string {
  return displayed(text, { limit: 200 }).replace(/[^\x20-\x7e]|["\\]/g, '');
}

function typed(step: string): Content {
  return step.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
