import type {
  MtlsPairView,
  MtlsPortView,
  MtlsView,
  MtlsWorkloadView,
  ObjectView,
  SeenConnectionsView,
} from '#admin/mtls.ts';
import type { ApiObject } from '#api/object.ts';
import { workloadOfProxy } from '#model/registration.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import type { TlsConflict } from '#policy/tls/connection-tls.ts';
import { type Client, type MeshConnection, meshConnections } from '#policy/tls/mesh-connections.ts';
import { ModeFinder } from '#policy/tls/mode-finder.ts';
import { servedWorkload } from '#xds/generate/inbound-builder.ts';
import { workloadPorts } from '#xds/generate/inbound-ports.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { Connections, PortConnections } from '#xds/serve/connection-reports.ts';

/** What the view is made of. */
export interface MtlsEvidence {
  readonly mesh: MeshSnapshot;
  /** The proxies that are connected. */
  readonly nodes: readonly ProxyNode[];
  /** What the agent beside a proxy saw. */
  readonly connectionsOf: (node: ProxyNode) => Connections | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A workload, with the proxy that is connected for it. */
interface Subject {
  readonly namespace: string;
  readonly name: string;
  /** As policies see it. */
  readonly workload: Workload;
  /** The object behind it; undefined when the proxy has none. */
  readonly entry: Workload | undefined;
  readonly node: ProxyNode | undefined;
}

/** Hosts of services by port, for each workload. */
type HostIndex = ReadonlyMap<Workload, ReadonlyMap<number, readonly string[]>>;

/** What is found before others have their turn. */
const SLICE = 200;

/**
 * Which connections each port of each workload takes and saw, and how every client connects to
 * every server.
 */
export async function mtlsView(evidence: MtlsEvidence): Promise<MtlsView> {
  const { mesh, now } = evidence;
  const modes = new ModeFinder(mesh);
  const hosts = hostIndex(mesh);
  const subjects = subjectsOf(evidence);
  const clients = subjects
    .filter(({ workload, node }) => node || workload.mtlsCapable)
    .map(clientOf);
  const counts = new Map(
    [...Map.groupBy(clients, ({ namespace }) => namespace)].map(
      ([namespace, members]) => [namespace, members.length] as const,
    ),
  );
  const parts = { evidence, modes, hosts };
  return {
    at: instant(now),
    workloads: await inSlices(subjects, (subject) => workloadView(subject, parts)),
    pairs: await inSlices(meshConnections(mesh, clients, modes), (one) => pairView(one, counts)),
  };
}

/** Lets others have their turn: a mesh of thousands takes most of a second. */
async function inSlices<T, R>(items: Iterable<T>, make: (item: T) => R): Promise<readonly R[]> {
  const made: R[] = [];
  for (const item of items) {
    made.push(make(item));
    if (made.length % SLICE === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return made;
}

/** A workload whose proxy is away is what its object says. */
function clientOf({ namespace, name, workload, node }: Subject): Client {
  const { labels, applicationPorts } = workload;
  const isExplicit = node ? node.explicit : Object.keys(applicationPorts).length > 0;
  return { namespace, name, labels, isRedirected: !isExplicit };
}

/** Every workload once; a proxy without an object of its own is one too. */
function subjectsOf({ mesh, nodes }: MtlsEvidence): readonly Subject[] {
  const subjects = new Map<string, Subject>();
  const add = (subject: Subject): void => {
    subjects.set(`${subject.namespace}/${subject.name}`, subject);
  };
  for (const namespace of mesh.workloads.namespaces()) {
    for (const entry of mesh.workloads.in(namespace))
      add({ namespace, name: entry.name, workload: entry, entry, node: undefined });
  }
  for (const node of nodes) {
    const entry = workloadOfProxy(node, mesh);
    const name = entry?.name ?? node.workloadName;
    const workload = servedWorkload(node, mesh);
    add({ namespace: node.namespace, name, workload, entry, node });
  }
  return [...subjects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, subject]) => subject);
}

function hostIndex(mesh: MeshSnapshot): HostIndex {
  const index = new Map<Workload, Map<number, string[]>>();
  for (const service of mesh.services.all()) {
    for (const { workload, workloadPort } of [
      ...mesh.endpoints.of(service).byPort.values(),
    ].flat()) {
      const ports = index.get(workload) ?? new Map<number, string[]>();
      index.set(workload, ports);
      const hosts = ports.get(workloadPort) ?? [];
      ports.set(workloadPort, hosts);
      if (!hosts.includes(service.host)) hosts.push(service.host);
    }
  }
  return index;
}

interface ViewParts {
  readonly evidence: MtlsEvidence;
  readonly modes: ModeFinder;
  readonly hosts: HostIndex;
}

function workloadView(subject: Subject, parts: ViewParts): MtlsWorkloadView {
  const { namespace, name, workload, node } = subject;
  const { evidence, modes } = parts;
  const connections = node && evidence.connectionsOf(node);
  const ports = portsOf(subject, connections, parts);
  const own = subject.entry && parts.hosts.get(subject.entry);
  return {
    namespace,
    name,
    proxy: node ? 'connected' : workload.mtlsCapable ? 'away' : 'none',
    observedSince: connections && instant(connections.since),
    ports: ports.map((port): MtlsPortView => {
      const { mode, source } = modes.at(workload, port);
      const taken = node || workload.mtlsCapable ? mode : 'DISABLE';
      return {
        port,
        services: own?.get(port) ?? [],
        mode: taken,
        setBy: source && objectView(source),
        seen: connections && seenView(connections.ports, port, evidence.mesh),
      };
    }),
  };
}

/** Where traffic is redirected every port takes connections, also one that nobody names (0). */
function portsOf(
  { workload, entry, node }: Subject,
  connections: Connections | undefined,
  { evidence: { mesh }, modes, hosts }: ViewParts,
): readonly number[] {
  const isRedirected = node?.interception === 'redirect';
  const ports = new Set([
    ...(node ? workloadPorts({ proxy: node, workload }, mesh).map(({ port }) => port) : []),
    ...(node ? [] : ((entry && hosts.get(entry)?.keys()) ?? [])),
    ...(isRedirected ? [...modes.portsOf(workload), 0] : []),
    ...(connections?.ports.map(({ port }) => port) ?? []),
  ]);
  return [...ports].sort((a, b) => a - b);
}

function seenView(
  ports: readonly PortConnections[],
  port: number,
  { workloads }: MeshSnapshot,
): SeenConnectionsView {
  const found = ports.find((one) => one.port === port);
  if (!found) return { tls: 0, plaintext: 0, open: 0, plaintextAt: undefined, callers: [] };
  const { tls, plaintext, open, plaintextAt } = found;
  return {
    tls,
    plaintext,
    open,
    plaintextAt: plaintextAt === undefined ? undefined : instant(plaintextAt),
    callers: found.callers.map(({ address, lastAt }) => ({
      address,
      workloads: workloads.at(address).map(({ namespace, name }) => `${namespace}/${name}`),
      lastAt: instant(lastAt),
    })),
  };
}

/** `counts`: the clients of each namespace. */
function pairView(one: MeshConnection, counts: ReadonlyMap<string, number>): MtlsPairView {
  const { sends, takes, clientRule, serverRule, conflict } = one.connection;
  return {
    clients: clientNames(one.clients, counts),
    host: one.service.host,
    port: one.port,
    subset: one.subset,
    servers: one.servers.map(({ namespace, name }) => `${namespace}/${name}`),
    serverPort: one.workloadPort,
    sends,
    takes,
    clientRule: clientRule && objectView(clientRule),
    serverRule: serverRule && objectView(serverRule),
    conflict: conflict && (one.refusal ?? CONFLICTS[conflict]),
  };
}

const CONFLICTS: Readonly<Record<TlsConflict, string>> = {
  'plaintext-to-mutual': 'the client sends plaintext, the server takes mutual TLS only',
  'mutual-to-plaintext': 'the client sends mutual TLS, the server takes plaintext only',
  'other-tls-to-mutual':
    'the client sends TLS without its identity, the server takes mutual TLS only',
  'refused-by-server': 'the server takes no connection',
  'refused-by-client': 'the rule of the client cannot be met',
};

function clientNames(
  clients: readonly Client[],
  counts: ReadonlyMap<string, number>,
): readonly string[] {
  const byNamespace = Map.groupBy(clients, ({ namespace }) => namespace);
  return [...byNamespace].flatMap(([namespace, members]) =>
    members.length === counts.get(namespace)
      ? [`${namespace}/*`]
      : members.map(({ name }) => `${namespace}/${name}`),
  );
}

function objectView({ kind, metadata: { namespace = '', name } }: ApiObject): ObjectView {
  return { kind, namespace, name };
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
