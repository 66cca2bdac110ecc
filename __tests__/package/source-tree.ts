import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ParserConfig, parseSync } from '@swc/core';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Path below the folder, with forward slashes, to source text. */
export type SourceTree = ReadonlyMap<string, string>;

export function readTree(folder: string): SourceTree {
  const base = join(root, folder);
  const files = readdirSync(base, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(base, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
  return new Map(files.sort().map(file => [file, readFileSync(join(base, file), 'utf8')]));
}

type SyntaxNode = { type: string; [member: string]: any };

const parser: ParserConfig = { syntax: 'typescript' };
const parsed = new Map<string, SyntaxNode[]>();

/** Every node of the syntax tree: a rule that reads nodes is not fooled by comments, strings or spacing. */
export function nodesOf(source: string): SyntaxNode[] {
  const known = parsed.get(source);
  if (known) return known;
  const nodes: SyntaxNode[] = [];
  const walk = (value: unknown) => {
    if (Array.isArray(value)) for (const item of value) walk(item);
    else if (value && typeof value === 'object') {
      if ('type' in value && typeof value.type === 'string') nodes.push(value as SyntaxNode);
      for (const member of Object.values(value)) walk(member);
    }
  };
  walk(parseSync(source, { ...parser, target: 'es2022' }));
  parsed.set(source, nodes);
  return nodes;
}

/** Everything a file imports, type imports and dynamic ones included; `<computed>` where the name cannot be read. */
export function importsOf(source: string): string[] {
  return nodesOf(source).flatMap(node => {
    if (node.type === 'TsImportType') return [node.argument.value as string];
    if (node.type === 'TsExternalModuleReference') return [node.expression.value as string];
    if (/^(Import|ExportAll|ExportNamed)Declaration$/.test(node.type)) return node.source ? [node.source.value] : [];
    if (node.type !== 'CallExpression') return [];
    const isImport = node.callee.type === 'Import';
    if (!isImport && !(node.callee.type === 'Identifier' && node.callee.value === 'require')) return [];
    const argument = node.arguments[0]?.expression;
    return [argument?.type === 'StringLiteral' ? argument.value : '<computed>'];
  });
}

/** Members read from a global object, for example `env` of `process`; `*` where the object itself is passed around. */
export function membersOf(source: string, global: string): string[] {
  const nodes = nodesOf(source);
  const isGlobal = (node: SyntaxNode | undefined) => node?.type === 'Identifier' && node.value === global;
  const members = nodes.filter(node => node.type === 'MemberExpression' && isGlobal(node.object));
  const names = members.map(({ property }) =>
    property.type === 'Computed' ? (property.expression.value ?? '*') : property.value,
  );
  const asObject = new Set(members.map(node => node.object));
  // A member of something else may have the same name: `foo.process`.
  const asProperty = new Set(nodes.filter(node => node.type === 'MemberExpression').map(node => node.property));
  const loose = nodes.some(node => isGlobal(node) && !asObject.has(node) && !asProperty.has(node));
  return loose ? [...names, '*'] : names;
}

/** The names that an entry exports as types only. */
export function typeNames(file: string): string[] {
  const declarations = nodesOf(readFileSync(join(root, 'lib', file), 'utf8')).filter(node =>
    node.type.startsWith('Export'),
  );
  const names = declarations.flatMap(node => {
    if (node.type === 'ExportAllDeclaration') return ['*'];
    if (node.type === 'ExportDeclaration') return /^Ts/.test(node.declaration.type) ? [node.declaration.id.value] : [];
    if (node.type !== 'ExportNamedDeclaration') return [];
    const types = node.specifiers.filter((one: { isTypeOnly: boolean }) => node.typeOnly || one.isTypeOnly);
    return types.map(
      (one: { orig: { value: string }; exported?: { value: string } }) => (one.exported ?? one.orig).value,
    );
  });
  return names.sort();
}
