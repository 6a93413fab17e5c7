import type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
} from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { readInstance, type Workload } from '#model/workload.ts';
import type { AuthzContext } from '#policy/authz/compiled-policy.ts';
import { Authorizer, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testMesh } from './mesh.ts';

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

/** A mesh of these objects. */
export function policyObjects(objects: readonly ApiObject[]): MeshSnapshot {
  return testMesh(objects).model.snapshot();
}

/** A workload of namespace `foo` without labels, or as `spec` says. */
export function authorizedWorkload(
  spec: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> } = {},
): Workload {
  const { namespace = 'foo', labels = {} } = spec;
  return readInstance({
    name: 'w',
    namespace,
    spec: { address: '10.0.0.1', labels, serviceAccount: 'app' },
    trustDomain: parseTrustDomain('cluster.local'),
    applicationPorts: {},
  });
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

/** What the objects come to for a workload of namespace `foo`, without labels if none are given. */
export function authorizationOf(
  objects: readonly ApiObject[],
  hardening: HardeningProfile,
  labels: Readonly<Record<string, string>> = {},
): WorkloadAuthorization {
  const authorizer = new Authorizer(authzContext(hardening));
  return authorizer.authorizationFor(authorizedWorkload({ labels }), policyObjects(objects));
}
