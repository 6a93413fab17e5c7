import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { RunDirectory } from '#agent/run-directory.ts';
import { isBulwarkError } from '#base/errors.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

function isUnusable(text: RegExp): (error: unknown) => boolean {
  return (error) =>
    isBulwarkError(error, 'AGENT_RUN_DIRECTORY_UNUSABLE') &&
    text.test(`${error.message} ${error.remedy}`);
}

describe('the run directory', () => {
  it('is private, and gone afterwards when it was made here', async (t) => {
    const given = join(temporaryDirectory(t), 'run');
    for (const directory of [await RunDirectory.open(given), await RunDirectory.open(undefined)]) {
      assert.equal(statSync(directory.path).mode & 0o777, 0o700);
      mkdirSync(directory.workload(0));
      await directory.close();
      assert.ok(!existsSync(directory.path));
    }
  });

  it('that was there keeps what is not ours', async (t) => {
    const path = temporaryDirectory(t);
    writeFileSync(join(path, 'notes'), 'mine');
    mkdirSync(join(path, 'w7'));
    const directory = await RunDirectory.open(path);
    await directory.clean();
    assert.deepEqual(readdirSync(path), ['notes']);
    await directory.close();
    assert.deepEqual(readdirSync(path), ['notes']);
  });

  it('is refused when others may enter it, when it is too long, or no folder', async (t) => {
    const path = temporaryDirectory(t);
    chmodSync(path, 0o755);
    await assert.rejects(RunDirectory.open(path), isUnusable(/chmod 700/));
    chmodSync(path, 0o700);
    const file = join(path, 'file');
    writeFileSync(file, '', { mode: 0o600 });
    await assert.rejects(RunDirectory.open(file), isUnusable(/./));
    const long = join(path, 'x'.repeat(80));
    await assert.rejects(RunDirectory.open(long), isUnusable(/too long.*at most \d+ bytes/));
    assert.ok(!existsSync(long));
  });
});
