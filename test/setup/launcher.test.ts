// bin/bulwark.js starts the command line under Node 24, whichever Node it is started with, or says
// what is missing.
import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/setup/processes.js';
import { ManagedProcess } from '../kit/child-process.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/bulwark.js', import.meta.url));
const WAIT_MS = 20_000;

/** Makes the Node that loads it say that it is version 20. */
const OLD_NODE = [
  '--import',
  "data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '20.0.0' })",
];

/** A command line that says how it was called. */
const MAIN = `
const [what = ''] = process.argv.slice(2);
if (what === 'warn') {
  process.emitWarning('internal', 'ExperimentalWarning');
  process.emitWarning('worth knowing', 'DeprecationWarning');
} else if (what === 'wait') {
  process.on('SIGTERM', () => process.exit(3));
  setInterval(() => {}, 1000);
} else process.exitCode = 7;
console.log(JSON.stringify({ parent: process.ppid, args: process.argv.slice(2) }));
`;

const BUNDLE = "module.exports = (async () => console.log('bundle', process.argv[2]))();";

/** A checkout, set up, with the launcher and that command line. */
function checkout(t: TestContext): string {
  const root = temporaryDirectory(t);
  for (const folder of ['bin', 'src/cli', 'gen', 'node_modules/.bin'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"type": "module"}');
  writeFileSync(join(root, 'src/cli/main.ts'), MAIN);
  writeFileSync(join(root, 'gen/.key'), 'x');
  copyFileSync(LAUNCHER, join(root, 'bin/bulwark.js'));
  symlinkSync(process.execPath, join(root, 'node_modules/.bin/node'));
  return root;
}

const launcherOf = (root: string): string => join(root, 'bin/bulwark.js');

describe('the launcher', () => {
  test('runs the command line in its own process under Node 24', async (t) => {
    const args = [launcherOf(checkout(t)), 'apply', '-f', 'x y'];
    const { code, stdout } = await run(process.execPath, args);
    assert.deepEqual(JSON.parse(stdout.toString()), {
      parent: process.pid,
      args: ['apply', '-f', 'x y'],
    });
    assert.equal(code, 7);
  });

  test('hands over to the Node of the dependencies when its own is too old', async (t) => {
    const args = [...OLD_NODE, launcherOf(checkout(t)), 'apply', '-f', 'x y'];
    const { code, stdout } = await run(process.execPath, args);
    const called = JSON.parse(stdout.toString());
    assert.notEqual(called.parent, process.pid);
    assert.deepEqual(called.args, ['apply', '-f', 'x y']);
    assert.equal(code, 7);
  });

  test('passes a signal on and ends as the command line ends', async (t) => {
    const launched = new ManagedProcess({
      name: 'bulwark',
      command: process.execPath,
      args: [...OLD_NODE, launcherOf(checkout(t)), 'wait'],
    });
    t.after(() => launched.stop());
    await launched.waitForLine((line) => line.includes('wait') || undefined, WAIT_MS);
    await launched.stop();
    assert.deepEqual(launched.exit, { code: 3, signal: null });
  });

  test('runs agents from one file, unless that was made of other sources', async (t) => {
    const root = checkout(t);
    mkdirSync(join(root, 'gen/agent'));
    const { size, mtimeMs } = statSync(join(root, 'src/cli/main.ts'));
    const inputs = [{ path: 'src/cli/main.ts', size, mtimeMs }];
    writeFileSync(join(root, 'gen/agent/inputs.json'), JSON.stringify(inputs));
    writeFileSync(join(root, 'gen/agent/bundle.cjs'), BUNDLE);
    const said = async (command: string): Promise<string> =>
      (await run(process.execPath, [launcherOf(root), command])).stdout.toString();
    for (const command of ['agent', 'run', 'gateway'])
      assert.equal(await said(command), `bundle ${command}\n`);
    assert.match(await said('server'), /^\{/);
    utimesSync(join(root, 'src/cli/main.ts'), 1, 1);
    assert.match(await said('agent'), /^\{/);
    writeFileSync(join(root, 'gen/agent/inputs.json'), 'half writ');
    assert.match(await said('agent'), /^\{/);
  });

  test('keeps experimental warnings to itself, and no others', async (t) => {
    const { stderr } = await run(process.execPath, [launcherOf(checkout(t)), 'warn']);
    assert.match(stderr, /worth knowing/);
    assert.doesNotMatch(stderr, /internal/);
  });

  test('says how to set up a checkout that is not ready', async (t) => {
    const root = checkout(t);
    rmSync(join(root, 'gen/.key'));
    const { code, stderr } = await run(process.execPath, [launcherOf(root), 'version']);
    assert.match(stderr, /not set up; run "npm run setup" in /);
    assert.equal(code, 69);
  });

  test('says so when there is no Node that is new enough', async (t) => {
    const root = checkout(t);
    rmSync(join(root, 'node_modules/.bin/node'));
    const { code, stderr } = await run(process.execPath, [
      ...OLD_NODE,
      launcherOf(root),
      'version',
    ]);
    assert.match(stderr, /Node 20\.0\.0 is too old .*; run "npm run setup"/);
    assert.equal(code, 69);
  });
});
