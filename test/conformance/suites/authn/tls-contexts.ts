import { fromBinary, toJson } from '@bufbuild/protobuf';
import { SdsSecretConfigSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DownstreamTlsContextSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { DEFAULT_TLS_LIMITS } from '#model/tls-limits.ts';
import { gatewayTls, type ServerTls } from '#policy/tls/gateway-tls.ts';
import { gatewayTlsContext } from '#xds/generate/gateway-tls.ts';
import { agentFile, agentSecret } from '#xds/generate/sds-source.ts';
import { serverTls } from '#xds/generate/tls-context.ts';
import { jsonDifference } from '../../json-difference.ts';
import { tlsDifference } from '../../tls-difference.ts';
import type { AuthnCheck } from './row.ts';

/** What a port of a workload asks of callers of these trust domains. */
export function serverContext(trustDomains: readonly string[]) {
  const { configType } = serverTls(
    { own: trustDomains, federated: [] },
    [],
    DEFAULT_TLS_LIMITS.mesh,
  );
  if (configType.case !== 'typedConfig') throw new Error('a socket without its context');
  const context = fromBinary(DownstreamTlsContextSchema, configType.value.value);
  return toJson(DownstreamTlsContextSchema, context) as Readonly<Record<string, unknown>>;
}

interface CommonFields {
  readonly node: { readonly metadata: object };
  readonly trustDomainAliases?: readonly string[];
  readonly expected: unknown;
}

const commonContext: AuthnCheck = ({ fields }) => {
  const { node, trustDomainAliases = [], expected } = fields as unknown as CommonFields;
  if (Object.keys(node.metadata).length > 0)
    return 'a proxy has its identity from its agent, never from files that its metadata names';
  const { tlsParams: _, ...common } = serverContext(trustDomainAliases).commonTlsContext as {
    readonly tlsParams?: unknown;
  };
  return tlsDifference(expected, common);
};

/** A secret of the agent. */
const secretOfAgent: AuthnCheck = ({ fields }) => {
  const { secretName = '', expected = null } = fields as {
    readonly secretName?: string;
    readonly expected?: unknown;
  };
  if (secretName === '') return tlsDifference(expected, null);
  const isOwn = secretName === 'default' || secretName === 'ROOTCA';
  // Others than a proxy's own are files; what is around the name is the same for any.
  const config = isOwn ? agentSecret(secretName) : agentFile(secretName as 'file-root:');
  return tlsDifference(expected, toJson(SdsSecretConfigSchema, config));
};

interface CredentialFields {
  readonly name?: string;
  readonly tlsOpts?: ServerTls;
  readonly credentialSocketExist?: boolean;
  readonly expected?: unknown;
  readonly expectedCertCount?: number;
  readonly expectedValidation?: boolean;
  readonly expectedValidationType?: string;
}

/** A Secret of the API by a `credentialName`. */
const credential: AuthnCheck = ({ fields }) => {
  const { name: credentialName = '', expected = null } = fields as CredentialFields;
  const { commonTlsContext } = gatewayTlsContext(gatewayTls({ credentialName }));
  const [config] = commonTlsContext?.tlsCertificateSdsSecretConfigs ?? [];
  const isSecret = credentialName !== '' && config !== undefined;
  return tlsDifference(expected, isSecret ? toJson(SdsSecretConfigSchema, config) : null);
};

const credentials: AuthnCheck = ({ fields }) => {
  const { tlsOpts = {}, credentialSocketExist, ...expected } = fields as CredentialFields;
  if (credentialSocketExist) return 'not built: secrets by a socket beside the proxy';
  const { expectedCertCount = 0, expectedValidation = false, expectedValidationType } = expected;
  const { commonTlsContext } = gatewayTlsContext(gatewayTls(tlsOpts));
  const { case: validation } = commonTlsContext?.validationContextType ?? {};
  const certificates = commonTlsContext?.tlsCertificateSdsSecretConfigs.length;
  const type = (expectedValidationType ?? '').toLowerCase();
  return (
    jsonDifference(expectedCertCount, certificates, 'certificates') ??
    jsonDifference(expectedValidation, validation !== undefined, 'validation') ??
    (validation?.toLowerCase().includes(type) === false ? `validation by ${validation}` : undefined)
  );
};

/** Rows about the TLS of the ports of a workload, and where its secrets come from. */
export const TLS_CONTEXT_CHECKS: Readonly<Record<string, AuthnCheck>> = {
  TestApplyToCommonTLSContext: commonContext,
  TestConstructSdsSecretConfig: secretOfAgent,
  TestConstructSdsSecretConfigForCredential: credential,
  TestApplyCredentialSDSToServerCommonTLSContext: credentials,
};
