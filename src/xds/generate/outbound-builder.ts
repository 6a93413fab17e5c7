import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { Endpoint } from '#model/endpoint.ts';
import type { EndpointIndex } from '#model/endpoint-index.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { Revocations } from '#model/revocations.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import type { ServiceView } from '#model/service-index.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { PeerPolicies } from '#policy/authn/inbound-mtls.ts';
import { modeOfPort } from '#policy/authn/mtls-mode.ts';
import { routingScope } from '#policy/routing/virtual-services.ts';
import { ClientRules, type RuleClient, ruleScope } from '#policy/tls/destination-rules.ts';
import { RevokedServers } from '#policy/tls/revoked-servers.ts';
import { BuildCache, IdentityCache } from '#xds/generate/build-cache.ts';
import type { ClientSecrets } from '#xds/generate/client-credentials.ts';
import { connectionDomain } from '#xds/generate/connection-domain.ts';
import {
  type AssignedEndpoint,
  buildEndpointAssignment,
} from '#xds/generate/endpoint-assignment.ts';
import { explicitListeners, httpProxyRoute, upstreamRoutes } from '#xds/generate/explicit-plan.ts';
import { BLACK_HOLE, PASSTHROUGH } from '#xds/generate/fixed-clusters.ts';
import type { MtlsModes } from '#xds/generate/mtls-modes.ts';
import { buildOutboundCluster, type OutboundClusterInput } from '#xds/generate/outbound-cluster.ts';
import {
  buildOutboundListener,
  buildVirtualOutbound,
  type OutboundListenerInput,
} from '#xds/generate/outbound-listener.ts';
import { listenerContext } from '#xds/generate/outbound-plan.ts';
import { foreignRoots, type OutboundPort, outboundPorts } from '#xds/generate/outbound-ports.ts';
import { buildOutboundRoute, type OutboundRouteInput } from '#xds/generate/outbound-routes.ts';
import { redirectListeners, redirectRoutes, unknownCluster } from '#xds/generate/redirect-plan.ts';
import {
  type ResourceMap,
  resourceMap,
  SharedMaps,
  SmallMaps,
} from '#xds/generate/resource-map.ts';
import { routeFinder } from '#xds/generate/route-finder.ts';
import type { ExplicitPorts, ProxyNode } from '#xds/proxy-node.ts';
import type { XdsResource } from '#xds/resource.ts';

type Interception = ProxyNode['interception'];
/** What of a proxy its upstreams depend on. */
type UpstreamsOf = Pick<ProxyNode, 'interception' | 'identity'> & {
  readonly secrets: ClientSecrets;
};

/** Clusters and endpoints, as all clients get them that see the same. */
export interface Upstreams {
  readonly clusters: ResourceMap;
  readonly endpoints: ResourceMap;
  /** Clusters with revoked servers, each with the revocations; the same map while it is empty. */
  readonly revokedBy: RevokedClusters;
  /** The sets of roots of other trust domains that clusters name (FederatedRoots). */
  readonly foreignRoots: ReturnType<typeof foreignRoots>;
}

type RevokedClusters = ReadonlyMap<string, string>;
const NONE_REVOKED: RevokedClusters = new Map();

/** Listeners and routes for the calls of a workload. */
export interface OutboundTraffic {
  readonly listeners: ResourceMap;
  readonly routes: ResourceMap;
}

/** Stands for clusters where routes do not depend on them. */
const EMPTY: ResourceMap = new Map();

/** Remembers the answers for the texts that tell callers apart. */
type ByText<R> = Map<string, R>;

/**
 * Builds what the calls of workloads need. Everything is built once for all proxies that see the
 * same.
 */
export class OutboundBuilder {
  readonly #settings: MeshSettings;
  readonly #modes: MtlsModes;
  readonly #virtualOutbound: XdsResource;
  readonly #maps = new SharedMaps();
  readonly #small = new SmallMaps();
  readonly #clusters: BuildCache<OutboundClusterInput, XdsResource>;
  readonly #listeners = new BuildCache(buildOutboundListener);
  readonly #routes = new BuildCache(buildOutboundRoute);
  readonly #assignments = new WeakMap<readonly Endpoint[], ByText<XdsResource>>();
  readonly #assigned: IdentityCache<
    [readonly Endpoint[], PeerPolicies],
    readonly AssignedEndpoint[]
  >;
  readonly #selected = new IdentityCache<[readonly Endpoint[]], ByText<readonly Endpoint[]>>(
    () => new Map(),
  );
  readonly #upstreams = new IdentityCache<
    [ServiceView, EndpointIndex, NamespacedObjects<DestinationRule>, PeerPolicies, RevokedServers],
    ByText<Upstreams>
  >(() => new Map());
  readonly #revoked: IdentityCache<[Revocations], RevokedServers>;
  readonly #redirectListeners: IdentityCache<
    [ServiceView, EndpointIndex, RevokedClusters],
    ResourceMap
  >;
  readonly #sharedRoutes = new IdentityCache<
    [ServiceView, NamespacedObjects<VirtualService>, ResourceMap],
    ByText<ResourceMap>
  >(() => new Map());

  constructor(settings: MeshSettings, modes: MtlsModes) {
    this.#settings = settings;
    this.#clusters = new BuildCache((input) => buildOutboundCluster(input, settings.tls));
    this.#modes = modes;
    this.#virtualOutbound = buildVirtualOutbound(
      unknownCluster(settings),
      listenerContext(settings),
    );
    this.#assigned = new IdentityCache((endpoints, policies) =>
      endpoints.map((endpoint) => ({ endpoint, mtls: this.#takesMtls(endpoint, policies) })),
    );
    this.#revoked = new IdentityCache((revocations) => new RevokedServers(revocations, settings));
    this.#redirectListeners = new IdentityCache((view, endpoints, revokedBy) =>
      this.#buildRedirectListeners(view, endpoints, revokedBy),
    );
  }

  /** The clusters that a client may call, and their endpoints. */
  upstreams(client: RuleClient, mesh: MeshSnapshot, proxy: UpstreamsOf): Upstreams {
    const { interception, secrets } = proxy;
    const view = mesh.services.viewOf(client.namespace);
    const { endpoints, destinationRules } = mesh;
    const policies = this.#modes.policiesOf(mesh);
    const revoked = this.#revoked.get(mesh.revocations);
    const known = this.#upstreams.get(view, endpoints, destinationRules, policies, revoked);
    const ownDomain = connectionDomain(proxy.identity, this.#settings);
    const rules = ruleScope(destinationRules, client);
    const federated = mesh.trustBundles.domains;
    const scope = `${interception} ${ownDomain ?? ''} ${federated} ${rules}${secrets.scope}`;
    return getOrAdd(known, scope, () => {
      const ports = outboundPorts({
        view,
        endpoints,
        rules: new ClientRules(destinationRules, client, this.#settings),
        settings: this.#settings,
        federated,
        credential: secrets.find,
        interception,
        ownDomain,
        revoked,
        select: (among, labels) => this.#select(among, labels),
        assign: (among) => this.#assign(among, policies),
      });
      return this.#buildUpstreams(ports, policies, interception, scope);
    });
  }

  /** Where the calls of a workload are taken, where traffic is redirected. */
  redirected(
    client: RuleClient,
    mesh: MeshSnapshot,
    { clusters, revokedBy }: Upstreams,
  ): OutboundTraffic {
    const { namespace } = client;
    const { view, known, scope } = this.#routing(client, mesh, clusters);
    const routes = getOrAdd(known, `redirect ${scope}`, () => {
      const findRoutes = routeFinder({ client, mesh, view, clusters });
      return this.#buildRoutes(
        redirectRoutes(view.services, namespace, this.#settings, findRoutes),
      );
    });
    return { listeners: this.#redirectListeners.get(view, mesh.endpoints, revokedBy), routes };
  }

  /** Where the calls of a workload are taken, where nothing is redirected. */
  explicit(
    client: RuleClient,
    explicit: ExplicitPorts,
    mesh: MeshSnapshot,
    { clusters, revokedBy }: Upstreams,
  ): OutboundTraffic {
    const { namespace } = client;
    const settings = this.#settings;
    const { view, known, scope } = this.#routing(client, mesh, clusters);
    const findRoutes = routeFinder({ client, mesh, view, clusters });
    const shared = getOrAdd(known, `explicit ${scope}`, () =>
      this.#buildRoutes([httpProxyRoute(view, namespace, settings, findRoutes)]),
    );
    const listeners = explicitListeners(explicit, view, namespace, settings).map((input) =>
      towardsRevoked(input, revokedBy),
    );
    const own = upstreamRoutes(explicit, view, namespace, settings, findRoutes);
    return {
      listeners: this.#small.of(listeners.map((input) => this.#listeners.get(input))),
      routes: this.#small.extend(
        shared,
        own.map((input) => this.#routes.get(input)),
      ),
    };
  }

  /** Routes that clients share, and what tells those clients apart that may not. */
  #routing(client: RuleClient, mesh: MeshSnapshot, clusters: ResourceMap) {
    const view = mesh.services.viewOf(client.namespace);
    const { virtualServices } = mesh;
    const isPlain = virtualServices.namespaces().length === 0;
    const known = this.#sharedRoutes.get(view, virtualServices, isPlain ? EMPTY : clusters);
    return { view, known, scope: routingScope(virtualServices, client) };
  }

  #takesMtls({ workload, workloadPort }: Endpoint, policies: PeerPolicies): boolean {
    if (!workload.mtlsCapable) return false;
    return modeOfPort(this.#modes.of(workload, policies), workloadPort) !== 'DISABLE';
  }

  #select(endpoints: readonly Endpoint[], labels: Labels): readonly Endpoint[] {
    return getOrAdd(this.#selected.get(endpoints), JSON.stringify(labels), () =>
      endpoints.filter(({ workload }) => labelsMatch(labels, workload.labels)),
    );
  }

  #assign(endpoints: readonly Endpoint[], policies: PeerPolicies): readonly AssignedEndpoint[] {
    return this.#assigned.get(endpoints, policies);
  }

  #buildUpstreams(
    ports: readonly OutboundPort[],
    policies: PeerPolicies,
    interception: Interception,
    scope: string,
  ): Upstreams {
    const fixed = interception === 'redirect' ? [BLACK_HOLE, PASSTHROUGH] : [BLACK_HOLE];
    const clusters = ports.map(({ cluster }) => this.#clusters.get(cluster));
    const assignments = ports
      .filter(({ cluster }) => cluster.discovery.by === 'eds')
      .map(({ cluster, endpoints }) => this.#assignment(cluster, endpoints, policies));
    return {
      clusters: this.#maps.share(`clusters ${scope}`, resourceMap([...fixed, ...clusters])),
      endpoints: this.#maps.share(`endpoints ${scope}`, resourceMap(assignments)),
      revokedBy: revokedClusters(ports),
      foreignRoots: foreignRoots(ports),
    };
  }

  #assignment(
    cluster: OutboundClusterInput,
    endpoints: readonly Endpoint[],
    policies: PeerPolicies,
  ): XdsResource {
    const assigned = this.#assign(endpoints, policies);
    let known = this.#assignments.get(endpoints);
    if (!known) {
      known = new Map();
      this.#assignments.set(endpoints, known);
    }
    const marks = assigned.map(({ mtls }) => (mtls ? '1' : '0')).join('');
    return getOrAdd(known, `${cluster.name} ${marks}`, () =>
      buildEndpointAssignment(cluster.name, assigned),
    );
  }

  #buildRedirectListeners(
    view: ServiceView,
    endpoints: EndpointIndex,
    revokedBy: RevokedClusters,
  ): ResourceMap {
    const inputs = redirectListeners(view.services, endpoints, this.#settings);
    const listeners = inputs.map((input) => this.#listeners.get(towardsRevoked(input, revokedBy)));
    return this.#maps.share('listeners', resourceMap([this.#virtualOutbound, ...listeners]));
  }

  #buildRoutes(inputs: readonly OutboundRouteInput[]): ResourceMap {
    return resourceMap(inputs.map((input) => this.#routes.get(input)));
  }
}

function revokedClusters(ports: readonly OutboundPort[]): RevokedClusters {
  const entries = ports.flatMap(({ cluster: { name, tls } }) =>
    tls.mode === 'mesh' && tls.revokedBy !== '' ? [[name, tls.revokedBy] as const] : [],
  );
  return entries.length === 0 ? NONE_REVOKED : new Map(entries);
}

function towardsRevoked(
  input: OutboundListenerInput,
  revokedBy: RevokedClusters,
): OutboundListenerInput {
  const mark = input.tcpCluster === undefined ? undefined : revokedBy.get(input.tcpCluster);
  return mark === undefined ? input : { ...input, revokedBy: mark };
}

function getOrAdd<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
