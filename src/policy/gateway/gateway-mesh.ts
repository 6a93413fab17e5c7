import type { ApiObject } from '#api/object.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { controllerOf, derivedGateway, derivedName } from '#policy/gateway/derived-gateways.ts';
import { derivedRoute, type Parent, parentsOf } from '#policy/gateway/derived-routes.ts';

/** What gateways are made from. */
type GatewayObjects = Pick<MeshSnapshot, 'gateways' | 'virtualServices'>;

/** What that comes from. */
type GatewayApiObjects = GatewayObjects &
  Pick<MeshSnapshot, 'kubernetesGateways' | 'gatewayClasses' | 'httpRoutes' | 'namespaces'>;

/**
 * The Gateways and VirtualServices of a mesh with what its objects of the Gateway API come to
 * (derived-gateways, derived-routes). Without such objects, the very same indexes.
 */
function gatewayObjects(mesh: GatewayApiObjects, clusterDomain: string): GatewayObjects {
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
/** The last objects by the Gateways that they come from, with what else they were made of. */
const made = new WeakMap<
  MeshSnapshot['kubernetesGateways'],
  { readonly from: readonly unknown[]; readonly objects: GatewayObjects }
>();

/**
 * A mesh as its gateways see it: with what its objects of the Gateway API come to. The indexes are
 * the same ones as long as nothing that they come from changed.
 */
export function seenByGateways(mesh: MeshSnapshot): MeshSnapshot {
  const known = seen.get(mesh) ?? { ...mesh, ...objectsOf(mesh) };
  seen.set(mesh, known);
  return known;
}

function objectsOf(mesh: MeshSnapshot): GatewayObjects {
  const { gateways, virtualServices, gatewayClasses, httpRoutes, namespaces, settings } = mesh;
  const { clusterDomain } = settings;
  const from = [gateways, virtualServices, gatewayClasses, httpRoutes, namespaces, clusterDomain];
  const last = made.get(mesh.kubernetesGateways);
  if (last?.from.every((part, index) => part === from[index])) return last.objects;
  const objects = gatewayObjects(mesh, clusterDomain);
  made.set(mesh.kubernetesGateways, { from, objects });
  return objects;
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
