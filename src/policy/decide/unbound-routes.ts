import type { MeshSnapshot } from '#model/snapshot.ts';
import { gatewayOf } from '#policy/decide/find-gateways.ts';
import { shownObject } from '#policy/decide/layer.ts';
import { writtenObject } from '#policy/decide/written-object.ts';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import { resolveGateway } from '#policy/gateway/gateway-name.ts';
import type { BoundServer } from '#policy/gateway/gateway-ports.ts';
import { servedHost } from '#policy/gateway/server-hosts.ts';
import { isVisible } from '#policy/routing/virtual-services.ts';

/** A gateway that has no route for a host. */
export interface UnservedHost {
  readonly host: string;
  readonly servers: readonly BoundServer[];
  /** Of the gateway's workload. */
  readonly namespace: string;
}

/** What helps: an object with such routes that is not taken, or else where one names gateways. */
export function adviceOnUnserved(
  { host, servers, namespace: own }: UnservedHost,
  mesh: MeshSnapshot,
): string {
  const names = new Set(servers.map(({ gateway }) => gateway));
  for (const object of seenByGateways(mesh).virtualServices.all()) {
    const { hosts = [], gateways = [] } = object.spec ?? {};
    const { namespace = '' } = object.metadata;
    const named = gateways
      .map((one) => resolveGateway(one, namespace))
      .find((one) => names.has(one));
    if (named === undefined || servedHost(hosts, host) === undefined) continue;
    const what = `${shownObject(writtenObject(object))} has routes for it`;
    if (!isVisible(object, own)) return `${what}: let its exportTo show it to namespace ${own}`;
    const gateway = gatewayOf({ gateway: named });
    return `${what}: let the gateway ${gateway} take routes of namespace ${namespace} for this host`;
  }
  const [gateway] = [...names].map((one) => gatewayOf({ gateway: one }));
  return `name ${gateway} in a VirtualService (gateways) or an HTTPRoute (parentRefs) for this host`;
}
