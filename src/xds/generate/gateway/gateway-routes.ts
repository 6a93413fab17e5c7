import type { MeshSnapshot } from '#model/snapshot.ts';
import { boundServices } from '#policy/gateway/bound-services.ts';
import { isDerived } from '#policy/gateway/derived-gateways.ts';
import type { BoundServer, GatewayPort } from '#policy/gateway/gateway-ports.ts';
import { hostOf } from '#policy/gateway/server-hosts.ts';
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

interface Host {
  readonly routes: PlannedRoute[];
  requiresTls: boolean;
}

/**
 * What servers make of requests: for each host that a server and a VirtualService agree on, the
 * routes of all such VirtualServices, the oldest first, those for every request last. Where one
 * server of a host sends plaintext to HTTPS, all do. Anything else is answered 404.
 */
export function gatewayRouteInput(
  name: string,
  servers: readonly BoundServer[],
  scope: GatewayScope,
): OutboundRouteInput {
  const hosts = new Map<string, Host>();
  const hostAt = (host: string): Host => {
    const known = hosts.get(host) ?? { routes: [], requiresTls: false };
    hosts.set(host, known);
    return known;
  };
  const seen = new Set<string>();
  for (const bound of servers) {
    const { client, mesh, routing } = scope;
    const { number: port, protocol } = bound.server.port;
    for (const { object, hosts: agreed } of boundServices(bound, client, mesh.virtualServices)) {
      const { name: objectName, namespace } = object.metadata;
      const routes = gatewayRoutes(object, { gateway: bound.gateway, port }, routing);
      for (const host of agreed) {
        const key = `${bound.gateway} ${port} ${namespace}/${objectName} ${host}`;
        if (!seen.has(key)) hostAt(host).routes.push(...routes);
        seen.add(key);
      }
    }
    const isPlain = protocol.toUpperCase() !== 'HTTPS';
    if (!isPlain || !bound.server.tls?.httpsRedirect) continue;
    for (const host of bound.server.hosts) hostAt(hostOf(host)).requiresTls = true;
  }
  const port = servers[0]?.server.port.number ?? 0;
  const byNarrowness = servers.some(({ gateway }) => isDerived(gateway));
  const routed = [...hosts].map(([host, { routes, requiresTls }]) =>
    routedHost(host, port, {
      routes: byNarrowness ? routes.toSorted(narrowerFirst) : routes,
      requiresTls,
    }),
  );
  return { name, ignoresPort: true, hosts: routed.length > 0 ? routed : [blackHole(port)] };
}

function routedHost(host: string, port: number, { routes, requiresTls }: Host): RoutedHost {
  return {
    name: `${host}:${port}`,
    domains: [host],
    cluster: CLUSTER_NAMES.blackHole,
    offersHttp: false,
    authority: '',
    routes: [...routes.filter((route) => !isForAll(route)), ...routes.filter(isForAll)],
    ...(requiresTls && { requiresTls }),
  };
}

/**
 * Sorts as the Gateway API has it: exact paths, then longer ones, then those with a method, more
 * headers, more parameters; else as they came.
 */
function narrowerFirst(a: PlannedRoute, b: PlannedRoute): number {
  const [one, other] = [ranks(a), ranks(b)];
  const at = one.findIndex((rank, index) => rank !== other[index]);
  return at < 0 ? 0 : (other[at] ?? 0) - (one[at] ?? 0);
}

function ranks({ match = {} }: PlannedRoute): readonly number[] {
  const { uri, method, headers = {}, queryParams = {} } = match;
  return [
    Number(uri?.exact !== undefined),
    (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length,
    Number(method !== undefined),
    Object.keys(headers).length,
    Object.keys(queryParams).length,
  ];
}

function isForAll({ match }: PlannedRoute): boolean {
  return match === undefined;
}

/** Envoy has no configuration without a host. */
function blackHole(port: number): RoutedHost {
  const name = `blackhole:${port}`;
  const { cluster, offersHttp, authority } = routedHost(name, port, EMPTY);
  return { name, domains: ['*'], cluster, offersHttp, authority, routes: [] };
}

const EMPTY: Host = { routes: [], requiresTls: false };
