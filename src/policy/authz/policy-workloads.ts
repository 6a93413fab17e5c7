import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { PROTOCOLS, type ProtocolTraits } from '#model/protocol.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { workloadPortsOf } from '#model/workload-services.ts';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import { gatewayPorts, serverProtocol } from '#policy/gateway/gateway-ports.ts';
import { gatewayReferences, isReferenced } from '#policy/target-references.ts';

/** Workloads that a policy is for; in the root namespace those of the whole mesh. */
export function workloadsOf(
  { metadata, spec }: AuthorizationPolicy,
  mesh: MeshSnapshot,
): readonly Workload[] {
  const { namespace = '' } = metadata;
  const isRoot = namespace === mesh.settings.rootNamespace;
  const namespaces = isRoot ? mesh.workloads.namespaces() : [namespace];
  const labels = spec?.selector?.matchLabels ?? {};
  const references = gatewayReferences(spec ?? {});
  const isFor = (workload: Workload): boolean =>
    references
      ? isReferenced(references, workload, { namespace, isRoot })
      : labelsMatch(labels, workload.labels);
  return namespaces.flatMap((one) => mesh.workloads.in(one)).filter(isFor);
}

/**
 * The ports of a workload whose protocol is handled in a certain way: as services declare it, and
 * at gateways as their servers do.
 */
export function portsHandled(
  workload: Workload,
  mesh: MeshSnapshot,
  how: (traits: ProtocolTraits) => boolean,
): readonly number[] {
  const served = gatewayPorts(workload, seenByGateways(mesh));
  const own = new Set(served.map(({ listen }) => listen));
  const ofServices = mesh.services.in(workload.namespace).flatMap((service) => {
    const ports = service.ports.filter(({ protocol }) => how(PROTOCOLS[protocol]));
    return workloadPortsOf(service, ports, workload).filter((port) => !own.has(port));
  });
  const ofServers = served.filter(({ servers }) =>
    servers.some(({ server }) => how(PROTOCOLS[serverProtocol(server)])),
  );
  return [...ofServices, ...ofServers.map(({ listen }) => listen)];
}
