import { type MeshSettings, meshTrustDomains } from '#model/mesh-settings.ts';
import type { Revocations } from '#model/revocations.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { bindingsOf, TokenPolicies } from '#policy/authn/jwt.ts';
import type { Authorizer, WorkloadAuthorization } from '#policy/authz/selection.ts';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import { JwtConfigs } from '#xds/generate/authn/filter.ts';
import { isOfQuestion } from '#xds/generate/authz/agent-configs.ts';
import { asksAgent } from '#xds/generate/authz/agent-question.ts';
import { authzExtensionConfigs } from '#xds/generate/authz/extension-configs.ts';
import { revokedConfigs } from '#xds/generate/authz/revoked-configs.ts';
import { BuildCache, IdentityCache } from '#xds/generate/build-cache.ts';
import { ClientCredentials, type ClientSecrets } from '#xds/generate/client-credentials.ts';
import { ConsistencyCheck } from '#xds/generate/consistency.ts';
import { FederatedRoots } from '#xds/generate/federated-roots.ts';
import { buildAgentCluster } from '#xds/generate/fixed-clusters.ts';
import { GatewayBuilder, gatewayCredentials } from '#xds/generate/gateway/gateway-builder.ts';
import {
  InboundBuilder,
  type InboundPolicy,
  servedWorkload,
} from '#xds/generate/inbound-builder.ts';
import { MtlsModes } from '#xds/generate/mtls-modes.ts';
import { OutboundBuilder, type Upstreams } from '#xds/generate/outbound-builder.ts';
import { type ResourceMap, SmallMaps } from '#xds/generate/resource-map.ts';
import { RUNTIME } from '#xds/generate/runtime.ts';
import type { GatewayPlace, ProxyNode } from '#xds/proxy-node.ts';
import { TYPE_URL, type XdsResource, type XdsSnapshot } from '#xds/resource.ts';

/** What a generator works with. */
export interface ConfigGeneratorDeps {
  /** Of the same settings. Shared with whoever writes the status of policies. */
  readonly authorizer: Authorizer;
}

/** What differs between proxies beside workloads and gateways. */
interface ProxyTraffic {
  readonly clusters: ResourceMap;
  readonly endpoints: ResourceMap;
  readonly secrets: ResourceMap;
  readonly listeners: ResourceMap;
  readonly routes: ResourceMap;
  /** Ports of the workload that have a filter chain of their own. */
  readonly ports: readonly number[];
}

/**
 * Makes the configuration of proxies. `snapshotFor` is a pure function of its arguments: same
 * input, same bytes. It remembers what it built, by identity of the parts of the mesh, so that
 * proxies share resources and the work of a change follows the change.
 */
export class ConfigGenerator {
  readonly #authorizer: Authorizer;
  readonly #outbound: OutboundBuilder;
  readonly #inbound: InboundBuilder;
  readonly #agents = new BuildCache(buildAgentCluster);
  readonly #consistency = new ConsistencyCheck();
  readonly #maps = new SmallMaps();
  readonly #credentials = new ClientCredentials();
  readonly #tokens: TokenPolicies;
  readonly #jwt: JwtConfigs;
  readonly #gatewayJwt: JwtConfigs;
  readonly #gateways = new GatewayBuilder();
  readonly #roots = new FederatedRoots();
  readonly #revoked: IdentityCache<[Revocations], readonly XdsResource[]>;

  /** `settings` are those of every mesh that it will be asked about. */
  constructor(settings: MeshSettings, deps: ConfigGeneratorDeps) {
    const modes = new MtlsModes(settings);
    this.#authorizer = deps.authorizer;
    this.#outbound = new OutboundBuilder(settings, modes);
    this.#inbound = new InboundBuilder(settings, modes);
    this.#tokens = new TokenPolicies(settings);
    this.#jwt = new JwtConfigs(settings.hardening);
    this.#gatewayJwt = new JwtConfigs(settings.hardening, { findsRouteAnew: true });
    this.#revoked = new IdentityCache((revocations) => revokedConfigs(revocations, settings));
  }

  /**
   * Everything that `proxy` gets, as one consistent set: every name that a resource refers to is in
   * it.
   * @throws BulwarkError XDS_RESOURCE_INVALID when it is not; the proxy then keeps what it has.
   */
  snapshotFor(proxy: ProxyNode, mesh: MeshSnapshot): XdsSnapshot {
    const { explicit, gateway } = proxy;
    const workload = servedWorkload(proxy, mesh);
    const authorization = this.#authorizer.authorizationFor(workload, mesh);
    const tokens = this.#tokens.tokensFor(workload, mesh);
    const policy = { authorization, tokens };
    const traffic = gateway
      ? this.#fromOutside({ ...proxy, gateway }, workload, policy, mesh)
      : this.#beside(proxy, workload, policy, mesh);
    const isAsked = asksAgent(proxy, authorization);
    const configs = authzExtensionConfigs(authorization, {
      listenPorts: explicit?.inbound,
      bindings: bindingsOf(tokens),
      hardening: mesh.settings.hardening,
      countsRules: mesh.settings.policyMetrics,
      trustDomains: meshTrustDomains(mesh.settings),
      largeFrom: mesh.settings.largePolicyRules,
    });
    // Who has no agent has no question: its rules deny what they would ask about.
    const isFor = (one: XdsResource) => isAsked || !isOfQuestion(one);
    const revoked = this.#revoked.get(mesh.revocations);
    const jwt = (gateway ? this.#gatewayJwt : this.#jwt).of(tokens, traffic.ports, mesh.keySets);
    const snapshot: XdsSnapshot = new Map([
      [TYPE_URL.cluster, this.#maps.extend(traffic.clusters, this.#agentOf(proxy, authorization))],
      [TYPE_URL.endpoints, traffic.endpoints],
      [TYPE_URL.secret, traffic.secrets],
      [TYPE_URL.listener, traffic.listeners],
      [TYPE_URL.route, traffic.routes],
      [TYPE_URL.extensionConfig, this.#maps.of([...jwt, ...configs.filter(isFor), ...revoked])],
      [TYPE_URL.runtime, RUNTIME[mesh.settings.hardening]],
    ]);
    this.#consistency.check(snapshot);
    return snapshot;
  }

  /** The cluster of the agent, where it is asked about requests. */
  #agentOf(proxy: ProxyNode, authorization: WorkloadAuthorization): readonly XdsResource[] {
    const { agentSocket = '' } = proxy;
    return asksAgent(proxy, authorization) ? [this.#agents.get(agentSocket)] : [];
  }

  /** What a proxy beside a workload has. */
  #beside(
    proxy: ProxyNode,
    workload: Workload,
    policy: InboundPolicy,
    mesh: MeshSnapshot,
  ): ProxyTraffic {
    const { explicit } = proxy;
    const inbound = this.#inbound.build(proxy, workload, policy, mesh);
    const secrets = this.#credentials.secretsOf(proxy, mesh);
    const upstreams = this.#outbound.upstreams(workload, mesh, { ...proxy, secrets });
    const outbound = explicit
      ? this.#outbound.explicit(workload, explicit, mesh, upstreams)
      : this.#outbound.redirected(workload, mesh, upstreams);
    return {
      clusters: this.#maps.extend(upstreams.clusters, inbound.clusters),
      endpoints: upstreams.endpoints,
      secrets: this.#secretsOf(secrets, upstreams, mesh),
      listeners: this.#maps.extend(outbound.listeners, inbound.listeners),
      routes: outbound.routes,
      ports: inbound.ports,
    };
  }

  /** What clusters and listeners ask the control plane for. */
  #secretsOf(
    { resources }: ClientSecrets,
    { foreignRoots }: Upstreams,
    { trustBundles }: MeshSnapshot,
  ): ResourceMap {
    return this.#maps.extend(resources, this.#roots.of(foreignRoots, trustBundles));
  }

  /** What a gateway has: listeners for callers from outside, which lead to services. */
  #fromOutside(
    proxy: ProxyNode & { readonly gateway: GatewayPlace },
    workload: Workload,
    { authorization }: InboundPolicy,
    mesh: MeshSnapshot,
  ): ProxyTraffic {
    const seen = seenByGateways(mesh);
    const secrets = this.#credentials.secretsOf(proxy, mesh, gatewayCredentials(workload, seen));
    const { identity, gateway: place } = proxy;
    const client = { identity, interception: 'explicit', secrets } as const;
    const upstreams = this.#outbound.upstreams(workload, mesh, client);
    const { clusters, endpoints } = upstreams;
    const context = {
      ...this.#inbound.contextOf(authorization, proxy, mesh),
      ...this.#inbound.tcpHandling(authorization, { beside: [] }, mesh),
    };
    const parts = { workload, place, mesh: seen, context, secrets, clusters };
    const { listeners, routes } = this.#gateways.build(parts);
    return {
      clusters,
      endpoints,
      secrets: this.#secretsOf(secrets, upstreams, mesh),
      listeners: this.#maps.of(listeners),
      routes: this.#maps.of(routes),
      ports: [],
    };
  }
}
