import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '#base/log.ts';
import { ListFiles } from '#ca/lists/list-files.ts';
import { crlOf, makeAuthority } from '../../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

test('what was written is read again, until it is removed', async (t) => {
  const { files, first, second } = await setUp(t);
  await files.write(first);
  await files.write(second);
  const found = await files.read();
  assert.deepEqual(found.map(({ pem }) => pem).sort(), [first.pem, second.pem].sort());
  const [one] = found.filter(({ pem }) => pem === first.pem);
  assert.equal(one?.issuers.length, 2);
  assert.equal(one?.nextUpdateAt, first.nextUpdateAt);
  await files.remove(first);
  assert.deepEqual(
    (await files.read()).map(({ pem }) => pem),
    [second.pem],
  );
});

test('a list that is damaged, or of another authority, is told and left out', async (t) => {
  const { files, first, second, directory, lines } = await setUp(t);
  await files.write(first);
  const [name = ''] = readdirSync(directory);
  const path = join(directory, name);
  const good = readFileSync(path, 'utf8');
  for (const bad of ['', 'garbage', good.replace(first.pem, second.pem), first.pem]) {
    writeFileSync(path, bad);
    assert.deepEqual(await files.read(), [], bad.slice(0, 20));
  }
  assert.equal(lines.filter((line) => line.includes('cannot be used')).length, 4);
  writeFileSync(path, good);
  assert.equal((await files.read()).length, 1);
});

async function setUp(t: Parameters<typeof temporaryDirectory>[0]) {
  const directory = join(temporaryDirectory(t), 'lists');
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const files = new ListFiles(directory, { log });
  assert.deepEqual(await files.read(), []);
  const root = makeAuthority();
  const below = makeAuthority({}, root);
  const nextUpdateAt = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
  const times = { thisUpdateAt: 0, nextUpdateAt };
  const first = {
    ...times,
    issuers: [below.certificate, root.certificate] as const,
    pem: crlOf(below, ['ab'], { nextUpdateAt }),
  };
  const second = { ...times, issuers: [root.certificate] as const, pem: crlOf(root, []) };
  return { directory, files, lines, first, second };
}
