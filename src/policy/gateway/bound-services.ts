import type { VirtualService } from '#api/kinds/virtual-service.ts';
import { olderFirst } from '#model/age.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { resolveGateway } from '#policy/gateway/gateway-name.ts';
import type { BoundServer } from '#policy/gateway/gateway-ports.ts';
import { commonHosts, hostsForNamespace } from '#policy/gateway/server-hosts.ts';
import { canHold } from '#policy/routing/source-match.ts';
import { isVisible, type RoutingClient, withGateways } from '#policy/routing/virtual-services.ts';

/** A VirtualService that has routes for a server of a gateway. */
export interface BoundService {
  readonly object: VirtualService;
  /** The hosts that both agree on; never empty. */
  readonly hosts: readonly string[];
}

/** Destinations of connections, with their weights. */
export type PlainRoute = NonNullable<
  NonNullable<NonNullable<VirtualService['spec']>['tcp']>[number]['route']
>;

/**
 * The VirtualServices with routes for a server, oldest first: those that name its Gateway, that the
 * gateway's workload sees, and that agree with the server on a host (Istio, "Gateway").
 */
export function boundServices(
  { gateway, namespace, server }: BoundServer,
  client: RoutingClient,
  objects: NamespacedObjects<VirtualService>,
): readonly BoundService[] {
  return namedBy(gateway, objects)
    .filter((object) => isVisible(object, client.namespace))
    .flatMap((object) => {
      const offered = hostsForNamespace(server.hosts, namespaceOf(object), namespace);
      const asked = (object.spec?.hosts ?? []).map((host) => host.toLowerCase());
      const hosts = commonHosts(offered, asked);
      return hosts.length === 0 ? [] : [{ object, hosts }];
    });
}

/** Where connections of a server go that are not HTTP: by the first TCP route that can hold. */
export function tcpRoute(
  bound: BoundServer,
  client: RoutingClient,
  services: readonly BoundService[],
): { readonly object: VirtualService; readonly route: PlainRoute } | undefined {
  const place = { client, port: bound.server.port.number, gateway: bound.gateway };
  for (const { object } of services) {
    for (const { match = [], route = [] } of object.spec?.tcp ?? []) {
      const holds = match.some((one) => canHold(withGateways(one, namespaceOf(object)), place));
      if (match.length === 0 || holds) return { object, route };
    }
  }
  return undefined;
}

/** Where TLS goes that a server passes on, by the names that callers ask for. */
export function tlsRoutes(
  bound: BoundServer,
  client: RoutingClient,
  services: readonly BoundService[],
): readonly {
  readonly object: VirtualService;
  readonly serverNames: readonly string[];
  readonly route: PlainRoute;
}[] {
  const place = { client, port: bound.server.port.number, gateway: bound.gateway };
  return services.flatMap(({ object, hosts }) =>
    (object.spec?.tls ?? []).flatMap(({ match, route = [] }) =>
      match
        .filter((one) => canHold(withGateways(one, namespaceOf(object)), place))
        .map(({ sniHosts }) => ({
          object,
          route,
          serverNames: commonHosts(
            sniHosts.map((host) => host.toLowerCase()),
            hosts,
          ),
        }))
        .filter(({ serverNames }) => serverNames.length > 0),
    ),
  );
}

const byGateway = new WeakMap<
  NamespacedObjects<VirtualService>,
  ReadonlyMap<string, readonly VirtualService[]>
>();

/** The objects that name a gateway, oldest first. */
function namedBy(
  gateway: string,
  objects: NamespacedObjects<VirtualService>,
): readonly VirtualService[] {
  const known = byGateway.get(objects) ?? groupByGateway(objects);
  byGateway.set(objects, known);
  return known.get(gateway) ?? [];
}

function groupByGateway(
  objects: NamespacedObjects<VirtualService>,
): ReadonlyMap<string, readonly VirtualService[]> {
  const groups = new Map<string, VirtualService[]>();
  for (const object of objects.all().toSorted(olderFirst)) {
    const names = (object.spec?.gateways ?? []).map((name) =>
      resolveGateway(name, namespaceOf(object)),
    );
    for (const name of new Set(names)) {
      const group = groups.get(name);
      if (group) group.push(object);
      else groups.set(name, [object]);
    }
  }
  return groups;
}

function namespaceOf({ metadata }: VirtualService): string {
  return metadata.namespace ?? '';
}
