// Every rule on code catches what it is for, and lets the right way pass.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { projectOf, type Violation } from './project.ts';
import { checkDeadExports } from './rules/dead-exports.ts';
import { checkGlobals } from './rules/globals.ts';
import { checkImports, readImportTable } from './rules/imports.ts';
import { checkDocumented, checkNames } from './rules/names.ts';
import { checkFileLengths, checkFunctionLengths, checkLineLengths } from './rules/size.ts';

const lines = (count: number): string => 'x;\n'.repeat(count);
const places = (violations: readonly Violation[]): string[] =>
  violations.map(({ path, line }) => `${path}:${line}`);

describe('the import rule', () => {
  const table = readImportTable(
    '# A\n```imports\nbase →\nxds/serve → base xds\nxds → base\ncli → base controlplane/server.ts\n```\n',
  );
  const check = (files: Record<string, string>): string[] =>
    places(checkImports(projectOf(files), table));

  test('lets a room import what the table grants', () => {
    const files = {
      'src/xds/serve/a.ts': "import '#base/b.ts';\nimport '#xds/c.ts';\nimport 'node:fs';\n",
      'src/cli/a.ts': "import { s } from '#controlplane/server.ts';\n",
      'src/xds/serve/a.test.ts': "import '#cli/a.ts';\n",
      'test/a.ts': "import '#cli/a.ts';\n",
      'samples/photo/a.ts': "import './b.ts';\n",
    };
    assert.deepEqual(check(files), []);
  });

  test('refuses what the table does not grant, in every form of import', () => {
    const files = {
      'src/base/a.ts': "import type { X } from '#xds/b.ts';\n",
      'src/base/b.ts': "export { x } from '#cli/b.ts';\n",
      'src/base/c.ts': "const { x } = await import('#cli/c.ts');\n",
      'src/base/d.ts': "export type T = import('#cli/d.ts').T;\n",
      'src/cli/a.ts': "import '#controlplane/wire.ts';\n",
      'src/xds/a.ts': "import '#xds/serve/a.ts';\n",
    };
    assert.deepEqual(
      check(files),
      Object.keys(files).map((path) => `${path}:1`),
    );
  });

  test('refuses relative imports in src, test code in product code, and rooms it does not know', () => {
    assert.deepEqual(check({ 'src/base/a.ts': "import './b.ts';\n" }), ['src/base/a.ts:1']);
    assert.deepEqual(check({ 'src/base/a.ts': "import '#base/b.test.ts';\n" }), [
      'src/base/a.ts:1',
    ]);
    assert.deepEqual(check({ 'src/new/a.ts': "import '#base/b.ts';\n" }), ['src/new/a.ts:1']);
    assert.deepEqual(check({ 'samples/a.ts': "import '#base/b.ts';\n" }), ['samples/a.ts:1']);
  });

  test('does not start without a table it can read', () => {
    assert.throws(() => readImportTable('# none'), /no code block/);
    assert.throws(() => readImportTable('```imports\nbase spiffe\n```\n'), /is not "room → rooms"/);
    assert.throws(() => readImportTable('```imports\na → b\na → c\n```\n'), /a is there twice/);
  });
});

describe('the length rules', () => {
  test('stop a file over 300 lines, and one over 500 though it is listed', () => {
    const project = projectOf({
      'src/a.ts': lines(301),
      'src/b.ts': lines(300),
      'src/c.ts': lines(501),
      'src/kind-table.ts': lines(900),
    });
    assert.deepEqual(places(checkFileLengths(project, { 'src/c.ts': 501 })), [
      'src/a.ts:0',
      'src/c.ts:0',
      'src/kind-table.ts:0',
    ]);
  });

  test('let a listed file shrink only, and want the list up to date', () => {
    const check = (count: number) =>
      checkFileLengths(projectOf({ 'src/a.ts': lines(count) }), { 'src/a.ts': 320 });
    assert.equal(check(320).length, 0);
    assert.match(check(321)[0]?.message ?? '', /at most 320/);
    assert.match(check(310)[0]?.message ?? '', /lower it/);
    assert.match(checkFileLengths(projectOf({}), { 'src/a.ts': 320 })[0]?.message ?? '', /is gone/);
  });

  test('stop a function over 70 lines', () => {
    const code = (count: number) => `const f = () => {\n${lines(count - 2)}};\n`;
    assert.deepEqual(checkFunctionLengths(projectOf({ 'src/a.ts': code(70) })), []);
    const [found] = checkFunctionLengths(projectOf({ 'src/a.ts': code(71) }));
    assert.match(found?.message ?? '', /^f has 71 lines/);
  });

  test('count a suite of tests without its tests', () => {
    const suite = `describe('x', () => {\n${`test('y', () => {\n${lines(40)}});\n`.repeat(3)}});\n`;
    assert.deepEqual(checkFunctionLengths(projectOf({ 'test/a.ts': suite })), []);
    const long = `describe('x', () => {\ntest('y', () => {\n const f = () => {\n${lines(80)}};});});\n`;
    assert.equal(checkFunctionLengths(projectOf({ 'test/a.ts': long })).length, 1);
  });

  test('stop a comment over 100 columns, and leave code to the formatter', () => {
    const long = 'a '.repeat(60);
    const check = (text: string) => places(checkLineLengths(projectOf({ 'src/a.ts': text })));
    assert.deepEqual(check(`x;\n// ${long}\n/** ${long} */\ny; // ${long}\n`), [
      'src/a.ts:2',
      'src/a.ts:3',
      'src/a.ts:4',
    ]);
    assert.deepEqual(check(`const text = '${long}';\n`), []);
    assert.deepEqual(check(`// https://example.com/${'a'.repeat(100)}\n`), []);
  });
});

describe('the naming rules', () => {
  test('refuse names that say nothing and names not in kebab-case', () => {
    const names = ['src/utils.ts', 'src/a/types.ts', 'src/PushQueue.ts', 'src/push-queue.test.ts'];
    const project = projectOf(Object.fromEntries(names.map((name) => [name, ''])));
    assert.deepEqual(places(checkNames(project)).sort(), [
      'src/PushQueue.ts:0',
      'src/a/types.ts:0',
      'src/utils.ts:0',
    ]);
  });

  test('want a doc comment on every export', () => {
    const text =
      '/** Why. */\nexport const a = 1;\n// Why.\nexport function b() {}\nexport interface ADeps {}\n';
    assert.deepEqual(places(checkDocumented(projectOf({ 'src/a.ts': text }))), ['src/a.ts:4']);
  });
});

describe('the rule against dead exports', () => {
  const check = (files: Record<string, string>): string[] =>
    checkDeadExports(projectOf(files)).map(({ path, message }) => `${path}: ${message}`);
  const declared = { 'src/a/x.ts': 'export const one = 1;\nexport interface Two {}\n' };

  test('finds what nobody uses and what only tests use', () => {
    assert.deepEqual(check(declared), [
      'src/a/x.ts: one is used nowhere',
      'src/a/x.ts: Two is used nowhere',
    ]);
    assert.deepEqual(
      check({ ...declared, 'src/a/x.test.ts': "import { one, type Two } from '#a/x.ts';\n" }),
      ['src/a/x.ts: one is used by tests only', 'src/a/x.ts: Two is used by tests only'],
    );
  });

  test('lets tests alone use what is excepted by name, and wants no needless exception', () => {
    const files = { ...declared, 'src/a/x.test.ts': "import { one, Two } from '#a/x.ts';\n" };
    const found = checkDeadExports(projectOf(files), ['src/a/x.ts: one', 'src/a/x.ts: three']);
    assert.deepEqual(
      found.map(({ path, message }) => `${path} ${message}`),
      ['src/a/x.ts Two is used by tests only', 'src/a/x.ts: three need not be excepted'],
    );
  });

  test('counts every way of using a name', () => {
    const uses = [
      "import { one as uno, type Two } from '#a/x.ts';\n",
      "import * as all from '#a/x.ts';\n",
      "const { one } = await import('#a/x.ts');\ntype T = import('#a/x.ts').Two;\n",
      "export * from '#a/x.ts';\n",
    ];
    for (const use of uses) assert.deepEqual(check({ ...declared, 'src/b/y.ts': use }), [], use);
    assert.deepEqual(
      check({ ...declared, 'src/a/z.ts': "import { one, Two } from './x.ts';\n" }),
      [],
    );
  });

  test('lets a file export the types of its own signatures', () => {
    const text = 'export interface Options {}\nexport function f(o: Options) {}\n';
    assert.deepEqual(
      check({ 'src/a/x.ts': text, 'tools/y.ts': "import { f } from '#a/x.ts';\n" }),
      [],
    );
  });

  test('lets test code export for tests, and benchmarks for their runner', () => {
    const files = {
      'test/kit/a.ts': 'export const a = 1;\n',
      'src/b.test.ts': "import { a } from '../test/kit/a.ts';\n",
      'bench/c.bench.ts': 'export async function bench() {}\n',
    };
    assert.deepEqual(check(files), []);
    assert.deepEqual(check({ 'test/kit/a.ts': 'export const a = 1;\n' }), [
      'test/kit/a.ts: a is used nowhere',
    ]);
  });
});

describe('the rule on globals', () => {
  const text =
    "import { setTimeout as s } from 'node:timers/promises';\nDate.now();\nnew Date();\nMath.random();\n" +
    'setTimeout(f, 1);\nprocess.env;\nclock.setTimeout(f);\nnew Date(0);\n';

  test('finds time, randomness and environment outside base', () => {
    const found = places(checkGlobals(projectOf({ 'src/a/x.ts': text }), {})).sort();
    assert.deepEqual(
      found,
      [1, 2, 3, 4, 5, 6].map((line) => `src/a/x.ts:${line}`),
    );
  });

  test('lets base, tests and tools use them, and a file that is excepted by name', () => {
    const files = { 'src/base/x.ts': text, 'src/a/x.test.ts': text, 'tools/x.ts': text };
    assert.deepEqual(checkGlobals(projectOf(files), {}), []);
    const launcher = projectOf({ 'src/a/main.ts': 'process.env;\nDate.now();\n' });
    const exceptions = { 'src/a/main.ts': ['process.env'] };
    assert.deepEqual(places(checkGlobals(launcher, exceptions)), ['src/a/main.ts:2']);
  });
});
