import { isIP } from 'node:net';
import type { EndpointIndex } from '#model/endpoint-index.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Service } from '#model/service.ts';
import { domainsOf, settleDomains } from '#xds/generate/host-domains.ts';
import { CLUSTER_NAMES, REDIRECT_PORTS } from '#xds/generate/naming.ts';
import type { OutboundListenerInput, ServerNameRoute } from '#xds/generate/outbound-listener.ts';
import {
  authorityOf,
  clusterOf,
  type Destination,
  destinationsOf,
  type FindRoutes,
  handlingOf,
  listenerContext,
  routedHost,
  soleRoute,
} from '#xds/generate/outbound-plan.ts';
import type { OutboundRouteInput } from '#xds/generate/outbound-routes.ts';

/** Where connections go that nothing is known of. */
export function unknownCluster(settings: MeshSettings): string {
  return settings.outboundTraffic === 'ALLOW_ANY'
    ? CLUSTER_NAMES.passthrough
    : CLUSTER_NAMES.blackHole;
}

/**
 * Listeners for redirected calls: `0.0.0.0_<port>` for HTTP, told apart by Host header, and for TLS
 * of services without an address, told apart by server name; and one for each address of every
 * other service port. The first service of the order wins where two have the
 * same address and port.
 */
export function redirectListeners(
  services: readonly Service[],
  endpoints: EndpointIndex,
  settings: MeshSettings,
): readonly OutboundListenerInput[] {
  const context = { ...listenerContext(settings), binds: false };
  const http = new Set(httpPorts(services));
  const tls = Map.groupBy(destinationsOf(services).filter(isToldByServerName), portNumber);
  const shared = [...new Set([...http, ...tls.keys()])].filter(isFree).sort((a, b) => a - b);
  const wildcard = shared.map((port) => ({
    ...context,
    name: `0.0.0.0_${port}`,
    address: '0.0.0.0',
    port,
    ...(http.has(port) && { routeName: `${port}` }),
    ...(tls.has(port) && { byServerName: (tls.get(port) ?? []).map(named) }),
    tcpCluster: unknownCluster(settings),
    servicePort: port,
  }));
  const single = destinationsOf(services).flatMap((destination) =>
    placesOf(destination, endpoints).map(({ address, port }) => ({
      ...context,
      name: `${address}_${port}`,
      address,
      port,
      ...(handlingOf(destination) === 'sniffed' && { routeName: authorityOf(destination) }),
      tcpCluster: clusterOf(destination),
      servicePort: destination.port.port,
    })),
  );
  const byName = new Map<string, OutboundListenerInput>();
  for (const listener of [...wildcard, ...single]) {
    if (!byName.has(listener.name)) byName.set(listener.name, listener);
  }
  return [...byName.values()];
}

/** The routes that those listeners refer to, as a caller in a namespace spells hosts. */
export function redirectRoutes(
  services: readonly Service[],
  namespace: string,
  settings: MeshSettings,
  findRoutes: FindRoutes,
): readonly OutboundRouteInput[] {
  const scope = { namespace, clusterDomain: settings.clusterDomain };
  const byHost = destinationsOf(services).filter(isToldByHost);
  const shared = httpPorts(services).map((port) => {
    const claims = byHost
      .filter((destination) => destination.port.port === port)
      .map((claimant) => ({ claimant, domains: domainsOf(claimant.service, scope) }));
    return {
      name: `${port}`,
      ignoresPort: true,
      hosts: settleDomains(claims).map(({ claimant, domains }) =>
        routedHost(claimant, domains, findRoutes),
      ),
      unknownHosts:
        settings.outboundTraffic === 'ALLOW_ANY' ? ('pass' as const) : ('block' as const),
    };
  });
  const sole = destinationsOf(services)
    .filter((one) => handlingOf(one) === 'sniffed' && !isToldByHost(one))
    .map((destination) => soleRoute(destination, false, findRoutes));
  return [...shared, ...sole];
}

/** HTTP is told by its Host header; so is what may be HTTP and has no address of its own. */
function isToldByHost(destination: Destination): boolean {
  const handling = handlingOf(destination);
  if (handling === 'http') return true;
  return handling === 'sniffed' && addressesOf(destination.service).length === 0;
}

/** TLS says in its first bytes which server is meant (RFC 6066 section 3). */
function isToldByServerName({ service, port }: Destination): boolean {
  return port.protocol === 'tls' && addressesOf(service).length === 0;
}

function named(destination: Destination): ServerNameRoute {
  return { host: destination.service.host, cluster: clusterOf(destination) };
}

function httpPorts(services: readonly Service[]): readonly number[] {
  const ports = destinationsOf(services).filter(isToldByHost).map(portNumber);
  return [...new Set(ports)].filter(isFree).sort((a, b) => a - b);
}

function portNumber({ port }: Destination): number {
  return port.port;
}

/** Whether no listener of the proxy itself is on the port. */
function isFree(port: number): boolean {
  const own: readonly number[] = Object.values(REDIRECT_PORTS);
  return !own.includes(port);
}

/** Blocks of addresses are left out: a listener has one. */
function addressesOf(service: Service): readonly string[] {
  return service.addresses.filter((address) => isIP(address) !== 0);
}

/**
 * Where callers connect to for a destination that is not told by host: its addresses, or its
 * endpoints' own.
 */
function placesOf(
  destination: Destination,
  endpoints: EndpointIndex,
): readonly { readonly address: string; readonly port: number }[] {
  const { service, port } = destination;
  if (isToldByHost(destination) || handlingOf(destination) === 'none') return [];
  const addresses = addressesOf(service);
  if (addresses.length > 0) return addresses.map((address) => ({ address, port: port.port }));
  if (service.resolution !== 'static') return [];
  return (endpoints.of(service).byPort.get(port.port) ?? [])
    .map((endpoint) => ({ address: endpoint.workload.address, port: endpoint.port }))
    .filter(({ address }) => isIP(address) !== 0);
}
