// The code is formatted, linted and typed; and the rules that we leave to the linter and the
// compiler are switched on.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/setup/processes.js';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name);

/** A directory with files below src/ and our configuration of linter and compiler. */
function example(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'src'));
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const biome = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
  const configs = {
    'biome.json': JSON.stringify({ ...biome, vcs: { enabled: false } }),
    'tsconfig.json': JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), include: ['src'] }),
    'package.json': '{"type": "module"}',
  };
  for (const [name, text] of Object.entries({ ...configs, ...files }))
    writeFileSync(join(directory, name), text);
  return directory;
}

describe('the code', () => {
  test('is formatted, linted and typed (npm run lint)', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [join(ROOT, 'tools/lint.ts')]);
    assert.equal(code, 0, `${stdout}${stderr}`.slice(-20_000));
  });

  test('may not use what the linter forbids', async (t) => {
    const forbidden = {
      noDefaultExport: 'export default 1;\n',
      noExplicitAny: 'export const a = (x: any) => x;\n',
      noNonNullAssertion: 'export const a = (x?: string) => x!.length;\n',
      useImportType: "import { A } from './b.ts';\nexport type B = A;\n",
      noUnusedImports: "import { a } from './b.ts';\n",
      noFloatingPromises: 'async function f() {}\nexport function g() {\n  f();\n}\n',
    };
    const files = Object.entries(forbidden).map(([rule, text]) => [`src/${rule}.ts`, text]);
    const directory = example(
      t,
      Object.fromEntries([...files, ['src/fine.ts', 'export const a = 1;\n']]),
    );
    const found = await run(bin('biome'), ['lint', '--reporter=github', 'src'], { cwd: directory });
    const lines = found.stdout.toString().split('\n');
    for (const rule of Object.keys(forbidden)) {
      const expected = new RegExp(`title=lint/\\w+/${rule},file=.*${rule}\\.ts`);
      assert.ok(
        lines.some((line) => expected.test(line)),
        `${rule} is off`,
      );
    }
    assert.ok(!lines.some((line) => line.includes('fine.ts')));
  });

  test('may not use what the compiler options forbid', async (t) => {
    const forbidden = {
      enum: ['export enum E {}\n', 'TS1294'],
      property: ['export class C { constructor(private readonly a: string) { a; } }\n', 'TS1294'],
      index: ['export const a: string = [""][0];\n', 'TS2322'],
      optional: ['export const a: { b?: string } = { b: undefined };\n', 'TS2375'],
      nothing: ['export const a: string = null;\n', 'TS2322'],
    } as const;
    const files = Object.entries(forbidden).map(([name, [text]]) => [`src/${name}.ts`, text]);
    const directory = example(t, Object.fromEntries(files));
    const { stdout } = await run(bin('tsc'), ['--pretty', 'false', '-p', directory]);
    for (const [name, [, error]] of Object.entries(forbidden))
      assert.match(stdout.toString(), new RegExp(`src/${name}\\.ts.*error ${error}`), name);
  });
});
