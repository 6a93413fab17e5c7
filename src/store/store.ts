import type { ApiObject, KindId, ObjectKey } from '#api/object.ts';
import type { BulwarkError } from '#base/errors.ts';

/** All objects of a kind at one moment. */
export interface StoreList {
  readonly items: readonly ApiObject[];
  /** The moment: a watch from this version sees every later change and no earlier one. */
  readonly resourceVersion: string;
}

/** One change. */
export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly kind: KindId;
  /** The object after the change; for DELETED its last state, with the resource version of the deletion. */
  readonly object: ApiObject;
  readonly resourceVersion: string;
}

/** Takes the changes of a watch, in order, each once. */
export interface StoreObserver {
  onEvent(event: StoreEvent): void;
  /** The watch ended and will say nothing more; API_EXPIRED = too far behind, list again. */
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

export interface Precondition {
  readonly resourceVersion?: string;
  readonly uid?: string;
}

/**
 * Where objects live. Versions are numbers written as text that grow by every write, over all kinds, and are never
 * used twice, also not after a crash. One contract suite (test/contract/store.ts) holds for every implementation.
 * Objects handed out are frozen and shared: change a copy.
 *
 * Errors, all BulwarkError: API_NOT_FOUND, API_ALREADY_EXISTS, API_CONFLICT (a version or uid that does not fit),
 * API_EXPIRED (a watch from a version no longer kept), STORE_WRITE_FAILED, FILES_DISK_FULL, STORE_CORRUPT.
 */
export interface Store {
  get(key: ObjectKey): Promise<ApiObject | undefined>;
  /** Sorted by namespace, then name. */
  list(kind: KindId, options?: { readonly namespace?: string }): Promise<StoreList>;
  /** Sets uid, resourceVersion, generation 1 and creationTimestamp. */
  create(object: ApiObject): Promise<ApiObject>;
  /**
   * Replaces everything but status. A resourceVersion in the metadata must be the present one; without one the last
   * writer wins. Nothing changed = nothing written: the present object comes back.
   */
  update(object: ApiObject): Promise<ApiObject>;
  /** Replaces status only; otherwise as `update`. */
  updateStatus(object: ApiObject): Promise<ApiObject>;
  delete(key: ObjectKey, precondition?: Precondition): Promise<ApiObject>;
  watch(options: StoreWatchOptions, observer: StoreObserver): StoreWatch;
  /** The version of the last write. */
  currentVersion(): Promise<string>;
  close(): Promise<void>;
}
