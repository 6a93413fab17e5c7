import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createRegistry, fromBinary, toJson } from '@bufbuild/protobuf';
import { mixerCheckService } from '#agent/mixer/check-service.ts';
import { systemClock } from '#base/clock.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { TypedExtensionConfigSchema } from '#gen/envoy-api/envoy/config/core/v3/extension_pb.js';
import { ExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { RBACSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { agentConfigs } from '#xds/generate/authz/agent-configs.ts';
import { agentQuestion } from '#xds/generate/authz/agent-question.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { temporaryDirectory } from './temp-directory.ts';

const registry = createRegistry(ExtAuthzSchema, RBACSchema);

/** The filters that ask an agent what rules need, as JSON of an HTTP connection manager. */
export function agentFilters(authorization: WorkloadAuthorization): readonly unknown[] {
  return agentConfigs(agentQuestion(authorization), (port) => [port]).map(({ encoded }) => {
    const { value = new Uint8Array() } = fromBinary(ResourceSchema, encoded).resource ?? {};
    const { name, typedConfig } = toJson(
      TypedExtensionConfigSchema,
      fromBinary(TypedExtensionConfigSchema, value),
      { registry },
    ) as { name: string; typedConfig: { grpcService?: { timeout: string } } };
    // What is asked here counts, and not how busy the machine is.
    if (typedConfig.grpcService) typedConfig.grpcService.timeout = '10s';
    return { name, typed_config: typedConfig };
  });
}

/** What an agent answers at a unix socket, as a cluster of Envoy; ends with the test. */
export async function serveAgent(test: Pick<TestContext, 'after'>): Promise<unknown> {
  const path = join(temporaryDirectory(test), 'agent.sock');
  const server = new GrpcServer(
    { name: 'agent', listen: { path }, services: [mixerCheckService()], closeTimeoutMs: 200 },
    { log: silentLogger, clock: systemClock },
  );
  test.after(() => server.close());
  await server.start();
  return agentCluster(path);
}

/** The cluster of an agent at a unix socket. */
function agentCluster(path: string): unknown {
  const name = CLUSTER_NAMES.agent;
  const endpoint = { address: { pipe: { path } } };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}
