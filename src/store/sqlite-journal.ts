import { type FileHandle, open as openFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { assert, present } from '#base/assert.ts';
import { BulwarkError } from '#base/errors.ts';
import { ensurePrivateDirectory, OWNER_ONLY } from '#base/files.ts';
import { LIMITS } from '#base/limits.ts';
import { textOf } from '#store/frozen.ts';
import type { Change } from '#store/history.ts';
import { corrupt, storeError } from '#store/sqlite-errors.ts';
import { type RevisionRow, readRows } from '#store/sqlite-rows.ts';
import type { Batch, Journal, Restored } from '#store/table-store.ts';

/** The layout of the file, in its header; a file of a later layout is refused. */
const LAYOUT = 1;
/**
 * "Bulw" in the header tells our files from others (sqlite.org/pragma.html#pragma_application_id).
 */
const APPLICATION_ID = 0x42756c77;
const PAGE_BYTES = 4096;

/**
 * One row for each version that is the present state of an object, or that a remembered change
 * leads from or to: the text of an object is written once. A deletion has no text; it is that of
 * the row before.
 */
const SCHEMA = `
  CREATE TABLE revision (
    version   INTEGER PRIMARY KEY,
    type      TEXT NOT NULL CHECK (type IN ('ADDED', 'MODIFIED', 'DELETED')),
    kind      TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    previous  INTEGER,
    text      TEXT
  ) STRICT;
  CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO mark VALUES ('floor', 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${LAYOUT};
`;

export interface SqliteJournalOptions {
  readonly path: string;
  /** Bytes that the file may grow to; LIMITS when left out. */
  readonly fileBytesMax?: number;
}

export interface SqliteJournalDeps {
  /** Waits until what was written to the open file is on the disk; replaced in tests only. */
  readonly sync: (file: FileHandle) => Promise<void>;
}

interface Opened {
  readonly database: DatabaseSync;
  readonly insert: StatementSync;
  readonly remove: StatementSync;
  readonly setFloor: StatementSync;
  /** SQLite's write-ahead log, which holds the commits that are not in the main file yet. */
  readonly log: FileHandle;
}

/**
 * The journal of a store in a SQLite file, in WAL mode. SQLite is told not to sync at each commit
 * (synchronous=NORMAL: a crash of the process loses nothing, and the file stays consistent in a
 * power cut); the write-ahead log is synced here instead, off the main thread, before a batch
 * counts as kept. So writing never stops the event loop for the time of a disk, and what was
 * acknowledged survives a power cut too.
 */
export class SqliteJournal implements Journal {
  readonly #path: string;
  readonly #fileBytesMax: number;
  readonly #sync: (file: FileHandle) => Promise<void>;
  #opened: Opened | undefined;
  #broken: BulwarkError | undefined;

  constructor(options: SqliteJournalOptions, deps: Partial<SqliteJournalDeps>) {
    this.#path = options.path;
    this.#fileBytesMax = options.fileBytesMax ?? LIMITS.storeFileBytesMax;
    this.#sync = deps.sync ?? ((file) => file.datasync());
  }

  /** @throws BulwarkError STORE_CORRUPT, STORE_IN_USE, STORE_WRITE_FAILED, FILES_UNWRITABLE */
  async open(): Promise<Restored> {
    await ensurePrivateDirectory(dirname(this.#path));
    let database: DatabaseSync | undefined;
    try {
      await makePrivateFile(this.#path);
      database = new DatabaseSync(this.#path, { timeout: 0 });
      prepareFile(database, this.#path);
      const pagesMax = Math.floor(this.#fileBytesMax / PAGE_BYTES);
      database.exec(`PRAGMA max_page_count = ${pagesMax}`);
      const restored = readRows(database, this.#path);
      this.#opened = await this.#openLog(database);
      return restored;
    } catch (error) {
      database?.close();
      throw storeError(this.#path, error);
    }
  }

  async append(batch: Batch): Promise<void> {
    if (this.#broken) throw this.#broken;
    const { database, log } = present(this.#opened, 'the open journal');
    try {
      database.exec('BEGIN');
      this.#writeRows(batch);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw storeError(this.#path, error);
    }
    try {
      await this.#sync(log);
    } catch (error) {
      // Nobody knows what is on the disk now, and trying again would hide that: refuse until a
      // restart reads it back.
      this.#broken = brokenDisk(this.#path, error);
      throw this.#broken;
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.log.close();
    opened?.database.close();
  }

  #writeRows({ changes, forgotten }: Batch): void {
    const { insert, remove, setFloor } = present(this.#opened, 'the open journal');
    for (const change of changes) insert.run(...rowOf(change));
    for (const { type, version, previous } of forgotten) {
      if (previous) remove.run(Number(previous.metadata.resourceVersion));
      if (type === 'DELETED') remove.run(version);
    }
    const last = forgotten.at(-1);
    if (last) setFloor.run(last.version);
  }

  async #openLog(database: DatabaseSync): Promise<Opened> {
    // Touches the log, so that it is there, and its directory entry is on the disk before anything
    // is acknowledged.
    database.exec("UPDATE mark SET value = value WHERE name = 'floor'");
    const directory = await openFile(dirname(this.#path), 'r');
    await directory.sync().finally(() => directory.close());
    const remove = database.prepare('DELETE FROM revision WHERE version = ?');
    const setFloor = database.prepare("UPDATE mark SET value = ? WHERE name = 'floor'");
    const insert = database.prepare('INSERT INTO revision VALUES (?, ?, ?, ?, ?, ?, ?)');
    const log = await openFile(`${this.#path}-wal`, 'r+');
    return { database, insert, remove, setFloor, log };
  }
}

/**
 * SQLite gives its other files the mode of the main one, so that one is made here, for the owner
 * only.
 */
async function makePrivateFile(path: string): Promise<void> {
  const file = await openFile(path, 'a', OWNER_ONLY);
  await file.chmod(OWNER_ONLY).finally(() => file.close());
}

function rowOf(change: Change): RevisionRow {
  const { version, type, kind, namespace, name, object, previous } = change;
  const before = previous ? Number(previous.metadata.resourceVersion) : null;
  assert(object.metadata.resourceVersion === String(version), 'an object carries its version');
  return [version, type, kind, namespace, name, before, type === 'DELETED' ? null : textOf(object)];
}

/** Settings of the connection, and the tables of a new file. */
function prepareFile(database: DatabaseSync, path: string): void {
  // Exclusive: a second server on the same file must not start, and no shared-memory file is
  // needed.
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = NORMAL');
  database.exec('PRAGMA journal_size_limit = 16777216');
  const check = database.prepare('PRAGMA quick_check(1)').get();
  if (check?.quick_check !== 'ok') throw corrupt(path, new Error(String(check?.quick_check)));
  const header = (name: string): number =>
    Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
  const layout = header('user_version');
  if (layout === 0 && database.prepare('SELECT 1 FROM sqlite_schema').get() === undefined) {
    database.exec(`BEGIN; ${SCHEMA} COMMIT;`);
    return;
  }
  if (header('application_id') !== APPLICATION_ID) {
    throw corrupt(path, new Error('the file belongs to another program'));
  }
  if (layout === LAYOUT) return;
  const message = `${path} was written by a newer version of this program (layout ${layout})`;
  throw new BulwarkError('STORE_CORRUPT', message, {
    remedy: 'run that version, or restore a backup from before the upgrade',
    data: { path, layout },
  });
}

function brokenDisk(path: string, cause: unknown): BulwarkError {
  return new BulwarkError('STORE_WRITE_FAILED', `the disk did not keep a write to ${path}`, {
    remedy: 'check the disk, then restart the server; it refuses writes until then',
    data: { path },
    cause,
  });
}
