import { create } from '@bufbuild/protobuf';
import type { AccessLog } from '#gen/envoy-api/envoy/config/accesslog/v3/accesslog_pb.js';
import {
  type Filter,
  FilterSchema,
} from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import {
  TcpProxySchema,
  UpstreamConnectMode,
} from '#gen/envoy-api/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { type LoggedRequests, plaintextLog, tcpAccessLog } from '#xds/generate/access-log.ts';
import type { LogSource } from '#xds/generate/access-log-fields.ts';
import { duration, typedConfig } from '#xds/generate/proto-values.ts';

/** A TCP proxy to one cluster. */
export interface TcpProxyInput {
  readonly cluster: string;
  /** Several clusters by weight, in place of it. */
  readonly weighted?: readonly { readonly name: string; readonly weight: number }[];
  readonly source: LogSource;
  readonly accessLog: LoggedRequests;
  /**
   * Connect to the cluster only when the caller has sent something (and the filters before let it
   * pass).
   */
  readonly waitsForCaller: boolean;
  /** Connect when it is known who the caller is. */
  readonly waitsForHandshake?: boolean;
  /** What the control plane is told of its connections. */
  readonly audit?: readonly AccessLog[];
  /** In place of the usual lines. */
  readonly logs?: readonly AccessLog[];
  /** Of calls to the workload: what they are counted under. */
  readonly inbound?: { readonly statPrefix: string; readonly isPlaintext: boolean };
}

/** Bytes of a caller that are kept while the cluster is being connected to. */
const EARLY_DATA_BYTES_MAX = 64 * 1024;

/** A connection that is open is written down again and again. */
const SEEN_WHILE_OPEN = {
  flushAccessLogOnConnected: true,
  accessLogFlushInterval: duration(60_000),
};

/** The last network filter of a chain that is not HTTP. */
export function tcpProxy(input: TcpProxyInput): Filter {
  const { inbound } = input;
  const lines = input.logs ?? [tcpAccessLog(input.source, input.accessLog)];
  const accessLog = [...lines, ...(input.audit ?? [])];
  return create(FilterSchema, {
    name: 'envoy.filters.network.tcp_proxy',
    configType: typedConfig(TcpProxySchema, {
      statPrefix: inbound?.statPrefix ?? input.cluster,
      clusterSpecifier: input.weighted
        ? { case: 'weightedClusters', value: { clusters: [...input.weighted] } }
        : { case: 'cluster', value: input.cluster },
      accessLog: inbound?.isPlaintext ? [...accessLog, plaintextLog('open')] : accessLog,
      ...(inbound?.isPlaintext && { accessLogOptions: SEEN_WHILE_OPEN }),
      // A connection of a chain that changed ends at its next byte, not only after the drain time.
      checkDrainClose: true,
      ...(input.waitsForCaller && {
        upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_DATA,
        maxEarlyDataBytes: EARLY_DATA_BYTES_MAX,
      }),
      ...(input.waitsForHandshake && {
        upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE,
        maxEarlyDataBytes: EARLY_DATA_BYTES_MAX,
      }),
    }),
  });
}
