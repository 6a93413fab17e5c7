// Every rule on words, packages and documents catches what it is for, and lets the right way pass.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { projectOf, type Violation } from './project.ts';
import { checkDependencies } from './rules/dependencies.ts';
import {
  checkAttacks,
  checkDecisions,
  checkLinks,
  checkRequirements,
  requirementIds,
} from './rules/documents.ts';
import { checkLockFile, checkWords } from './rules/words.ts';

const places = (violations: readonly Violation[]): string[] =>
  violations.map(({ path, line }) => `${path}:${line}`);

describe('the rule on words', () => {
  test('finds unfinished work, narrowed tests and paths of one machine', () => {
    const bad = [
      ['// TO', 'DO later'].join(''),
      ['test.sk', "ip('x')"].join(''),
      ['test({ on', 'ly: true })'].join(''),
      ['throw new Error("not imple', 'mented")'].join(''),
      ["const x = '/wo", "rk/main'"].join(''),
    ];
    for (const text of bad) {
      assert.equal(checkWords(projectOf({ 'src/a.ts': text })).length, 1, text);
    }
    const good = 'const only = list.filter(skipped);\nread("/etc/hosts");\n';
    assert.deepEqual(checkWords(projectOf({ 'src/a.ts': good })), []);
  });

  test('finds addresses in the lock file', () => {
    const lock = (text: string) => checkLockFile(projectOf({ 'package-lock.json': text }));
    assert.deepEqual(places(lock('{\n"resolved":' + ' "https://example.com/a.tgz"}')), [
      'package-lock.json:2',
    ]);
    assert.deepEqual(lock('{"integrity": "sha512-x"}'), []);
    assert.equal(checkLockFile(projectOf({})).length, 1);
  });
});

describe('the rule on dependencies', () => {
  const check = (manifest: object, files: Record<string, string>): string[] =>
    checkDependencies(projectOf({ ...files, 'package.json': JSON.stringify(manifest) })).map(
      ({ path, message }) => `${path}: ${message}`,
    );

  test('lets packages be used that are declared and pinned', () => {
    const manifest = {
      dependencies: { '@a/b': '1.2.3' },
      devDependencies: { c: '1.0.0-rc.1', '@biomejs/biome': '2.0.0' },
      optionalDependencies: { node: '24.0.0' },
    };
    const files = {
      'src/x.ts': "import '@a/b/sub';\nimport 'node:fs';\nimport '#base/y.ts';\n",
      'src/x.test.ts': "import 'c';\n",
    };
    assert.deepEqual(check(manifest, files), []);
  });

  test('finds what is undeclared, loose or unused', () => {
    const manifest = { dependencies: { a: '^1.2.3', b: '1.0.0' }, devDependencies: { c: '1.0.0' } };
    const found = check(manifest, { 'src/x.ts': "import 'a';\nimport 'c';\nimport 'd';\n" });
    assert.deepEqual(found, [
      'src/x.ts: c is not in package.json for this code',
      'src/x.ts: d is not in package.json for this code',
      'package.json: a: ^1.2.3 is no exact version',
      'package.json: b is used nowhere',
    ]);
  });
});

describe('the rules on documents', () => {
  test('find links that lead nowhere', () => {
    const files = {
      'docs/a.md':
        '# First one\n[ok](b.md) [ok](#first-one) [ok](../src/) [web](https://example.com)\n' +
        '[gone](c.md)\n[no heading](b.md#second)\n```\n[code](x.md)\n```\n`[code](y.md)`\n',
      'docs/b.md': '# First\n',
    };
    const found = places(checkLinks(projectOf(files, ['src'])));
    assert.deepEqual(found, ['docs/a.md:3', 'docs/a.md:4']);
  });

  const requirements = (row: string, openMax: number, ids: readonly string[] = ['ID-1']) =>
    checkRequirements(
      projectOf({
        'docs/requirements.md': `| id | what | asked for in | proof |\n|---|---|---|---|\n${row}\n`,
        'test/e2e/x.test.ts': "test('a wrong identity is refused', () => {});\n",
      }),
      { ids, openMax },
    ).map(({ message }) => message);

  test('want each requirement open or proved by a test that is there', () => {
    const link = (name: string, file: string) => `| ID-1 | it | 004 | [${name}](../${file}) |`;
    assert.deepEqual(requirements('| ID-1 | it | 004 | open |', 1), []);
    assert.deepEqual(
      requirements(link('a wrong identity is refused', 'test/e2e/x.test.ts'), 0),
      [],
    );
    assert.match(requirements(link('another', 'test/e2e/x.test.ts'), 0)[0] ?? '', /has no test/);
    assert.match(requirements(link('a', 'test/e2e/y.test.ts'), 0)[0] ?? '', /is no test/);
    assert.match(requirements('| ID-1 | it | 004 | done |', 0)[0] ?? '', /neither "open" nor/);
  });

  test('want each attack tried by a test that is there', () => {
    const attacks = (row: string): string[] =>
      checkAttacks(
        projectOf({
          'docs/attacks.md': `| attack | what | counted | tried by |\n|---|---|---|---|\n${row}\n`,
          'test/e2e/x.test.ts': "test('a forged token', () => {});\n",
        }),
      ).map(({ message }) => message);
    const row = (proof: string) => `| forged token | refused | x | ${proof} |`;
    assert.deepEqual(attacks(row('[a forged token](../test/e2e/x.test.ts)')), []);
    assert.match(attacks(row('[another](../test/e2e/x.test.ts)'))[0] ?? '', /has no test/);
    assert.match(attacks(row('by hand'))[0] ?? '', /link to a test/);
    assert.equal(checkAttacks(projectOf({})).length, 1);
  });

  test('want every decision listed', () => {
    const listed = (architecture: string): string[] =>
      checkDecisions(
        projectOf({ 'ARCHITECTURE.md': architecture, 'docs/adr/0001-x.md': '# ADR 1\n' }),
      ).map(({ message }) => message);
    assert.deepEqual(listed('| [ADR 1](docs/adr/0001-x.md) | x |\n'), []);
    assert.deepEqual(listed('| ADR 1 | x |\n'), ['docs/adr/0001-x.md is not listed']);
  });

  test('want every requirement once, and the number of open ones to shrink', () => {
    const row = '| ID-1 | it | 004 | open |';
    assert.deepEqual(requirements(row, 1, ['ID-1', 'CA-1']), ['CA-1 has no row']);
    assert.deepEqual(requirements(`${row}\n${row}`, 1), ['ID-1 is there twice']);
    assert.match(requirements(row, 0)[0] ?? '', /at most 0 may be/);
    assert.match(requirements(row, 2)[0] ?? '', /lower openRequirements/);
    assert.deepEqual(requirementIds('| id | what |\n| MT-1 | x |\n| AZ-10 | y |'), [
      'MT-1',
      'AZ-10',
    ]);
  });
});
