import type { Labels } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { readInstance } from '#model/workload.ts';
import { parseWorkloadId, type SpiffeId } from '#spiffe/spiffe-id.ts';

/** Someone of the mesh who may call. */
export interface CallerRecord {
  readonly identity: SpiffeId;
  /** `namespace/account` */
  readonly name: string;
  readonly namespace: string;
  /** Of its first workload; none where nothing runs yet. */
  readonly labels: Labels;
  /** '' = not known. */
  readonly address: string;
}

/**
 * Every identity that workloads, WorkloadGroups and ServiceAccounts give, each once, by name. The
 * `default` account that every namespace has does not count unless something runs as it.
 */
export function callersOf(mesh: MeshSnapshot): readonly CallerRecord[] {
  const { trustDomain } = mesh.settings;
  const found = new Map<string, CallerRecord>();
  const add = (identity: SpiffeId | undefined, labels: Labels, address: string): void => {
    const parts = identity && parseWorkloadId(identity);
    if (!parts || found.has(identity)) return;
    const { namespace, serviceAccount } = parts;
    const name = `${namespace}/${serviceAccount}`;
    found.set(identity, { identity, name, namespace, labels, address });
  };
  for (const namespace of mesh.workloads.namespaces()) {
    for (const { identity, labels, address } of mesh.workloads.in(namespace))
      add(identity, labels, address);
  }
  for (const { identity, labels, address } of writtenWorkloads(mesh))
    add(identity, labels, address);
  const instance = (namespace: string, serviceAccount: string, labels: Labels) => {
    const spec = { serviceAccount, labels: { ...labels } };
    return readInstance({ name: '', namespace, spec, trustDomain, applicationPorts: {} });
  };
  for (const { metadata, spec } of mesh.workloadGroups.all()) {
    const labels = { ...spec.template.labels, ...spec.metadata?.labels };
    const account = spec.template.serviceAccount ?? '';
    add(instance(metadata.namespace ?? '', account, labels).identity, labels, '');
  }
  for (const { metadata } of mesh.serviceAccounts.all()) {
    if (metadata.name === 'default') continue;
    add(instance(metadata.namespace ?? '', metadata.name, {}).identity, {}, '');
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Endpoints that are written into ServiceEntries. */
function writtenWorkloads(mesh: MeshSnapshot) {
  return mesh.services
    .all()
    .filter(({ source, selector }) => source.kind === 'ServiceEntry' && selector === undefined)
    .flatMap((service) => [...mesh.endpoints.of(service).byPort.values()].flat())
    .map(({ workload }) => workload);
}
