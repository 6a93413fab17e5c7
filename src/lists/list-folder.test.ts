// Lists on disk: what is kept comes back while it counts, and nothing else does.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '#base/log.ts';
import type { ListSource } from '#model/fetched-lists.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { ListFolder } from './list-folder.ts';

const SOURCE: ListSource = {
  url: 'https://lists/a',
  entryType: 'IP_ADDRESSES',
  refreshMs: 1000,
  ttlMs: 5000,
};
const LIST = { source: SOURCE, entries: ['10.0.0.1'], fetchedAt: 100_000 };

test('a list comes back while it counts', async (t) => {
  const path = join(temporaryDirectory(t), 'lists');
  const folder = new ListFolder(path, { log: silentLogger });
  assert.deepEqual(await folder.load(0), []);
  await folder.save(LIST);
  assert.deepEqual(await folder.load(104_999), [LIST]);
  assert.deepEqual(await folder.load(105_000), [], 'not when its time is over');
  assert.deepEqual(readdirSync(path), []);
  await folder.save(LIST);
  assert.deepEqual(await folder.load(99_999), [], 'nor when it is of the future');
  await folder.save(LIST);
  await folder.forget(SOURCE);
  assert.deepEqual(readdirSync(path), []);
});

test('what was tampered with does not come back', async (t) => {
  const path = join(temporaryDirectory(t), 'lists');
  const folder = new ListFolder(path, { log: silentLogger });
  await folder.load(0);
  await folder.save(LIST);
  const [name = ''] = readdirSync(path);
  const file = join(path, name);
  const text = readFileSync(file, 'utf8');
  for (const bad of [
    '{',
    text.replace('10.0.0.1', 'everybody'),
    text.replace('lists/a', 'lists/b'),
    text.replace('["10.0.0.1"]', '{}'),
  ]) {
    writeFileSync(file, bad);
    assert.deepEqual(await folder.load(100_001), [], bad);
  }
});
