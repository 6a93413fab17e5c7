import { isIP } from 'node:net';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { type ChosenPorts, LOOPBACK } from '#agent/envoy/ports.ts';
import { ROOT_SECRET_NAME, WORKLOAD_SECRET_NAME } from '#agent/sds/secret-names.ts';

/** What an Envoy is started with, beside its command line. */
export interface BootstrapOptions {
  readonly workload: WorkloadOptions;
  /** For explicit mode. */
  readonly ports: ChosenPorts | undefined;
  /** HOST:PORT of xDS. */
  readonly discoveryAddress: string;
  /** The DNS name in the server's certificate. */
  readonly discoveryServerName: string;
  readonly clusterDomain: string;
  /** Unix socket of the agent's SDS. */
  readonly sdsSocket: string;
  /** Unix socket by which the agent ends connections to a port (HeldPorts). */
  readonly holdSocket: string;
  /** Unix socket that Envoy opens for its admin interface. */
  readonly adminSocket: string;
}

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const CONNECTIONS_CONFIG =
  'resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig';
/** rw for the owner, as the number that protobuf's JSON wants. */
const OWNER_ONLY = 0o600;
/** How long Envoy waits at most before it tries the control plane again. */
const RECONNECT_MAX = '5s';
/** Downstream connections that one Envoy takes; more are refused. */
const CONNECTIONS_MAX = 50_000;

type Json = Readonly<Record<string, unknown>>;

/**
 * Envoy refuses expressions of more than 100 instructions, about a letter each, and with one of
 * them all that came in the same message. Policies name identities and hosts of up to 2048
 * characters.
 */
const RUNTIME: Json = { 're2.max_program_size.error_level': 32_768 };

/** The layer of runtime values that the control plane gives every Envoy of the mesh. */
const MESH_LAYER = 'mesh';
/** Envoy asks for nothing else before it has them, or so much time has passed. */
const MESH_LAYER_WAIT = '2s';

/**
 * The bootstrap of an Envoy in protobuf's JSON form (envoy.config.bootstrap.v3.Bootstrap): who it
 * is, where xDS and SDS are, and nothing that opens a TCP port. Holds no secret.
 */
export function buildBootstrap(options: BootstrapOptions): Json {
  return {
    node: buildNode(options),
    admin: { address: { pipe: { path: options.adminSocket, mode: OWNER_ONLY } } },
    dynamic_resources: {
      lds_config: fromAds(),
      cds_config: fromAds(),
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [
          {
            envoy_grpc: {
              cluster_name: 'xds-grpc',
              retry_policy: {
                retry_back_off: { base_interval: '0.2s', max_interval: RECONNECT_MAX },
              },
            },
          },
        ],
      },
    },
    static_resources: { clusters: [xdsCluster(options), sdsCluster(options.sdsSocket)] },
    layered_runtime: {
      layers: [
        { name: 'static', static_layer: RUNTIME },
        {
          name: MESH_LAYER,
          rtds_layer: {
            name: MESH_LAYER,
            rtds_config: { ...fromAds(), initial_fetch_timeout: MESH_LAYER_WAIT },
          },
        },
      ],
    },
    deferred_stat_options: { enable_deferred_creation_stats: true },
    overload_manager: {
      resource_monitors: [
        {
          name: 'envoy.resource_monitors.global_downstream_max_connections',
          typed_config: {
            '@type': `${EXTENSIONS}.${CONNECTIONS_CONFIG}`,
            max_active_downstream_connections: CONNECTIONS_MAX,
          },
        },
      ],
    },
    bootstrap_extensions: [
      {
        name: 'envoy.bootstrap.internal_listener',
        typed_config: {
          '@type': `${EXTENSIONS}.bootstrap.internal_listener.v3.InternalListener`,
        },
      },
    ],
  };
}

/**
 * The name of a workload's Envoy, as Istio writes it:
 * `sidecar~<ip>~<name>.<namespace>~<namespace>.svc.<domain>`; `router~…` for a gateway.
 */
export function nodeId({
  workload,
  clusterDomain,
}: Pick<BootstrapOptions, 'workload' | 'clusterDomain'>): string {
  const { name, namespace, addresses, mode } = workload;
  const kind = mode === 'gateway' ? 'router' : 'sidecar';
  const host = `${name}.${namespace}`;
  return `${kind}~${addresses[0] ?? LOOPBACK}~${host}~${namespace}.svc.${clusterDomain}`;
}

function buildNode(options: BootstrapOptions): Json {
  const { workload, ports } = options;
  const { name, namespace, serviceAccount, addresses, labels, group, mode, bindAddress } = workload;
  return {
    id: nodeId(options),
    cluster: `${labels.app ?? name}.${namespace}`,
    metadata: {
      NAME: name,
      NAMESPACE: namespace,
      SERVICE_ACCOUNT: serviceAccount,
      LABELS: labels,
      INSTANCE_IPS: addresses.join(','),
      INTERCEPTION_MODE: mode === 'explicit' ? 'NONE' : 'REDIRECT',
      ...(bindAddress === undefined ? {} : { BULWARK_BIND_ADDRESS: bindAddress }),
      BULWARK_AGENT_SOCKET: options.sdsSocket,
      BULWARK_HOLD_SOCKET: options.holdSocket,
      ...(group === undefined ? {} : { AUTO_REGISTER_GROUP: group }),
      ...(ports === undefined ? {} : { BULWARK_EXPLICIT: ports }),
    },
  };
}

/** No time-out: an Envoy that was never configured must not call itself ready. */
function fromAds(): Json {
  return { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' };
}

/**
 * Mutual TLS with the workload's own certificate; the server must have its DNS name and our root.
 */
function xdsCluster({ discoveryAddress, discoveryServerName }: BootstrapOptions): Json {
  const { host, port } = splitAddress(discoveryAddress);
  return {
    name: 'xds-grpc',
    type: isIP(host) === 0 ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '5s',
    load_assignment: endpoint('xds-grpc', { socket_address: { address: host, port_value: port } }),
    // A dead server is noticed in half a minute, also when its machine just vanished.
    ...http2({ connection_keepalive: { interval: '20s', timeout: '10s' } }),
    upstream_connection_options: { tcp_keepalive: { keepalive_time: 30 } },
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': `${EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext`,
        sni: discoveryServerName,
        common_tls_context: {
          alpn_protocols: ['h2'],
          tls_params: { tls_minimum_protocol_version: 'TLSv1_2' },
          tls_certificate_sds_secret_configs: [fromSds(WORKLOAD_SECRET_NAME)],
          combined_validation_context: {
            default_validation_context: {
              match_typed_subject_alt_names: [
                { san_type: 'DNS', matcher: { exact: discoveryServerName } },
              ],
            },
            validation_context_sds_secret_config: fromSds(ROOT_SECRET_NAME),
          },
        },
      },
    },
  };
}

function sdsCluster(sdsSocket: string): Json {
  return {
    name: 'sds-grpc',
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: endpoint('sds-grpc', { pipe: { path: sdsSocket } }),
    ...http2({}),
  };
}

function fromSds(name: string): Json {
  return {
    name,
    sds_config: {
      resource_api_version: 'V3',
      initial_fetch_timeout: '0s',
      api_config_source: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }],
      },
    },
  };
}

function endpoint(name: string, address: Json): Json {
  return { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
}

function http2(options: Json): Json {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: options },
      },
    },
  };
}

/**
 * HOST:PORT in two, an IPv6 address without its brackets; was checked when the settings were read.
 */
function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return {
    host: address.slice(0, at).replace(/^\[|\]$/g, ''),
    port: Number(address.slice(at + 1)),
  };
}
