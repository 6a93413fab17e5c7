import type { Diagnostic } from '#api/diagnostic.ts';
import { type WorkloadEntry, workloadEntry } from '#api/kinds/workload-entry.ts';
import type { WorkloadGroup } from '#api/kinds/workload-group.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { APPLICATION_PORTS, type Workload } from '#model/workload.ts';

/** What is known of a proxy that asks to be registered: a part of ProxyNode (xds/proxy-node). */
export interface RegisteringProxy {
  readonly namespace: string;
  /** Of its certificate, not of its word. */
  readonly serviceAccount: string;
  readonly workloadName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
  readonly group?: string | undefined;
  readonly explicit?:
    | {
        readonly inboundAddress: string;
        readonly inbound: readonly {
          readonly name: string;
          readonly port: number;
          readonly listen: number;
        }[];
      }
    | undefined;
}

/**
 * Annotation that Istio puts on entries of proxies that registered themselves: the name of their
 * group.
 */
const GROUP = 'istio.io/autoRegistrationGroup';

/** A DNS subdomain, as names of objects must be (RFC 1123). */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const OBJECT_NAME_LENGTH_MAX = 253;

/** The name of the WorkloadEntry of a proxy that registers under a group. */
export function registrationName(group: string, workloadName: string): string {
  return workloadName === group ? group : `${group}-${workloadName}`;
}

/** What becomes of a registration: the entry to write, or why there is none. */
export type Registration =
  | { readonly entry: WorkloadEntry; readonly refused?: undefined }
  | { readonly entry?: undefined; readonly refused: Diagnostic };

/**
 * The WorkloadEntry of a proxy: labels and service account from the group, addresses and ports from
 * the proxy. Refused when the proxy does not run under the service account of the group, so nobody
 * joins a service by saying so.
 */
export function registrationOf(group: WorkloadGroup, proxy: RegisteringProxy): Registration {
  const { template, metadata } = group.spec;
  const name = registrationName(group.metadata.name, proxy.workloadName);
  const refused = refusalOf(group, proxy, name);
  if (refused) return { refused };
  const applicationPorts = (proxy.explicit?.inbound ?? [])
    .map((port) => `${port.name}=${port.port}`)
    .join(',');
  return {
    entry: {
      apiVersion: workloadEntry.apiVersion,
      kind: workloadEntry.kind,
      metadata: {
        name,
        namespace: proxy.namespace,
        labels: { ...metadata?.labels },
        annotations: {
          ...metadata?.annotations,
          [GROUP]: group.metadata.name,
          ...(applicationPorts === '' ? {} : { [APPLICATION_PORTS]: applicationPorts }),
        },
      },
      spec: { ...template, labels: { ...template.labels }, ...placeOf(group, proxy) },
    },
  };
}

/**
 * Where peers reach the workload: by its own address, or at the proxy beside it where nothing is
 * redirected.
 */
function placeOf(
  group: WorkloadGroup,
  proxy: RegisteringProxy,
): { readonly address: string; readonly ports: Readonly<Record<string, number>> } {
  const { explicit } = proxy;
  if (!explicit)
    return { address: proxy.addresses[0] ?? '', ports: group.spec.template.ports ?? {} };
  const ports = Object.fromEntries(explicit.inbound.map((port) => [port.name, port.listen]));
  return { address: explicit.inboundAddress, ports };
}

function refusalOf(
  group: WorkloadGroup,
  proxy: RegisteringProxy,
  name: string,
): Diagnostic | undefined {
  const error = (field: string, message: string): Diagnostic => ({
    severity: 'error',
    field,
    message,
  });
  if ((group.metadata.namespace ?? '') !== proxy.namespace)
    return error('metadata.namespace', 'The group and the workload are in different namespaces.');
  if ((group.spec.template.serviceAccount ?? '') !== proxy.serviceAccount)
    return error(
      'spec.template.serviceAccount',
      `The group is for service account "${group.spec.template.serviceAccount ?? ''}", ` +
        `and the workload runs as "${proxy.serviceAccount}".`,
    );
  if (name.length > OBJECT_NAME_LENGTH_MAX || !OBJECT_NAME.test(name))
    return error('metadata.name', `${JSON.stringify(name)} cannot be the name of an object.`);
  if (!proxy.explicit && !proxy.addresses[0])
    return error('spec.address', 'The workload names no address to be reached at.');
  return undefined;
}

/**
 * The workload that a proxy serves: the entry it registered, else the one of its name, else, where
 * traffic is redirected, the only one at its addresses. It must run under the service account of
 * the proxy's certificate.
 */
export function workloadOfProxy(
  proxy: RegisteringProxy,
  mesh: Pick<MeshSnapshot, 'workloads'>,
): Workload | undefined {
  const { namespace, group, workloadName } = proxy;
  const names = group === undefined ? [] : [registrationName(group, workloadName)];
  for (const name of [...names, workloadName]) {
    const workload = mesh.workloads.get(namespace, name);
    if (workload && workload.serviceAccount === proxy.serviceAccount) return workload;
  }
  if (proxy.explicit) return undefined;
  const found = proxy.addresses
    .flatMap((address) => mesh.workloads.at(address))
    .filter((one) => one.namespace === namespace && one.serviceAccount === proxy.serviceAccount);
  return found.length === 1 ? found[0] : undefined;
}

/**
 * The labels by which policies and services select the workload of a proxy. What an object says
 * counts; the proxy's own word only where there is none.
 */
export function labelsOfProxy(
  proxy: RegisteringProxy,
  mesh: Pick<MeshSnapshot, 'workloads' | 'workloadGroups'>,
): Readonly<Record<string, string>> {
  return knownLabels(proxy, mesh) ?? proxy.labels;
}

/**
 * The labels that an object gives the workload of a proxy: a WorkloadEntry, or the WorkloadGroup
 * that it comes from. Undefined when there is none, so that nothing may rest on its labels that is
 * not for its whole namespace.
 */
export function knownLabels(
  proxy: RegisteringProxy,
  mesh: Pick<MeshSnapshot, 'workloads' | 'workloadGroups'>,
): Readonly<Record<string, string>> | undefined {
  const workload = workloadOfProxy(proxy, mesh);
  if (workload) return workload.labels;
  const group =
    proxy.group === undefined ? undefined : mesh.workloadGroups.get(proxy.namespace, proxy.group);
  if (!group || (group.spec.template.serviceAccount ?? '') !== proxy.serviceAccount)
    return undefined;
  return { ...group.spec.template.labels, ...group.spec.metadata?.labels };
}
