import type { Gateway, GatewayServer } from '#api/kinds/gateway.ts';
import { olderFirst } from '#model/age.ts';
import type { Protocol } from '#model/protocol.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { isDerived } from '#policy/gateway/derived-gateways.ts';
import { hostOf, servedHost, serverNamesOf } from '#policy/gateway/server-hosts.ts';

/** A server of a Gateway that a workload serves. */
export interface BoundServer {
  /** `namespace/name` of the Gateway. */
  readonly gateway: string;
  readonly namespace: string;
  readonly server: GatewayServer;
}

/** A port that a workload listens on, as a gateway. */
export interface GatewayPort {
  /** '' = every address of the machine. */
  readonly bind: string;
  /** Where it listens: a Service before the gateway may lead its ports to others. */
  readonly listen: number;
  /** How servers of the port are told apart: by Host header, by server name, or not at all. */
  readonly toldBy: 'host' | 'serverName' | 'nothing';
  /** Never empty. */
  readonly servers: readonly BoundServer[];
}

/** What of the mesh the ports of gateways come from. */
export type GatewaySources = Pick<MeshSnapshot, 'gateways' | 'services'>;

/**
 * The ports of a workload that is a gateway: the servers of all Gateways that select it, put
 * together by port. Where two want a port for different protocols, or name one host for TLS, the
 * older Gateway wins (Istio, "Gateway").
 */
export function gatewayPorts(workload: Workload, sources: GatewaySources): readonly GatewayPort[] {
  const merged = new Map<string, MergedPort>();
  for (const gateway of selecting(workload, sources)) {
    for (const server of gateway.spec?.servers ?? []) {
      const listen = listenPort(server.port.number, workload, sources);
      const key = `${server.bind ?? ''} ${listen}`;
      const port = merged.get(key) ?? new MergedPort(server.bind ?? '', listen, toldBy(server));
      merged.set(key, port);
      const { name, namespace = '' } = gateway.metadata;
      port.add({ gateway: `${namespace}/${name}`, namespace, server });
    }
  }
  return [...merged.values()].sort((a, b) => a.listen - b.listen);
}

/** The server of a port that TLS for a name is for; undefined where none is. */
export function serverNamed(
  servers: readonly BoundServer[],
  name: string,
): BoundServer | undefined {
  const byName = new Map(
    servers.flatMap((bound) => {
      const names = serverNamesOf(bound.server.hosts);
      return (names.length === 0 ? ['*'] : names).map((one) => [one, bound] as const);
    }),
  );
  const found = servedHost(byName.keys(), name);
  return found === undefined ? undefined : byName.get(found);
}

class MergedPort implements GatewayPort {
  readonly servers: BoundServer[] = [];
  readonly bind: string;
  readonly listen: number;
  readonly toldBy: GatewayPort['toldBy'];
  readonly #names = new Set<string>();

  constructor(bind: string, listen: number, how: GatewayPort['toldBy']) {
    this.bind = bind;
    this.listen = listen;
    this.toldBy = how;
  }

  add(bound: BoundServer): void {
    if (toldBy(bound.server) !== this.toldBy) return;
    if (this.toldBy === 'nothing' && this.servers.length > 0) return;
    if (this.toldBy === 'serverName') {
      const names = bound.server.hosts.map(hostOf);
      if (names.some((name) => this.#names.has(name))) return;
      for (const name of names) this.#names.add(name);
    }
    this.servers.push(bound);
  }
}

/** Oldest first. A Gateway of Istio is for workloads of every namespace. */
function selecting(workload: Workload, { gateways }: GatewaySources): readonly Gateway[] {
  return gateways
    .all()
    .filter(({ spec }) => labelsMatch(spec?.selector ?? {}, workload.labels))
    .filter(
      ({ metadata }) => !isDerived(metadata.name) || metadata.namespace === workload.namespace,
    )
    .sort(olderFirst);
}

/** The port of the workload behind a port of the Services that select it; the same without one. */
function listenPort(port: number, workload: Workload, { services }: GatewaySources): number {
  for (const service of services.in(workload.namespace)) {
    if (!service.selector || !labelsMatch(service.selector, workload.labels)) continue;
    const { targetPort = port } = service.ports.find((one) => one.port === port) ?? {};
    if (typeof targetPort === 'number') return targetPort;
    const named = workload.ports[targetPort];
    if (named !== undefined) return named;
  }
  return port;
}

const SECURED: readonly string[] = ['HTTPS', 'TLS'];
const BY_HOST: readonly string[] = ['HTTP', 'HTTP2', 'HTTP_PROXY', 'GRPC', 'GRPC-WEB'];

function toldBy({ port }: GatewayServer): GatewayPort['toldBy'] {
  const word = port.protocol.toUpperCase();
  if (SECURED.includes(word)) return 'serverName';
  return BY_HOST.includes(word) ? 'host' : 'nothing';
}

/** What a server does with connections. */
export type ServerWay =
  /** Routes requests; of `https` it ends TLS before. */
  | 'http'
  | 'https'
  /** Leads connections; of `tls` it ends TLS before. */
  | 'tcp'
  | 'tls'
  /** Leads TLS on, unread, by the server name that callers ask for. */
  | 'passed-on'
  /** Such a server is not served. */
  | 'nothing';

/** What a server does with connections, as its protocol and its `tls` say. */
export function serverWay(server: GatewayServer): ServerWay {
  const { mode = 'PASSTHROUGH' } = server.tls ?? {};
  switch (toldBy(server)) {
    case 'host':
      return 'http';
    case 'nothing':
      return 'tcp';
    case 'serverName':
      if (mode === 'AUTO_PASSTHROUGH') return 'nothing';
      if (mode === 'PASSTHROUGH') return 'passed-on';
      return server.port.protocol.toUpperCase() === 'HTTPS' ? 'https' : 'tls';
  }
}

const PROTOCOL_OF = {
  http: 'http',
  https: 'http',
  tcp: 'tcp',
  tls: 'tcp',
  'passed-on': 'tls',
  nothing: 'tcp',
} as const satisfies Record<ServerWay, Protocol>;

/** The protocol that a server reads of connections: HTTP, also behind TLS that it ends. */
export function serverProtocol(server: GatewayServer): Protocol {
  return PROTOCOL_OF[serverWay(server)];
}
