import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { HttpMatch } from '#api/kinds/virtual-service-match.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { boundServices } from '#policy/gateway/bound-services.ts';
import { isDerived } from '#policy/gateway/derived-gateways.ts';
import type { BoundServer } from '#policy/gateway/gateway-ports.ts';
import { hostOf } from '#policy/gateway/server-hosts.ts';
import type { RoutingClient } from '#policy/routing/virtual-services.ts';

/** What servers make of requests for a host. */
export interface GatewayHost<R> {
  /** In the order in which they are tried: those for every request last. */
  readonly routes: readonly R[];
  /** Whether plaintext requests are sent to HTTPS. */
  readonly requiresTls: boolean;
}

/** A route in whatever form it is wanted; without `match` it takes every request. */
interface Matching {
  readonly match?: HttpMatch | undefined;
}

/** Who routes, and the objects that it sees. */
interface HostScope {
  readonly client: RoutingClient;
  readonly virtualServices: NamespacedObjects<VirtualService>;
}

/** A Gateway (`namespace/name`) and the port of one of its servers. */
interface RoutePort {
  readonly gateway: string;
  readonly port: number;
}

/**
 * What servers make of requests: for each host that a server and a VirtualService agree on, the
 * routes of all such VirtualServices, the oldest first, those for every request last. Where one
 * server of a host sends plaintext to HTTPS, all do.
 * @param routesOf the routes that an object has for a port
 */
export function gatewayHosts<R extends Matching>(
  servers: readonly BoundServer[],
  { client, virtualServices }: HostScope,
  routesOf: (object: VirtualService, at: RoutePort) => readonly R[],
): ReadonlyMap<string, GatewayHost<R>> {
  const hosts = new Map<string, { readonly routes: R[]; requiresTls: boolean }>();
  const hostAt = (host: string) => {
    const known = hosts.get(host) ?? { routes: [], requiresTls: false };
    hosts.set(host, known);
    return known;
  };
  const seen = new Set<string>();
  for (const bound of servers) {
    const { number: port, protocol } = bound.server.port;
    for (const { object, hosts: agreed } of boundServices(bound, client, virtualServices)) {
      const { name, namespace } = object.metadata;
      const routes = routesOf(object, { gateway: bound.gateway, port });
      for (const host of agreed) {
        const key = `${bound.gateway} ${port} ${namespace}/${name} ${host}`;
        if (!seen.has(key)) hostAt(host).routes.push(...routes);
        seen.add(key);
      }
    }
    const isPlain = protocol.toUpperCase() !== 'HTTPS';
    if (!isPlain || !bound.server.tls?.httpsRedirect) continue;
    for (const host of bound.server.hosts) hostAt(hostOf(host)).requiresTls = true;
  }
  const byNarrowness = servers.some(({ gateway }) => isDerived(gateway));
  return new Map(
    [...hosts].map(([host, { routes, requiresTls }]) => {
      const sorted = byNarrowness ? routes.toSorted(narrowerFirst) : routes;
      const ordered = [...sorted.filter((one) => !isForAll(one)), ...sorted.filter(isForAll)];
      return [host, { routes: ordered, requiresTls }];
    }),
  );
}

/**
 * Sorts as the Gateway API has it: exact paths, then longer ones, then those with a method, more
 * headers, more parameters; else as they came.
 */
function narrowerFirst(a: Matching, b: Matching): number {
  const [one, other] = [ranks(a), ranks(b)];
  const at = one.findIndex((rank, index) => rank !== other[index]);
  return at < 0 ? 0 : (other[at] ?? 0) - (one[at] ?? 0);
}

function ranks({ match = {} }: Matching): readonly number[] {
  const { uri, method, headers = {}, queryParams = {} } = match;
  return [
    Number(uri?.exact !== undefined),
    (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length,
    Number(method !== undefined),
    Object.keys(headers).length,
    Object.keys(queryParams).length,
  ];
}

function isForAll({ match }: Matching): boolean {
  return match === undefined;
}
