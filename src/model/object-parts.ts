import { attributeManifest } from '#api/kinds/attribute-manifest.ts';
import { meshPolicy, policy } from '#api/kinds/authentication-policy.ts';
import { authorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { configMap } from '#api/kinds/config-map.ts';
import { destinationRule } from '#api/kinds/destination-rule.ts';
import { gateway } from '#api/kinds/gateway.ts';
import { gatewayClass } from '#api/kinds/gateway-class.ts';
import { httpRouteKind } from '#api/kinds/http-route.ts';
import { kubernetesGateway } from '#api/kinds/kubernetes-gateway.ts';
import { denier, listChecker, mixerHandler } from '#api/kinds/mixer-handler.ts';
import { checkNothing, listEntry, mixerInstance } from '#api/kinds/mixer-instance.ts';
import { mixerRule } from '#api/kinds/mixer-rule.ts';
import { namespace as namespaceKind } from '#api/kinds/namespace.ts';
import { peerAuthentication } from '#api/kinds/peer-authentication.ts';
import { clusterRbacConfig, rbacConfig } from '#api/kinds/rbac-config.ts';
import { requestAuthentication } from '#api/kinds/request-authentication.ts';
import { secret } from '#api/kinds/secret.ts';
import { serviceAccount } from '#api/kinds/service-account.ts';
import { serviceRole } from '#api/kinds/service-role.ts';
import { serviceRoleBinding } from '#api/kinds/service-role-binding.ts';
import { virtualService } from '#api/kinds/virtual-service.ts';
import { workloadGroup } from '#api/kinds/workload-group.ts';
import type { KindId } from '#api/object.ts';
import { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';

/** Kinds that are indexed as they are, under the name of their part of the snapshot. */
export const OBJECT_PARTS = {
  workloadGroups: workloadGroup.id,
  peerAuthentications: peerAuthentication.id,
  authenticationPolicies: policy.id,
  meshPolicies: meshPolicy.id,
  requestAuthentications: requestAuthentication.id,
  authorizationPolicies: authorizationPolicy.id,
  clusterRbacConfigs: clusterRbacConfig.id,
  rbacConfigs: rbacConfig.id,
  serviceRoles: serviceRole.id,
  serviceRoleBindings: serviceRoleBinding.id,
  attributeManifests: attributeManifest.id,
  mixerRules: mixerRule.id,
  mixerHandlers: mixerHandler.id,
  mixerInstances: mixerInstance.id,
  deniers: denier.id,
  listCheckers: listChecker.id,
  checkNothings: checkNothing.id,
  listEntries: listEntry.id,
  destinationRules: destinationRule.id,
  virtualServices: virtualService.id,
  gateways: gateway.id,
  gatewayClasses: gatewayClass.id,
  kubernetesGateways: kubernetesGateway.id,
  httpRoutes: httpRouteKind.id,
  serviceAccounts: serviceAccount.id,
  secrets: secret.id,
  configMaps: configMap.id,
  namespaces: namespaceKind.id,
} as const satisfies Partial<Record<keyof MeshSnapshot, KindId>>;

/** One of those parts. */
export type ObjectPart = keyof typeof OBJECT_PARTS;

/** The same parts of a mesh without objects. */
export function emptyObjectParts(): Pick<MeshSnapshot, ObjectPart> {
  const parts = Object.keys(OBJECT_PARTS).map((part) => [part, NamespacedObjects.empty()] as const);
  return Object.fromEntries(parts) as unknown as Pick<MeshSnapshot, ObjectPart>;
}
