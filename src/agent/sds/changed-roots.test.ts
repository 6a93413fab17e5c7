// Roots that stay are remembered for all workloads; whatever changes about them is pushed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { createAgentMetrics } from '#agent/metrics.ts';
import { SdsServer } from '#agent/sds/sds-server.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { GrpcTestClient } from '../../../test/kit/grpc-client.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const SECRET: WorkloadSecret = {
  identity: parseSpiffeId('spiffe://cluster.local/ns/a/sa/b'),
  privateKeyPem: new Secret('key'),
  chainPem: 'cert',
  rootsPem: 'roots 1',
  serial: '1',
  notBeforeAt: 0,
  notAfterAt: 1,
  obtainedAt: 0,
};

const CHANGES: readonly Partial<WorkloadSecret>[] = [
  {},
  { crlPem: 'lists 1' },
  { crlPem: 'lists 1', isLeafOnly: false },
  { crlPem: 'lists 2', isLeafOnly: false },
  { rootsPem: 'roots 2' },
];

it('pushes the roots anew when anything about them changes', async (t) => {
  const socketPath = join(temporaryDirectory(t), 'sds.sock');
  const deps = { log: silentLogger, metrics: createAgentMetrics(new Metrics()) };
  const server = new SdsServer({ socketPath }, { ...deps, clock: systemClock });
  t.after(() => server.close());
  await server.start();
  const client = new GrpcTestClient(t, `unix:${socketPath}`);
  const stream = client.stream('/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets');
  const send = (request: { resourceNamesSubscribe?: string[]; responseNonce?: string }): void => {
    const typeUrl = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
    const message = create(DeltaDiscoveryRequestSchema, { typeUrl, ...request });
    stream.send(toBinary(DeltaDiscoveryRequestSchema, message));
  };
  send({ resourceNamesSubscribe: ['ROOTCA'] });
  const versions = new Set<string | undefined>();
  for (const [index, change] of CHANGES.entries()) {
    server.publish({ ...SECRET, ...change });
    const bytes = await stream.message(index);
    const { resources, nonce } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    const [{ name, version } = {}] = resources;
    assert.equal(name, 'ROOTCA');
    versions.add(version);
    send({ responseNonce: nonce });
  }
  assert.equal(versions.size, CHANGES.length);
});
