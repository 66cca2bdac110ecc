import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import * as main from 'express-mcp-auth';
import * as passport from 'express-mcp-auth/passport';
import { run, tsc } from './consumer.js';
import { entries } from './layer-rules.js';
import { nodesOf, readTree, root, typeNames } from './source-tree.js';

jest.setTimeout(120_000);

const { scripts, dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const read = (file: string) => readFileSync(join(root, file), 'utf8');

interface Fence {
  readonly language: string;
  readonly line: number;
  readonly text: string;
}

function fences(markdown: string): Fence[] {
  const found: Fence[] = [];
  let open: { language: string; line: number; text: string[] } | undefined;
  markdown.split('\n').forEach((line, index) => {
    const fence = /^\s*```(\S*)/.exec(line);
    if (open && fence) {
      found.push({ ...open, text: open.text.join('\n') });
      open = undefined;
    } else if (fence) open = { language: fence[1] as string, line: index + 1, text: [] };
    else open?.text.push(line);
  });
  return found;
}

const readme = read('README.md');
const snippets = (markdown: string) =>
  fences(markdown).filter(({ language }) => /^(ts|js|typescript|javascript)$/.test(language));
const shell = (markdown: string) =>
  fences(markdown).filter(({ language }) => /^(sh|bash|shell|console)$/.test(language));

/**
 * What a snippet may leave out: the app, its handler, and the imports of what this package exports. Everything else it
 * says must compile as it stands.
 */
const prelude = `
  declare global {
    const app: import('express').Express;
    const mcpHandler: import('express').RequestHandler;
    const auth: import('express-mcp-auth').Auth;
    ${Object.keys(main)
      .map(name => `const ${name}: typeof import('express-mcp-auth').${name};`)
      .join('\n')}
    ${Object.keys(passport)
      .map(name => `const ${name}: typeof import('express-mcp-auth/passport').${name};`)
      .join('\n')}
  }
  export {};
`;

const folders: string[] = [];
afterAll(() => folders.forEach(folder => void rmSync(folder, { recursive: true, force: true })));

/** Compiles each snippet as a module of its own and answers what tsc says, with the line of the page. */
async function compile(page: readonly Fence[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'express-mcp-auth-docs-'));
  folders.push(folder);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'express-mcp-auth'), 'junction');
  const packages = Object.keys({ ...dependencies, ...devDependencies }).map(name => name.split('/')[0] as string);
  for (const name of new Set(packages))
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'prelude.d.ts'), prelude);
  const options = {
    target: 'ES2022',
    module: 'NodeNext',
    lib: ['ES2023'],
    types: ['node'],
    strict: true,
    noEmit: true,
  };
  const compilerOptions = { ...options, skipLibCheck: true, esModuleInterop: true, allowJs: true, checkJs: true };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  for (const { language, line, text } of page) {
    const extension = language.startsWith('j') ? 'js' : 'ts';
    writeFileSync(join(folder, `line-${line}.${extension}`), `${text}\nexport {};\n`);
  }
  return (await tsc(folder)).output;
}

describe('the snippets of the README', () => {
  test('there are some, and each compiles against the types of the package', async () => {
    expect(snippets(readme).length).toBeGreaterThan(3);
    expect(await compile(snippets(readme))).toBe('');
  });

  const mistakes: [string, string][] = [
    ['an option that does not exist', `jwtVerifier({ issuer: 'https://a.example', audiences: 'x' });`],
    ['a name that is not exported', `import { jwtVerifer } from 'express-mcp-auth';`],
    ['an entry that does not exist', `import { github } from 'express-mcp-auth/nowhere';`],
    ['a name from nowhere', `app.use(authentication);`],
  ];
  let said: string;
  beforeAll(async () => {
    said = await compile(mistakes.map(([, text], line) => ({ language: 'ts', line, text })));
  });

  test.each(mistakes.map(([what], line) => [what, line] as const))('%s is caught', (_, line) => {
    expect(said).toContain(`line-${line}.ts`);
  });
});

/** Every public option: the members of the `...Options` interfaces that an entry exports. */
function options(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const exported = new Set(entries.flatMap(typeNames));
  for (const source of readTree('lib').values())
    for (const node of nodesOf(source)) {
      if (node.type !== 'TsInterfaceDeclaration' || !/Options$/.test(node.id.value)) continue;
      if (!exported.has(node.id.value)) continue;
      const members = node.body.body.map((member: { key?: { value: string } }) => member.key?.value);
      found.set(node.id.value, [...(found.get(node.id.value) ?? []), ...members.filter(Boolean)]);
    }
  return found;
}

const common = `baseUrl resourceBaseUrl mcpPath legacyResources requiredScopes scopesSupported challengeScopes
  authorizationServers resourceName resourceDocumentation scopeSatisfies cors rootMetadata name`;
const contract: Record<string, string> = {
  multiAuth: common,
  remoteAuth: `verifier ${common}`,
  jwtVerifier: `issuer audience dangerouslyAcceptAnyAudience jwksUri jwks publicKey secret algorithms requiredScopes name claims
    typ clockToleranceSeconds cache maxEntries ttlSeconds jwksCache staleSeconds burst refillSeconds timeoutMs fetch now`,
  staticTokenVerifier: 'clientId scopes subject expiresAt claims',
  introspectionVerifier: `introspectionUrl clientId clientSecret clientAuthMethod audience issuer requiredScopes
    cacheTtlSeconds maxCacheEntries timeoutMs accepts fetch now`,
  customVerifier: 'verify name accepts requiredScopes verifyAccessToken',
  debugVerifier: 'name clientId scopes requiredScopes',
  mcpStrategy: '',
  passportVerifier: 'name accepts requiredScopes timeoutMs',
};

describe('what the README says', () => {
  const words = (text: string) => text.split(/\s+/).filter(Boolean);
  // Names count where they stand as code: in a snippet or between backticks.
  const prose = readme.replace(/^\s*```.*?^\s*```/gms, '');
  const code = [...prose.matchAll(/`([^`\n]+)`/g), ...fences(readme).map(({ text }) => [text, text])].map(
    match => match[1],
  );
  const mentions = (name: string) => code.some(text => new RegExp(`\\b${name}\\b`).test(text as string));

  test.each(Object.entries(contract))('%s and each of its options stand in it', (factory, list) => {
    expect([factory, ...words(list)].filter(name => !mentions(name))).toEqual([]);
  });

  test('so do all options that lib/ declares', () => {
    const declared = options();
    expect(declared.size).toBeGreaterThan(4);
    const missing = [...declared].flatMap(([type, names]) =>
      names.filter(name => !mentions(name)).map(name => `${type}.${name}`),
    );
    expect(missing).toEqual([]);
  });

  test('so does every public name', () => {
    expect([...Object.keys(main), ...Object.keys(passport)].filter(name => !mentions(name))).toEqual([]);
  });

  test('so do the warnings that the package gives', () => {
    const codes = [...readTree('lib').values()].flatMap(source => source.match(/\bMCP_AUTH_[A-Z_]+\b/g) ?? []);
    expect([...new Set(codes)].filter(code => !mentions(code))).toEqual([]);
  });

  test('every npm script it names exists', () => {
    const named = [...readme.matchAll(/\bnpm (?:run |run-script )?([a-z][\w:-]*)/g)].map(match => match[1] as string);
    const own = named.filter(name => !['ci', 'install', 'i', 'pack', 'view'].includes(name));
    expect(own).toEqual(expect.arrayContaining(['start', 'test']));
    expect(own.filter(name => !(name in scripts))).toEqual([]);
  });

  test('every file it links to or runs exists', () => {
    const links = [...readme.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(match => match[1] as string);
    const files = [...readme.matchAll(/\bexamples\/[\w./-]+/g)].map(match => match[0].replace(/[.)]$/, ''));
    expect([...links, ...files].filter(path => !existsSync(join(root, path)))).toEqual([]);
  });

  test('every heading that it links to exists', () => {
    const slug = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-');
    const headings = [...readme.matchAll(/^#+ (.+)$/gm)].map(match => slug(match[1] as string));
    const targets = [...readme.matchAll(/\]\(#([^)]+)\)/g)].map(match => match[1] as string);
    expect(targets.filter(target => !headings.includes(target))).toEqual([]);
  });

  test('its shell lines parse', async () => {
    for (const { text, line } of shell(readme)) {
      const script = text.replace(/^\$ /gm, '');
      expect({ line, ...(await run('bash', ['-n', '-c', script], root)) }).toEqual({ line, code: 0, output: '' });
    }
  });
});

describe('the pages of the examples', () => {
  test.each([...readTree('examples').keys()].filter(file => file.endsWith('README.md')))(
    '%s names files that exist',
    file => {
      const page = read(`examples/${file}`);
      const files = [...page.matchAll(/\bexamples\/[\w./-]+\.ts\b/g)].map(match => match[0]);
      const links = [...page.matchAll(/\]\((?!https?:)([^)#\s]+)/g)].map(match =>
        join('examples', file, '..', match[1] as string),
      );
      expect([...files, ...links].filter(path => !existsSync(join(root, path)))).toEqual([]);
    },
  );
});
