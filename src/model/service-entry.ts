import type { ServiceEntry, ServiceEntryPort } from '#api/kinds/service-entry.ts';
import { declaredProtocol, parseProtocol } from '#model/protocol.ts';
import { distinctPorts, type Resolution, type Service } from '#model/service.ts';

type WrittenResolution = NonNullable<ServiceEntry['spec']['resolution']>;

const RESOLUTION: Readonly<Record<WrittenResolution, Resolution>> = {
  NONE: 'none',
  STATIC: 'static',
  DNS: 'dns',
  DNS_ROUND_ROBIN: 'dns',
  DYNAMIC_DNS: 'none',
};

/** The services that a ServiceEntry describes: one for each of its hosts. */
export function readServiceEntry(object: ServiceEntry): readonly Service[] {
  const { spec } = object;
  const labels = spec.workloadSelector?.labels ?? {};
  return [...new Set(spec.hosts.map((host) => host.toLowerCase()))].map((host) => ({
    host,
    name: object.metadata.name,
    namespace: object.metadata.namespace ?? '',
    ports: distinctPorts((spec.ports ?? []).map(readPort)),
    addresses: spec.addresses ?? [],
    resolution: RESOLUTION[spec.resolution ?? 'NONE'],
    headless: false,
    external: (spec.location ?? 'MESH_EXTERNAL') === 'MESH_EXTERNAL',
    selector: Object.keys(labels).length === 0 ? undefined : labels,
    subjectAltNames: spec.subjectAltNames ?? [],
    exportTo: spec.exportTo ?? [],
    source: object,
  }));
}

function readPort(port: ServiceEntryPort) {
  return {
    name: port.name,
    port: port.number,
    targetPort: port.targetPort || port.number,
    protocol:
      parseProtocol(port.protocol ?? '') ??
      declaredProtocol({ name: port.name, port: port.number }),
  };
}
