import assert from 'node:assert/strict';
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readRecords } from '#audit/record-files.ts';
import { RotatingFile } from '#audit/rotating-file.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

function fileIn(t: TestContext, bytesMax = 20, filesMax = 3) {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'calls.jsonl');
  const file = new RotatingFile({ path, bytesMax, filesMax, isSynced: true });
  t.after(() => file.close());
  return { directory, path, file };
}

async function linesIn(directory: string, sinceMs = 0): Promise<readonly unknown[]> {
  const lines: unknown[] = [];
  for await (const line of readRecords({ directory, family: 'calls', filesMax: 3, sinceMs }))
    lines.push(line);
  return lines;
}

describe('a file of records', () => {
  it('begins a new one when it is full, and keeps so many', async (t) => {
    const { directory, file } = fileIn(t);
    for (let number = 0; number < 10; number += 1) await file.append(`{"number":${number}}\n`);
    assert.deepEqual(readdirSync(directory).sort(), [
      'calls.jsonl',
      'calls.jsonl.1',
      'calls.jsonl.2',
    ]);
    const numbers = (await linesIn(directory)).map((one) => (one as { number: number }).number);
    assert.deepEqual(numbers, [4, 5, 6, 7, 8, 9]);
    assert.deepEqual(await linesIn(directory, Date.now() + 60_000), [], 'too old');
  });

  it('is for its owner alone, also when it was made by somebody careless', async (t) => {
    const { path, file } = fileIn(t);
    writeFileSync(path, '{}\n', { mode: 0o644 });
    await file.append('{}\n');
    assert.equal((statSync(path).mode & 0o777).toString(8), '600');
  });

  it('is never written through a link', async (t) => {
    const { directory, path, file } = fileIn(t);
    const target = join(directory, 'target');
    writeFileSync(target, '');
    symlinkSync(target, path);
    await assert.rejects(file.append('{}\n'), { code: 'ELOOP' });
    assert.equal(readFileSync(target, 'utf8'), '');
  });

  it('goes on after a crash in the middle of a line', async (t) => {
    const { directory, path, file } = fileIn(t, 1000);
    appendFileSync(path, '{"number":1}\n{"numb');
    await file.append('{"number":2}\n');
    assert.deepEqual(await linesIn(directory), [{ number: 1 }, { number: 2 }]);
  });
});
