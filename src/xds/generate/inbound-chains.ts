import { create } from '@bufbuild/protobuf';
import {
  type Filter,
  type FilterChain,
  type FilterChainMatchSchema,
  FilterChainSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import type { RouteConfiguration } from '#gen/envoy-api/envoy/config/route/v3/route_pb.js';
import type { HardeningProfile, PathNormalization } from '#model/mesh-settings.ts';
import { PROTOCOLS, type Protocol } from '#model/protocol.ts';
import type { TlsLimits } from '#model/tls-limits.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { MtlsMode } from '#policy/authn/mtls-mode.ts';
import type { LoggedRequests } from '#xds/generate/access-log.ts';
import { type AuditStreams, tcpAuditStreams } from '#xds/generate/audit-stream.ts';
import type { RuleDenial } from '#xds/generate/authz/denials.ts';
import { networkAuthzFilters } from '#xds/generate/authz/filters.ts';
import { PEER_SERIAL } from '#xds/generate/authz/peer-serial.ts';
import { inboundHttpManager } from '#xds/generate/http-manager.ts';
import { buildInboundRoute } from '#xds/generate/inbound-route.ts';
import type { Init } from '#xds/generate/proto-values.ts';
import { GATE_FACTS, gateName } from '#xds/generate/tcp-gate.ts';
import { tcpProxy } from '#xds/generate/tcp-proxy.ts';
import { type CallerDomains, MESH_ALPN, serverTls } from '#xds/generate/tls-context.ts';

/** What the chains of every port of a workload have in common. Plain JSON values. */
export interface InboundContext {
  /** Callers must be of one of these. */
  readonly trustDomains: CallerDomains;
  readonly hardening: HardeningProfile;
  readonly pathNormalization: PathNormalization;
  readonly accessLog: LoggedRequests;
  readonly audit: AuditStreams;
  /** What rules tell callers in place of what every denial says. */
  readonly denials: readonly RuleDenial[];
  /** Whether callers are told which rule denied them. */
  readonly denialHeader: boolean;
  /** Whether the agent is asked about requests. */
  readonly asksAgent: boolean;
  /** What connections of the mesh are made with at least. */
  readonly tls: TlsLimits;
  /** httpMarker: in the metadata of HTTP chains, so that a change drains them; '' = none. */
  readonly httpPolicy: string;
}

/** How connections that are not HTTP are taken. */
export interface TcpHandling {
  /**
   * What says whether they may be: TcpPolicy.marker and the last revocation. In the metadata of
   * their chains, so that a change ends those that are open.
   */
  readonly tcpPolicy: string;
  /** Whether they wait for the caller's first byte before the application sees them. */
  readonly tcpWaitsForCaller: boolean;
}

/** A port of the workload, or all those that nothing is said about. Plain JSON values. */
export interface InboundPort extends TcpHandling {
  /** The application's port; undefined = every other port. */
  readonly port: number | undefined;
  readonly protocol: Protocol;
  readonly mode: MtlsMode;
  /** Where its connections go. */
  readonly cluster: string;
  /** Whose identity principals of policies are about. */
  readonly principal: PrincipalBinding;
  /**
   * What its connections pass that are not HTTP (tcp-gate): `judging` callers before the
   * application may greet them, or only there so that they can be ended; undefined = nothing.
   */
  readonly gate?: 'judging' | 'passing';
}

/** One way in which a connection may arrive. */
interface Arrival {
  readonly tls: 'mesh' | 'none';
  readonly as: 'http' | 'tcp';
  /** What the first bytes must show; nothing = anything that no narrower chain takes. */
  readonly transport?: 'tls' | 'raw_buffer';
  readonly applicationProtocols?: readonly string[];
}

const MESH_ANY = [...MESH_ALPN.tcp, ...MESH_ALPN.http];
const PLAIN_HTTP = ['http/1.0', 'http/1.1', 'h2c'];

/**
 * Which connections a port takes, by its mode and how its protocol is handled (Istio,
 * "PeerAuthentication" and "Protocol selection"). What fits no line is closed. In PERMISSIVE,
 * mutual TLS of the mesh is told from the application's own TLS by the protocols that the caller
 * offers.
 */
const ARRIVALS: Readonly<
  Record<MtlsMode, Readonly<Record<'http' | 'tcp' | 'sniffed', readonly Arrival[]>>>
> = {
  STRICT: {
    http: [{ tls: 'mesh', as: 'http', transport: 'tls' }],
    tcp: [{ tls: 'mesh', as: 'tcp', transport: 'tls' }],
    sniffed: [
      { tls: 'mesh', as: 'http', transport: 'tls', applicationProtocols: MESH_ALPN.http },
      { tls: 'mesh', as: 'tcp', transport: 'tls' },
    ],
  },
  PERMISSIVE: {
    http: [
      { tls: 'mesh', as: 'http', transport: 'tls', applicationProtocols: MESH_ANY },
      { tls: 'none', as: 'http', transport: 'raw_buffer' },
    ],
    tcp: [
      { tls: 'mesh', as: 'tcp', transport: 'tls', applicationProtocols: MESH_ANY },
      { tls: 'none', as: 'tcp', transport: 'tls' },
      { tls: 'none', as: 'tcp', transport: 'raw_buffer' },
    ],
    sniffed: [
      { tls: 'mesh', as: 'http', transport: 'tls', applicationProtocols: MESH_ALPN.http },
      { tls: 'mesh', as: 'tcp', transport: 'tls', applicationProtocols: MESH_ALPN.tcp },
      { tls: 'none', as: 'http', transport: 'raw_buffer', applicationProtocols: PLAIN_HTTP },
      { tls: 'none', as: 'tcp', transport: 'tls' },
      { tls: 'none', as: 'tcp', transport: 'raw_buffer' },
    ],
  },
  DISABLE: {
    http: [{ tls: 'none', as: 'http' }],
    tcp: [{ tls: 'none', as: 'tcp' }],
    // Neither names a transport: Envoy would not come back from a chain that does to one that
    // does not.
    sniffed: [
      { tls: 'none', as: 'http', applicationProtocols: PLAIN_HTTP },
      { tls: 'none', as: 'tcp' },
    ],
  },
};

/**
 * Whether a chain of the port asks for TLS or its absence, so that Envoy must look at the first
 * bytes.
 */
export function asksForTls({ protocol, mode }: InboundPort): boolean {
  return arrivalsOf(protocol, mode).some(({ transport }) => transport !== undefined);
}

/**
 * The filter chains of a port.
 * @param matchesPort whether the listener is shared, so that chains must ask for the port
 */
export function inboundChains(
  port: InboundPort,
  context: InboundContext,
  matchesPort: boolean,
): FilterChain[] {
  return arrivalsOf(port.protocol, port.mode).map((arrival) => {
    const alpn = arrival.as === 'http' ? ['h2', 'http/1.1'] : ['istio'];
    const first = arrival.tls === 'mesh' ? [PEER_SERIAL] : [];
    return create(FilterChainSchema, {
      name: chainName(port, arrival),
      filterChainMatch: matchOf(port, arrival, matchesPort),
      ...(arrival.tls === 'mesh' && {
        transportSocket: serverTls(context.trustDomains, alpn, context.tls),
      }),
      ...(arrival.as === 'http'
        ? {
            filters: [...first, httpFilter(port, arrival, context)],
            ...(context.httpPolicy !== '' && marked({ http_policy: context.httpPolicy })),
          }
        : {
            filters: [...first, ...tcpFilters(port, arrival, context)],
            ...marked({ tcp_policy: port.tcpPolicy }),
          }),
    });
  });
}

/** A change of the metadata of a chain drains its connections. */
function marked(bulwark: Readonly<Record<string, string>>) {
  return { metadata: { filterMetadata: { bulwark: { ...bulwark } } } };
}

function arrivalsOf(protocol: Protocol, mode: MtlsMode): readonly Arrival[] {
  const { handling } = PROTOCOLS[protocol];
  return handling === 'none' ? [] : ARRIVALS[mode][handling];
}

function matchOf(
  port: InboundPort,
  arrival: Arrival,
  matchesPort: boolean,
): Init<typeof FilterChainMatchSchema> {
  return {
    ...(matchesPort && port.port !== undefined && { destinationPort: port.port }),
    transportProtocol: arrival.transport ?? '',
    applicationProtocols: [...(arrival.applicationProtocols ?? [])],
  };
}

/** `8080-mesh-http`: for logs and dumps, and to tell there who came without mutual TLS. */
function chainName(port: InboundPort, { tls, as, transport }: Arrival): string {
  const security = tls === 'mesh' ? 'mesh' : transport === 'tls' ? 'own-tls' : 'plain';
  return `${port.port ?? 'other'}-${security}-${as}`;
}

function httpFilter(port: InboundPort, { tls }: Arrival, context: InboundContext): Filter {
  const route: RouteConfiguration = buildInboundRoute(port, context);
  return inboundHttpManager({
    hardening: context.hardening,
    pathNormalization: context.pathNormalization,
    accessLog: context.accessLog,
    audit: context.audit,
    denials: context.denials,
    denialHeader: context.denialHeader,
    asksAgent: context.asksAgent,
    statPrefix: statPrefix(port, tls),
    port: port.port ?? 0,
    principal: port.principal,
    isPlaintext: tls === 'none',
    route,
  });
}

function tcpFilters(port: InboundPort, { tls }: Arrival, context: InboundContext): Filter[] {
  const waitsForCaller = port.tcpWaitsForCaller && !PROTOCOLS[port.protocol].serverFirst;
  const { gate } = port;
  return [
    ...(gate ? [GATE_FACTS] : []),
    ...networkAuthzFilters(),
    tcpProxy({
      cluster: gate ? gateName(port.port ?? 0) : port.cluster,
      source: { direction: 'inbound', port: port.port ?? 0 },
      accessLog: context.accessLog,
      waitsForCaller,
      waitsForHandshake: gate === 'judging' && tls === 'mesh',
      audit: tcpAuditStreams(context.audit),
      inbound: { statPrefix: statPrefix(port, tls), isPlaintext: tls === 'none' },
    }),
  ];
}

/** What connections are counted under: the agent tells by it those without mutual TLS. */
function statPrefix({ port }: InboundPort, tls: Arrival['tls']): string {
  return `inbound_0.0.0.0_${port ?? 'other'};${tls === 'none' ? 'plaintext' : ''}`;
}
