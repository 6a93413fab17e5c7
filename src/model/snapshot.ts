import type { AttributeManifest } from '#api/kinds/attribute-manifest.ts';
import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ConfigMap } from '#api/kinds/config-map.ts';
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { Gateway } from '#api/kinds/gateway.ts';
import type { GatewayClass } from '#api/kinds/gateway-class.ts';
import type { HttpRouteObject } from '#api/kinds/http-route.ts';
import type { KubernetesGateway } from '#api/kinds/kubernetes-gateway.ts';
import type { Denier, ListChecker, MixerHandler } from '#api/kinds/mixer-handler.ts';
import type { CheckNothing, ListEntry, MixerInstance } from '#api/kinds/mixer-instance.ts';
import type { MixerRule } from '#api/kinds/mixer-rule.ts';
import type { Namespace } from '#api/kinds/namespace.ts';
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { RbacConfig } from '#api/kinds/rbac-config.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { Secret } from '#api/kinds/secret.ts';
import type { ServiceAccount } from '#api/kinds/service-account.ts';
import type { ServiceRole } from '#api/kinds/service-role.ts';
import type { ServiceRoleBinding } from '#api/kinds/service-role-binding.ts';
import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { WorkloadGroup } from '#api/kinds/workload-group.ts';
import type { EndpointIndex } from '#model/endpoint-index.ts';
import type { FetchedLists } from '#model/fetched-lists.ts';
import type { KeySets } from '#model/key-sets.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { Revocations } from '#model/revocations.ts';
import type { SecretReaders } from '#model/secret-readers.ts';
import type { ServiceIndex } from '#model/service-index.ts';
import type { TrustBundles } from '#model/trust-bundles.ts';
import type { WorkloadIndex } from '#model/workload-index.ts';

/**
 * The whole mesh at one moment. Immutable. Of two snapshots of one model, every part in which
 * nothing changed is the same object, so whatever was computed from that part alone still holds
 * (compare by identity).
 */
export interface MeshSnapshot {
  /** Grows with every snapshot that differs from the one before. */
  readonly version: number;
  readonly settings: MeshSettings;
  readonly services: ServiceIndex;
  readonly endpoints: EndpointIndex;
  readonly workloads: WorkloadIndex;
  readonly workloadGroups: NamespacedObjects<WorkloadGroup>;
  readonly peerAuthentications: NamespacedObjects<PeerAuthentication>;
  /** Objects of the kind Policy. */
  readonly authenticationPolicies: NamespacedObjects<AuthenticationPolicy>;
  /** At most one, under the namespace ''. */
  readonly meshPolicies: NamespacedObjects<AuthenticationPolicy>;
  readonly requestAuthentications: NamespacedObjects<RequestAuthentication>;
  readonly authorizationPolicies: NamespacedObjects<AuthorizationPolicy>;
  /** At most one that counts, under the namespace ''. */
  readonly clusterRbacConfigs: NamespacedObjects<RbacConfig>;
  readonly rbacConfigs: NamespacedObjects<RbacConfig>;
  readonly serviceRoles: NamespacedObjects<ServiceRole>;
  readonly serviceRoleBindings: NamespacedObjects<ServiceRoleBinding>;
  readonly attributeManifests: NamespacedObjects<AttributeManifest>;
  readonly mixerRules: NamespacedObjects<MixerRule>;
  readonly mixerHandlers: NamespacedObjects<MixerHandler>;
  readonly mixerInstances: NamespacedObjects<MixerInstance>;
  readonly deniers: NamespacedObjects<Denier>;
  readonly listCheckers: NamespacedObjects<ListChecker>;
  readonly checkNothings: NamespacedObjects<CheckNothing>;
  readonly listEntries: NamespacedObjects<ListEntry>;
  readonly destinationRules: NamespacedObjects<DestinationRule>;
  readonly virtualServices: NamespacedObjects<VirtualService>;
  /** Of networking.istio.io. */
  readonly gateways: NamespacedObjects<Gateway>;
  /** All under the namespace ''. */
  readonly gatewayClasses: NamespacedObjects<GatewayClass>;
  /** Of the Gateway API. */
  readonly kubernetesGateways: NamespacedObjects<KubernetesGateway>;
  readonly httpRoutes: NamespacedObjects<HttpRouteObject>;
  readonly serviceAccounts: NamespacedObjects<ServiceAccount>;
  /** For proxies of their own namespace only. */
  readonly secrets: NamespacedObjects<Secret>;
  /** Those with authorities (`ca.crt`, `cacert`). */
  readonly configMaps: NamespacedObjects<ConfigMap>;
  /** Namespaces, all under the namespace ''. */
  readonly namespaces: NamespacedObjects<Namespace>;
  readonly revocations: Revocations;
  /** The trust domains that the mesh is federated with. */
  readonly trustBundles: TrustBundles;
  /** What the control plane fetched from the issuers of tokens. */
  readonly keySets: KeySets;
  /** What the control plane fetched for listcheckers. */
  readonly fetchedLists: FetchedLists;
  readonly secretReaders: SecretReaders;
}
