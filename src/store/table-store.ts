import type { KindDefinition } from '#api/kind.ts';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject, KindId, ObjectKey } from '#api/object.ts';
import { assert } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { type Change, History, type HistoryBounds } from '#store/history.ts';
import { SortedObjects, sortKey } from '#store/sorted-objects.ts';
import { type StagedWrite, Staging } from '#store/staging.ts';
import type {
  CreateOptions,
  Precondition,
  Store,
  StoreList,
  StoreListOptions,
  StoreObserver,
  StoreWatch,
  StoreWatchOptions,
} from '#store/store.ts';
import { versionOf, Watchers } from '#store/watchers.ts';

export interface StoreDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

export interface StoreOptions {
  /** What is remembered for watches that resume; LIMITS when left out. */
  readonly history?: HistoryBounds;
}

/** One commit. */
export interface Batch {
  readonly changes: readonly Change[];
  /** The oldest changes of the history, which is to forget them with this commit. */
  readonly forgotten: readonly Change[];
}

/** Keeps what was written. */
export interface Journal {
  /** Resolves when the batch is kept; rejects when nothing of it is. */
  append(batch: Batch): Promise<void>;
  close(): Promise<void>;
}

/** What a journal held when it was opened. */
export interface Restored {
  /** The last version of each object that is there. */
  readonly objects: Iterable<Change>;
  /** The changes after `floor`, oldest first. */
  readonly changes: readonly Change[];
  readonly floor: number;
}

interface Waiting {
  readonly write: StagedWrite;
  readonly resolve: (object: ApiObject) => void;
  readonly reject: (error: unknown) => void;
}

const HISTORY_BOUNDS: HistoryBounds = {
  changesMax: LIMITS.watchHistoryMax,
  sizeMax: LIMITS.watchHistoryCharactersMax,
};

/**
 * A store with all objects in memory and a journal behind it. Writes queue up; one batch at a time
 * is checked against the objects, given to the journal, and only then seen by anybody. What arrives
 * meanwhile is the next batch, so that many writers share one commit.
 */
export class TableStore implements Store {
  readonly #deps: StoreDeps;
  readonly #journal: Journal;
  readonly #bounds: HistoryBounds;
  readonly #objects = new SortedObjects();
  #history: History;
  #watchers: Watchers;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(options: StoreOptions, deps: StoreDeps, journal: Journal) {
    this.#deps = deps;
    this.#journal = journal;
    this.#bounds = options.history ?? HISTORY_BOUNDS;
    this.#history = new History(this.#bounds, 0);
    this.#watchers = new Watchers(this.#history, deps.log);
  }

  /** Takes over what the journal held; before anything else happens. */
  protected restore({ objects, changes, floor }: Restored): void {
    assert(this.#history.current === 0, 'a store is restored once, before it is used');
    for (const { kind, namespace, name, object } of objects) {
      this.#objects.put(kind, sortKey(namespace, name), object);
    }
    this.#history = new History(this.#bounds, floor);
    this.#history.append(changes);
    this.#watchers = new Watchers(this.#history, this.#deps.log);
  }

  async get({ kind, namespace, name }: ObjectKey): Promise<ApiObject | undefined> {
    return this.#objects.get(kind, sortKey(namespace, name));
  }

  async list(kind: KindId, { namespace, at }: StoreListOptions = {}): Promise<StoreList> {
    if (at !== undefined && at !== String(this.#history.current)) {
      return { items: this.#listAt(kind, namespace, versionOf(at)), resourceVersion: at };
    }
    const items = this.#objects.list(kind, namespace);
    return { items, resourceVersion: String(this.#history.current) };
  }

  create(object: ApiObject, { within }: CreateOptions = {}): Promise<ApiObject> {
    return this.#enqueue(object, (kind, copy) => ({ type: 'create', kind, object: copy, within }));
  }

  update(object: ApiObject): Promise<ApiObject> {
    return this.#enqueue(object, (kind, copy) => ({ type: 'update', kind, object: copy }));
  }

  updateStatus(object: ApiObject): Promise<ApiObject> {
    return this.#enqueue(object, (kind, copy) => ({ type: 'status', kind, object: copy }));
  }

  delete(key: ObjectKey, precondition: Precondition = {}): Promise<ApiObject> {
    return this.#wait({ type: 'delete', key, precondition });
  }

  watch(options: StoreWatchOptions, observer: StoreObserver): StoreWatch {
    return this.#watchers.open(options, observer);
  }

  async currentVersion(): Promise<string> {
    return String(this.#history.current);
  }

  /** Ends all watches, waits for the writes that were accepted, and refuses further ones. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watchers.closeAll();
    await this.#writing;
    await this.#journal.close();
  }

  /** Copies the object, so that what the caller does with its own later changes nothing here. */
  async #enqueue(
    object: ApiObject,
    write: (kind: KindDefinition, copy: ApiObject) => StagedWrite,
  ): Promise<ApiObject> {
    const kind = kindOf(object.apiVersion, object.kind);
    if (!kind) {
      const message = `there is no kind ${object.kind} in ${object.apiVersion}`;
      throw new BulwarkError('API_UNKNOWN_KIND', message);
    }
    return this.#wait(write(kind, JSON.parse(JSON.stringify(object)) as ApiObject));
  }

  #wait(write: StagedWrite): Promise<ApiObject> {
    return new Promise((resolve, reject) => {
      if (this.#closed || this.#waiting.length >= LIMITS.storeWritesWaitingMax) {
        const message = this.#closed ? 'the store is closed' : 'too many writes are waiting';
        reject(new BulwarkError('STORE_WRITE_FAILED', message, { remedy: 'try again later' }));
        return;
      }
      this.#waiting.push({ write, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, LIMITS.storeBatchWritesMax);
      this.#waiting = this.#waiting.slice(batch.length);
      await this.#writeBatch(batch);
    }
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const staging = new Staging(this.#objects, this.#history.current, this.#deps);
    const outcomes = batch.map(({ write }) => staging.apply(write));
    const { changes } = staging;
    if (changes.length > 0) {
      const forgotten = this.#history.excess(changes);
      try {
        await this.#journal.append({ changes, forgotten });
      } catch (error) {
        for (const { reject } of batch) reject(error);
        return;
      }
      this.#publish({ changes, forgotten });
    }
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome instanceof BulwarkError) reject(outcome);
      else if (outcome) resolve(outcome);
    }
  }

  #publish({ changes, forgotten }: Batch): void {
    this.#history.forget(forgotten.length);
    this.#history.append(changes);
    for (const { type, kind, namespace, name, object } of changes) {
      const key = sortKey(namespace, name);
      if (type === 'DELETED') this.#objects.remove(kind, key);
      else this.#objects.put(kind, key, object);
    }
    this.#watchers.tell();
  }

  /** The present objects, with every change after the version undone. */
  #listAt(kind: KindId, namespace: string | undefined, version: number): readonly ApiObject[] {
    if (!this.#history.reaches(version)) {
      const message = `version ${version} is not known any more`;
      throw new BulwarkError('API_EXPIRED', message, { remedy: 'list again' });
    }
    const keyOf = ({ metadata }: ApiObject): string =>
      sortKey(metadata.namespace ?? '', metadata.name);
    const items = new Map(this.#objects.list(kind, namespace).map((o) => [keyOf(o), o]));
    for (const change of this.#history.after(version).toReversed()) {
      if (change.kind !== kind) continue;
      if (namespace !== undefined && change.namespace !== namespace) continue;
      const key = sortKey(change.namespace, change.name);
      if (change.previous) items.set(key, change.previous);
      else items.delete(key);
    }
    return [...items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }
}
