import { create } from '@bufbuild/protobuf';
import { ClusterSchema } from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  FilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { ListenerSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_pb.js';
import { FilterStateValue_SharedWithUpstream } from '#gen/envoy-api/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js';
import { OriginalDstSchema } from '#gen/envoy-api/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { ConfigSchema } from '#gen/envoy-api/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js';
import { InternalUpstreamTransportSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js';
import { RawBufferSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import type { PeerVerdict } from '#policy/authz/peer-verdict.ts';
import { gateDenialLog, type LoggedRequests } from '#xds/generate/access-log.ts';
import { type AuditStreams, gateAuditStreams } from '#xds/generate/audit-stream.ts';
import {
  ALLOW_CHAIN,
  denyChain,
  GATE_PEER_KEY,
  gateMatcher,
  SEVERAL_NAMES_CHAIN,
} from '#xds/generate/authz/gate-matcher.ts';
import { heldEndpoint } from '#xds/generate/held-port.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { duration, type Init, typedConfig } from '#xds/generate/proto-values.ts';
import { tcpProxy } from '#xds/generate/tcp-proxy.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/**
 * The gate of a port whose server speaks first. Envoy's rules for connections are tried at the
 * first byte of the caller, which waits for the server's greeting: without a gate the greeting goes
 * to everybody. Plain JSON values: it is a cache key.
 */
export interface GateInput {
  readonly port: number;
  /** Where connections go that are let through. */
  readonly cluster: string;
  /** Who passes; undefined = everybody. */
  readonly verdict: PeerVerdict | undefined;
  /** TcpHandling. */
  readonly tcpPolicy: string;
  readonly accessLog: LoggedRequests;
  readonly audit: AuditStreams;
}

/** Inside of the proxy, so a second is long. */
const CONNECT_TIMEOUT_MS = 1000;

/** The cluster, and the listener inside of the proxy, that a port's connections go through. */
export function gateName(port: number): string {
  return `gate|${port}`;
}

/** What a connection takes along through the gate. Hashable, so that no other one gets it. */
const FACTS = {
  peer: [GATE_PEER_KEY, 'envoy.hashable_string', '%DOWNSTREAM_PEER_URI_SAN%'],
  local: ['envoy.filters.listener.original_dst.local_ip', '', '%DOWNSTREAM_LOCAL_ADDRESS%'],
  remote: ['envoy.filters.listener.original_dst.remote_ip', '', '%DOWNSTREAM_REMOTE_ADDRESS%'],
} as const;

function fact([objectKey, factoryKey, text]: readonly [string, string, string]) {
  return {
    key: { case: 'objectKey' as const, value: objectKey },
    factoryKey,
    value: {
      case: 'formatString' as const,
      value: {
        format: {
          case: 'textFormatSource' as const,
          value: { specifier: { case: 'inlineString' as const, value: text } },
        },
      },
    },
    sharedWithUpstream: FilterStateValue_SharedWithUpstream.ONCE,
    skipIfEmpty: true,
  };
}

/** Notes with a connection who made it and where it was going, for its gate. */
export const GATE_FACTS: Filter = create(FilterSchema, {
  name: 'gate_facts',
  configType: typedConfig(ConfigSchema, {
    onNewConnection: [fact(FACTS.local), fact(FACTS.remote)],
    onDownstreamTlsHandshake: [fact(FACTS.peer)],
  }),
});

/** The cluster that leads to a gate. Plain JSON values: it is a cache key. */
export interface GateClusterInput {
  readonly port: number;
  /** The unix socket of the agent that ends its connections; undefined = nobody does. */
  readonly holdSocket: string | undefined;
}

/** The cluster that leads to a gate. */
export function buildGateCluster({ port, holdSocket }: GateClusterInput): XdsResource {
  const name = gateName(port);
  const listener = {
    case: 'envoyInternalAddress',
    value: { addressNameSpecifier: { case: 'serverListenerName', value: name } },
  } as const;
  const cluster: Init<typeof ClusterSchema> = {
    name,
    connectTimeout: duration(CONNECT_TIMEOUT_MS),
    ...heldEndpoint({ name, port, address: { address: listener }, holdSocket }),
    transportSocket: {
      name: 'envoy.transport_sockets.internal_upstream',
      configType: typedConfig(InternalUpstreamTransportSchema, {
        transportSocket: {
          name: 'envoy.transport_sockets.raw_buffer',
          configType: typedConfig(RawBufferSchema, {}),
        },
      }),
    },
  };
  return encodeResource(TYPE_URL.cluster, name, ClusterSchema, create(ClusterSchema, cluster));
}

/** The gate: a listener inside of the proxy. It judges callers before the application sees them. */
export function buildGate(input: GateInput): XdsResource {
  const name = gateName(input.port);
  const { verdict } = input;
  const denying = verdict?.steps.flatMap(({ deniedBy }) => deniedBy ?? []) ?? [];
  const listener = create(ListenerSchema, {
    name,
    listenerSpecifier: { case: 'internalListener', value: {} },
    listenerFilters: [
      {
        name: 'envoy.filters.listener.original_dst',
        configType: typedConfig(OriginalDstSchema, {}),
      },
    ],
    ...(verdict && { filterChainMatcher: gateMatcher(verdict) }),
    filterChains: [
      chain(ALLOW_CHAIN, input, input.cluster),
      ...(verdict ? [SEVERAL_NAMES_CHAIN, ...[undefined, ...denying].map(denyChain)] : []).map(
        (name) => chain(name, input, CLUSTER_NAMES.blackHole),
      ),
    ],
  });
  return encodeResource(TYPE_URL.listener, name, ListenerSchema, listener);
}

function chain(name: string, input: GateInput, cluster: string): FilterChain {
  const { port, accessLog, audit, tcpPolicy } = input;
  const source = { direction: 'inbound', port } as const;
  return create(FilterChainSchema, {
    name,
    // Envoy may change its listeners in any order: who came by the new one to the old gate goes.
    metadata: { filterMetadata: { bulwark: { tcp_policy: tcpPolicy } } },
    filters: [
      tcpProxy({
        cluster,
        source,
        accessLog,
        waitsForCaller: false,
        // What passes is written down where it came in.
        logs: name === ALLOW_CHAIN ? [] : [gateDenialLog(source), ...gateAuditStreams(audit, port)],
      }),
    ],
  });
}
