import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { root } from './source-tree.js';

const headings = (changelog: string) =>
  [...changelog.matchAll(/^## \[?(\d+\.\d+\.\d+[^\s\]]*)/gm)].map(match => match[1]);

describe('CHANGELOG.md', () => {
  test('its newest entry is the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(headings(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'))[0]).toBe(version);
  });

  test('a heading counts, a mention does not', () => {
    expect(headings('# Changelog\n\nSince 9.9.9.\n\n## 0.2.0\n\n- x\n\n## [0.1.0] - 2026\n')).toEqual([
      '0.2.0',
      '0.1.0',
    ]);
  });
});
