/** What is asked on the way of a call, in this order. */
export type LayerName =
  /** Where the VirtualServices of the caller lead it; only where they say something. */
  | 'route'
  /** How the caller connects, and whether the server takes that. */
  | 'connection'
  | 'revocation'
  /** The token of the end user. */
  | 'token'
  | 'custom'
  | 'deny'
  | 'allow';

/** A policy by what users call it; `namespace` is '' for cluster-scoped kinds. */
export interface PolicyObject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** What one layer says of a call. */
export interface Layer {
  readonly layer: LayerName;
  /**
   * `asks`: somebody else decides, who is not asked here. `skipped`: a layer before it refused the
   * call.
   */
  readonly outcome: 'pass' | 'deny' | 'asks' | 'skipped';
  /** One sentence, without full stop. */
  readonly reason: string;
  /** The object that says so; undefined where it is a default of the mesh. */
  readonly object?: PolicyObject | undefined;
  /** The field of the object that decides. */
  readonly field?: string | undefined;
  /** The rule, as access logs name it. */
  readonly rule?: string | undefined;
  /** The gateway that asks, `namespace/name`; absent = a proxy beside a workload. */
  readonly at?: string;
}

/** `AuthorizationPolicy photo-ns/callers`; nothing for an object that is not there. */
export function shownObject({ kind, namespace, name }: PolicyObject): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}
