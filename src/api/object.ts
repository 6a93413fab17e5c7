/** metadata of an object, as Kubernetes defines it (meta/v1 ObjectMeta). */
export interface ObjectMeta {
  readonly name: string;
  /** Absent on cluster-scoped kinds. */
  readonly namespace?: string;
  readonly generateName?: string;
  readonly uid?: string;
  /** Opaque to clients; grows with every write to the store. */
  readonly resourceVersion?: string;
  /** Grows when the object changes outside metadata and status. */
  readonly generation?: number;
  /** RFC 3339, whole seconds. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly Readonly<Record<string, unknown>>[];
  readonly managedFields?: readonly Readonly<Record<string, unknown>>[];
}

/** Any object of the API. Objects are values: never changed after they were made. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/**
 * The plural name with its group, as Kubernetes names a resource: `services`,
 * `authorizationpolicies.security.istio.io`.
 */
export type KindId = string;

/** Names one object. `namespace` is '' for cluster-scoped kinds. */
export interface ObjectKey {
  readonly kind: KindId;
  readonly namespace: string;
  readonly name: string;
}
