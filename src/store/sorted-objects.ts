import type { ApiObject, KindId } from '#api/object.ts';

/** Where an object stands among those of its kind: sorts by namespace, then by name. */
export function sortKey(namespace: string, name: string): string {
  return `${namespace}\u0000${name}`;
}

/** The objects of one kind, sorted; lists are made once and shared until something changes. */
class KindObjects {
  readonly #byKey = new Map<string, ApiObject>();
  readonly #keys: string[] = [];
  #all: readonly ApiObject[] | undefined;

  get(key: string): ApiObject | undefined {
    return this.#byKey.get(key);
  }

  put(key: string, object: ApiObject): void {
    if (!this.#byKey.has(key)) this.#keys.splice(this.#position(key), 0, key);
    this.#byKey.set(key, object);
    this.#all = undefined;
  }

  remove(key: string): void {
    if (!this.#byKey.delete(key)) return;
    this.#keys.splice(this.#position(key), 1);
    this.#all = undefined;
  }

  list(namespace: string | undefined): readonly ApiObject[] {
    if (namespace === undefined) {
      this.#all ??= this.#objects(0, this.#keys.length);
      return this.#all;
    }
    const first = this.#position(sortKey(namespace, ''));
    return this.#objects(first, this.#position(`${namespace}\u0001`));
  }

  #objects(from: number, to: number): readonly ApiObject[] {
    const found: ApiObject[] = [];
    for (const key of this.#keys.slice(from, to)) {
      const object = this.#byKey.get(key);
      if (object) found.push(object);
    }
    return found;
  }

  /** The index of the first key that is not before `key`. */
  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** All objects at the present version, by kind. */
export class SortedObjects {
  readonly #kinds = new Map<KindId, KindObjects>();

  get(kind: KindId, key: string): ApiObject | undefined {
    return this.#kinds.get(kind)?.get(key);
  }

  put(kind: KindId, key: string, object: ApiObject): void {
    let objects = this.#kinds.get(kind);
    if (!objects) {
      objects = new KindObjects();
      this.#kinds.set(kind, objects);
    }
    objects.put(key, object);
  }

  remove(kind: KindId, key: string): void {
    this.#kinds.get(kind)?.remove(key);
  }

  list(kind: KindId, namespace: string | undefined): readonly ApiObject[] {
    return this.#kinds.get(kind)?.list(namespace) ?? [];
  }
}
