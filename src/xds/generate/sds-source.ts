import { create } from '@bufbuild/protobuf';
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  type ConfigSourceSchema,
} from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { duration, type Init } from '#xds/generate/proto-values.ts';

/**
 * A secret of the agent. Written exactly as in Envoy's bootstrap, so that Envoy shares one
 * subscription; no time-out, so that a port opens when its certificate is there and not before.
 */
export function agentSecret(name: 'default' | 'ROOTCA' | 'FEDERATED_ROOTCA'): SdsSecretConfig {
  return fromAgent(name, { initialFetchTimeout: duration(0) });
}

/**
 * A file that the agent reads and watches, by the names that Istio's agent knows. Not read by Envoy
 * itself: it would refuse the whole cluster while the file is not there. Until the agent has it,
 * connections fail.
 */
export function agentFile(name: `file-root:${string}` | `file-cert:${string}`): SdsSecretConfig {
  return fromAgent(name, {});
}

/**
 * A Secret of the client's namespace, as the control plane serves it: `kubernetes://<name>`, the
 * name that Istio gives it.
 */
export function fromControlPlane(name: string): SdsSecretConfig {
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
