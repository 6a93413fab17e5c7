import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Service } from '#model/service.ts';
import type { ServiceView } from '#model/service-index.ts';
import { type DomainClaim, domainsOf, settleDomains } from '#xds/generate/host-domains.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import type { OutboundListenerInput } from '#xds/generate/outbound-listener.ts';
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
import type { ExplicitPorts } from '#xds/proxy-node.ts';

/** Nothing is redirected: applications come by themselves, on loopback. */
const LOOPBACK = '127.0.0.1';

/** Name of the listener that is an HTTP proxy to all services, and of its route. */
const HTTP_PROXY = 'http_proxy';

/** The port of a URL that names none. */
const HTTP_PORT = 80;

/**
 * Listeners for applications that call by an HTTP proxy or by a port of their own for each service.
 */
export function explicitListeners(
  explicit: ExplicitPorts,
  view: ServiceView,
  namespace: string,
  settings: MeshSettings,
): readonly OutboundListenerInput[] {
  const context = { ...listenerContext(settings), address: LOOPBACK, binds: true };
  const upstreams = explicit.upstreams.map(({ host, port, listen }) => {
    const destination = findDestination(host, port, view, namespace, settings);
    return {
      ...context,
      name: `upstream_${listen}`,
      port: listen,
      servicePort: port,
      ...(destination ? towards(destination) : { tcpCluster: CLUSTER_NAMES.blackHole }),
    };
  });
  return [
    {
      ...context,
      name: HTTP_PROXY,
      port: explicit.httpProxyPort,
      routeName: HTTP_PROXY,
      servicePort: 0,
    },
    ...upstreams,
  ];
}

/** The route of the HTTP proxy listener, as a caller in a namespace spells hosts. */
export function httpProxyRoute(
  view: ServiceView,
  namespace: string,
  settings: MeshSettings,
  findRoutes: FindRoutes,
): OutboundRouteInput {
  const scope = { namespace, clusterDomain: settings.clusterDomain };
  const claims = destinationsOf(view.services)
    .filter((destination) => canBeHttp(destination))
    .map((claimant): DomainClaim<Destination> => {
      const names = domainsOf(claimant.service, scope);
      const withPort = names.map((name) => `${name}:${claimant.port.port}`);
      const bare = isDefaultPort(claimant) ? names : [];
      return { claimant, domains: [...withPort, ...bare] };
    });
  return {
    name: HTTP_PROXY,
    ignoresPort: false,
    hosts: settleDomains(claims).map(({ claimant, domains }) =>
      routedHost(claimant, domains, findRoutes),
    ),
    unknownHosts: 'explain',
  };
}

/** The routes of listeners for single services. */
export function upstreamRoutes(
  explicit: ExplicitPorts,
  view: ServiceView,
  namespace: string,
  settings: MeshSettings,
  findRoutes: FindRoutes,
): readonly OutboundRouteInput[] {
  const routes = new Map<string, OutboundRouteInput>();
  for (const { host, port } of explicit.upstreams) {
    const destination = findDestination(host, port, view, namespace, settings);
    if (!destination || !canBeHttp(destination)) continue;
    const route = soleRoute(destination, true, findRoutes);
    routes.set(route.name, route);
  }
  return [...routes.values()];
}

function towards(
  destination: Destination,
): Pick<OutboundListenerInput, 'routeName' | 'tcpCluster'> {
  const handling = handlingOf(destination);
  return {
    ...(handling !== 'tcp' && { routeName: authorityOf(destination) }),
    ...(handling !== 'http' && { tcpCluster: clusterOf(destination) }),
  };
}

function canBeHttp(destination: Destination): boolean {
  const handling = handlingOf(destination);
  return handling === 'http' || handling === 'sniffed';
}

/** Whether a URL without a port means this one: port 80, or the only HTTP port of the service. */
function isDefaultPort({ service, port }: Destination): boolean {
  const ports = service.ports.filter((one) => canBeHttp({ service, port: one }));
  return port.port === HTTP_PORT || ports.length === 1;
}

/**
 * The service that a user spells in any of the usual ways; undefined when there is none such, or no
 * such port.
 */
function findDestination(
  spelled: string,
  portNumber: number,
  view: ServiceView,
  namespace: string,
  settings: MeshSettings,
): Destination | undefined {
  const host = spelled.toLowerCase();
  const domain = settings.clusterDomain;
  const spellings = [
    host,
    `${host}.${domain}`,
    `${host}.svc.${domain}`,
    `${host}.${namespace}.svc.${domain}`,
  ];
  const service: Service | undefined = spellings
    .map((name) => view.byHost.get(name))
    .find((found) => found !== undefined);
  const port = service?.ports.find((one) => one.port === portNumber);
  if (!service || !port || handlingOf({ service, port }) === 'none') return undefined;
  return { service, port };
}
