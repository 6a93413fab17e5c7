import type { ApiObject } from '#api/object.ts';
import { olderFirst } from '#model/age.ts';

const NONE: readonly never[] = [];

/**
 * The objects of one kind, by namespace ('' for cluster-scoped kinds). Immutable: a change makes a
 * new index, in which the list of a namespace where nothing changed is the same array as before.
 */
export class NamespacedObjects<T extends ApiObject> {
  readonly #lists: ReadonlyMap<string, readonly T[]>;

  private constructor(lists: ReadonlyMap<string, readonly T[]>) {
    this.#lists = lists;
  }

  /** An index of nothing. */
  static empty<T extends ApiObject>(): NamespacedObjects<T> {
    return new NamespacedObjects<T>(new Map());
  }

  /** The objects of a namespace, oldest first, then by name. */
  in(namespace: string): readonly T[] {
    return this.#lists.get(namespace) ?? NONE;
  }

  /** One object, or undefined. */
  get(namespace: string, name: string): T | undefined {
    return this.in(namespace).find((object) => object.metadata.name === name);
  }

  /** Namespaces that hold at least one object, sorted. */
  namespaces(): readonly string[] {
    return [...this.#lists.keys()].sort();
  }

  /** Every object, by namespace, then oldest first. */
  all(): readonly T[] {
    return this.namespaces().flatMap((namespace) => this.in(namespace));
  }

  /**
   * An index with `lists` in place of those namespaces' lists; an empty one takes the namespace
   * out.
   */
  replace(lists: ReadonlyMap<string, Iterable<T>>): NamespacedObjects<T> {
    const next = new Map(this.#lists);
    for (const [namespace, objects] of lists) {
      const sorted = [...objects].sort(olderFirst);
      if (sorted.length === 0) next.delete(namespace);
      else next.set(namespace, sorted);
    }
    return new NamespacedObjects(next);
  }
}
