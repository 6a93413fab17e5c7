import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { HttpMatch } from '#api/kinds/virtual-service-match.ts';
import type {
  HeaderChanges,
  HttpRoute,
  Destination as Place,
} from '#api/kinds/virtual-service-route.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { ServiceView } from '#model/service-index.ts';
import { isOfRequest } from '#policy/routing/request-match.ts';
import { routePlaceOf } from '#policy/routing/route-place.ts';
import type { ClientRoute, ClientVirtualServices } from '#policy/routing/virtual-services.ts';
import { CLUSTER_NAMES, outboundClusterName } from '#xds/generate/naming.ts';
import { type Destination, handlingOf } from '#xds/generate/outbound-plan.ts';

/** A cluster with its share of the requests. */
export interface RoutedCluster {
  readonly name: string;
  readonly weight: number;
  /** The cluster's port has no declared protocol, so connections must say that they carry HTTP. */
  readonly offersHttp: boolean;
  readonly headers?: HeaderChanges;
}

/** One route of a VirtualService as a client takes it. Plain JSON values. */
export interface PlannedRoute {
  readonly name: string;
  /** Absent = every request. */
  readonly match?: HttpMatch;
  /** What becomes of the request: as the object says it. */
  readonly does: Omit<HttpRoute, 'match' | 'route' | 'name' | 'delegate'>;
  /** Empty where the proxy answers by itself. */
  readonly clusters: readonly RoutedCluster[];
  /** Clusters that get a copy of the request, with their share in per cent. */
  readonly mirrors: readonly { readonly name: string; readonly percent: number }[];
  /** The port that the caller means. */
  readonly port: number;
}

/** What routes are planned from. */
export interface RoutingScope {
  readonly objects: ClientVirtualServices;
  readonly view: ServiceView;
  readonly settings: MeshSettings;
  /** Whether the client has a cluster of this name. */
  readonly hasCluster: (name: string) => boolean;
}

/**
 * The routes for a destination; undefined where no VirtualService says any for its port, so that
 * requests go to the service itself.
 */
export function plannedRoutes(
  { service, port }: Destination,
  scope: RoutingScope,
): readonly PlannedRoute[] | undefined {
  const object = scope.objects.forHost(service.host);
  if (!object) return undefined;
  const routes = scope.objects.routesOf(object, port.port);
  return routes.length === 0 ? undefined : planRoutes(object, routes, port.port, scope);
}

/** The routes that an object has for a port of a gateway (`namespace/name`). */
export function gatewayRoutes(
  object: VirtualService,
  { gateway, port }: { readonly gateway: string; readonly port: number },
  scope: RoutingScope,
): readonly PlannedRoute[] {
  return planRoutes(object, scope.objects.routesOf(object, port, gateway), port, scope, true);
}

/** `knowsClaims`: whether conditions on claims of tokens can be met. */
function planRoutes(
  object: VirtualService,
  routes: readonly ClientRoute[],
  port: number,
  scope: RoutingScope,
  knowsClaims = false,
): readonly PlannedRoute[] {
  const { name: objectName, namespace = '' } = object.metadata;
  return routes.flatMap(({ route, match }, index) => {
    const { match: _, route: destinations = [], name, ...does } = route;
    const clusters = destinations.map(({ destination, weight = 0, headers }) => ({
      ...clusterAt(destination, namespace, port, scope),
      weight: destinations.length === 1 ? 100 : weight,
      ...(headers && { headers }),
    }));
    const planned = {
      name: name || `${objectName}.${namespace}-http[${index}]`,
      does,
      clusters: clusters.filter(({ weight }) => weight > 0),
      mirrors: mirrorsOf(route, namespace, port, scope),
      port,
    };
    const possible = knowsClaims ? match : match.filter(isOfRequest);
    if (match.length === 0) return [planned];
    return possible.map((one) => ({ ...planned, match: one }));
  });
}

/** Copies go where the route says, each with its share: all requests when it says none. */
function mirrorsOf(
  route: HttpRoute,
  namespace: string,
  calledPort: number,
  scope: RoutingScope,
): PlannedRoute['mirrors'] {
  const { mirror, mirrors = [], mirrorPercentage, mirrorPercent, mirror_percent: old } = route;
  const share = mirrorPercentage ? mirrorPercentage.value : (mirrorPercent ?? old ?? undefined);
  const single = mirror ? [{ destination: mirror, percentage: { value: share ?? 100 } }] : [];
  return [...single, ...mirrors]
    .map(({ destination, percentage }) => ({
      name: clusterAt(destination, namespace, calledPort, scope).name,
      percent: percentage ? (percentage.value ?? 0) : 100,
    }))
    .filter(({ percent }) => percent > 0);
}

/** The cluster of a place. A place that the client does not know leads nowhere. */
export function clusterAt(
  destination: Place,
  namespace: string,
  calledPort: number,
  scope: RoutingScope,
): Pick<RoutedCluster, 'name' | 'offersHttp'> {
  const place = routePlaceOf(destination, { namespace, calledPort }, scope);
  const name = place && outboundClusterName(place.port.port, place.subset, place.service.host);
  if (!place || !name || !scope.hasCluster(name))
    return { name: CLUSTER_NAMES.blackHole, offersHttp: false };
  return { name, offersHttp: handlingOf(place) === 'sniffed' };
}
