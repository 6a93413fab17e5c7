import { create } from '@bufbuild/protobuf';
import {
  type TransportSocket,
  TransportSocketSchema,
} from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { RawBufferSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import type { SubjectAltNameMatcher } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { SdsSecretConfig } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { TlsLimits } from '#model/tls-limits.ts';
import type { ServerNames } from '#policy/tls/server-names.ts';
import type { TlsOrigination } from '#policy/tls/upstream-tls.ts';
import { federatedRootsName, type ServerRoots } from '#xds/generate/federated-roots.ts';
import { CREDENTIAL } from '#xds/generate/naming.ts';
import { typedConfig } from '#xds/generate/proto-values.ts';
import { subjectAltName, uriPrefix } from '#xds/generate/san-matcher.ts';
import { agentFile, agentSecret, fromControlPlane } from '#xds/generate/sds-source.ts';
import { tlsParameters } from '#xds/generate/tls-parameters.ts';

/**
 * Application protocols that proxies of the mesh offer each other, so that a server can tell HTTP
 * from TCP.
 */
export const MESH_ALPN = {
  http: ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'],
  tcp: ['istio-peer-exchange', 'istio'],
} as const;

const TLS_SOCKET = 'envoy.transport_sockets.tls';

/** Whom a side of mutual TLS takes, and by which roots. */
interface Peers {
  readonly names: readonly SubjectAltNameMatcher[];
  /** By the roots of each peer's own trust domain, where some are of others. */
  readonly roots: ServerRoots;
}

/** The workload's own certificate, and the mesh's roots with `names` as the only ones accepted. */
function meshContext(
  { names, roots }: Peers,
  alpn: readonly string[],
  limits: TlsLimits,
): CommonTlsContext {
  return create(CommonTlsContextSchema, {
    tlsParams: tlsParameters(limits),
    alpnProtocols: [...alpn],
    tlsCertificateSdsSecretConfigs: [agentSecret('default')],
    validationContextType: {
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: { matchTypedSubjectAltNames: [...names] },
        validationContextSdsSecretConfig: secretOf(roots),
      },
    },
  });
}

function secretOf(roots: ServerRoots): SdsSecretConfig {
  if (roots === 'own') return agentSecret('ROOTCA');
  if (roots === 'every') return agentSecret('FEDERATED_ROOTCA');
  return fromControlPlane(federatedRootsName(roots));
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
  limits: TlsLimits,
): TransportSocket {
  const callers = [...own, ...federated].map((trustDomain) =>
    uriPrefix(`spiffe://${trustDomain}/`),
  );
  return create(TransportSocketSchema, {
    name: TLS_SOCKET,
    configType: typedConfig(DownstreamTlsContextSchema, {
      requireClientCertificate: true,
      commonTlsContext: meshContext(
        { names: callers, roots: federated.length > 0 ? 'every' : 'own' },
        alpn,
        limits,
      ),
    }),
  });
}

/** Whom a client calls. */
export interface MeshServer {
  readonly names: ServerNames;
  readonly roots: ServerRoots;
  readonly sni: string;
}

/** Mutual TLS as a client: the server must be one of `names`. */
export function meshClientTls(
  { names, roots, sni }: MeshServer,
  alpn: readonly string[],
  limits: TlsLimits,
): TransportSocket {
  const matchers = [...names.ids.map(subjectAltName), ...names.idPrefixes.map(uriPrefix)];
  return create(TransportSocketSchema, {
    name: TLS_SOCKET,
    configType: typedConfig(UpstreamTlsContextSchema, {
      sni,
      commonTlsContext: meshContext({ names: matchers, roots }, alpn, limits),
    }),
  });
}

/** TLS to servers outside of the mesh's identities. */
export function originatedTls(
  tls: TlsOrigination,
  alpn: readonly string[],
  limits: TlsLimits,
): TransportSocket {
  return create(TransportSocketSchema, {
    name: TLS_SOCKET,
    configType: typedConfig(UpstreamTlsContextSchema, {
      sni: tls.sni,
      commonTlsContext: {
        tlsParams: tlsParameters(limits),
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

function file(filename: string) {
  return { specifier: { case: 'filename' as const, value: filename } };
}
