import { create } from '@bufbuild/protobuf';
import {
  type CircuitBreakers,
  CircuitBreakersSchema,
} from '#gen/envoy-api/envoy/config/cluster/v3/circuit_breaker_pb.js';
import {
  type Cluster_CustomClusterType,
  Cluster_CustomClusterTypeSchema,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import { type Metadata, MetadataSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { ApiVersion } from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import { ClusterLoadAssignmentSchema } from '#gen/envoy-api/envoy/config/endpoint/v3/endpoint_pb.js';
import { DnsLookupFamily } from '#gen/envoy-api/envoy/extensions/clusters/common/dns/v3/dns_pb.js';
import { DnsClusterSchema } from '#gen/envoy-api/envoy/extensions/clusters/dns/v3/dns_cluster_pb.js';
import type { MeshTlsLimits } from '#model/tls-limits.ts';
import type { ServerNames } from '#policy/tls/server-names.ts';
import type { TlsOrigination } from '#policy/tls/upstream-tls.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';
import { openedAs, withAlpnOverride } from '#xds/generate/cluster-metadata.ts';
import type { ServerRoots } from '#xds/generate/federated-roots.ts';
import {
  httpProtocolOptions,
  type NamesFromRequests,
  type UpstreamHttp,
} from '#xds/generate/http-protocol.ts';
import { duration, type Init, pack, socketAddress } from '#xds/generate/proto-values.ts';
import { meshClientTls, originatedTls, PLAINTEXT } from '#xds/generate/tls-context.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** How a cluster finds its endpoints. */
export type ClusterDiscovery =
  /** Served beside it, under the cluster's name. */
  | { readonly by: 'eds' }
  /** DNS names, each with its port. */
  | {
      readonly by: 'dns';
      readonly targets: readonly {
        readonly address: string;
        readonly port: number;
        readonly mtls: boolean;
      }[];
    }
  /** The address that the caller chose. */
  | { readonly by: 'original-destination' }
  /** None: every call fails. */
  | { readonly by: 'nothing' };

/** How a cluster secures its connections. */
export type ClusterTls =
  | { readonly mode: 'plain' }
  /** `perEndpoint`: only to endpoints that are marked as taking mutual TLS. */
  | {
      readonly mode: 'mesh';
      readonly perEndpoint: boolean;
      readonly names: ServerNames;
      readonly roots: ServerRoots;
      readonly sni: string;
      /** As `connectionDomain` says; undefined while the mesh has one name only. */
      readonly ownDomain: TrustDomain | undefined;
      /** As `NarrowedServers` has it. */
      readonly revokedBy: string;
    }
  | { readonly mode: 'originate'; readonly tls: TlsOrigination };

/** Everything that an outbound cluster is made of. Plain JSON values: it is a cache key. */
export interface OutboundClusterInput {
  readonly name: string;
  readonly discovery: ClusterDiscovery;
  readonly tls: ClusterTls;
  readonly http: UpstreamHttp;
}

/** Time for TCP and TLS to an endpoint, as Istio's default. */
const CONNECT_TIMEOUT_MS = 10_000;

const UINT32_MAX = 4_294_967_295;

/**
 * No limits of Envoy's own (its default, 1024, answers 503 under load); endpoints limit themselves.
 */
export const CIRCUIT_BREAKERS: CircuitBreakers = create(CircuitBreakersSchema, {
  thresholds: [
    {
      maxConnections: UINT32_MAX,
      maxPendingRequests: UINT32_MAX,
      maxRequests: UINT32_MAX,
      maxRetries: UINT32_MAX,
      trackRemaining: true,
    },
  ],
});

/** What an endpoint's metadata says when it takes mutual TLS, and what clusters look for in it. */
const TLS_MODE_MATCH = { tlsMode: 'istio' } as const;

/** The metadata of an endpoint that takes mutual TLS. */
export function mtlsMetadata(): Metadata {
  return create(MetadataSchema, {
    filterMetadata: { 'envoy.transport_socket_match': { ...TLS_MODE_MATCH } },
  });
}

/** Every address of the names, looked up again when DNS says so. */
const DNS_CLUSTER: Cluster_CustomClusterType = create(Cluster_CustomClusterTypeSchema, {
  name: 'envoy.clusters.dns',
  typedConfig: pack(DnsClusterSchema, {
    dnsLookupFamily: DnsLookupFamily.ALL,
    respectDnsTtl: true,
  }),
});

type ClusterInit = Init<typeof ClusterSchema>;

/** The cluster of one service port. */
export function buildOutboundCluster(
  input: OutboundClusterInput,
  limits: MeshTlsLimits,
): XdsResource {
  const cluster = create(ClusterSchema, {
    name: input.name,
    connectTimeout: duration(CONNECT_TIMEOUT_MS),
    circuitBreakers: CIRCUIT_BREAKERS,
    // With few endpoints left, Envoy would otherwise also try those it knows to be dead.
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    typedExtensionProtocolOptions: httpProtocolOptions(input.http, namesFromRequests(input)),
    ...discoveryOf(input),
    ...securityOf(input, limits),
    ...metadataOf(input),
  });
  return encodeResource(TYPE_URL.cluster, input.name, ClusterSchema, cluster);
}

function metadataOf({ tls }: OutboundClusterInput): ClusterInit {
  const metadata = withAlpnOverride(tls.mode === 'mesh' ? openedAs(tls) : undefined, tls.mode);
  return metadata ? { metadata } : {};
}

function namesFromRequests({ tls }: OutboundClusterInput): NamesFromRequests {
  if (tls.mode !== 'originate') return { sni: false, verified: false };
  const { sni, subjectAltNames, verifiesServer } = tls.tls;
  const bySelf = sni === '';
  return { sni: bySelf, verified: bySelf && verifiesServer && subjectAltNames.length === 0 };
}

function discoveryOf({ name, discovery }: OutboundClusterInput): ClusterInit {
  switch (discovery.by) {
    case 'eds':
      return {
        ...type(Cluster_DiscoveryType.EDS),
        lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
        edsClusterConfig: {
          serviceName: name,
          edsConfig: {
            resourceApiVersion: ApiVersion.V3,
            configSourceSpecifier: { case: 'ads', value: {} },
          },
        },
      };
    case 'dns':
      return {
        clusterDiscoveryType: { case: 'clusterType', value: DNS_CLUSTER },
        lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
        loadAssignment: create(ClusterLoadAssignmentSchema, {
          clusterName: name,
          endpoints: [
            {
              lbEndpoints: discovery.targets.map(({ address, port, mtls }) => ({
                hostIdentifier: {
                  case: 'endpoint' as const,
                  value: { address: socketAddress(address, port) },
                },
                ...(mtls && { metadata: mtlsMetadata() }),
              })),
            },
          ],
        }),
      };
    case 'original-destination':
      return {
        ...type(Cluster_DiscoveryType.ORIGINAL_DST),
        lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
      };
    case 'nothing':
      return type(Cluster_DiscoveryType.STATIC);
  }
}

function securityOf({ tls, http }: OutboundClusterInput, limits: MeshTlsLimits): ClusterInit {
  switch (tls.mode) {
    case 'plain':
      return {};
    case 'originate':
      return { transportSocket: originatedTls(tls.tls, ORIGIN_ALPN[http], limits.outside) };
    case 'mesh': {
      const socket = meshClientTls(tls, CLIENT_ALPN[http], limits.mesh);
      if (!tls.perEndpoint) return { transportSocket: socket };
      return {
        transportSocketMatches: [
          { name: 'tlsMode-istio', match: { ...TLS_MODE_MATCH }, transportSocket: socket },
          { name: 'tlsMode-disabled', match: {}, transportSocket: PLAINTEXT },
        ],
      };
    }
  }
}

/** What a proxy of the mesh offers, so that the other side can tell HTTP from TCP. */
const CLIENT_ALPN: Readonly<Record<UpstreamHttp, readonly string[]>> = {
  http1: ['istio-http/1.1'],
  http2: ['istio-h2'],
  // HTTP calls over it replace this, request by request (http-filters).
  caller: ['istio'],
  none: ['istio'],
};

/** What is offered to servers outside of the mesh; nothing means HTTP/1.1 to those who care. */
const ORIGIN_ALPN: Readonly<Record<UpstreamHttp, readonly string[]>> = {
  http1: [],
  http2: ['h2'],
  caller: [],
  none: [],
};

function type(value: Cluster_DiscoveryType): ClusterInit {
  return { clusterDiscoveryType: { case: 'type', value } };
}
