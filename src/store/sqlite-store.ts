import type { Component } from '#base/lifecycle.ts';
import { SqliteJournal, type SqliteJournalDeps } from '#store/sqlite-journal.ts';
import { type StoreDeps, type StoreOptions, TableStore } from '#store/table-store.ts';

export interface SqliteStoreOptions extends StoreOptions {
  /** The database file; made, with its directory, when it is not there. */
  readonly path: string;
  /** Bytes that the file may grow to; LIMITS when left out. */
  readonly fileBytesMax?: number;
}

/** A store in one SQLite file: what was acknowledged survives a kill and a power cut. */
export class SqliteStore extends TableStore implements Component {
  readonly name = 'store';
  readonly #journal: SqliteJournal;

  constructor(options: SqliteStoreOptions, deps: StoreDeps & Partial<SqliteJournalDeps>) {
    const journal = new SqliteJournal(options, deps);
    super(options, deps, journal);
    this.#journal = journal;
  }

  /** @throws BulwarkError STORE_CORRUPT, STORE_IN_USE, STORE_WRITE_FAILED, FILES_UNWRITABLE */
  async start(): Promise<void> {
    this.restore(await this.#journal.open());
  }
}
