import { isDeepStrictEqual } from 'node:util';
import { type TrustBundle, trustBundle } from '#api/kinds/trust-bundle.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import type { MeshChange } from '#model/mesh-change.ts';

type ByName = Map<string, ApiObject>;

const NONE: ReadonlyMap<string, ApiObject> = new Map();

/** What changed for one object: undefined on the side where it did not exist. */
export interface ObjectChange {
  readonly before: ApiObject | undefined;
  readonly after: ApiObject | undefined;
}

/**
 * The objects that a model knows. A write that changes nothing but status or bookkeeping keeps the
 * object that was there: our own status writes must not look like new configuration.
 */
export class ObjectTable {
  readonly #objects = new Map<string, ByName>();

  /** Takes a change in; undefined when it means nothing new. */
  apply(change: MeshChange): ObjectChange | undefined {
    const { name, namespace = '' } = change.object.metadata;
    const place = placeOf(change.kind, namespace);
    let objects = this.#objects.get(place);
    const before = objects?.get(name);
    if (change.type === 'DELETED') {
      objects?.delete(name);
      return before && { before, after: undefined };
    }
    if (
      before &&
      isDeepStrictEqual(meaning(before, change.kind), meaning(change.object, change.kind))
    )
      return undefined;
    if (!objects) {
      objects = new Map();
      this.#objects.set(place, objects);
    }
    objects.set(name, change.object);
    return { before, after: change.object };
  }

  /** The objects of a kind in a namespace, by name. */
  in(kind: KindId, namespace: string): ReadonlyMap<string, ApiObject> {
    return this.#objects.get(placeOf(kind, namespace)) ?? NONE;
  }
}

function placeOf(kind: KindId, namespace: string): string {
  return `${kind}/${namespace}`;
}

function meaning(object: ApiObject, kind: KindId): unknown {
  const { uid, creationTimestamp, deletionTimestamp, labels, annotations } = object.metadata;
  // What was fetched for a TrustBundle stands in its status.
  const status = kind === trustBundle.id ? fetchedOf(object as TrustBundle) : undefined;
  const content: Record<string, unknown> = { ...object, status };
  return {
    ...content,
    metadata: { uid, creationTimestamp, deletionTimestamp, labels, annotations },
  };
}

function fetchedOf({ status }: TrustBundle): unknown {
  return { url: status?.url, bundle: status?.bundle };
}
