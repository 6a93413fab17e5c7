import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { runLanes } from '../../tools/test-lanes.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const FILE = `
import assert from 'node:assert/strict';
import { test } from 'node:test';
test('outer', async (t) => {
  await t.test('good', () => {});
  await t.test('bad', () => assert.equal(6, 4, 'six is not four'));
});
`;

/** A run of these files; gives what failed, and how many tests there were. */
async function runFiles(t: TestContext, files: Readonly<Record<string, string>>) {
  const directory = temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  const output = new PassThrough().resume();
  const lanes = [{ files: Object.keys(files), concurrency: 1 }];
  const options = { cwd: `${directory}/`, directory, timeout: 60_000 };
  // Within a test the runner would take the one that it starts for a part of itself.
  const context = process.env.NODE_TEST_CONTEXT;
  delete process.env.NODE_TEST_CONTEXT;
  t.after(() => {
    if (context !== undefined) process.env.NODE_TEST_CONTEXT = context;
  });
  return runLanes(
    lanes,
    options,
    new PassThrough({ objectMode: true, transform: (_event, _encoding, done) => done() }),
    output,
  );
}

test('a run tells what failed: file, line, name and error, each once', async (t) => {
  const { failures } = await runFiles(t, { 'one.test.mjs': FILE });
  assert.deepEqual(failures, ['one.test.mjs:6 bad\n    six is not four\n    6 !== 4']);
});

test('files that share a process are told apart, and all are run', async (t) => {
  const good = `
import { test } from 'node:test';
test('good', () => {});
`;
  const bad = FILE.replaceAll('six', 'half a dozen');
  const { tests, failures } = await runFiles(t, {
    'src/policy/first.test.mjs': FILE,
    'src/policy/authz/second.test.mjs': bad,
    'src/model/third.test.mjs': good,
    'src/agent/fourth.test.mjs': good,
  });
  assert.deepEqual(failures, [
    'src/policy/first.test.mjs:6 bad\n    six is not four\n    6 !== 4',
    'src/policy/authz/second.test.mjs:6 bad\n    half a dozen is not four\n    6 !== 4',
  ]);
  // In two files two tests within one.
  assert.equal(tests, 8);
});

test('a file that cannot be read fails the run, whoever it shares a process with', async (t) => {
  const { failures } = await runFiles(t, {
    'src/policy/first.test.mjs': FILE.replace('6, 4', '4, 4'),
    'src/policy/second.test.mjs': 'import "./nothing-there.mjs";',
  });
  assert.equal(failures.length, 1);
});
