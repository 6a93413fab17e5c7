import { topologyAt } from '#model/gateway-topology.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import {
  boundServices,
  type PlainRoute,
  tcpRoute,
  tlsRoutes,
} from '#policy/gateway/bound-services.ts';
import {
  type BoundServer,
  type GatewayPort,
  gatewayPorts,
  serverWay,
} from '#policy/gateway/gateway-ports.ts';
import { serverNamesOf } from '#policy/gateway/server-hosts.ts';
import { virtualServicesFor } from '#policy/routing/virtual-services.ts';
import { BuildCache } from '#xds/generate/build-cache.ts';
import type { ClientSecrets } from '#xds/generate/client-credentials.ts';
import { buildGatewayListener, type GatewayChain } from '#xds/generate/gateway/gateway-listener.ts';
import {
  type GatewayScope,
  gatewayRouteInput,
  plainRouteName,
  securedRouteName,
} from '#xds/generate/gateway/gateway-routes.ts';
import { credentialsOf, serverTlsInput } from '#xds/generate/gateway/server-tls.ts';
import type { InboundContext, TcpHandling } from '#xds/generate/inbound-chains.ts';
import { buildOutboundRoute, type OutboundRouteInput } from '#xds/generate/outbound-routes.ts';
import type { ResourceMap } from '#xds/generate/resource-map.ts';
import { clusterAt } from '#xds/generate/route-plan.ts';
import type { GatewayPlace } from '#xds/proxy-node.ts';
import type { XdsResource } from '#xds/resource.ts';

/** What a gateway is built from. */
export interface GatewayInput {
  readonly workload: Workload;
  readonly place: GatewayPlace;
  readonly mesh: MeshSnapshot;
  readonly context: InboundContext & TcpHandling;
  readonly secrets: ClientSecrets;
  /** The clusters that it has. */
  readonly clusters: ResourceMap;
}

/** Listeners and routes of a gateway. */
export interface GatewayTraffic {
  readonly listeners: readonly XdsResource[];
  readonly routes: readonly XdsResource[];
}

/** The chains of a port, and the routes that they name. */
interface PortPlan {
  readonly chains: readonly GatewayChain[];
  readonly routes: readonly OutboundRouteInput[];
}

/** Builds what gateways need to take calls from outside of the mesh and lead them to services. */
export class GatewayBuilder {
  readonly #listeners = new BuildCache(buildGatewayListener);
  readonly #routes = new BuildCache(buildOutboundRoute);

  /** What a workload that is a gateway serves. A port on which nothing can pass is not opened. */
  build(input: GatewayInput): GatewayTraffic {
    const { workload, place, mesh, context } = input;
    const scope = scopeOf(input);
    const plans = gatewayPorts(workload, mesh).map((port) => ({
      port,
      plan: planPort(port, scope, input),
    }));
    return {
      listeners: plans
        .filter(({ plan }) => plan.chains.length > 0)
        .map(({ port: { bind, listen, servers }, plan: { chains } }) =>
          this.#listeners.get({
            address: bind === '' ? place.address : bind,
            listen,
            port: servers[0]?.server.port.number ?? listen,
            chains,
            context,
            topology: topologyAt(workload, mesh.settings),
          }),
        ),
      routes: plans.flatMap(({ plan }) => plan.routes).map((route) => this.#routes.get(route)),
    };
  }
}

/** The Secrets that the servers of a workload name, when it is a gateway. */
export function gatewayCredentials(workload: Workload, mesh: MeshSnapshot): readonly string[] {
  return gatewayPorts(workload, mesh).flatMap(({ servers }) =>
    servers.flatMap(({ server }) => credentialsOf(server.tls)),
  );
}

function scopeOf({ workload, mesh, clusters }: GatewayInput): GatewayScope {
  const { settings, services, virtualServices } = mesh;
  const { namespace, labels } = workload;
  const client = { namespace, labels };
  return {
    client,
    mesh,
    routing: {
      objects: virtualServicesFor(client, virtualServices, settings),
      view: services.viewOf(namespace),
      settings,
      hasCluster: (name) => clusters.has(name),
    },
  };
}

function planPort(port: GatewayPort, scope: GatewayScope, input: GatewayInput): PortPlan {
  if (port.toldBy === 'host') {
    const route = gatewayRouteInput(plainRouteName(port), port.servers, scope);
    return { chains: [{ name: '', to: { http: route.name } }], routes: [route] };
  }
  const plans = port.servers.map((bound) => planServer(bound, scope, input));
  return {
    chains: distinct(plans.flatMap(({ chains }) => chains)),
    routes: plans.flatMap(({ routes }) => routes),
  };
}

function planServer(bound: BoundServer, scope: GatewayScope, input: GatewayInput): PortPlan {
  const { server } = bound;
  const way = serverWay(server);
  if (way === 'nothing') return NOTHING;
  if (way === 'passed-on') return passedOn(bound, scope);
  const isSecured = way === 'https' || way === 'tls';
  const name = `${bound.gateway}/${server.port.name}`;
  const tls = isSecured && server.tls ? serverTlsInput(server.tls, input.secrets.find) : undefined;
  if (isSecured && tls === undefined) return NOTHING;
  const told = { ...(tls && { tls, serverNames: serverNamesOf(server.hosts) }) };
  if (way === 'https') {
    const route = gatewayRouteInput(securedRouteName(bound), [bound], scope);
    return { chains: [{ name: '', ...told, to: { http: route.name } }], routes: [route] };
  }
  const services = boundServices(bound, scope.client, scope.mesh.virtualServices);
  const found = tcpRoute(bound, scope.client, services);
  if (!found) return NOTHING;
  const tcp = clustersOf(found.route, found.object.metadata.namespace ?? '', bound, scope);
  return { chains: [{ name, ...told, to: { tcp } }], routes: [] };
}

const NOTHING: PortPlan = { chains: [], routes: [] };

function passedOn(bound: BoundServer, scope: GatewayScope): PortPlan {
  const services = boundServices(bound, scope.client, scope.mesh.virtualServices);
  const chains = tlsRoutes(bound, scope.client, services).map(
    ({ object, serverNames, route }, index) => ({
      name: `${bound.gateway}/${bound.server.port.name}/${index}`,
      serverNames: serverNames.includes('*') ? [] : serverNames,
      to: { tcp: clustersOf(route, object.metadata.namespace ?? '', bound, scope) },
    }),
  );
  return { chains, routes: [] };
}

function clustersOf(
  route: PlainRoute,
  namespace: string,
  { server }: BoundServer,
  { routing }: GatewayScope,
): readonly { readonly name: string; readonly weight: number }[] {
  const found = route.map(({ destination, weight = 0 }) => ({
    name: clusterAt(destination, namespace, server.port.number, routing).name,
    weight: route.length === 1 ? 100 : weight,
  }));
  const weighted = found.filter(({ weight }) => weight > 0);
  return weighted.length > 0 ? weighted : found.slice(0, 1);
}

/** Envoy takes each server name of a listener once: the first chain has it. */
function distinct(chains: readonly GatewayChain[]): readonly GatewayChain[] {
  const taken = new Set<string>();
  return chains.flatMap((chain) => {
    const { serverNames } = chain;
    if (serverNames === undefined) return [chain];
    const asked = serverNames.length === 0 ? ['*'] : serverNames;
    const left = asked.filter((name) => !taken.has(name));
    for (const name of left) taken.add(name);
    if (left.length === 0) return [];
    return [{ ...chain, serverNames: left.includes('*') ? [] : left }];
  });
}
