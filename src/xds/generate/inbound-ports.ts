import { olderFirst } from '#model/age.ts';
import { endpointAt } from '#model/endpoints.ts';
import { declaredProtocol, PROTOCOLS, type Protocol } from '#model/protocol.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';

/** A port of the workload and what it speaks. */
export interface WorkloadPort {
  readonly port: number;
  readonly protocol: Protocol;
}

/** Whose ports are asked for. */
export interface WorkloadPortsInput {
  readonly proxy: ProxyNode;
  /** As services and policies see it; its name and address do not matter. */
  readonly workload: Workload;
}

/**
 * The ports of a proxy's workload, each once, sorted: those to which services of its namespace lead
 * (of services that disagree about the protocol the oldest wins), and in explicit mode those that
 * the agent says.
 */
export function workloadPorts(
  { proxy, workload }: WorkloadPortsInput,
  mesh: Pick<MeshSnapshot, 'services' | 'endpoints'>,
): readonly WorkloadPort[] {
  const protocols = new Map<number, Protocol>();
  const services = mesh.services
    .in(proxy.namespace)
    .filter((service) => leadsTo(service, { proxy, workload }, mesh));
  for (const service of [...services].sort((a, b) => olderFirst(a.source, b.source))) {
    for (const [port, protocol] of portsBehind(service, { proxy, workload }, mesh)) {
      if (!protocols.has(port)) protocols.set(port, protocol);
    }
  }
  const said = proxy.explicit?.inbound ?? [];
  const all = said.map(({ name, port }) => ({
    port,
    protocol: protocols.get(port) ?? declaredProtocol({ name, port }),
  }));
  if (!proxy.explicit) all.push(...[...protocols].map(([port, protocol]) => ({ port, protocol })));
  return all
    .filter(({ protocol }) => PROTOCOLS[protocol].handling !== 'none')
    .sort((a, b) => a.port - b.port);
}

function leadsTo(
  service: Service,
  input: WorkloadPortsInput,
  mesh: Pick<MeshSnapshot, 'endpoints'>,
): boolean {
  const { selector } = service;
  if (selector && labelsMatch(selector, input.workload.labels)) return true;
  return writtenHere(service, input, mesh).length > 0;
}

/** Endpoints written into a ServiceEntry with an address of the proxy. */
function writtenHere(
  service: Service,
  { proxy }: WorkloadPortsInput,
  mesh: Pick<MeshSnapshot, 'endpoints'>,
): readonly Workload[] {
  // In explicit mode workloads share addresses, so an address says nothing.
  if (service.source.kind !== 'ServiceEntry' || proxy.explicit) return [];
  const endpoints = [...mesh.endpoints.of(service).byPort.values()].flat();
  return endpoints
    .map(({ workload }) => workload)
    .filter(({ address }) => proxy.addresses.includes(address));
}

function portsBehind(
  service: Service,
  input: WorkloadPortsInput,
  mesh: Pick<MeshSnapshot, 'endpoints'>,
): readonly (readonly [number, Protocol])[] {
  const { selector } = service;
  const selected = selector !== undefined && labelsMatch(selector, input.workload.labels);
  const workloads = [...(selected ? [input.workload] : []), ...writtenHere(service, input, mesh)];
  return service.ports.flatMap((port) =>
    workloads.flatMap((workload) => {
      const endpoint = endpointAt(port, workload);
      return endpoint ? [[endpoint.workloadPort, port.protocol] as const] : [];
    }),
  );
}
