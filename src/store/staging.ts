import type { KindDefinition } from '#api/kind.ts';
import type { ApiObject, KindId, ObjectKey } from '#api/object.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { RandomSource } from '#base/random.ts';
import { refuseOneTooMany } from '#store/count-limit.ts';
import { frozen, textOf } from '#store/frozen.ts';
import type { Change } from '#store/history.ts';
import {
  checkPrecondition,
  firstRevision,
  lastRevision,
  nextRevision,
  nextStatus,
} from '#store/revise.ts';
import { type SortedObjects, sortKey } from '#store/sorted-objects.ts';
import type { Precondition } from '#store/store.ts';

/** A write that waits for its turn. */
export type StagedWrite =
  | {
      readonly type: 'create';
      readonly kind: KindDefinition;
      readonly object: ApiObject;
      readonly within: ObjectKey | undefined;
    }
  | {
      readonly type: 'update' | 'status';
      readonly kind: KindDefinition;
      readonly object: ApiObject;
    }
  | { readonly type: 'delete'; readonly key: ObjectKey; readonly precondition: Precondition };

export interface StagingDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** The writes of one batch, each seeing those before it; nothing is changed outside. */
export class Staging {
  readonly #objects: SortedObjects;
  readonly #deps: StagingDeps;
  /** What the batch changed so far; undefined = deleted. */
  readonly #staged = new Map<KindId, Map<string, ApiObject | undefined>>();
  readonly #changes: Change[] = [];
  #version: number;

  constructor(objects: SortedObjects, version: number, deps: StagingDeps) {
    this.#objects = objects;
    this.#version = version;
    this.#deps = deps;
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  /** The object after the write, or why it cannot be done. */
  apply(write: StagedWrite): ApiObject | BulwarkError {
    try {
      if (write.type === 'delete') return this.#delete(write.key, write.precondition);
      if (write.type === 'create') return this.#create(write.kind, write.object, write.within);
      return this.#replace(write.type, write.kind, write.object);
    } catch (error) {
      if (error instanceof BulwarkError) return error;
      throw error;
    }
  }

  #create(kind: KindDefinition, object: ApiObject, within: ObjectKey | undefined): ApiObject {
    const key = keyOf(kind, object);
    if (within) this.#checkWithin(key, within);
    if (this.#present(key)) {
      const message = `${key.kind} "${key.name}" already exists`;
      throw new BulwarkError('API_ALREADY_EXISTS', message, { data: { ...key } });
    }
    if (kind.countMax !== undefined) refuseOneTooMany(key, kind, this.#count(kind.id));
    const stamp = { version: String(this.#version + 1), ...this.#deps };
    return this.#stage('ADDED', key, firstRevision(kind, object, stamp), undefined);
  }

  #replace(type: 'update' | 'status', kind: KindDefinition, object: ApiObject): ApiObject {
    const key = keyOf(kind, object);
    const current = this.#existing(key);
    checkPrecondition(key, current, object.metadata);
    const version = String(this.#version + 1);
    const next =
      type === 'update'
        ? nextRevision(kind, current, object, version)
        : nextStatus(kind, current, object, version);
    return next === current ? current : this.#stage('MODIFIED', key, next, current);
  }

  #delete(key: ObjectKey, precondition: Precondition): ApiObject {
    const current = this.#existing(key);
    checkPrecondition(key, current, precondition);
    const last = lastRevision(current, String(this.#version + 1));
    return this.#stage('DELETED', key, last, current);
  }

  #checkWithin(key: ObjectKey, within: ObjectKey): void {
    const outer = this.#present(within);
    const data = { ...key, within };
    if (!outer) {
      const message = `${within.kind} "${within.name}" not found`;
      throw new BulwarkError('API_NOT_FOUND', message, { data });
    }
    if (outer.metadata.deletionTimestamp === undefined) return;
    const message = `${within.kind} "${within.name}" is being deleted`;
    throw new BulwarkError('API_FORBIDDEN', message, { data });
  }

  #count(kind: KindId): number {
    let count = this.#objects.list(kind, undefined).length;
    for (const [key, object] of this.#staged.get(kind) ?? []) {
      count += Number(object !== undefined) - Number(this.#objects.get(kind, key) !== undefined);
    }
    return count;
  }

  #existing(key: ObjectKey): ApiObject {
    const current = this.#present(key);
    if (current) return current;
    const message = `${key.kind} "${key.name}" not found`;
    throw new BulwarkError('API_NOT_FOUND', message, { data: { ...key } });
  }

  #present({ kind, namespace, name }: ObjectKey): ApiObject | undefined {
    const key = sortKey(namespace, name);
    const staged = this.#staged.get(kind);
    return staged?.has(key) ? staged.get(key) : this.#objects.get(kind, key);
  }

  #stage(
    type: Change['type'],
    { kind, namespace, name }: ObjectKey,
    next: ApiObject,
    previous: ApiObject | undefined,
  ): ApiObject {
    const object = frozen(next);
    this.#version += 1;
    const staged = this.#staged.get(kind) ?? new Map<string, ApiObject | undefined>();
    staged.set(sortKey(namespace, name), type === 'DELETED' ? undefined : object);
    this.#staged.set(kind, staged);
    const size = textOf(object).length;
    this.#changes.push({
      version: this.#version,
      type,
      kind,
      namespace,
      name,
      object,
      previous,
      size,
    });
    return object;
  }
}

function keyOf(kind: KindDefinition, { metadata }: ApiObject): ObjectKey {
  const namespace = kind.namespaced ? (metadata.namespace ?? '') : '';
  return { kind: kind.id, namespace, name: metadata.name };
}
