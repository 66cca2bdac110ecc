// Takes the pictures in docs/screenshots from the real pages, with their real headers, in a real browser:
//   node --import tsx __tests__/browser/screenshots.mjs
// Debian's Chromium is expected at /usr/bin/chromium. The run fails if the browser reports anything, such as a style
// that the Content-Security-Policy does not let in.
import { statSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { consentPage } from '../../lib/http/pages/consent.ts';
import { messagePage, redirectNoticePage } from '../../lib/http/pages/message.ts';
import { unknownClientPage } from '../../lib/http/pages/unknown-client.ts';
import { sendPage } from '../../lib/http/send-page.ts';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/screenshots', import.meta.url));
const more = process.argv[3] === 'all';
const server = { name: 'Notes', url: 'https://notes.example.com' };
const consent = {
  client: {
    id: 'https://assistant.example.net/oauth/client.json',
    name: 'Assistant',
    uri: 'https://assistant.example.net',
  },
  redirectHost: 'assistant.example.net',
  scopes: ['notes:read', 'notes:write'],
  server,
  resource: 'https://notes.example.com/mcp',
  warnings: [],
  action: '/consent',
  fields: { request: 'sealed', csrf: 'token' },
};
const loopback = {
  ...consent,
  client: { id: 'eyJhbGciOiJkaXIi'.repeat(20), name: 'Terminal Assistant' },
  redirectHost: 'localhost:33418',
  warnings: [
    'This client runs on your own computer. Any program on it could be the one that asks: allow only what you have just started yourself.',
  ],
};

const pages = {
  consent: [200, consentPage(loopback)],
  error: [
    403,
    messagePage({
      title: 'Sign-in stopped',
      heading: 'This sign-in was started in another browser',
      paragraphs: [
        'Finish it in the browser in which you allowed access, with cookies turned on.',
        'Go back to your application and connect again.',
      ],
      server,
    }),
  ],
  ...(more && {
    hosted: [200, consentPage(consent)],
    nothing: [
      200,
      consentPage({ ...consent, client: { id: 'abc' }, scopes: [], server: { ...server, name: server.url } }),
    ],
    notice: [
      400,
      redirectNoticePage({
        message: 'The application asked for a scope that this server does not have.',
        error: 'invalid_scope',
        clientName: 'Assistant',
        host: 'assistant.example.net',
        href: 'https://assistant.example.net/cb?error=invalid_scope',
        server,
      }),
    ],
    unknown: [400, unknownClientPage({ clientId: 'f3b1c2d4-7c1e-4a57-9a5e-0d2c5f6b7a89', server })],
  }),
};

const site = createServer((req, res) => {
  const [status, html] = pages[req.url.slice(1)] ?? [404, ''];
  void sendPage(req, res, status, html);
});
await new Promise(resolve => site.listen(0, '127.0.0.1', resolve));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const complaints = [];
const sizes = more ? { '': [720, 540], '-phone': [360, 640] } : { '': [720, 540] };
for (const colorScheme of ['light', 'dark']) {
  for (const [suffix, [width, height]] of Object.entries(sizes)) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height }, deviceScaleFactor: 1.5 });
    for (const name of Object.keys(pages)) {
      const page = await context.newPage();
      page.on('pageerror', error => complaints.push(`${name}: ${error}`));
      // A page with status 403 is reported as a failed resource: that much is meant.
      page.on(
        'console',
        message => message.text().includes('responded with a status') || complaints.push(`${name}: ${message.text()}`),
      );
      await page.goto(`http://127.0.0.1:${site.address().port}/${name}`);
      const file = `${folder}/${name}-${colorScheme}${suffix}.png`;
      await page.screenshot({ path: file, fullPage: true });
      console.log(file, statSync(file).size);
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
site.close();
if (complaints.length > 0) throw new Error(complaints.join('\n'));
