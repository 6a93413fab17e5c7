import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  type ListenerFilter,
  ListenerFilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { ListenerSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_pb.js';
import { ProxyProtocolSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import { TlsInspectorSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import type { GatewayTopology } from '#model/mesh-settings.ts';
import { refusedConnectionLog } from '#xds/generate/access-log.ts';
import { tcpAuditStreams } from '#xds/generate/audit-stream.ts';
import { networkAuthzFilters } from '#xds/generate/authz/filters.ts';
import { PEER_SERIAL } from '#xds/generate/authz/peer-serial.ts';
import { type ServerTlsInput, serverTlsSocket } from '#xds/generate/gateway/server-tls.ts';
import { gatewayHttpManager } from '#xds/generate/http-manager.ts';
import type { InboundContext, TcpHandling } from '#xds/generate/inbound-chains.ts';
import { duration, socketAddress, typedConfig } from '#xds/generate/proto-values.ts';
import { tcpProxy } from '#xds/generate/tcp-proxy.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** Connections of one kind, and what becomes of them. Plain JSON values. */
export interface GatewayChain {
  /** '' = none. */
  readonly name: string;
  /** Of TLS, the names that callers ask for; undefined = plaintext. None = every name. */
  readonly serverNames?: readonly string[];
  /** How TLS is ended; undefined = it is passed on. */
  readonly tls?: ServerTlsInput;
  /** The route configuration for HTTP, or clusters with their weights. */
  readonly to:
    | { readonly http: string }
    | { readonly tcp: readonly { readonly name: string; readonly weight: number }[] };
}

/** A listener of a gateway. Plain JSON values: it is a cache key. */
export interface GatewayListenerInput {
  readonly address: string;
  readonly listen: number;
  /** Of the Gateway: what callers see. */
  readonly port: number;
  /** At least one. */
  readonly chains: readonly GatewayChain[];
  readonly context: InboundContext & TcpHandling;
  readonly topology: GatewayTopology;
}

/** How long the first bytes of a caller are waited for, where they say what it wants. */
const FIRST_BYTES_MS = 15_000;
/** Bytes that are kept for a slow side of a connection, as Envoy advises for callers outside. */
const BUFFER_BYTES = 32 * 1024;

/** A listener for callers from outside of the mesh. */
export function buildGatewayListener(input: GatewayListenerInput): XdsResource {
  const { address, listen, chains } = input;
  const name = `${address}_${listen}`;
  const looksAtTls = chains.some(({ serverNames }) => serverNames !== undefined);
  const listener = create(ListenerSchema, {
    name,
    address: socketAddress(address, listen),
    trafficDirection: TrafficDirection.INBOUND,
    perConnectionBufferLimitBytes: BUFFER_BYTES,
    accessLog: [refusedConnectionLog({ direction: 'inbound', port: listen })],
    listenerFilters: [
      ...(input.topology.proxyProtocol ? [PROXY_PROTOCOL] : []),
      ...(looksAtTls ? [TLS_INSPECTOR] : []),
    ],
    ...(looksAtTls && { listenerFiltersTimeout: duration(FIRST_BYTES_MS) }),
    filterChains: chains.map((chain) => filterChain(chain, input)),
  });
  return encodeResource(TYPE_URL.listener, name, ListenerSchema, listener);
}

const TLS_INSPECTOR: ListenerFilter = create(ListenerFilterSchema, {
  name: 'envoy.filters.listener.tls_inspector',
  configType: typedConfig(TlsInspectorSchema, {}),
});

const PROXY_PROTOCOL: ListenerFilter = create(ListenerFilterSchema, {
  name: 'envoy.filters.listener.proxy_protocol',
  configType: typedConfig(ProxyProtocolSchema, {}),
});

function filterChain(chain: GatewayChain, input: GatewayListenerInput): FilterChain {
  const { name, serverNames, tls, to } = chain;
  const { context } = input;
  return create(FilterChainSchema, {
    name,
    ...(serverNames && {
      filterChainMatch: { transportProtocol: 'tls', serverNames: [...serverNames] },
    }),
    ...(tls && { transportSocket: serverTlsSocket(tls, 'http' in to, context) }),
    filters: [...(tls ? [PEER_SERIAL] : []), ...filtersTo(to, input)],
    ...('tcp' in to && {
      metadata: { filterMetadata: { bulwark: { tcp_policy: context.tcpPolicy } } },
    }),
  });
}

function filtersTo(
  to: GatewayChain['to'],
  { context, listen, topology: { trustedProxies } }: GatewayListenerInput,
): Filter[] {
  const statPrefix = `gateway_${listen}`;
  if ('http' in to)
    return [
      gatewayHttpManager({
        ...context,
        statPrefix,
        port: listen,
        routeName: to.http,
        trustedProxies,
      }),
    ];
  const { accessLog, tcpWaitsForCaller: waitsForCaller } = context;
  return [
    ...networkAuthzFilters(),
    tcpProxy({
      cluster: to.tcp[0]?.name ?? '',
      ...(to.tcp.length > 1 && { weighted: to.tcp }),
      source: { direction: 'inbound', port: listen },
      accessLog,
      waitsForCaller,
      audit: tcpAuditStreams(context.audit),
      inbound: { statPrefix, isPlaintext: false },
    }),
  ];
}
