import { nearName } from '#api/near-name.ts';
import type { Labels } from '#model/selector.ts';

/** Values of one label in one namespace that are remembered. */
const VALUES_MAX = 200;

/** The labels that workloads have, for those that were misspelt. */
export class KnownLabels {
  readonly #namespaces = new Map<string, Map<string, Set<string>>>();

  add(namespace: string, labels: Labels): void {
    const keys = this.#namespaces.get(namespace) ?? new Map<string, Set<string>>();
    this.#namespaces.set(namespace, keys);
    for (const [key, value] of Object.entries(labels)) {
      const values = keys.get(key) ?? new Set<string>();
      keys.set(key, values);
      if (values.size < VALUES_MAX) values.add(value);
    }
  }

  /**
   * The labels that were most likely meant by those of a selector that no workload has: `app=web`.
   * @param namespace undefined = of the whole mesh
   */
  near(selector: Labels, namespace: string | undefined): readonly string[] {
    const places =
      namespace === undefined
        ? [...this.#namespaces.values()]
        : [this.#namespaces.get(namespace) ?? new Map<string, Set<string>>()];
    return Object.entries(selector).flatMap(([key, value]) => {
      const values = places.flatMap((keys) => [...(keys.get(key) ?? [])]);
      if (values.includes(value)) return [];
      if (values.length > 0) {
        const near = nearName(value, values);
        return near === undefined ? [] : [`${key}=${near}`];
      }
      const nearKey = nearName(
        key,
        places.flatMap((keys) => [...keys.keys()]),
      );
      return nearKey === undefined ? [] : [`${nearKey}=${value}`];
    });
  }
}
