import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createFileRegistry, fromBinary, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { buildBootstrap } from '#agent/envoy/bootstrap.ts';
import { findEnvoy } from '#agent/envoy/find-envoy.ts';
import { BootstrapSchema } from '#gen/envoy-api/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const WORKLOAD: WorkloadOptions = {
  namespace: 'photo-ns',
  serviceAccount: 'photo-frontend',
  name: 'frontend',
  group: 'frontend-group',
  mode: 'explicit',
  addresses: ['127.0.0.1', '10.0.0.7'],
  labels: { app: 'photo' },
  ports: [{ name: 'http', port: 8080, listen: 0 }],
  upstreams: [],
  httpProxyPort: 0,
};

const PORTS = {
  inboundAddress: '127.0.0.1',
  inbound: [{ name: 'http', port: 8080, listen: 30001 }],
  httpProxyPort: 30002,
  upstreams: [],
};

const OPTIONS = {
  workload: WORKLOAD,
  ports: PORTS,
  discoveryAddress: '[::1]:15012',
  discoveryServerName: 'istiod.istio-system.svc',
  clusterDomain: 'cluster.local',
  sdsSocket: '/run/bulwark/sds.sock',
  holdSocket: '/run/bulwark/hold.sock',
  adminSocket: '/run/bulwark/admin.sock',
};

const registry = createFileRegistry(
  fromBinary(
    FileDescriptorSetSchema,
    readFileSync(new URL('../../../gen/envoy.binpb', import.meta.url)),
  ),
);

describe('the bootstrap of an Envoy', () => {
  it('is a message of the Envoy that we drive, without unknown fields', () => {
    const message = fromJson(BootstrapSchema, buildBootstrap(OPTIONS) as JsonValue, { registry });
    assert.equal(
      message.node?.id,
      'sidecar~127.0.0.1~frontend.photo-ns~photo-ns.svc.cluster.local',
    );
    assert.deepEqual(message.node?.metadata, {
      NAME: 'frontend',
      NAMESPACE: 'photo-ns',
      SERVICE_ACCOUNT: 'photo-frontend',
      LABELS: { app: 'photo' },
      INSTANCE_IPS: '127.0.0.1,10.0.0.7',
      INTERCEPTION_MODE: 'NONE',
      AUTO_REGISTER_GROUP: 'frontend-group',
      BULWARK_AGENT_SOCKET: '/run/bulwark/sds.sock',
      BULWARK_HOLD_SOCKET: '/run/bulwark/hold.sock',
      BULWARK_EXPLICIT: PORTS,
    });
    const names = message.staticResources?.clusters.map(({ name }) => name);
    assert.deepEqual(names, ['xds-grpc', 'sds-grpc']);
  });

  it('of a redirected workload has neither explicit ports nor a group it was not given', () => {
    const workload = { ...WORKLOAD, mode: 'redirect' as const, group: undefined };
    const bootstrap = buildBootstrap({ ...OPTIONS, workload, ports: undefined });
    const { metadata } = bootstrap.node as { metadata: Record<string, unknown> };
    assert.equal(metadata.INTERCEPTION_MODE, 'REDIRECT');
    assert.ok(!('BULWARK_EXPLICIT' in metadata) && !('AUTO_REGISTER_GROUP' in metadata));
  });

  it('opens no TCP port and holds no secret', () => {
    const text = JSON.stringify(buildBootstrap(OPTIONS));
    assert.deepEqual(text.match(/"address":"[^"]*"/g), ['"address":"::1"']);
    assert.match(text, /"pipe":\{"path":"\/run\/bulwark\/admin.sock","mode":384\}/);
    assert.doesNotMatch(text, /inline|PRIVATE|token/i);
  });

  it('is accepted by the real Envoy', async (t) => {
    const { path } = await findEnvoy({ envoyPath: undefined, searchPath: '' });
    const file = join(temporaryDirectory(t), 'envoy.json');
    const dns = { ...OPTIONS, discoveryAddress: 'localhost:15012' };
    for (const options of [OPTIONS, dns]) {
      writeFileSync(file, JSON.stringify(buildBootstrap(options)));
      execFileSync(path, ['--mode', 'validate', '-l', 'error', '-c', file], { stdio: 'pipe' });
    }
  });
});
