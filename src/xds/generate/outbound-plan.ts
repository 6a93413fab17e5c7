import type { MeshSettings } from '#model/mesh-settings.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { LoggedRequests } from '#xds/generate/access-log.ts';
import { outboundClusterName } from '#xds/generate/naming.ts';
import type { OutboundRouteInput, RoutedHost } from '#xds/generate/outbound-routes.ts';
import type { PlannedRoute } from '#xds/generate/route-plan.ts';

/** Settings that every listener needs to know. */
export function listenerContext(settings: MeshSettings): {
  readonly accessLog: LoggedRequests;
  readonly hardening: MeshSettings['hardening'];
  readonly pathNormalization: MeshSettings['pathNormalization'];
} {
  const { accessLog, hardening, pathNormalization } = settings;
  return { accessLog, hardening, pathNormalization };
}

/** A service and one of its ports. */
export interface Destination {
  readonly service: Service;
  readonly port: ServicePort;
}

/** Every port of every service, in their order. */
export function destinationsOf(services: readonly Service[]): readonly Destination[] {
  return services.flatMap((service) => service.ports.map((port) => ({ service, port })));
}

/** How connections to a destination are handled. */
export function handlingOf({ port }: Destination): 'http' | 'tcp' | 'sniffed' | 'none' {
  return PROTOCOLS[port.protocol].handling;
}

/** The cluster of a destination. */
export function clusterOf({ service, port }: Destination): string {
  return outboundClusterName(port.port, '', service.host);
}

/** `<host>:<port>`: names virtual hosts, and routes that lead to one destination only. */
export function authorityOf({ service, port }: Destination): string {
  return `${service.host}:${port.port}`;
}

/** Finds what VirtualServices make of requests for a destination; undefined = nothing. */
export type FindRoutes = (destination: Destination) => readonly PlannedRoute[] | undefined;

/** The virtual host of a destination. */
export function routedHost(
  destination: Destination,
  domains: readonly string[],
  findRoutes: FindRoutes,
): RoutedHost {
  const routes = findRoutes(destination);
  return {
    name: authorityOf(destination),
    domains,
    cluster: clusterOf(destination),
    offersHttp: handlingOf(destination) === 'sniffed',
    authority: '',
    ...(routes && { routes }),
  };
}

/**
 * A route for a listener through which only one destination is reached.
 * @param rewrites whether the caller had no way to name the host, so that the route names it
 */
export function soleRoute(
  destination: Destination,
  rewrites: boolean,
  findRoutes: FindRoutes,
): OutboundRouteInput {
  const { service, port } = destination;
  const host = routedHost(destination, ['*'], findRoutes);
  const authority = rewrites ? (port.port === 80 ? service.host : host.name) : '';
  return { name: host.name, ignoresPort: true, hosts: [{ ...host, authority }] };
}
