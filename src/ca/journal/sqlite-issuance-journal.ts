import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { present } from '#base/assert.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import { ensurePrivateDirectory, OWNER_ONLY } from '#base/files.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { IssuanceJournal, IssuanceRecord, JournalQuery } from '#ca/journal/journal.ts';

/** The layout of the file; a file of a later one is refused. */
const LAYOUT = 1;
/** How often records of certificates that are over are taken out, milliseconds. */
const PRUNE_MS = 60_000;

/**
 * Serials are unique: a second certificate with one fails before it leaves. Names are short and
 * instants are seconds since 1970, since each certificate costs a row.
 */
const SCHEMA = `
  CREATE TABLE issued (
    serial TEXT NOT NULL UNIQUE, identity TEXT NOT NULL, not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL, issued_at INTEGER NOT NULL, issuer TEXT NOT NULL,
    method TEXT NOT NULL, proof TEXT NOT NULL, caller TEXT NOT NULL
  ) STRICT;
  CREATE INDEX issued_identity ON issued (identity);
  CREATE INDEX issued_not_after ON issued (not_after);
  PRAGMA user_version = ${LAYOUT};
`;
const COLUMNS = 'serial, identity, not_before, not_after, issued_at, issuer, method, proof, caller';

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
 * commit (group commit), so signing waits for a disk but no certificate for another's.
 */
export class SqliteIssuanceJournal implements IssuanceJournal, Component {
  readonly name = 'issuance journal';
  readonly #path: string;
  readonly #deps: SqliteIssuanceJournalDeps;
  readonly #sync: (file: FileHandle) => Promise<void>;
  #opened: Opened | undefined;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
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
        insert: database.prepare(`INSERT INTO issued (${COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)`),
        prune: database.prepare('DELETE FROM issued WHERE not_after < ?'),
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
    const { database } = present(this.#opened, 'the open journal');
    const now = Math.floor(this.#deps.clock.now() / 1000);
    const filters = [
      ...(identity === undefined ? [] : [['identity = ?', identity] as const]),
      ...(serial === undefined ? [] : [['serial = ?', serial] as const]),
    ];
    const where = ['not_after >= ?', ...filters.map(([text]) => text)].join(' AND ');
    const rows = database
      .prepare(`SELECT ${COLUMNS} FROM issued WHERE ${where} ORDER BY rowid DESC LIMIT ?`)
      .all(now, ...filters.map(([, value]) => value), LIMITS.journalListMax);
    return rows.map(recordOf);
  }

  /** Writes what waits, again and again until nothing does. */
  async #write(): Promise<void> {
    // The others of this turn of the event loop join the first batch.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#writeBatch(batch);
    }
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const { database, log } = present(this.#opened, 'the open journal');
    const kept: Waiting[] = [];
    try {
      database.exec('BEGIN');
      for (const one of batch) if (this.#insert(one)) kept.push(one);
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
      for (const one of kept) one.reject(this.#broken);
      return;
    }
    for (const one of kept) one.resolve();
  }

  /** A serial that is there already fails alone; the rest of its batch is kept. */
  #insert({ entry, reject }: Waiting): boolean {
    const { insert } = present(this.#opened, 'the open journal');
    try {
      insert.run(...rowOf(entry));
      return true;
    } catch (cause) {
      if (!(cause instanceof Error && /UNIQUE/.test(cause.message))) throw cause;
      reject(failed(`the serial ${entry.serial} was issued before`, cause));
      return false;
    }
  }

  #prune(): void {
    const { prune } = present(this.#opened, 'the open journal');
    try {
      prune.run(Math.floor(this.#deps.clock.now() / 1000));
    } catch (error) {
      this.#deps.log.warn('old records stay in the issuance journal', {
        reason: describeError(error),
      });
    }
    this.#timer = this.#deps.clock.after(PRUNE_MS, () => this.#prune());
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

function rowOf(entry: IssuanceRecord) {
  const { serial, identity, notBeforeAt, notAfterAt, issuedAt } = entry;
  const { issuerKeyId, method, proof, caller } = entry;
  const instants = [notBeforeAt, notAfterAt, issuedAt].map((at) => Math.floor(at / 1000));
  return [serial, identity, ...instants, issuerKeyId, method, proof, caller] as const;
}

function recordOf(row: Readonly<Record<string, unknown>>): IssuanceRecord {
  return {
    serial: String(row.serial),
    identity: String(row.identity),
    notBeforeAt: Number(row.not_before) * 1000,
    notAfterAt: Number(row.not_after) * 1000,
    issuedAt: Number(row.issued_at) * 1000,
    issuerKeyId: String(row.issuer),
    method: row.method as IssuanceRecord['method'],
    proof: String(row.proof),
    caller: String(row.caller),
  };
}

function failed(message: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_JOURNAL_FAILED', message, {
    remedy: 'check space and permissions of the data folder',
    cause,
  });
}
