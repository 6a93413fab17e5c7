import type { Gateway } from '#api/kinds/gateway.ts';
import { nearName } from '#api/near-name.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { readInstance, type Workload } from '#model/workload.ts';
import type { Target } from '#policy/decide/call.ts';
import type { TargetProblem } from '#policy/decide/find-targets.ts';
import { isDerived, writtenName } from '#policy/gateway/derived-gateways.ts';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import {
  type BoundServer,
  type GatewayPort,
  gatewayPorts,
  serverNamed,
  serverProtocol,
} from '#policy/gateway/gateway-ports.ts';
import { hostOf, servedHost } from '#policy/gateway/server-hosts.ts';

/** A gateway as a user spells it. */
export interface GatewaySpelling {
  /** `namespace/name`, or the name of one of `namespace`. */
  readonly name: string;
  /** As callers see it; undefined = any. */
  readonly port: number | undefined;
  readonly namespace: string;
}

/** Where a gateway takes calls: one target for each of its ports, at each of its workloads. */
export interface GatewayFound {
  /** `namespace/name` */
  readonly name: string;
  /** Not empty. */
  readonly targets: readonly Target[];
}

/** Finds a gateway, or why there is none. */
export function findGateway(
  spelling: GatewaySpelling,
  mesh: MeshSnapshot,
): GatewayFound | TargetProblem {
  const seen = seenByGateways(mesh);
  const named = gatewaysNamed(spelling, seen);
  if ('problem' in named) return named;
  const { name, gateways } = named;
  const workloads = workloadsOf(gateways, seen);
  if (workloads.length === 0) return withoutWorkload(name, gateways);
  const names = new Set(gateways.map(nameOf));
  const all = workloads.flatMap(({ workload, assumed }) =>
    gatewayPorts(workload, seen).flatMap((entrance) => {
      const own = entrance.servers.find(({ gateway }) => names.has(gateway));
      if (!own) return [];
      const { number } = own.server.port;
      return [gatewayTarget(name, { workload, assumed, entrance, number })];
    }),
  );
  const { port: asked } = spelling;
  const targets = asked === undefined ? all : all.filter(({ port }) => port.port === asked);
  if (targets.length > 0) return { name, targets };
  const has = [...new Set(all.map(({ port }) => port.port))].sort((one, other) => one - other);
  const remedy = has.length === 0 ? 'its status says why' : `it has ${has.join(', ')}`;
  const which = asked === undefined ? 'no port that is served' : `no port ${asked}`;
  return { problem: `the gateway ${name} has ${which}`, remedy };
}

/** The targets of the port that serves a host: of several ports, one that ends TLS. */
export function portServing(
  { name, targets }: GatewayFound,
  host: string,
): { readonly targets: readonly Target[]; readonly notes: readonly string[] } {
  const byHost = targets.filter(({ entrance }) => entrance?.toldBy !== 'nothing');
  const serving = byHost.filter(({ entrance }) =>
    entrance?.servers.some(({ server }) => servedHost(server.hosts.map(hostOf), host)),
  );
  const [best] = [serving, byHost, targets].flatMap((some) => [...some.filter(isSecured), ...some]);
  const number = best?.port.port;
  const numbers = [...new Set(targets.map(({ port }) => port.port))].sort((a, b) => a - b);
  const note = `the gateway ${name} has the ports ${numbers.join(', ')}: ${number} is meant`;
  return {
    targets: targets.filter(({ port }) => port.port === number).map((one) => forHost(one, host)),
    notes: numbers.length > 1 ? [note] : [],
  };
}

/** Servers that are told apart by name may differ in what they do. */
function forHost(target: Target, host: string): Target {
  const { entrance, port } = target;
  if (!entrance || !isSecured(target)) return target;
  const bound = serverNamed(entrance.servers, host);
  return bound ? { ...target, port: { ...port, protocol: serverProtocol(bound.server) } } : target;
}

/** Whether callers of a port speak TLS. */
export function isSecured({ entrance }: Target): boolean {
  return entrance?.toldBy === 'serverName';
}

/** Every port of every gateway of the mesh, at each of its workloads. */
export function gatewayTargets(mesh: MeshSnapshot): readonly Target[] {
  const seen = seenByGateways(mesh);
  const workloads = workloadsOf(seen.gateways.all(), seen);
  return workloads.flatMap(({ workload, assumed }) =>
    gatewayPorts(workload, seen).flatMap((entrance) => {
      const [bound] = entrance.servers;
      if (!bound) return [];
      const { number } = bound.server.port;
      return [gatewayTarget(gatewayOf(bound), { workload, assumed, entrance, number })];
    }),
  );
}

/** `namespace/name` of the Gateway of a server, as its users wrote it. */
export function gatewayOf({ gateway }: Pick<BoundServer, 'gateway'>): string {
  const [namespace, name = ''] = gateway.split('/');
  return `${namespace}/${writtenName(name)}`;
}

function gatewaysNamed(
  { name, namespace }: GatewaySpelling,
  { gateways }: MeshSnapshot,
): { readonly name: string; readonly gateways: readonly Gateway[] } | TargetProblem {
  const all = gateways.all();
  const written = (one: Gateway) => gatewayOf({ gateway: nameOf(one) });
  const full = name.includes('/') ? name : `${namespace}/${name}`;
  const found = all.filter((one) => written(one) === full);
  if (found.length > 0) return { name: full, gateways: found };
  const names = [...new Set(all.map(written))];
  const elsewhere = names.filter((one) => one.endsWith(`/${name}`));
  const near = elsewhere.length === 1 ? elsewhere[0] : nearName(full, names);
  const remedy =
    near === undefined
      ? names.length === 0
        ? 'the mesh has no Gateway that is served'
        : undefined
      : `did you mean "${near}"?`;
  return { problem: `there is no gateway "${name}"`, remedy };
}

function withoutWorkload(name: string, gateways: readonly Gateway[]): TargetProblem {
  const labels = Object.entries(gateways[0]?.spec?.selector ?? {})
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ');
  return {
    problem: `nothing is known to serve the gateway ${name}, so nobody knows as whom it calls`,
    remedy: `add a WorkloadGroup with a serviceAccount and the labels ${labels}`,
  };
}

interface Serving {
  readonly workload: Workload;
  readonly assumed: Target['assumed'];
}

/** Those that run; where none does, the WorkloadGroups stand for those to come. */
function workloadsOf(gateways: readonly Gateway[], mesh: MeshSnapshot): readonly Serving[] {
  const { workloads, workloadGroups, settings } = mesh;
  const { trustDomain } = settings;
  const serves = ({ namespace, labels }: Workload): boolean =>
    gateways.some(
      ({ spec, metadata }) =>
        labelsMatch(spec?.selector ?? {}, labels) &&
        (!isDerived(metadata.name) || metadata.namespace === namespace),
    );
  const running = workloads
    .namespaces()
    .flatMap((namespace) => workloads.in(namespace))
    .filter((workload) => workload.identity !== undefined && serves(workload));
  const groups = workloadGroups.all().flatMap(({ metadata, spec }): Workload[] => {
    const { name, namespace = '' } = metadata;
    const labels = { ...spec.template.labels, ...spec.metadata?.labels };
    const template = { ...spec.template, labels };
    const { annotations } = spec.metadata ?? {};
    const read = { name, namespace, spec: template, trustDomain, annotations };
    const workload = readInstance({ ...read, applicationPorts: {} });
    const isThere = running.some((one) => one.identity === workload.identity);
    return workload.identity !== undefined && !isThere && serves(workload) ? [workload] : [];
  });
  return [
    ...running.map((workload): Serving => ({ workload, assumed: undefined })),
    ...groups.map((workload): Serving => ({ workload, assumed: 'group' })),
  ];
}

/** A gateway is called as if it were a service; of it users know its name and port. */
function gatewayTarget(
  gateway: string,
  {
    workload,
    assumed,
    entrance,
    number,
  }: Serving & { readonly entrance: GatewayPort; readonly number: number },
): Target {
  const [namespace = '', name = ''] = gateway.split('/');
  const [bound] = entrance.servers;
  const protocol = bound ? serverProtocol(bound.server) : 'tcp';
  const { listen } = entrance;
  const port: ServicePort = { name: '', port: number, targetPort: listen, protocol };
  const service: Service = {
    host: `${name}.${namespace}`,
    name,
    namespace,
    ports: [port],
    addresses: [],
    resolution: 'static',
    headless: false,
    external: false,
    selector: undefined,
    subjectAltNames: [],
    exportTo: [],
    source: SOURCE,
  };
  return { service, port, workload, workloadPort: listen, assumed, entrance };
}

const SOURCE = { apiVersion: '', kind: 'Gateway', metadata: { name: '' } } as const;

function nameOf({ metadata }: Gateway): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
