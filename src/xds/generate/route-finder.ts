import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { ServiceView } from '#model/service-index.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import {
  asksForLabels,
  ClientVirtualServices,
  type RoutingClient,
} from '#policy/routing/virtual-services.ts';
import type { FindRoutes } from '#xds/generate/outbound-plan.ts';
import type { ResourceMap } from '#xds/generate/resource-map.ts';
import { plannedRoutes } from '#xds/generate/route-plan.ts';

/** Who calls, and what it sees. */
export interface RouteFinderInput {
  readonly client: RoutingClient;
  readonly mesh: MeshSnapshot;
  readonly view: ServiceView;
  /** Those that the client has. */
  readonly clusters: ResourceMap;
}

/** What the VirtualServices make of a client's requests. */
export function routeFinder({ client, mesh, view, clusters }: RouteFinderInput): FindRoutes {
  const { settings, virtualServices } = mesh;
  if (virtualServices.namespaces().length === 0) return () => undefined;
  const objects = seenBy(client, mesh);
  const hasCluster = (name: string): boolean => clusters.has(name);
  return (destination) => plannedRoutes(destination, { objects, view, settings, hasCluster });
}

/** What clients of one scope see of some objects, found out once. */
const known = new WeakMap<NamespacedObjects<VirtualService>, Map<string, ClientVirtualServices>>();

function seenBy(
  client: RoutingClient,
  { virtualServices, settings }: MeshSnapshot,
): ClientVirtualServices {
  const byScope = known.get(virtualServices) ?? new Map<string, ClientVirtualServices>();
  known.set(virtualServices, byScope);
  const scope = routingScope(virtualServices, client);
  const found = byScope.get(scope) ?? new ClientVirtualServices(virtualServices, client, settings);
  byScope.set(scope, found);
  return found;
}

/** Tells clients apart that may see different routes: two with the same answer see the same. */
export function routingScope(
  objects: NamespacedObjects<VirtualService>,
  { namespace, labels }: RoutingClient,
): string {
  return asksForLabels(objects) ? JSON.stringify([namespace, labels]) : namespace;
}
