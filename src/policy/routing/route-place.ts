import type { Destination } from '#api/kinds/virtual-service-route.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { ServiceView } from '#model/service-index.ts';
import { resolveHost } from '#policy/tls/host-match.ts';

/** Where a route leads, as its client sees it. */
export interface RoutePlaceFound {
  readonly service: Service;
  readonly port: ServicePort;
  /** '' = the service as a whole. */
  readonly subset: string;
}

/**
 * The service and port that a destination means; undefined for one that the client does not know.
 * The port: as the object says, else the only one of the service, else the one that the caller
 * means.
 * @param namespace of the object, for short names
 */
export function routePlaceOf(
  { host, subset = '', port }: Destination,
  { namespace, calledPort }: { readonly namespace: string; readonly calledPort: number },
  { view, settings }: { readonly view: ServiceView; readonly settings: MeshSettings },
): RoutePlaceFound | undefined {
  const service = view.byHost.get(resolveHost(host, namespace, settings.clusterDomain));
  const only = service?.ports.length === 1 ? service.ports[0]?.port : undefined;
  const number = port?.number ?? only ?? calledPort;
  const found = service?.ports.find((one) => one.port === number);
  return service && found && { service, port: found, subset };
}
