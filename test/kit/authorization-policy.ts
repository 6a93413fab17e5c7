import type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
} from '#api/kinds/authorization-policy.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { AuthzContext } from '#policy/authz/compiled-policy.ts';
import { Authorizer, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';

/**
 * A policy as an object of the API; in namespace `foo` and named `p` unless the metadata says
 * otherwise.
 */
export function authorizationPolicy(
  spec: AuthorizationPolicySpec | undefined,
  metadata: Partial<AuthorizationPolicy['metadata']> = {},
): AuthorizationPolicy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'foo', ...metadata },
    ...(spec === undefined ? {} : { spec }),
  };
}

/** Policies as a snapshot has them. */
export function policyObjects(
  policies: readonly AuthorizationPolicy[],
): NamespacedObjects<AuthorizationPolicy> {
  const byNamespace = Map.groupBy(policies, ({ metadata }) => metadata.namespace ?? '');
  return NamespacedObjects.empty<AuthorizationPolicy>().replace(byNamespace);
}

/**
 * A context with trust domain `cluster.local`, once `old.local`, and root namespace `istio-system`.
 */
export function authzContext(hardening: HardeningProfile): AuthzContext {
  return {
    trustDomain: parseTrustDomain('cluster.local'),
    trustDomainAliases: ['old.local'],
    rootNamespace: 'istio-system',
    hardening,
  };
}

/** What the policies come to for a workload of namespace `foo` without labels. */
export function authorizationOf(
  policies: readonly AuthorizationPolicy[],
  hardening: HardeningProfile,
): WorkloadAuthorization {
  const authorizer = new Authorizer(authzContext(hardening));
  return authorizer.authorizationFor({ namespace: 'foo', labels: {} }, policyObjects(policies));
}
