import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  type FilterChain,
  type FilterChainMatchSchema,
  FilterChainSchema,
  type ListenerFilter,
  ListenerFilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { ListenerSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_pb.js';
import { HttpInspectorSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { TlsInspectorSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import type { HardeningProfile, PathNormalization } from '#model/mesh-settings.ts';
import type { LoggedRequests } from '#xds/generate/access-log.ts';
import { outboundHttpManager } from '#xds/generate/http-manager.ts';
import { CLUSTER_NAMES, REDIRECT_PORTS } from '#xds/generate/naming.ts';
import { duration, type Init, socketAddress, typedConfig } from '#xds/generate/proto-values.ts';
import { tcpProxy } from '#xds/generate/tcp-proxy.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** Where TLS goes that asks for a server. */
export interface ServerNameRoute {
  /** May be `*.example.com`. */
  readonly host: string;
  readonly cluster: string;
}

/**
 * What becomes of what a listener takes. At least one is set; with both, HTTP is told by the first
 * bytes.
 */
export interface OutboundListenerInput {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** False where connections come by redirection, from the listener on 15001. */
  readonly binds: boolean;
  /** Route configuration for HTTP. */
  readonly routeName?: string;
  /** Clusters for TLS, by the server that the caller asks for; with it there is a `tcpCluster`. */
  readonly byServerName?: readonly ServerNameRoute[];
  /** Cluster for everything else. */
  readonly tcpCluster?: string;
  /**
   * Names the revocations of servers behind `tcpCluster`; when it changes, open connections end.
   * HTTP is sent elsewhere request by request.
   */
  readonly revokedBy?: string;
  /** For the log: the port that callers meant; 0 = any. */
  readonly servicePort: number;
  readonly accessLog: LoggedRequests;
  readonly hardening: HardeningProfile;
  readonly pathNormalization: PathNormalization;
}

const TLS_INSPECTOR: ListenerFilter = create(ListenerFilterSchema, {
  name: 'envoy.filters.listener.tls_inspector',
  configType: typedConfig(TlsInspectorSchema, {}),
});

const HTTP_INSPECTOR: ListenerFilter = create(ListenerFilterSchema, {
  name: 'envoy.filters.listener.http_inspector',
  configType: typedConfig(HttpInspectorSchema, {}),
});

/** How long a caller's first bytes are waited for where it matters whether they are HTTP. */
const SNIFF_MS = 1000;

/**
 * A listener for the workload's own calls. Input is plain JSON values: it is a cache key. One that
 * binds has a port that an agent chose, which no other Envoy may share (`buildExplicitInbound`).
 */
export function buildOutboundListener(input: OutboundListenerInput): XdsResource {
  return resource(input.name, {
    address: socketAddress(input.address, input.port),
    ...(input.binds ? { enableReusePort: false } : { bindToPort: false }),
    ...chainsOf(input),
  });
}

/**
 * Takes every connection that redirection brings, and hands it to the listener of its destination
 * if there is one.
 */
export function buildVirtualOutbound(
  tcpCluster: string,
  context: Pick<OutboundListenerInput, 'accessLog' | 'hardening'>,
): XdsResource {
  const { outbound: port } = REDIRECT_PORTS;
  const toItself = create(FilterChainSchema, {
    name: 'virtualOutbound-blackhole',
    filterChainMatch: { destinationPort: port },
    filters: [
      tcpProxy({
        cluster: CLUSTER_NAMES.blackHole,
        source: { direction: 'outbound', port },
        accessLog: context.accessLog,
        waitsForCaller: false,
      }),
    ],
  });
  return resource('virtualOutbound', {
    address: socketAddress('0.0.0.0', port),
    useOriginalDst: true,
    filterChains: [toItself, tcpChain({ ...context, tcpCluster, servicePort: 0 })],
  });
}

type ChainMatch = Init<typeof FilterChainMatchSchema>;

function resource(name: string, init: Init<typeof ListenerSchema>): XdsResource {
  const listener = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    ...init,
  });
  return encodeResource(TYPE_URL.listener, name, ListenerSchema, listener);
}

function chainsOf(input: OutboundListenerInput): Init<typeof ListenerSchema> {
  const { routeName, tcpCluster, byServerName = [] } = input;
  if (byServerName.length > 0 && tcpCluster !== undefined) return byName(input, tcpCluster);
  if (routeName === undefined)
    return { filterChains: tcpCluster === undefined ? [] : [tcpChain({ ...input, tcpCluster })] };
  if (tcpCluster === undefined) return { filterChains: [httpChain(input, routeName)] };
  return {
    listenerFilters: [HTTP_INSPECTOR],
    ...sniffTimeout(leavesMesh(tcpCluster)),
    filterChains: [httpChain(input, routeName, LOOKS_LIKE_HTTP)],
    defaultFilterChain: tcpChain({ ...input, tcpCluster }),
  };
}

/** TLS by server name, HTTP where there is any, and everything else. */
function byName(input: OutboundListenerInput, tcpCluster: string): Init<typeof ListenerSchema> {
  const { routeName, byServerName = [] } = input;
  const http = routeName === undefined ? [] : [httpChain(input, routeName, LOOKS_LIKE_HTTP)];
  const tls = byServerName.map(({ host, cluster }) =>
    tcpChain({ ...input, tcpCluster: cluster }, host),
  );
  return {
    listenerFilters: [TLS_INSPECTOR, ...(routeName === undefined ? [] : [HTTP_INSPECTOR])],
    ...sniffTimeout(routeName !== undefined && leavesMesh(tcpCluster)),
    filterChains: [...http, ...tls],
    defaultFilterChain: tcpChain({ ...input, tcpCluster }),
  };
}

/**
 * A caller that connects and stays silent may be HTTP. Where everything else leaves the mesh, it is
 * waited for without end, or its calls would go out in plaintext; where everything goes to one
 * service, it need not be.
 */
function sniffTimeout(withoutEnd: boolean): Init<typeof ListenerSchema> {
  return {
    listenerFiltersTimeout: duration(withoutEnd ? 0 : SNIFF_MS),
    continueOnListenerFiltersTimeout: true,
  };
}

function leavesMesh(tcpCluster: string): boolean {
  return tcpCluster === CLUSTER_NAMES.passthrough || tcpCluster === CLUSTER_NAMES.blackHole;
}

const LOOKS_LIKE_HTTP: ChainMatch = {
  transportProtocol: 'raw_buffer',
  applicationProtocols: ['http/1.0', 'http/1.1', 'h2c'],
};

function httpChain(
  input: OutboundListenerInput,
  routeName: string,
  filterChainMatch: ChainMatch = {},
): FilterChain {
  return create(FilterChainSchema, {
    name: 'http',
    filterChainMatch,
    filters: [
      outboundHttpManager({
        hardening: input.hardening,
        pathNormalization: input.pathNormalization,
        accessLog: input.accessLog,
        statPrefix: `outbound_${input.address}_${input.port};`,
        port: input.servicePort,
        routeName,
      }),
    ],
  });
}

function tcpChain(
  input: Pick<OutboundListenerInput, 'servicePort' | 'accessLog' | 'revokedBy'> & {
    readonly tcpCluster: string;
  },
  serverName?: string,
): FilterChain {
  const { revokedBy = '' } = input;
  return create(FilterChainSchema, {
    name: serverName === undefined ? 'tcp' : `tls-${serverName}`,
    ...(serverName !== undefined && {
      filterChainMatch: { transportProtocol: 'tls', serverNames: [serverName] },
    }),
    ...(revokedBy !== '' && { metadata: { filterMetadata: { bulwark: { revokedBy } } } }),
    filters: [
      tcpProxy({
        cluster: input.tcpCluster,
        source: { direction: 'outbound', port: input.servicePort },
        accessLog: input.accessLog,
        waitsForCaller: false,
      }),
    ],
  });
}
