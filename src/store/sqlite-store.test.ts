import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, it, type TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { SqliteStore, type SqliteStoreOptions } from '#store/sqlite-store.ts';
import { describeStore } from '../../test/contract/store-contract.ts';
import { configMap, keyOf, Recorder, withCode } from '../../test/kit/store-subject.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
const open: SqliteStore[] = [];
const root = mkdtempSync(join(tmpdir(), 'bw-'));
after(() => rmSync(root, { recursive: true, force: true }));
after(() => Promise.all(open.map((store) => store.close())));

async function started(options: SqliteStoreOptions, more = {}): Promise<SqliteStore> {
  const store = new SqliteStore(options, { ...deps, ...more });
  open.push(store);
  await store.start();
  return store;
}

let files = 0;
const optionsOf = new Map<unknown, SqliteStoreOptions>();

async function remembered(options: SqliteStoreOptions): Promise<SqliteStore> {
  const store = await started(options);
  optionsOf.set(store, options);
  return store;
}

describeStore('SqliteStore', {
  open: (options) => {
    files += 1;
    return remembered({ ...options, path: join(root, String(files), 'store.db') });
  },
  reopen: async (store) => {
    await store.close();
    const options = optionsOf.get(store);
    assert.ok(options);
    return remembered(options);
  },
});

const fileOf = (test: TestContext): string => join(temporaryDirectory(test), 'data', 'store.db');

it('keeps its files and its directory to the owner', async (test) => {
  const path = fileOf(test);
  const store = await started({ path });
  await store.create(configMap('x'));
  const directory = join(path, '..');
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const names = readdirSync(directory);
  assert.ok(names.includes('store.db-wal'));
  for (const name of names) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
});

it('closes a file that others could read', async (test) => {
  const path = fileOf(test);
  await (await started({ path })).close();
  chmodSync(path, 0o644);
  await started({ path });
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

it('acknowledges and shows a write only after the disk has it', async (test) => {
  const holding = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const sync = () => {
    asked.resolve();
    return holding.promise;
  };
  const store = await started({ path: fileOf(test) }, { sync });
  const recorder = new Recorder();
  store.watch({}, recorder);
  let acknowledged = false;
  const write = store.create(configMap('x')).then(() => {
    acknowledged = true;
  });
  await asked.promise;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(acknowledged, false);
  assert.equal(await store.get(keyOf('x')), undefined);
  assert.deepEqual(recorder.said, []);
  holding.resolve();
  await write;
  assert.deepEqual(recorder.said, ['ADDED x']);
});

it('lets writers that come together share one commit', async (test) => {
  let syncs = 0;
  const sync = async () => {
    syncs += 1;
  };
  const store = await started({ path: fileOf(test) }, { sync });
  await Promise.all(Array.from({ length: 64 }, (_, k) => store.create(configMap(`x${k}`))));
  assert.ok(syncs <= 2, `${syncs} commits for 64 writers`);
});

it('refuses every further write when the disk did not keep one', async (test) => {
  const path = fileOf(test);
  let broken = false;
  const sync = async () => {
    if (broken) throw new Error('EIO');
  };
  const store = await started({ path }, { sync });
  await store.create(configMap('kept'));
  broken = true;
  await assert.rejects(store.create(configMap('x')), withCode('STORE_WRITE_FAILED'));
  broken = false;
  await assert.rejects(store.create(configMap('y')), withCode('STORE_WRITE_FAILED'));
  assert.equal(await store.get(keyOf('x')), undefined);
  assert.ok(await store.get(keyOf('kept')));
});

it('survives a full disk: one clear error, nothing lost, later writes work', async (test) => {
  const options = { path: fileOf(test), fileBytesMax: 160 * 1024 };
  const store = await started(options);
  await store.create(configMap('before', { k: 'v' }));
  const big = configMap('big', { k: 'x'.repeat(512 * 1024) });
  const full = withCode('FILES_DISK_FULL');
  const before = await store.currentVersion();
  await assert.rejects(store.create(big), (error: Error) => {
    assert.match(error.message, /no space left to write .*store\.db/);
    return full(error);
  });
  assert.equal(await store.currentVersion(), before);
  assert.equal(await store.get(keyOf('big')), undefined);
  await store.create(configMap('after'));
  await store.close();
  const again = await started(options);
  const { items } = await again.list('configmaps');
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['after', 'before'],
  );
});

it('says what to do about a damaged file, and leaves it alone', async (test) => {
  const path = join(temporaryDirectory(test), 'store.db');
  const store = await started({ path });
  for (let k = 0; k < 50; k += 1) await store.create(configMap(`x${k}`, { k: 'v'.repeat(500) }));
  await store.close();
  const damaged = readFileSync(path);
  damaged.fill(0xff, 5000, 20_000);
  writeFileSync(path, damaged);
  await assert.rejects(started({ path }), (error: Error) => {
    assert.match(String('remedy' in error && error.remedy), /restore .* from a backup/);
    return withCode('STORE_CORRUPT')(error);
  });
  assert.deepEqual(readFileSync(path), damaged);
});

it('refuses files that are no database, of another program, or of a later version', async (test) => {
  const directory = temporaryDirectory(test);
  const corrupt = withCode('STORE_CORRUPT');
  const text = join(directory, 'text.db');
  writeFileSync(text, 'This is no database. '.repeat(100));
  await assert.rejects(started({ path: text }), corrupt);
  const foreign = join(directory, 'foreign.db');
  using database = new DatabaseSync(foreign);
  database.exec('CREATE TABLE photo (id INTEGER)');
  database.close();
  await assert.rejects(started({ path: foreign }), corrupt);
  const later = join(directory, 'later.db');
  await (await started({ path: later })).close();
  using changed = new DatabaseSync(later);
  changed.exec('PRAGMA user_version = 99');
  changed.close();
  await assert.rejects(started({ path: later }), /newer version/);
});

it('refuses a row that does not read back', async (test) => {
  const path = fileOf(test);
  const store = await started({ path });
  await store.create(configMap('x'));
  await store.close();
  using database = new DatabaseSync(path);
  database.exec("UPDATE revision SET text = '{' WHERE name = 'x'");
  database.close();
  await assert.rejects(started({ path }), withCode('STORE_CORRUPT'));
});

it('does not open a file that another server has open', async (test) => {
  const path = fileOf(test);
  const store = await started({ path });
  await assert.rejects(started({ path }), withCode('STORE_IN_USE'));
  await store.create(configMap('x'));
});

it('says so when the path cannot be a file', async (test) => {
  const directory = temporaryDirectory(test);
  mkdirSync(join(directory, 'store.db'));
  await assert.rejects(
    started({ path: join(directory, 'store.db') }),
    withCode('FILES_UNWRITABLE'),
  );
});

it('refuses writes after it was closed', async (test) => {
  const store = await started({ path: fileOf(test) });
  await store.close();
  await store.close();
  await assert.rejects(store.create(configMap('x')), withCode('STORE_WRITE_FAILED'));
});
