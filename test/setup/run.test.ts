// tools/run.js, the door of all npm scripts: sets up, then runs the target under our Node, and ends
// as it ends.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/setup/processes.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOOR = join(ROOT, 'tools/run.js');

describe('npm scripts', () => {
  test('all go through the door, which knows each of them', async () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const { code, stderr } = await run(process.execPath, [DOOR, 'nonsense']);
    assert.equal(code, 64);
    const known = /one of: (.*)/.exec(stderr)?.[1]?.split(' ') ?? [];
    const wanted = Object.values<string>(scripts).map((script) => {
      assert.match(script, /^node tools\/run\.js \w+$/);
      return script.split(' ')[2] ?? '';
    });
    assert.deepEqual([...wanted].sort(), [...known].sort());
  });

  test('pass arguments, output and exit code through, and keep standard output for data', async () => {
    const { code, stdout } = await run(process.execPath, [DOOR, 'conformance', 'nowhere']);
    assert.equal(code, 64);
    assert.equal(stdout.toString(), '');
    const cli = await run(process.execPath, [DOOR, 'cli', 'version', '-o', 'json']);
    assert.equal(cli.code, 0);
    assert.match(JSON.parse(cli.stdout.toString()).node, /^2[4-9]\./);
  });
});
