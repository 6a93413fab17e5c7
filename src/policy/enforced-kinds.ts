import type { KindId } from '#api/object.ts';

/**
 * Kinds whose objects proxies enforce, and whose status says on how many of them (conditions
 * `Accepted` and `Reconciled`).
 */
export const ENFORCED_KINDS: readonly KindId[] = [
  'authorizationpolicies.security.istio.io',
  'peerauthentications.security.istio.io',
  'requestauthentications.security.istio.io',
  'policies.authentication.istio.io',
  'meshpolicies.authentication.istio.io',
  'clusterrbacconfigs.rbac.istio.io',
  'rbacconfigs.rbac.istio.io',
  'serviceroles.rbac.istio.io',
  'servicerolebindings.rbac.istio.io',
  'rules.config.istio.io',
  'destinationrules.networking.istio.io',
];

/** The types of the conditions that the control plane writes; those of others it leaves alone. */
export const CONDITION = {
  /** Whether there is a workload that the object is for. */
  accepted: 'Accepted',
  /** Istio's name: whether all proxies that should enforce the object do. */
  reconciled: 'Reconciled',
  /** What users should know; absent without findings. */
  findings: 'Findings',
} as const;
