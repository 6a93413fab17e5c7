import type { ServiceEntry } from '#api/kinds/service-entry.ts';
import { endpointAt } from '#model/endpoints.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { Workload } from '#model/workload.ts';

/**
 * The ports of a workload to which ports of a service lead, in the order of `ports`; none when the
 * service has nothing to do with the workload.
 */
export function workloadPortsOf(
  service: Service,
  ports: readonly ServicePort[],
  workload: Workload,
): readonly number[] {
  return instancesOf(service, workload).flatMap((at) =>
    ports.flatMap((port) => endpointAt(port, at)?.workloadPort ?? []),
  );
}

/** Whether a service leads to a workload. */
export function leadsTo(service: Service, workload: Workload): boolean {
  return instancesOf(service, workload).length > 0;
}

/** The workload as an endpoint of the service: selected by its labels, or written down. */
function instancesOf(service: Service, workload: Workload): readonly Workload[] {
  const { selector } = service;
  const selected = selector && labelsMatch(selector, workload.labels) ? [workload] : [];
  return [...selected, ...writtenHere(service, workload)];
}

/** The endpoints written into a ServiceEntry that are the workload, by its address. */
function writtenHere({ source }: Service, workload: Workload): readonly Workload[] {
  // In explicit mode workloads share addresses, so an address says nothing.
  const shared = Object.keys(workload.applicationPorts).length > 0;
  if (source.kind !== 'ServiceEntry' || shared) return [];
  return ((source as ServiceEntry).spec.endpoints ?? [])
    .filter(({ address }) => address === workload.address)
    .map(({ ports = {} }) => ({ ...workload, ports }));
}
