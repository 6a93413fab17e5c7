import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { ChangeWatch } from '#cli/policy-tests/change-watch.ts';
import { runBulwark } from '../../../test/kit/bulwark.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

test('a change beside a file that is watched is told, also of one that is not there yet', async (t) => {
  const changes = new ChangeWatch();
  t.after(() => changes.close());
  const file = join(temporaryDirectory(t), 'late.yaml');
  await changes.add([file]);
  writeFileSync(file, 'a: 1');
  await changes.next(new AbortController().signal);
});

test('what is in no folder cannot be watched', async (t) => {
  const changes = new ChangeWatch();
  t.after(() => changes.close());
  const file = join(temporaryDirectory(t), 'none', 'x.yaml');
  const isRefused = (error: unknown) => isBulwarkError(error, 'FILES_UNREADABLE');
  await assert.rejects(changes.add([file]), isRefused);
  const { code, stderr } = await runBulwark(['test', file, '--watch']);
  assert.equal(code, 1);
  assert.match(stderr, /^bulwark: cannot watch .*none: ENOENT[^\n]*\n$/);
});
