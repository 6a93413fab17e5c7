import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import type { GatewayServerTls } from '#api/kinds/gateway.ts';
import { GATEWAY_CIPHER_SUITES } from '#api/kinds/gateway-tls-rules.ts';
import {
  type TransportSocket,
  TransportSocketSchema,
} from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  TlsParameters_TlsProtocol,
  TlsParametersSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import { DownstreamTlsContextSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Credential } from '#policy/tls/credential.ts';
import { type GatewayTls, gatewayTls } from '#policy/tls/gateway-tls.ts';
import { gatewayTlsContext } from '#xds/generate/gateway-tls.ts';
import type { InboundContext } from '#xds/generate/inbound-chains.ts';
import { serverTls } from '#xds/generate/tls-context.ts';

type Versions = Pick<GatewayServerTls, 'minProtocolVersion' | 'maxProtocolVersion'>;

/** How a server of a gateway ends TLS. Plain JSON values. */
export type ServerTlsInput =
  /** As a workload of the mesh, for callers of the mesh. */
  | { readonly as: 'workload' }
  | {
      readonly as: 'server';
      readonly tls: GatewayTls;
      readonly versions: Versions;
      readonly cipherSuites: readonly string[];
      /** Hashes of keys and certificates, of which a caller must have one. */
      readonly pins: { readonly keys: readonly string[]; readonly certificates: readonly string[] };
    };

/**
 * How a server ends TLS; undefined = it cannot, because a Secret is not there or is no good. Such a
 * server takes no connection: Envoy would hold back every other one of the port as well, and one
 * without what callers are verified with would let anybody in.
 */
export function serverTlsInput(
  tls: GatewayServerTls,
  find: (name: string) => Credential,
): ServerTlsInput | undefined {
  const { mode } = tls;
  if (mode === 'ISTIO_MUTUAL') return { as: 'workload' };
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') return undefined;
  const { subjectAltNames = [], ...settings } = tls;
  const asks = mode !== 'SIMPLE';
  const meaning = gatewayTls({ ...settings, mode, ...(asks && { subjectAltNames }) });
  const { certificates, callers } = meaning;
  if (certificates.from === 'secrets') {
    if (certificates.names.some((name) => find(name).keyPair === undefined)) return undefined;
  }
  if (callers.by === 'secret' && find(callers.name).trust === undefined) return undefined;
  return {
    as: 'server',
    tls: meaning,
    versions: {
      ...(tls.minProtocolVersion && { minProtocolVersion: tls.minProtocolVersion }),
      ...(tls.maxProtocolVersion && { maxProtocolVersion: tls.maxProtocolVersion }),
    },
    cipherSuites: knownSuites(tls.cipherSuites ?? []),
    pins: {
      keys: asks ? (tls.verifyCertificateSpki ?? []) : [],
      certificates: asks ? (tls.verifyCertificateHash ?? []) : [],
    },
  };
}

/** The Secrets that a server names. */
export function credentialsOf(tls: GatewayServerTls | undefined): readonly string[] {
  const { credentialName, credentialNames = [], caCertCredentialName, mode } = tls ?? {};
  if (mode === undefined || mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH') return [];
  return [credentialName, ...credentialNames, caCertCredentialName].filter(
    (name) => name,
  ) as string[];
}

function knownSuites(suites: readonly string[]): readonly string[] {
  return [...new Set(suites)].filter((suite) => GATEWAY_CIPHER_SUITES.includes(suite));
}

const { TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3, TLS_AUTO } = TlsParameters_TlsProtocol;
const PROTOCOLS = {
  TLS_AUTO,
  TLSV1_0: TLSv1_0,
  TLSV1_1: TLSv1_1,
  TLSV1_2: TLSv1_2,
  TLSV1_3: TLSv1_3,
};

/** The transport socket of a server; of `isHttp`, the protocols of HTTP are offered. */
export function serverTlsSocket(
  input: ServerTlsInput,
  isHttp: boolean,
  { trustDomains, tls: limits }: Pick<InboundContext, 'trustDomains' | 'tls'>,
): TransportSocket {
  const alpn = isHttp ? ['h2', 'http/1.1'] : [];
  if (input.as === 'workload') return serverTls(trustDomains, alpn, limits);
  const { tls, versions, cipherSuites, pins } = input;
  const { minProtocolVersion = 'TLSV1_2', maxProtocolVersion = 'TLSV1_3' } = versions;
  const context = gatewayTlsContext(tls, alpn);
  const { commonTlsContext: common } = context;
  if (common) {
    common.tlsParams = create(TlsParametersSchema, {
      tlsMinimumProtocolVersion: PROTOCOLS[minProtocolVersion],
      tlsMaximumProtocolVersion: PROTOCOLS[maxProtocolVersion],
      cipherSuites: [...cipherSuites],
    });
    const { case: kind, value } = common.validationContextType;
    if (kind === 'combinedValidationContext' && value.defaultValidationContext) {
      value.defaultValidationContext.verifyCertificateSpki = [...pins.keys];
      value.defaultValidationContext.verifyCertificateHash = [...pins.certificates];
    }
  }
  return create(TransportSocketSchema, {
    name: 'envoy.transport_sockets.tls',
    configType: { case: 'typedConfig', value: anyPack(DownstreamTlsContextSchema, context) },
  });
}
