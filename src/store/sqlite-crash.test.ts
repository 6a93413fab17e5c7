import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { SqliteStore } from '#store/sqlite-store.ts';
import { ManagedProcess } from '../../test/kit/child-process.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const WRITER = fileURLToPath(new URL('../../test/kit/store-writer.ts', import.meta.url));

it('loses nothing acknowledged and reuses no version when its process is killed', async (test) => {
  const path = join(temporaryDirectory(test), 'store.db');
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < 3; round += 1) {
    const args = [WRITER, path];
    const writer = new ManagedProcess({ name: 'writer', command: process.execPath, args });
    test.after(() => writer.kill());
    let lines = 0;
    await writer.waitForLine(() => {
      lines += 1;
      return lines > 300 ? true : undefined;
    }, 20_000);
    await writer.kill();
    for (const line of writer.lines) {
      const [, name, version] = /^(\S+) (\d+)$/.exec(line) ?? [];
      if (name) acknowledged.set(name, Number(version));
    }
  }
  assert.ok(acknowledged.size > 900);
  assert.equal(new Set(acknowledged.values()).size, acknowledged.size);
  const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
  const store = new SqliteStore({ path }, deps);
  test.after(() => store.close());
  await store.start();
  const { items } = await store.list('configmaps');
  const kept = new Map(
    items.map(({ metadata }) => [metadata.name, Number(metadata.resourceVersion)]),
  );
  for (const [name, version] of acknowledged) assert.equal(kept.get(name), version, name);
});
