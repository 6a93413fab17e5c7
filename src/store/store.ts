import type { ApiObject, KindId, ObjectKey } from '#api/object.ts';
import type { BulwarkError } from '#base/errors.ts';

/** All objects of a kind at one moment. */
export interface StoreList {
  readonly items: readonly ApiObject[];
  /** The moment: a watch from this version sees every later change and no earlier one. */
  readonly resourceVersion: string;
}

export interface StoreListOptions {
  readonly namespace?: string;
  /**
   * The objects as they were at this version; API_EXPIRED when that is no longer known. Now when
   * left out.
   */
  readonly at?: string;
}

/** One change. */
export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly kind: KindId;
  /**
   * The object after the change; for DELETED its last state, with the resource version of the
   * deletion.
   */
  readonly object: ApiObject;
  /** The object before the change; absent for ADDED. */
  readonly previous?: ApiObject;
  readonly resourceVersion: string;
}

/** Takes the changes of a watch, in order, each once. */
export interface StoreObserver {
  onEvent(event: StoreEvent): void;
  /**
   * The watch ended and will say nothing more; API_EXPIRED = too far behind (or this observer
   * threw), list again.
   */
  onError(error: BulwarkError): void;
}

export interface StoreWatchOptions {
  /** Every kind when left out. */
  readonly kinds?: readonly KindId[];
  readonly namespace?: string;
  /** Changes after this version; from now on when left out. */
  readonly from?: string;
}

/** A running watch; closing it more than once does no harm. */
export interface StoreWatch {
  close(): void;
}

/** What an object must be for a write to be done. */
export interface Precondition {
  readonly resourceVersion?: string;
  readonly uid?: string;
}

/** A kind may have a `countMax`: one too many is refused, API_FORBIDDEN with `data.countMax`. */
export interface CreateOptions {
  /**
   * An object (the namespace) that must exist and must not be in deletion at the very moment of the
   * write; else API_NOT_FOUND or API_FORBIDDEN, with `data.within`.
   */
  readonly within?: ObjectKey;
}

/**
 * Where objects live. Versions are numbers written as text that grow by every write, over all
 * kinds, and are never used twice, also not after a crash. One contract suite
 * (test/contract/store-contract.ts) holds for every implementation. Objects handed out are frozen
 * and shared: change a copy.
 *
 * A write is acknowledged, and seen by readers and watches, only once it is kept as well as the
 * implementation can keep it. Observers are called before the writer's promise resolves.
 *
 * Errors, all BulwarkError: API_NOT_FOUND, API_ALREADY_EXISTS, API_CONFLICT (a version or uid that
 * does not fit), API_EXPIRED (a version no longer kept), API_UNKNOWN_KIND, STORE_WRITE_FAILED,
 * FILES_DISK_FULL, STORE_CORRUPT.
 */
export interface Store {
  get(key: ObjectKey): Promise<ApiObject | undefined>;
  /** Sorted by namespace, then name. */
  list(kind: KindId, options?: StoreListOptions): Promise<StoreList>;
  /** Sets uid, resourceVersion, creationTimestamp and, for kinds that have one, generation 1. */
  create(object: ApiObject, options?: CreateOptions): Promise<ApiObject>;
  /**
   * Replaces everything but status. A resourceVersion in the metadata must be the present one;
   * without one the last writer wins; a uid must be the present one. Nothing changed = nothing
   * written: the present object comes back.
   */
  update(object: ApiObject): Promise<ApiObject>;
  /** Replaces status only; otherwise as `update`. */
  updateStatus(object: ApiObject): Promise<ApiObject>;
  /** The last state, with the resource version of the deletion. */
  delete(key: ObjectKey, precondition?: Precondition): Promise<ApiObject>;
  watch(options: StoreWatchOptions, observer: StoreObserver): StoreWatch;
  /** The version of the last write. */
  currentVersion(): Promise<string>;
  close(): Promise<void>;
}
