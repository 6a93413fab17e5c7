import type { ApiObject } from '#api/object.ts';

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Sorts the oldest first; at equal age by name, then namespace. Where two objects contradict each
 * other the first in this order wins, as in Istio. An object without a creation time (from a file)
 * counts as oldest.
 */
export function olderFirst(a: ApiObject, b: ApiObject): number {
  return (
    compareText(a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '') ||
    compareText(a.metadata.name, b.metadata.name) ||
    compareText(a.metadata.namespace ?? '', b.metadata.namespace ?? '')
  );
}
