import { type ConfigMap, configMap } from '#api/kinds/config-map.ts';
import type { ApiObject, KindId } from '#api/object.ts';

/** One change of an object, as a store's watch reports it. */
export interface MeshChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly kind: KindId;
  /** The object after the change; for DELETED its last state. */
  readonly object: ApiObject;
}

/** Keys under which a ConfigMap holds certificates of authorities, as Secrets do. */
const AUTHORITIES = ['cacert', 'ca.crt'];

/**
 * The change as far as the model is concerned: a ConfigMap without authorities is as good as none.
 * There may be many, and large ones.
 */
export function asItCounts(change: MeshChange): MeshChange {
  if (change.kind !== configMap.id) return change;
  const { data = {} } = change.object as ConfigMap;
  const counts = AUTHORITIES.some((key) => Object.hasOwn(data, key));
  return counts ? change : { ...change, type: 'DELETED' };
}
