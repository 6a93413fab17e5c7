import { nearName } from '#api/near-name.ts';
import { endpointAt } from '#model/endpoints.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { readInstance, type Workload } from '#model/workload.ts';
import type { Target } from '#policy/decide/call.ts';

/** Why nothing can be said of a call, for users. */
export interface TargetProblem {
  readonly problem: string;
  readonly remedy?: string | undefined;
}

/** How a user spells what is called. */
export interface TargetSpelling {
  /** `namespace/service`, `service.namespace`, a full host, or a service of `namespace`. */
  readonly name: string;
  /** Undefined: the only port of the service. */
  readonly port: number | undefined;
  /** Of a name that says none. */
  readonly namespace: string;
}

/** The service and port that a user means, or why there is none. */
export function findServicePort(
  spelling: TargetSpelling,
  mesh: MeshSnapshot,
): { readonly service: Service; readonly port: ServicePort } | TargetProblem {
  const service = findService(spelling, mesh);
  if ('problem' in service) return service;
  const port = findPort(service, spelling.port);
  return 'problem' in port ? port : { service, port };
}

/** Where a call of a service arrives: one target for each workload, or why there is none. */
export function findTargets(
  service: Service,
  port: ServicePort,
  mesh: MeshSnapshot,
): readonly Target[] | TargetProblem {
  const targets = targetsOf(service, port, mesh);
  if (targets.length > 0) return targets;
  return service.external
    ? { problem: `${service.host} is outside of the mesh: no policy of the mesh is asked there` }
    : {
        problem: `there is no workload behind ${service.host}:${port.port}`,
        remedy: 'register a workload, or give the service a selector',
      };
}

/**
 * Where calls of a service port arrive. Where no workload is registered, its WorkloadGroups stand
 * for those to come; where there is none, a workload with the labels of the service's selector.
 */
export function targetsOf(
  service: Service,
  port: ServicePort,
  mesh: MeshSnapshot,
): readonly Target[] {
  if (service.external || PROTOCOLS[port.protocol].handling === 'none') return [];
  const registered = mesh.endpoints.of(service).byPort.get(port.port) ?? [];
  if (registered.length > 0) {
    return registered.map(({ workload, workloadPort }) => {
      return { service, port, workload, workloadPort, assumed: undefined };
    });
  }
  const groups = groupsBehind(service, mesh).flatMap((workload): Target[] => {
    const at = endpointAt(port, workload);
    return at ? [{ service, port, workload, workloadPort: at.workloadPort, assumed: 'group' }] : [];
  });
  return groups.length > 0 ? groups : assumedTarget(service, port, mesh);
}

function groupsBehind(service: Service, mesh: MeshSnapshot): readonly Workload[] {
  const { selector, namespace } = service;
  if (selector === undefined) return [];
  const { trustDomain } = mesh.settings;
  return mesh.workloadGroups.in(namespace).flatMap((group) => {
    const { metadata, template } = group.spec;
    const labels = { ...template.labels, ...metadata?.labels };
    if (!labelsMatch(selector, labels)) return [];
    const spec = { ...template, labels };
    const { name } = group.metadata;
    return [readInstance({ name, namespace, spec, trustDomain, applicationPorts: {} })];
  });
}

/** Its proxy is taken for granted, and who it runs as is not known. */
function assumedTarget(service: Service, port: ServicePort, mesh: MeshSnapshot): Target[] {
  return service.selector === undefined ? [] : [standIn(service, port, mesh)];
}

/** A workload that stands for those of a service of which none is known. */
export function standIn(service: Service, port: ServicePort, mesh: MeshSnapshot): Target {
  const { selector = {}, namespace, name } = service;
  const { trustDomain } = mesh.settings;
  const spec = { labels: { ...selector } };
  const read = readInstance({ name, namespace, spec, trustDomain, applicationPorts: {} });
  const workload = { ...read, mtlsCapable: true };
  const workloadPort = typeof port.targetPort === 'number' ? port.targetPort : port.port;
  return { service, port, workload, workloadPort, assumed: 'selector' };
}

/** The service that a user means, or why there is none. */
export function findService(
  { name, namespace }: Omit<TargetSpelling, 'port'>,
  mesh: MeshSnapshot,
): Service | TargetProblem {
  const { clusterDomain } = mesh.settings;
  const [first = '', second, ...more] = name.split('/');
  const isPair = second !== undefined && more.length === 0;
  const host = (isPair ? `${second}.${first}` : name).toLowerCase();
  const spellings = [
    host,
    `${host}.svc.${clusterDomain}`,
    `${host}.${clusterDomain}`,
    `${host}.${namespace}.svc.${clusterDomain}`,
  ];
  const all = mesh.services.all();
  for (const spelling of spellings) {
    const found = all.find((service) => service.host === spelling);
    if (found) return found;
  }
  const short = (service: Service) => `${service.namespace}/${service.name}`;
  const bare = all.filter((service) => service.name === host);
  const [only] = bare;
  if (only && bare.length === 1) {
    const remedy = `did you mean "${short(only)}"?`;
    return { problem: `there is no service "${name}" in namespace ${namespace}`, remedy };
  }
  const asked = isPair || host.includes('.') ? host.split('.').slice(0, 2) : [host, namespace];
  const near = nearName(asked.toReversed().join('/'), all.map(short));
  return {
    problem: `there is no service "${name}"`,
    ...(near !== undefined && { remedy: `did you mean "${near}"?` }),
  };
}

function findPort(service: Service, number: number | undefined): ServicePort | TargetProblem {
  const numbers = service.ports.map(({ port }) => port).join(', ');
  if (number === undefined) {
    const [only, ...more] = service.ports;
    if (only && more.length === 0) return only;
    const remedy = numbers === '' ? undefined : `it has ${numbers}`;
    return { problem: `say which port of ${service.host} is called`, remedy };
  }
  const found = service.ports.find(({ port }) => port === number);
  if (found) return found;
  const remedy = numbers === '' ? 'it has none' : `it has ${numbers}`;
  return { problem: `${service.host} has no port ${number}`, remedy };
}
