import type { ServiceView } from '#model/service-index.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { type RoutingClient, virtualServicesFor } from '#policy/routing/virtual-services.ts';
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
  const objects = virtualServicesFor(client, virtualServices, settings);
  const hasCluster = (name: string): boolean => clusters.has(name);
  return (destination) => plannedRoutes(destination, { objects, view, settings, hasCluster });
}
