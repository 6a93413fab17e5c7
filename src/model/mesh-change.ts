import type { ApiObject, KindId } from '#api/object.ts';

/** One change of an object, as a store's watch reports it. */
export interface MeshChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly kind: KindId;
  /** The object after the change; for DELETED its last state. */
  readonly object: ApiObject;
}
