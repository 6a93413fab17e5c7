// No certificate leaves without a record that is on the disk, and what is over goes.
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { IssuanceRecord } from '#ca/journal/journal.ts';
import { SqliteIssuanceJournal } from '#ca/journal/sqlite-issuance-journal.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const HOUR_MS = 3_600_000;
const isFailed = (error: unknown) => isBulwarkError(error, 'CA_JOURNAL_FAILED');

type Sync = NonNullable<ConstructorParameters<typeof SqliteIssuanceJournal>[1]['sync']>;

function setUp(t: TestContext, sync?: Sync) {
  const clock = new FakeClock(Date.UTC(2026, 0));
  const path = join(temporaryDirectory(t), 'ca', 'issuance.db');
  const open = async () => {
    const deps = { clock, log: silentLogger, ...(sync ? { sync } : {}) };
    const journal = new SqliteIssuanceJournal({ path }, deps);
    t.after(() => journal.close());
    await journal.start();
    return journal;
  };
  const entry = (serial: string, changes: Partial<IssuanceRecord> = {}): IssuanceRecord => ({
    serial,
    identity: 'spiffe://cluster.local/ns/a/sa/b',
    notBeforeAt: clock.now() - 60_000,
    notAfterAt: clock.now() + HOUR_MS,
    issuedAt: clock.now(),
    issuerKeyId: 'ab12',
    method: 'certificate',
    proof: '1f',
    caller: '127.0.0.1:4000',
    ...changes,
  });
  return { clock, path, open, entry };
}

describe('the issuance journal', () => {
  it('keeps what was recorded over a restart, the latest first', async (t) => {
    const { open, entry, path } = setUp(t);
    const journal = await open();
    const records = [entry('1a'), entry('1b', { method: 'join-token', proof: 'x' })];
    for (const record of records) await journal.record(record);
    assert.deepEqual(journal.list(), records.toReversed());
    await journal.close();
    assert.deepEqual((await open()).list(), records.toReversed());
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('finds records by identity and by serial', async (t) => {
    const { open, entry } = setUp(t);
    const journal = await open();
    const other = entry('1b', { identity: 'spiffe://cluster.local/ns/a/sa/c' });
    await Promise.all([entry('1a'), other].map((record) => journal.record(record)));
    assert.deepEqual(journal.list({ identity: other.identity }), [other]);
    assert.deepEqual(journal.list({ serial: '1b' }), [other]);
    assert.deepEqual(journal.list({ serial: "1b' OR '1'='1" }), []);
  });

  it('forgets certificates that are over', async (t) => {
    const { clock, open, entry } = setUp(t);
    const journal = await open();
    await journal.record(entry('1a'));
    await journal.record(entry('1b', { notAfterAt: clock.now() + 3 * HOUR_MS }));
    clock.advance(2 * HOUR_MS);
    assert.deepEqual(
      journal.list().map(({ serial }) => serial),
      ['1b'],
    );
    // Pruned, not only left out: the old record does not come back with an old clock.
    clock.advance(-2 * HOUR_MS);
    assert.equal(journal.list().length, 1);
  });

  it('answers only when the disk has kept the record, and shares one wait', async (t) => {
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    let syncs = 0;
    const { open, entry } = setUp(t, async () => {
      syncs += 1;
      reached.resolve();
      await gate.promise;
    });
    const journal = await open();
    let answered = 0;
    const all = Array.from({ length: 50 }, async (_, index) => {
      await journal.record(entry(`1${index}`));
      answered += 1;
    });
    await reached.promise;
    assert.equal(answered, 0);
    gate.resolve();
    await Promise.all(all);
    assert.equal(syncs, 1);
  });

  it('keeps a distance between commits when records come in crowds, and none otherwise', async (t) => {
    let syncs = 0;
    const { clock, open, entry } = setUp(t, async () => {
      syncs += 1;
    });
    const journal = await open();
    await journal.record(entry('1a'));
    await Promise.all([journal.record(entry('1b')), journal.record(entry('1c'))]);
    assert.equal(syncs, 2);
    const next = [journal.record(entry('1d')), journal.record(entry('1e'))];
    await waitUntil(() => clock.waitingMs.some((ms) => ms < 1000), 'a commit that waits');
    next.push(journal.record(entry('1f')));
    assert.equal(syncs, 2);
    clock.advance(4);
    await Promise.all(next);
    assert.equal(syncs, 3);
  });

  it('lets nothing through once the disk failed to keep a record', async (t) => {
    let fails = true;
    const { open, entry } = setUp(t, async () => {
      if (fails) throw new Error('EIO');
    });
    const journal = await open();
    await assert.rejects(journal.record(entry('1a')), isFailed);
    fails = false;
    await assert.rejects(journal.record(entry('1b')), isFailed);
  });

  it('does not start on a file that is none of its own', async (t) => {
    const { open, path } = setUp(t);
    const journal = await open();
    await journal.close();
    writeFileSync(path, 'x'.repeat(8192));
    await assert.rejects(open(), isFailed);
  });
});
