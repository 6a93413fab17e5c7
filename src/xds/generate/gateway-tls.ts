import { create } from '@bufbuild/protobuf';
import {
  type DownstreamTlsContext,
  DownstreamTlsContextSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { GatewayTls } from '#policy/tls/gateway-tls.ts';
import { CREDENTIAL } from '#xds/generate/naming.ts';
import type { Init } from '#xds/generate/proto-values.ts';
import { subjectAltName } from '#xds/generate/san-matcher.ts';
import { agentFile, agentSecret, fromControlPlane } from '#xds/generate/sds-source.ts';

type Common = NonNullable<Init<typeof DownstreamTlsContextSchema>['commonTlsContext']>;

/** TLS as the server of a gateway ends it. */
export function gatewayTlsContext(
  tls: GatewayTls,
  alpn: readonly string[] = ['h2', 'http/1.1'],
): DownstreamTlsContext {
  return create(DownstreamTlsContextSchema, {
    requireClientCertificate: tls.callersProveThemselves,
    commonTlsContext: {
      alpnProtocols: [...alpn],
      tlsCertificateSdsSecretConfigs: certificatesOf(tls),
      ...validationOf(tls),
    },
  });
}

function certificatesOf({ certificates }: GatewayTls) {
  switch (certificates.from) {
    case 'workload':
      return [agentSecret('default')];
    case 'secrets':
      return certificates.names.map((name) => fromControlPlane(CREDENTIAL.keyPair(name)));
    case 'files':
      return certificates.pairs.map(({ certificate, privateKey }) =>
        agentFile(`file-cert:${certificate}~${privateKey}`),
      );
  }
}

function validationOf(tls: GatewayTls): Pick<Common, 'validationContextType'> {
  const { callers, subjectAltNames, caCrl } = tls;
  const names = {
    matchTypedSubjectAltNames: subjectAltNames.map(subjectAltName),
    ...(caCrl && { crl: { specifier: { case: 'filename' as const, value: caCrl } } }),
  };
  if (callers.by === 'nothing') {
    if (subjectAltNames.length === 0 || tls.certificates.from !== 'secrets') return {};
    return { validationContextType: { case: 'validationContext', value: names } };
  }
  const value = {
    defaultValidationContext: names,
    validationContextSdsSecretConfig: rootsOf(callers),
  };
  return { validationContextType: { case: 'combinedValidationContext', value } };
}

function rootsOf(callers: Exclude<GatewayTls['callers'], { readonly by: 'nothing' }>) {
  switch (callers.by) {
    case 'mesh':
      return agentSecret('ROOTCA');
    case 'secret':
      return fromControlPlane(CREDENTIAL.roots(callers.name));
    case 'file':
      return agentFile(`file-root:${callers.path}`);
  }
}
