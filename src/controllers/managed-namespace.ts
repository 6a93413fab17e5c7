import type { Namespace } from '#api/kinds/namespace.ts';

/** Who decides whether the accounts of a namespace get Secrets. */
export interface NamespaceSelection {
  /** For namespaces that say nothing. */
  readonly enabledByDefault: boolean;
  /** The namespace of this authority, which `ca.istio.io/env` names. */
  readonly caNamespace: string;
}

/** Label of a namespace: `true` or `false` decides, anything else says nothing. */
const OVERRIDE = 'ca.istio.io/override';
/** Label of a namespace: the namespace of the authority that serves it, and no other. */
const ENVIRONMENT = 'ca.istio.io/env';

/**
 * Whether the accounts of a namespace get Secrets from this authority, by the labels that Citadel
 * of Istio 1.4 and 1.5 knows, in its order. None in a namespace that is being deleted.
 */
export function namespaceIsManaged(
  { metadata }: Namespace,
  { enabledByDefault, caNamespace }: NamespaceSelection,
): boolean {
  const { labels = {}, deletionTimestamp } = metadata;
  if (deletionTimestamp !== undefined) return false;
  const override = labels[OVERRIDE];
  if (override === 'true') return true;
  if (override === 'false') return false;
  const environment = labels[ENVIRONMENT];
  return environment === undefined ? enabledByDefault : environment === caNamespace;
}
