// The modules of an agent in one file do what they do apart.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ensureAgentBundle } from '../../tools/setup/agent-bundle.js';
import { run } from '../../tools/setup/processes.js';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const here = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What modules of ours may do that is hard to put into one file. */
const SOURCES = {
  'src/cli/main.ts': `
    import { readFileSync } from 'node:fs';
    import { createRequire } from 'node:module';
    import tls, { createSecureContext } from 'node:tls';
    import { Command } from 'commander';
    import { isMessage } from '@bufbuild/protobuf';
    import { BinaryWriter } from '@bufbuild/protobuf/wire';
    import * as shapes from '#base/shapes.ts';
    import { COMMANDS } from '#cli/commands.ts';
    const part = createRequire(import.meta.url);
    const Registry = part('prom-client/lib/registry');
    const asked = process.argv[2] ?? '';
    const load = COMMANDS[asked as keyof typeof COMMANDS];
    const own = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const said = [
      await (await load()).answer(),
      tls.createSecureContext === createSecureContext,
      typeof new Command().parse,
      typeof new Registry().metrics,
      isMessage({}),
      new BinaryWriter().uint32(300).finish().length,
      new shapes.Square(2).area,
      shapes.all.length,
      '\u00fc\u{1f600}'.length === 'ü😀'.length && 'ü😀',
      JSON.parse(own).name,
    ];
    console.log(said.join(' '));
  `,
  'src/cli/commands.ts': `
    export const COMMANDS = {
      agent: () => import('#cli/commands/agent.ts'),
      server: () => import('#cli/commands/server.ts'),
    };
  `,
  'src/cli/commands/agent.ts': `
    import type { Shape } from '#base/shapes.ts';
    import { all } from '#base/shapes.ts';
    export const answer = async (): Promise<string> => \`agent \${all[0] as unknown as Shape}\`;
  `,
  'src/cli/commands/server.ts': `export const answer = () => 'server from its source';`,
  'src/base/shapes.ts': `
    import { name } from '../base/names.ts';
    export interface Shape { readonly area: number }
    export class Square implements Shape {
      readonly #side: number;
      constructor(side: number) { this.#side = side; }
      get area(): number { return this.#side ** 2; }
    }
    export const all = ['square', name()];
  `,
  'src/base/names.ts': `
    import { all } from '#base/shapes.ts';
    export function name(): string { return 'circle'; }
    export const count = (): number => all.length;
  `,
};

/** A checkout with these sources, and the packages of this one. */
function checkout(t: TestContext): string {
  const root = temporaryDirectory(t);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    // As after a checkout: not in the moment in which the set-up begins.
    utimesSync(join(root, path), 1e9, 1e9);
  };
  const imports = { '#gen/*': './gen/*', '#*': './src/*' };
  write('package.json', JSON.stringify({ name: 'made', type: 'module', imports }));
  for (const [path, text] of Object.entries(SOURCES)) write(path, text);
  write('tools/setup/agent-bundle.js', '');
  symlinkSync(here('node_modules'), join(root, 'node_modules'));
  return root;
}

async function make(root: string): Promise<{ made: boolean; reports: readonly string[] }> {
  const reports: string[] = [];
  const report = (line: string): void => void reports.push(line);
  return { made: await ensureAgentBundle({ root, report, node: process.execPath }), reports };
}

async function runs(root: string, path: string, command: string): Promise<string> {
  const args = ['--disable-warning=ExperimentalWarning', join(root, path), command];
  const { stdout, stderr } = await run(process.execPath, args);
  return `${stdout}${stderr}`;
}

describe('the bundle of agents', () => {
  test('says what the sources say, and leaves other commands to them', async (t) => {
    const root = checkout(t);
    assert.equal((await make(root)).made, true);
    for (const command of ['agent', 'server']) {
      const expected = await runs(root, 'src/cli/main.ts', command);
      assert.match(expected, /(agent|server).* true function function false 2 4 2 ü😀 made\n$/u);
      assert.equal(await runs(root, 'gen/agent/bundle.cjs', command), expected);
    }
    const text = readFileSync(join(root, 'gen/agent/bundle.cjs'), 'latin1');
    assert.doesNotMatch(text, /server from its source/);
    assert.match(text, /^[\0-\x7f]*$/);
  });

  test('holds the packages that each agent loads, of either kind of modules', async (t) => {
    const root = checkout(t);
    await make(root);
    const inputs = JSON.parse(readFileSync(join(root, 'gen/agent/inputs.json'), 'utf8'));
    const paths = (inputs as readonly { path: string }[]).map(({ path }) => path);
    for (const wanted of ['commander/lib/command.js', 'prom-client/lib/registry.js'])
      assert.ok(
        paths.some((path) => path.endsWith(`node_modules/${wanted}`)),
        wanted,
      );
  });

  test('is made again when a source changed, and only then', async (t) => {
    const root = checkout(t);
    assert.equal((await make(root)).made, true);
    assert.deepEqual(await make(root), { made: false, reports: [] });
    utimesSync(join(root, 'src/base/names.ts'), 1e9 + 1, 1e9 + 1);
    assert.equal((await make(root)).made, true);
  });

  test('is not made of sources that do not parse, and that is told', async (t) => {
    const root = checkout(t);
    writeFileSync(join(root, 'src/base/names.ts'), 'export function {');
    const { made, reports } = await make(root);
    assert.equal(made, false);
    assert.match(reports.join(), /agents start from their sources: .*names\.ts/s);
    assert.ok(!existsSync(join(root, 'gen/agent')));
  });
});
