import { isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import {
  type TransportSocket,
  TransportSocketSchema,
} from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  type ConfigSourceSchema,
} from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import { RawBufferSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import {
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanType,
  SubjectAltNameMatcherSchema,
  type TlsParameters,
  TlsParameters_TlsProtocol,
  TlsParametersSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { ServerNames } from '#policy/tls/server-names.ts';
import type { TlsOrigination } from '#policy/tls/upstream-tls.ts';
import { CLUSTER_NAMES, CREDENTIAL } from '#xds/generate/naming.ts';
import { duration, type Init, typedConfig } from '#xds/generate/proto-values.ts';

/**
 * Application protocols that proxies of the mesh offer each other, so that a server can tell HTTP
 * from TCP.
 */
export const MESH_ALPN = {
  http: ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'],
  tcp: ['istio-peer-exchange', 'istio'],
} as const;

const TLS_SOCKET = 'envoy.transport_sockets.tls';

/** TLS 1.2 with forward secrecy and authenticated encryption, or TLS 1.3. */
const PARAMETERS: TlsParameters = create(TlsParametersSchema, {
  tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2,
  tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
  cipherSuites: [
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
  ],
});

/**
 * A secret of the agent. Written exactly as in Envoy's bootstrap, so that Envoy shares one
 * subscription; no time-out, so that a port opens when its certificate is there and not before.
 */
function agentSecret(name: 'default' | 'ROOTCA' | 'FEDERATED_ROOTCA'): SdsSecretConfig {
  return fromAgent(name, { initialFetchTimeout: duration(0) });
}

/**
 * A file that the agent reads and watches, by the names that Istio's agent knows. Not read by Envoy
 * itself: it would refuse the whole cluster while the file is not there. Until the agent has it,
 * connections fail.
 */
function agentFile(name: `file-root:${string}` | `file-cert:${string}`): SdsSecretConfig {
  return fromAgent(name, {});
}

/**
 * A Secret of the client's namespace, as the control plane serves it: `kubernetes://<name>`, the
 * name that Istio gives it.
 */
function fromControlPlane(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, {
    name,
    sdsConfig: {
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: { case: 'ads', value: {} },
    },
  });
}

function fromAgent(name: string, config: Init<typeof ConfigSourceSchema>): SdsSecretConfig {
  return create(SdsSecretConfigSchema, {
    name,
    sdsConfig: {
      ...config,
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: {
        case: 'apiConfigSource',
        value: {
          apiType: ApiConfigSource_ApiType.DELTA_GRPC,
          transportApiVersion: ApiVersion.V3,
          setNodeOnFirstMessageOnly: true,
          grpcServices: [
            {
              targetSpecifier: { case: 'envoyGrpc', value: { clusterName: CLUSTER_NAMES.sds } },
            },
          ],
        },
      },
    },
  });
}

/** Whom a side of mutual TLS takes, and by which roots. */
interface Peers {
  readonly names: readonly SubjectAltNameMatcher[];
  /** By the roots of each peer's own trust domain, because some are of others. */
  readonly areFederated: boolean;
}

/** The workload's own certificate, and the mesh's roots with `names` as the only ones accepted. */
function meshContext({ names, areFederated }: Peers, alpn: readonly string[]): CommonTlsContext {
  return create(CommonTlsContextSchema, {
    tlsParams: PARAMETERS,
    alpnProtocols: [...alpn],
    tlsCertificateSdsSecretConfigs: [agentSecret('default')],
    validationContextType: {
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: { matchTypedSubjectAltNames: [...names] },
        validationContextSdsSecretConfig: agentSecret(areFederated ? 'FEDERATED_ROOTCA' : 'ROOTCA'),
      },
    },
  });
}

function uri(pattern: { readonly case: 'exact' | 'prefix'; readonly value: string }) {
  return create(SubjectAltNameMatcherSchema, {
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: { matchPattern: pattern },
  });
}

/** Trust domains whose identities may call. */
export interface CallerDomains {
  /** Those of the mesh. */
  readonly own: readonly string[];
  readonly federated: readonly string[];
}

/** Mutual TLS as a server: the caller must show a certificate of one of the trust domains. */
export function serverTls(
  { own, federated }: CallerDomains,
  alpn: readonly string[],
): TransportSocket {
  const callers = [...own, ...federated].map((trustDomain) =>
    uri({ case: 'prefix', value: `spiffe://${trustDomain}/` }),
  );
  return create(TransportSocketSchema, {
    name: TLS_SOCKET,
    configType: typedConfig(DownstreamTlsContextSchema, {
      requireClientCertificate: true,
      commonTlsContext: meshContext({ names: callers, areFederated: federated.length > 0 }, alpn),
    }),
  });
}

/** Whom a client calls. */
export interface MeshServer {
  readonly names: ServerNames;
  /** Whether some of the names are of federated trust domains. */
  readonly isFederated: boolean;
  readonly sni: string;
}

/** Mutual TLS as a client: the server must be one of `names`. */
export function meshClientTls(
  { names, isFederated, sni }: MeshServer,
  alpn: readonly string[],
): TransportSocket {
  const matchers = [
    ...names.ids.map(subjectAltName),
    ...names.idPrefixes.map((value) => uri({ case: 'prefix', value })),
  ];
  return create(TransportSocketSchema, {
    name: TLS_SOCKET,
    configType: typedConfig(UpstreamTlsContextSchema, {
      sni,
      commonTlsContext: meshContext({ names: matchers, areFederated: isFederated }, alpn),
    }),
  });
}

/** TLS to servers outside of the mesh's identities. */
export function originatedTls(tls: TlsOrigination, alpn: readonly string[]): TransportSocket {
  return create(TransportSocketSchema, {
    name: TLS_SOCKET,
    configType: typedConfig(UpstreamTlsContextSchema, {
      sni: tls.sni,
      commonTlsContext: {
        tlsParams: PARAMETERS,
        alpnProtocols: [...alpn],
        tlsCertificateSdsSecretConfigs: clientCertificate(tls),
        ...(tls.verifiesServer && {
          validationContextType: {
            case: 'combinedValidationContext',
            value: {
              defaultValidationContext: {
                matchTypedSubjectAltNames: tls.subjectAltNames.map(subjectAltName),
                ...(tls.caCrl && { crl: file(tls.caCrl) }),
              },
              validationContextSdsSecretConfig: tls.credential
                ? fromControlPlane(CREDENTIAL.roots(tls.credential))
                : agentFile(`file-root:${tls.caCertificates ?? 'system'}`),
            },
          },
        }),
      },
    }),
  });
}

function clientCertificate({
  clientCertificate: client,
  credential = '',
}: TlsOrigination): SdsSecretConfig[] {
  if (!client) return [];
  if (client === 'credential') return [fromControlPlane(CREDENTIAL.keyPair(credential))];
  return [agentFile(`file-cert:${client.certificate}~${client.privateKey}`)];
}

/** No TLS. */
export const PLAINTEXT: TransportSocket = create(TransportSocketSchema, {
  name: 'envoy.transport_sockets.raw_buffer',
  configType: typedConfig(RawBufferSchema, {}),
});

/** A name as users write it: a SPIFFE id or other URI, an IP address, or a DNS name. */
function subjectAltName(name: string): SubjectAltNameMatcher {
  const sanType = name.includes('://')
    ? SubjectAltNameMatcher_SanType.URI
    : isIP(name) === 0
      ? SubjectAltNameMatcher_SanType.DNS
      : SubjectAltNameMatcher_SanType.IP_ADDRESS;
  return create(SubjectAltNameMatcherSchema, {
    sanType,
    matcher: { matchPattern: { case: 'exact', value: name } },
  });
}

function file(filename: string) {
  return { specifier: { case: 'filename' as const, value: filename } };
}
