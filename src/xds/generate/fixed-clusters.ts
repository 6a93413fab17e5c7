import { create } from '@bufbuild/protobuf';
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import { heldEndpoint } from '#xds/generate/held-port.ts';
import { httpProtocolOptions, type UpstreamHttp } from '#xds/generate/http-protocol.ts';
import {
  CLUSTER_NAMES,
  INBOUND_PASSTHROUGH_SOURCE,
  inboundClusterName,
} from '#xds/generate/naming.ts';
import { CIRCUIT_BREAKERS } from '#xds/generate/outbound-cluster.ts';
import { duration, type Init, socketAddress } from '#xds/generate/proto-values.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const AGENT_CONNECT_MS = 1000;

function resource(name: string, init: Init<typeof ClusterSchema>): XdsResource {
  const cluster = create(ClusterSchema, {
    name,
    connectTimeout: duration(CONNECT_TIMEOUT_MS),
    circuitBreakers: CIRCUIT_BREAKERS,
    ...init,
  });
  return encodeResource(TYPE_URL.cluster, name, ClusterSchema, cluster);
}

function originalDestination(http: UpstreamHttp): Init<typeof ClusterSchema> {
  return {
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    typedExtensionProtocolOptions: httpProtocolOptions(http),
  };
}

/** Redirection rules let connections from this address through to the application. */
const FROM_PROXY = {
  upstreamBindConfig: {
    sourceAddress: {
      address: INBOUND_PASSTHROUGH_SOURCE,
      portSpecifier: { case: 'portValue', value: 0 },
    },
  },
} as const;

/** Nowhere: no endpoints. */
export const BLACK_HOLE: XdsResource = resource(CLUSTER_NAMES.blackHole, {
  clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
});

/** Outbound connections, to wherever they were going. */
export const PASSTHROUGH: XdsResource = resource(
  CLUSTER_NAMES.passthrough,
  originalDestination('caller'),
);

/** Inbound connections to ports that no service declares, to wherever they were going. */
export const INBOUND_PASSTHROUGH: XdsResource = resource(CLUSTER_NAMES.inboundPassthrough, {
  ...originalDestination('caller'),
  ...FROM_PROXY,
});

/** The agent beside a proxy at its unix socket, asked about requests. */
export function buildAgentCluster(path: string): XdsResource {
  const name = CLUSTER_NAMES.agent;
  return resource(name, {
    connectTimeout: duration(AGENT_CONNECT_MS),
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    typedExtensionProtocolOptions: httpProtocolOptions('http2'),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              hostIdentifier: {
                case: 'endpoint',
                value: { address: { address: { case: 'pipe', value: { path } } } },
              },
            },
          ],
        },
      ],
    },
  });
}

/** A port of the workload, as its own proxy reaches it. Plain JSON values: it is a cache key. */
export interface InboundClusterInput {
  readonly port: number;
  readonly http2: boolean;
  /** `explicit`: the application is on loopback beside the proxy. */
  readonly interception: 'redirect' | 'explicit';
  /** The unix socket of the agent that ends its TCP connections; undefined = nobody does. */
  readonly holdSocket?: string | undefined;
}

/** The cluster of a port of the workload. */
export function buildInboundCluster(input: InboundClusterInput): XdsResource {
  const { port, http2, interception, holdSocket } = input;
  const name = inboundClusterName(port);
  const http: UpstreamHttp = http2 ? 'http2' : 'caller';
  if (interception === 'redirect')
    return resource(name, { ...originalDestination(http), ...FROM_PROXY });
  return resource(name, {
    typedExtensionProtocolOptions: httpProtocolOptions(http),
    ...heldEndpoint({ name, port, address: socketAddress('127.0.0.1', port), holdSocket }),
  });
}
