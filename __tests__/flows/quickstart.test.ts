import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Browser, formOf } from '../support/oauth-client.js';
import { cleanUp, freePort, newFolder, quickstart, type Running } from '../support/processes.js';

afterAll(cleanUp);

const shell = (command: string) =>
  new Promise<string>((resolve, reject) => {
    execFile('bash', ['-euc', command], (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });

/** The commands that the quickstart prints, by the comment above each. */
function commands(output: string): Map<string, string> {
  const blocks = output.matchAll(/^# (.+)\n(curl (?:.*\\\n)*.*)$/gm);
  return new Map([...blocks].map(([, title, command]) => [title as string, command as string]));
}

const steps = (output: string) =>
  [...output.matchAll(/^ {2}(GET|POST) (\S+) +(\d+) {2}(.*)$/gm)].map(step => step.slice(1));

describe('npm start', () => {
  const folder = newFolder();
  let port: string;
  let run: Running;
  let output: string;
  beforeAll(async () => {
    port = String(await freePort());
    run = quickstart({ PORT: port, QUICKSTART_FOLDER: folder });
    output = await run.until('Serving until Ctrl-C.');
  }, 30_000);

  test('walks a client through discovery, registration, consent, sign-in, tokens, a call and a refresh, and says what each is for', () => {
    const walked = steps(output);
    expect(walked.map(([method, path, status]) => `${method} ${path} ${status}`)).toEqual([
      'POST /mcp 401',
      'GET /.well-known/oauth-protected-resource/mcp 200',
      'GET /.well-known/oauth-authorization-server 200',
      'POST /register 201',
      'GET /authorize 200',
      'POST /consent 303',
      'GET /idp/authorize 200',
      'POST /idp/authorize 303',
      'GET /auth/callback 303',
      'POST /token 200',
      'POST /mcp 200',
      'POST /mcp 202',
      'GET /mcp 405',
      'POST /mcp 200',
      'POST /token 200',
    ]);
    expect(walked.filter(([, , , story]) => story === '')).toEqual([]);
  });

  test('shows three identities, each with the source that recognised it', () => {
    expect(output).toMatch(/a person.* source people, client \S+, subject user-1\n/);
    expect(output).toMatch(/a service.* source services, client nightly-report, subject nightly-report\n/);
    expect(output).toMatch(/CI.* source keys, client ci\n/);
  });

  test.each([
    ['no token', 401, []],
    ['an expired token', 401, ['error="invalid_token"']],
    ['a foreign audience', 401, ['error="invalid_token"']],
    ['a missing scope', 403, ['error="insufficient_scope"']],
  ])('shows that %s gets %d and how to go on', (what, status, errors) => {
    const block = new RegExp(`^  ${what} +${status}  WWW-Authenticate: Bearer\\n((?: {20,}.*\\n)+)`, 'm').exec(output);
    const lines = block?.[1]?.trim().split(/\n\s+/) ?? [];
    expect(lines).toEqual(expect.arrayContaining(['scope="tools"', ...errors]));
    expect(lines.join()).toMatch(
      /resource_metadata="http:\/\/127\.0\.0\.1:\d+\/\.well-known\/oauth-protected-resource\/mcp"/,
    );
    expect(lines.filter(line => line.startsWith('error='))).toEqual(errors);
  });

  test('prints curl lines that work when they are pasted', async () => {
    const printed = commands(output);
    expect(printed.size).toBe(4);
    const answers = new Map<string, string>();
    for (const [title, command] of printed) answers.set(title.split(',')[0] as string, await shell(command));
    const metadata = JSON.parse(answers.get('where a client without a token is sent') as string);
    expect(metadata).toMatchObject({ resource: /http\S+\/mcp/.exec(output)?.[0], scopes_supported: ['tools'] });
    const sourceOf = (title: string) => /\\"source\\":\\"(\w+)\\"/.exec(answers.get(title) as string)?.[1];
    expect(['as a person', 'as a service', 'as CI'].map(sourceOf)).toEqual(['people', 'services', 'keys']);
  });

  test('prints the URL to add to a client, and how to sign in there', () => {
    expect(output).toContain(
      `Add http://127.0.0.1:${port}/mcp to any MCP client, and sign in with any name and the password "password".`,
    );
  });

  test('signs nobody in with a wrong password, and shows the page again with the name escaped', async () => {
    const issuer = `http://127.0.0.1:${port}/idp`;
    const browser = new Browser();
    const query = new URLSearchParams({
      client_id: 'mcp-server',
      redirect_uri: `http://127.0.0.1:${port}/auth/callback`,
    });
    const page = await browser.get(`${issuer}/authorize?${query}`);
    const { action, fields } = formOf(page);
    const again = await browser.post(action, { ...fields, user: '"><script>', password: 'wrong' });
    expect([page.status, again.status, again.location]).toEqual([200, 401, undefined]);
    expect(again.text).toContain('value="&quot;&gt;&lt;script&gt;"');
    expect(again.text).not.toContain('<script>');
    const stranger = await browser.get(`${issuer}/authorize?client_id=another&redirect_uri=https://a.example.com/`);
    expect([stranger.status, stranger.location]).toEqual([400, undefined]);
  });

  test('ends on Ctrl-C with exit code 0 and without an error', async () => {
    const [code, signal] = await run.end('SIGINT');
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(run.output().slice(output.length).trim()).toBe('Stopped.');
  });

  test('keeps what it must remember where nobody else may read it', () => {
    const modes = ['', 'client.json', 'secrets.json', 'store.lmdb'].map(
      name => statSync(join(folder, name)).mode & 0o77,
    );
    expect(modes).toEqual([0, 0, 0, 0]);
  });

  test('still knows the client after a restart: no registration, no consent and no sign-in', async () => {
    const again = quickstart({ PORT: port, QUICKSTART_FOLDER: folder });
    const second = await again.until('Serving until Ctrl-C.');
    expect(second).toContain(`The client is still signed in: its tokens of the last run are in ${folder}`);
    expect(steps(second).map(([method, path, status]) => `${method} ${path} ${status}`)).toEqual([
      'POST /mcp 200',
      'POST /mcp 202',
      'GET /mcp 405',
      'POST /mcp 200',
      'POST /token 200',
    ]);
    expect(second).toMatch(/a person.* source people, client \S+, subject user-1\n/);
    const [code] = await again.end('SIGTERM');
    expect(code).toBe(0);
  }, 30_000);
});
