import type { KindDefinition } from '#api/kind.ts';
import { attributeManifest } from '#api/kinds/attribute-manifest.ts';
import { meshPolicy, policy } from '#api/kinds/authentication-policy.ts';
import { authorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { certificateRevocation } from '#api/kinds/certificate-revocation.ts';
import { clusterRole } from '#api/kinds/cluster-role.ts';
import { configMap } from '#api/kinds/config-map.ts';
import { destinationRule } from '#api/kinds/destination-rule.ts';
import { gateway } from '#api/kinds/gateway.ts';
import { gatewayClass } from '#api/kinds/gateway-class.ts';
import { httpRouteKind } from '#api/kinds/http-route.ts';
import { kubernetesGateway } from '#api/kinds/kubernetes-gateway.ts';
import { denier, listChecker, mixerHandler } from '#api/kinds/mixer-handler.ts';
import { checkNothing, listEntry, mixerInstance } from '#api/kinds/mixer-instance.ts';
import { mixerRule } from '#api/kinds/mixer-rule.ts';
import { namespace } from '#api/kinds/namespace.ts';
import { node } from '#api/kinds/node.ts';
import { peerAuthentication } from '#api/kinds/peer-authentication.ts';
import { pod } from '#api/kinds/pod.ts';
import { clusterRbacConfig, rbacConfig } from '#api/kinds/rbac-config.ts';
import { requestAuthentication } from '#api/kinds/request-authentication.ts';
import { role } from '#api/kinds/role.ts';
import { clusterRoleBinding, roleBinding } from '#api/kinds/role-binding.ts';
import { secret } from '#api/kinds/secret.ts';
import { service } from '#api/kinds/service.ts';
import { serviceAccount } from '#api/kinds/service-account.ts';
import { serviceEntry } from '#api/kinds/service-entry.ts';
import { serviceRole } from '#api/kinds/service-role.ts';
import { serviceRoleBinding } from '#api/kinds/service-role-binding.ts';
import { trustBundle } from '#api/kinds/trust-bundle.ts';
import { virtualService } from '#api/kinds/virtual-service.ts';
import { workloadEntry } from '#api/kinds/workload-entry.ts';
import { workloadGroup } from '#api/kinds/workload-group.ts';
import type { KindId } from '#api/object.ts';

/** Every kind of the API, once. */
export const KINDS: readonly KindDefinition[] = [
  namespace,
  serviceAccount,
  secret,
  configMap,
  node,
  pod,
  service,
  workloadEntry,
  workloadGroup,
  serviceEntry,
  destinationRule,
  virtualService,
  gateway,
  gatewayClass,
  kubernetesGateway,
  httpRouteKind,
  peerAuthentication,
  policy,
  meshPolicy,
  requestAuthentication,
  authorizationPolicy,
  clusterRbacConfig,
  rbacConfig,
  serviceRole,
  serviceRoleBinding,
  attributeManifest,
  mixerRule,
  mixerHandler,
  mixerInstance,
  denier,
  listChecker,
  checkNothing,
  listEntry,
  certificateRevocation,
  trustBundle,
  role,
  clusterRole,
  roleBinding,
  clusterRoleBinding,
];

const byId = new Map<KindId, KindDefinition>(KINDS.map((kind) => [kind.id, kind]));

const byGroupVersionKind = new Map<string, KindDefinition>();

for (const kind of KINDS) {
  for (const version of kind.versions) {
    const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`;
    byGroupVersionKind.set(`${apiVersion} ${kind.kind}`, kind);
  }
}

/** The kind of an id such as `authorizationpolicies.security.istio.io`. */
export function kindById(id: KindId): KindDefinition | undefined {
  return byId.get(id);
}

/** The kind of an object's `apiVersion` and `kind`, in any served version. */
export function kindOf(apiVersion: string, kind: string): KindDefinition | undefined {
  return byGroupVersionKind.get(`${apiVersion} ${kind}`);
}
