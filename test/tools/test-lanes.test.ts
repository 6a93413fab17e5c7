import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
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

test('a run tells what failed: file, line, name and error, each once', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'one.test.mjs'), FILE);
  const output = new PassThrough().resume();
  const lanes = [{ files: ['one.test.mjs'], concurrency: 1 }];
  const options = { cwd: `${directory}/`, timeout: 60_000 };
  // Within a test the runner would take the one that it starts for a part of itself.
  const context = process.env.NODE_TEST_CONTEXT;
  delete process.env.NODE_TEST_CONTEXT;
  t.after(() => {
    if (context !== undefined) process.env.NODE_TEST_CONTEXT = context;
  });
  const { failures } = await runLanes(
    lanes,
    options,
    new PassThrough({ objectMode: true, transform: (_event, _encoding, done) => done() }),
    output,
  );
  assert.deepEqual(failures, ['one.test.mjs:6 bad\n    six is not four\n    6 !== 4']);
});
