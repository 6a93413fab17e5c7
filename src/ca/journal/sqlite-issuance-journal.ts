import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { present } from '#base/assert.ts';
import { type Clock, delay, type Timer } from '#base/clock.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import { ensurePrivateDirectory, OWNER_ONLY } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { IssuanceJournal, IssuanceRecord, JournalQuery } from '#ca/journal/journal.ts';

/** The layout of the file; a file of a later one is refused. */
const LAYOUT = 1;
/**
 * While many certificates are asked for, so many milliseconds pass from one commit to the next, so
 * that more of them share one: waking a thread and a disk costs as much as signing.
 */
const GATHER_MS = 4;
/** How often records of certificates that are over are taken out, milliseconds. */
const PRUNE_MS = 60_000;
/** Of so many at once, so that nothing else waits for it; the rest follows soon. */
const PRUNE_ROWS = 1000;
const PRUNE_AGAIN_MS = 20;

/**
 * Rows in the order in which they came, and an index that grows at its end as long as lifetimes are
 * alike: so the records of one commit share a few pages. An index by serial or identity would cost
 * each certificate two pages more, for questions that people ask seldom.
 */
const SCHEMA = `
  CREATE TABLE issued (not_after INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
  CREATE INDEX issued_not_after ON issued (not_after);
  PRAGMA user_version = ${LAYOUT};
`;
/** The latest first; the second parameter is a text that the record has somewhere. */
const FIND = `
  SELECT record FROM issued WHERE not_after >= ? AND instr(record, ?) > 0 ORDER BY rowid DESC
`;
const PRUNE = `
  DELETE FROM issued WHERE rowid IN (SELECT rowid FROM issued WHERE not_after < ? LIMIT ${PRUNE_ROWS})
`;

export interface SqliteIssuanceJournalOptions {
  readonly path: string;
}

export interface SqliteIssuanceJournalDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Waits until what was written to the open file is on the disk; replaced in tests only. */
  readonly sync?: (file: FileHandle) => Promise<void>;
}

interface Opened {
  readonly database: DatabaseSync;
  readonly insert: StatementSync;
  readonly find: StatementSync;
  readonly prune: StatementSync;
  /** SQLite's write-ahead log, which is synced here, off the main thread. */
  readonly log: FileHandle;
}

interface Waiting {
  readonly entry: IssuanceRecord;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * The journal in a SQLite file in WAL mode. Records that come while the disk is busy share the next
 * commit (group commit), so signing waits for a disk but no certificate for another's; when they
 * come in crowds, commits keep a small distance.
 */
export class SqliteIssuanceJournal implements IssuanceJournal, Component {
  readonly name = 'issuance journal';
  readonly #path: string;
  readonly #deps: SqliteIssuanceJournalDeps;
  readonly #sync: (file: FileHandle) => Promise<void>;
  #opened: Opened | undefined;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #last = { atMs: Number.NEGATIVE_INFINITY, count: 0 };
  #timer: Timer | undefined;
  #broken: BulwarkError | undefined;

  constructor({ path }: SqliteIssuanceJournalOptions, deps: SqliteIssuanceJournalDeps) {
    this.#path = path;
    this.#deps = deps;
    this.#sync = deps.sync ?? ((file) => file.datasync());
  }

  /** @throws BulwarkError CA_JOURNAL_FAILED, FILES_UNWRITABLE */
  async start(): Promise<void> {
    await ensurePrivateDirectory(dirname(this.#path));
    let database: DatabaseSync | undefined;
    try {
      const file = await open(this.#path, 'a', OWNER_ONLY);
      await file.chmod(OWNER_ONLY).finally(() => file.close());
      database = new DatabaseSync(this.#path, { timeout: 0 });
      prepare(database);
      // Touches the log, so that it is there to be synced, and its directory entry with it.
      database.exec('CREATE TABLE IF NOT EXISTS mark (one INTEGER); DELETE FROM mark');
      database.exec('INSERT INTO mark VALUES (1)');
      const directory = await open(dirname(this.#path), 'r');
      await directory.sync().finally(() => directory.close());
      this.#opened = {
        database,
        insert: database.prepare('INSERT INTO issued VALUES (?, ?)'),
        find: database.prepare(FIND),
        prune: database.prepare(PRUNE),
        log: await open(`${this.#path}-wal`, 'r+'),
      };
    } catch (cause) {
      database?.close();
      throw failed(`cannot open the issuance journal ${this.#path}`, cause);
    }
    this.#prune();
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#writing;
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.log.close();
    opened?.database.close();
  }

  async record(entry: IssuanceRecord): Promise<void> {
    if (this.#broken) throw this.#broken;
    if (this.#waiting.length >= LIMITS.journalWaitingMax)
      throw failed('too many certificates wait for the issuance journal');
    const done = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
    });
    this.#writing ??= this.#write();
    await done;
  }

  list({ identity, serial }: JournalQuery = {}): readonly IssuanceRecord[] {
    const { find } = present(this.#opened, 'the open journal');
    const found: IssuanceRecord[] = [];
    const text = serial ?? identity ?? '';
    for (const row of find.iterate(this.#deps.clock.now(), text)) {
      const record = JSON.parse(String(row.record)) as IssuanceRecord;
      if (serial !== undefined && record.serial !== serial) continue;
      if (identity !== undefined && record.identity !== identity) continue;
      if (found.push(record) >= LIMITS.journalListMax) break;
    }
    return found;
  }

  *each(): Iterable<IssuanceRecord> {
    const { find } = present(this.#opened, 'the open journal');
    for (const row of find.iterate(this.#deps.clock.now(), ''))
      yield JSON.parse(String(row.record)) as IssuanceRecord;
  }

  /** Writes what waits, again and again until nothing does. */
  async #write(): Promise<void> {
    // The others of this turn of the event loop join the first batch.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      await this.#gather();
      const batch = this.#waiting;
      this.#waiting = [];
      this.#last = { atMs: this.#deps.clock.monotonicMs(), count: batch.length };
      await this.#writeBatch(batch);
    }
    this.#writing = undefined;
  }

  /** One who comes alone does not wait: only a batch of several shows that more are to come. */
  async #gather(): Promise<void> {
    const { clock } = this.#deps;
    const { atMs, count } = this.#last;
    const leftMs = atMs + GATHER_MS - clock.monotonicMs();
    if (count > 1 && leftMs > 0) await delay(clock, leftMs);
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const { database, insert, log } = present(this.#opened, 'the open journal');
    try {
      database.exec('BEGIN');
      for (const { entry } of batch) insert.run(entry.notAfterAt, JSON.stringify(entry));
      database.exec('COMMIT');
    } catch (cause) {
      if (database.isTransaction) database.exec('ROLLBACK');
      const error = failed('the issuance journal could not write', cause);
      for (const one of batch) one.reject(error);
      return;
    }
    try {
      await this.#sync(log);
    } catch (cause) {
      // Nobody knows what is on the disk now: nothing leaves until a restart reads it back.
      this.#broken = failed('the disk did not keep the issuance journal', cause);
      for (const one of batch) one.reject(this.#broken);
      return;
    }
    for (const one of batch) one.resolve();
  }

  #prune(): void {
    const { prune } = present(this.#opened, 'the open journal');
    let isMore = false;
    try {
      isMore = Number(prune.run(this.#deps.clock.now()).changes) === PRUNE_ROWS;
    } catch (error) {
      const reason = describeError(error);
      this.#deps.log.warn('old records stay in the issuance journal', { reason });
    }
    const pauseMs = isMore ? PRUNE_AGAIN_MS : PRUNE_MS;
    this.#timer = this.#deps.clock.after(pauseMs, () => this.#prune());
  }
}

function prepare(database: DatabaseSync): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = NORMAL');
  database.exec('PRAGMA journal_size_limit = 16777216');
  const check = database.prepare('PRAGMA quick_check(1)').get();
  if (check?.quick_check !== 'ok') throw new Error(`it is damaged: ${check?.quick_check}`);
  const layout = Number(database.prepare('PRAGMA user_version').get()?.user_version ?? 0);
  if (layout === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT;`);
  else if (layout !== LAYOUT) throw new Error(`a newer version wrote it (layout ${layout})`);
}

function failed(message: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_JOURNAL_FAILED', message, {
    remedy: 'check space and permissions of the data folder',
    cause,
  });
}
