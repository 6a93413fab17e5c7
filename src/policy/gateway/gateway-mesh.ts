import type { ApiObject } from '#api/object.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { controllerOf, derivedGateway, derivedName } from '#policy/gateway/derived-gateways.ts';
import { derivedRoute, type Parent, parentsOf } from '#policy/gateway/derived-routes.ts';

/** What gateways are made from. */
export type GatewayObjects = Pick<MeshSnapshot, 'gateways' | 'virtualServices'>;

/** What that comes from. */
export type GatewayApiObjects = GatewayObjects &
  Pick<MeshSnapshot, 'kubernetesGateways' | 'gatewayClasses' | 'httpRoutes' | 'namespaces'>;

/**
 * The Gateways and VirtualServices of a mesh with what its objects of the Gateway API come to
 * (derived-gateways, derived-routes). Without such objects, the very same indexes.
 */
export function gatewayObjects(mesh: GatewayApiObjects, clusterDomain: string): GatewayObjects {
  const { gateways, virtualServices, kubernetesGateways, gatewayClasses, namespaces } = mesh;
  const served = kubernetesGateways
    .all()
    .filter((one) => controllerOf(one, gatewayClasses) !== undefined);
  if (served.length === 0) return { gateways, virtualServices };
  const listeners = served.flatMap((object) =>
    object.spec.listeners.map(({ name, port }): Parent => {
      const { name: gateway, namespace = '' } = object.metadata;
      return { gateway, namespace, listener: name, port };
    }),
  );
  const derived = served.flatMap((object) =>
    object.spec.listeners.flatMap((one) => derivedGateway(object, one, namespaces) ?? []),
  );
  const routes = mesh.httpRoutes.all().flatMap((route) => {
    const parents = parentsOf(route, listeners);
    const names = parents.map(
      ({ namespace, gateway, listener }) => `${namespace}/${derivedName(gateway, listener)}`,
    );
    return names.length === 0 ? [] : [derivedRoute(route, names, clusterDomain)];
  });
  return {
    gateways: withMore(gateways, derived),
    virtualServices: withMore(virtualServices, routes),
  };
}

const seen = new WeakMap<MeshSnapshot, MeshSnapshot>();

/** A mesh as its gateways see it: with what its objects of the Gateway API come to. */
export function seenByGateways(mesh: MeshSnapshot): MeshSnapshot {
  const known = seen.get(mesh) ?? { ...mesh, ...gatewayObjects(mesh, mesh.settings.clusterDomain) };
  seen.set(mesh, known);
  return known;
}

function withMore<T extends ApiObject>(
  index: NamespacedObjects<T>,
  more: readonly T[],
): NamespacedObjects<T> {
  const byNamespace = Map.groupBy(more, ({ metadata }) => metadata.namespace ?? '');
  const lists = [...byNamespace].map(
    ([namespace, objects]) => [namespace, [...index.in(namespace), ...objects]] as const,
  );
  return index.replace(new Map(lists));
}
