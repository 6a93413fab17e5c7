import type { Workload } from '#model/workload.ts';

const NONE: readonly Workload[] = [];

/**
 * All workloads that are WorkloadEntry objects. Immutable; a namespace without changes keeps its
 * array.
 */
export class WorkloadIndex {
  readonly #lists: ReadonlyMap<string, readonly Workload[]>;
  #byAddress: ReadonlyMap<string, readonly Workload[]> | undefined;

  /** `lists`: the workloads of each namespace, sorted by name; not changed afterwards. */
  constructor(lists: ReadonlyMap<string, readonly Workload[]>) {
    this.#lists = lists;
  }

  /** The workloads of a namespace, sorted by name. */
  in(namespace: string): readonly Workload[] {
    return this.#lists.get(namespace) ?? NONE;
  }

  /** Namespaces that have workloads, sorted. */
  namespaces(): readonly string[] {
    return [...this.#lists.keys()].sort();
  }

  /** One workload, or undefined. */
  get(namespace: string, name: string): Workload | undefined {
    return this.in(namespace).find((workload) => workload.name === name);
  }

  /** Workloads of any namespace at an address; in explicit mode several share one. */
  at(address: string): readonly Workload[] {
    this.#byAddress ??= this.#groupByAddress();
    return this.#byAddress.get(address) ?? NONE;
  }

  /** An index with `lists` in place of those namespaces' lists. */
  replace(lists: ReadonlyMap<string, readonly Workload[]>): WorkloadIndex {
    return new WorkloadIndex(new Map([...this.#lists, ...lists]));
  }

  #groupByAddress(): ReadonlyMap<string, readonly Workload[]> {
    return Map.groupBy([...this.#lists.values()].flat(), (workload: Workload) => workload.address);
  }
}
