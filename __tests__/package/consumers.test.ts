import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { consumer, names, node, pack, remove, story } from './consumer.js';

let packed: Awaited<ReturnType<typeof pack>>;
beforeAll(async () => {
  packed = await pack();
});
afterAll(() => remove(packed.folder));

describe('the packed tarball', () => {
  test('holds the compiled package and its papers, and no source, test or example', () => {
    const tops = new Set(packed.files.map(file => file.split('/')[0]));
    expect([...tops].sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'dist', 'package.json']);
    expect(packed.files.filter(file => /(?<!\.d)\.ts$|\.test\./.test(file))).toEqual([]);
    expect(packed.files).toEqual(
      expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'dist/passport/index.js']),
    );
  });

  test('is imported by an ES module', async () => {
    const source = `import express from 'express';\nimport { ${names} } from 'express-mcp-auth';\n${story}`;
    const folder = consumer(packed.folder, { 'main.mjs': source }, ['express']);
    expect(await node(folder, 'main.mjs')).toEqual({ code: 0, output: '401  200 "keys"\n' });
  });

  test('is required by a CommonJS module, without a warning', async () => {
    const source = `const express = require('express');\nconst { ${names} } = require('express-mcp-auth');\n${story}`;
    const folder = consumer(packed.folder, { 'main.cjs': source }, ['express']);
    expect(await node(folder, 'main.cjs')).toEqual({ code: 0, output: '401  200 "keys"\n' });
  });
});
