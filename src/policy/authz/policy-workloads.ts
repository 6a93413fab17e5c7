import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { PROTOCOLS, type ProtocolTraits } from '#model/protocol.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { workloadPortsOf } from '#model/workload-services.ts';

/** Workloads that a policy is for; in the root namespace those of the whole mesh. */
export function workloadsOf(
  { metadata, spec }: AuthorizationPolicy,
  mesh: MeshSnapshot,
): readonly Workload[] {
  const { namespace = '' } = metadata;
  const isRoot = namespace === mesh.settings.rootNamespace;
  const namespaces = isRoot ? mesh.workloads.namespaces() : [namespace];
  const labels = spec?.selector?.matchLabels ?? {};
  return namespaces
    .flatMap((one) => mesh.workloads.in(one))
    .filter((workload) => labelsMatch(labels, workload.labels));
}

/** The ports of a workload whose protocol, as services declare it, is handled in a certain way. */
export function portsHandled(
  workload: Workload,
  { services }: MeshSnapshot,
  how: (traits: ProtocolTraits) => boolean,
): readonly number[] {
  return services.in(workload.namespace).flatMap((service) => {
    const ports = service.ports.filter(({ protocol }) => how(PROTOCOLS[protocol]));
    return workloadPortsOf(service, ports, workload);
  });
}
