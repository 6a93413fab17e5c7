import type { XdsResource } from '#xds/resource.ts';

/** All resources of one type that a proxy may have, by name. Immutable. */
export type ResourceMap = ReadonlyMap<string, XdsResource>;

/** No resources. */
export const NO_RESOURCES: ResourceMap = new Map();

/** What a proxy has to be told to get from one state of a type to another. Immutable. */
export interface ResourceChange {
  readonly changed: readonly XdsResource[];
  /** Whether the proxy had nothing under the name of some of them. */
  readonly adds: boolean;
  /** Names. */
  readonly removed: readonly string[];
}

/** Nothing to tell. */
export const NO_CHANGE: ResourceChange = { changed: [], adds: false, removed: [] };

/**
 * Differences between resource maps. Each pair of maps is compared once, however many proxies go
 * from the one to the other, and the same objects are given out again, so that what is derived from
 * them can be shared too.
 */
export class ResourceDiffs {
  readonly #known = new WeakMap<ResourceMap, WeakMap<ResourceMap, ResourceChange>>();
  /** The pair before this one: most often the next proxy goes the same way. */
  #last: { from: ResourceMap; to: ResourceMap; change: ResourceChange } | undefined;
  readonly #additions = new WeakMap<ResourceChange, ResourceChange>();

  /** What leads from one map to another, in the order of the new and then of the old one. */
  between(from: ResourceMap, to: ResourceMap): ResourceChange {
    if (from === to) return NO_CHANGE;
    const last = this.#last;
    if (last?.from === from && last.to === to) return last.change;
    const change = this.#find(from, to);
    this.#last = { from, to, change };
    return change;
  }

  #find(from: ResourceMap, to: ResourceMap): ResourceChange {
    const known = this.#known.get(from)?.get(to);
    if (known) return known;
    const changed = [...to.values()].filter(({ name, version }) => {
      return from.get(name)?.version !== version;
    });
    const removed = [...from.keys()].filter((name) => !to.has(name));
    const adds = changed.some(({ name }) => !from.has(name));
    const change = changed.length + removed.length === 0 ? NO_CHANGE : { changed, adds, removed };
    let targets = this.#known.get(from);
    if (!targets) {
      targets = new WeakMap();
      this.#known.set(from, targets);
    }
    targets.set(to, change);
    return change;
  }

  /** A change without its removals. */
  additionsIn(change: ResourceChange): ResourceChange {
    if (change.removed.length === 0) return change;
    const known = this.#additions.get(change);
    if (known) return known;
    const { changed, adds } = change;
    const additions = changed.length === 0 ? NO_CHANGE : { changed, adds, removed: [] };
    this.#additions.set(change, additions);
    return additions;
  }
}
