import type { ApiObject, KindId } from '#api/object.ts';
import type { StoreEvent } from '#store/store.ts';

/**
 * One change as it is remembered. Objects loaded from disk are parsed when somebody asks for them.
 */
export interface Change {
  readonly version: number;
  readonly type: StoreEvent['type'];
  readonly kind: KindId;
  readonly namespace: string;
  readonly name: string;
  readonly object: ApiObject;
  readonly previous: ApiObject | undefined;
  /** Length of the object's text, which counts against the bound of the history. */
  readonly size: number;
}

/** How much is remembered; the oldest changes go first. */
export interface HistoryBounds {
  readonly changesMax: number;
  /** Total length of the objects' texts, in characters. */
  readonly sizeMax: number;
}

/** The last changes, oldest first, so that a watch can go on from a version it has seen. */
export class History {
  readonly #bounds: HistoryBounds;
  #changes: Change[] = [];
  #size = 0;
  #floor: number;
  #current: number;

  /** @param floor the version before the first change that will be appended */
  constructor(bounds: HistoryBounds, floor: number) {
    this.#bounds = bounds;
    this.#floor = floor;
    this.#current = floor;
  }

  /** The last version. */
  get current(): number {
    return this.#current;
  }

  /** Whether every change after `version` is still here. */
  reaches(version: number): boolean {
    return version >= this.#floor && version <= this.#current;
  }

  append(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#changes.push(change);
      this.#size += change.size;
      this.#current = change.version;
    }
  }

  /** Changes after `version`, oldest first; only when `reaches(version)`. */
  after(version: number): readonly Change[] {
    if (version === this.#current) return [];
    return this.#changes.slice(this.#indexAfter(version));
  }

  /**
   * How many of the oldest changes are over the bound if `added` more come; goes well below the
   * bound, so that not every write has to clean up. All of the present ones at most: the newest
   * stay until others follow.
   */
  excess(added: readonly Change[]): readonly Change[] {
    const { changesMax, sizeMax } = this.#bounds;
    let count = this.#changes.length + added.length;
    let size = this.#size + added.reduce((sum, change) => sum + change.size, 0);
    if (count <= changesMax && size <= sizeMax) return [];
    let dropped = 0;
    for (const change of this.#changes) {
      if (count <= changesMax * 0.9 && size <= sizeMax * 0.9) break;
      count -= 1;
      size -= change.size;
      dropped += 1;
    }
    return this.#changes.slice(0, dropped);
  }

  /** Forgets the oldest `count` changes. */
  forget(count: number): void {
    const forgotten = this.#changes.slice(0, count);
    const last = forgotten.at(-1);
    if (!last) return;
    this.#changes = this.#changes.slice(count);
    this.#floor = last.version;
    for (const change of forgotten) this.#size -= change.size;
  }

  #indexAfter(version: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.version ?? 0) <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The change as watchers see it. */
export function eventOf({ type, kind, object, previous, version }: Change): StoreEvent {
  return {
    type,
    kind,
    object,
    ...(previous ? { previous } : {}),
    resourceVersion: String(version),
  };
}
