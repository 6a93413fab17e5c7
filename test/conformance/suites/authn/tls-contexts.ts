import { fromBinary, toJson } from '@bufbuild/protobuf';
import { DownstreamTlsContextSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { DEFAULT_TLS_LIMITS } from '#model/tls-limits.ts';
import { serverTls } from '#xds/generate/tls-context.ts';
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

/** Rows about the TLS of the ports of a workload. */
export const TLS_CONTEXT_CHECKS: Readonly<Record<string, AuthnCheck>> = {
  TestApplyToCommonTLSContext: commonContext,
};
