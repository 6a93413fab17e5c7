import type { MeshSnapshot } from '#model/snapshot.ts';
import { type GatewayHost, gatewayHosts } from '#policy/gateway/gateway-hosts.ts';
import type { BoundServer, GatewayPort } from '#policy/gateway/gateway-ports.ts';
import type { RoutingClient } from '#policy/routing/virtual-services.ts';
import { gatewayRouteName } from '#xds/gateway-route-name.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import type { OutboundRouteInput, RoutedHost } from '#xds/generate/outbound-routes.ts';
import { gatewayRoutes, type PlannedRoute, type RoutingScope } from '#xds/generate/route-plan.ts';

/** Who routes, and what it knows. */
export interface GatewayScope {
  readonly client: RoutingClient;
  readonly mesh: MeshSnapshot;
  readonly routing: RoutingScope;
}

/** The route configuration of a port of plaintext HTTP: all of its servers have one. */
export function plainRouteName({ bind, listen }: GatewayPort): string {
  return gatewayRouteName({ port: listen, bind });
}

/** The route configuration of a server that ends TLS: it has one of its own, as Istio names it. */
export function securedRouteName({ gateway, server }: BoundServer): string {
  const { number: port, name } = server.port;
  return gatewayRouteName({ port, server: { name, gateway } });
}

/**
 * What servers make of requests, in Envoy's words (`gatewayHosts`). Anything else is answered 404.
 */
export function gatewayRouteInput(
  name: string,
  servers: readonly BoundServer[],
  { client, mesh, routing }: GatewayScope,
): OutboundRouteInput {
  const { virtualServices } = mesh;
  const hosts = gatewayHosts(servers, { client, virtualServices }, (object, at) =>
    gatewayRoutes(object, at, routing),
  );
  const port = servers[0]?.server.port.number ?? 0;
  const routed = [...hosts].map(([host, found]) => routedHost(host, port, found));
  return { name, ignoresPort: true, hosts: routed.length > 0 ? routed : [blackHole(port)] };
}

function routedHost(
  host: string,
  port: number,
  { routes, requiresTls }: GatewayHost<PlannedRoute>,
): RoutedHost {
  return {
    name: `${host}:${port}`,
    domains: [host],
    cluster: CLUSTER_NAMES.blackHole,
    offersHttp: false,
    authority: '',
    routes,
    ...(requiresTls && { requiresTls }),
  };
}

/** Envoy has no configuration without a host. */
function blackHole(port: number): RoutedHost {
  const name = `blackhole:${port}`;
  const { cluster, offersHttp, authority } = routedHost(name, port, EMPTY);
  return { name, domains: ['*'], cluster, offersHttp, authority, routes: [] };
}

const EMPTY: GatewayHost<PlannedRoute> = { routes: [], requiresTls: false };
