import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import type { AuditSettings } from '#model/mesh-settings.ts';
import { httpProtocolOptions } from '#xds/generate/http-protocol.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { socketAddress } from '#xds/generate/proto-values.ts';
import { encodeResource, TYPE_URL, type XdsSnapshot } from '#xds/resource.ts';
import { startEchoApp } from '../../test/kit/echo-app.ts';
import { ExplicitMesh } from '../../test/kit/explicit-workload.ts';
import { serveGrpc } from '../../test/kit/grpc-server.ts';
import { type TestMesh, testMesh } from '../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../test/kit/objects.ts';
import { exchange, openPeer } from '../../test/kit/peer-call.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import { cpuTimeOf } from '../cpu-time.ts';
import type { PairedProxy } from '../paired-cpu.ts';

const PATH = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';
const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';
const AUDIT = {
  numerator: { records: 'denied-and-audited', trafficPercent: 0 },
  denominator: { records: 'off', trafficPercent: 0 },
} as const satisfies Record<string, AuditSettings>;

/** What is denied tells which of the two is in force. */
const policy = (state: keyof typeof AUDIT) =>
  objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/denied, /${state}] } }] }] }
`);

const requestOf = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: backend\r\n\r\n`;

/**
 * A backend whose proxy streams records (numerator) or does not, and a service that takes them.
 * `/denied` is denied in both states.
 */
export async function startAuditedBackend(
  after: Pick<TestContext, 'after'>,
  { path, status }: { readonly path: string; readonly status: number },
): Promise<PairedProxy> {
  const { server } = await serveGrpc(after, { streams: { [PATH]: () => {} } });
  const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
  const meshOf = (state: keyof typeof AUDIT): TestMesh => {
    const mesh = testMesh([...objects, ...policy(state)], { audit: AUDIT[state] });
    const snapshotFor: typeof mesh.generator.snapshotFor = (...input) =>
      withCluster(mesh.generator.snapshotFor(...input), server.port);
    return { ...mesh, generator: { snapshotFor } as typeof mesh.generator };
  };
  const mesh = new ExplicitMesh(meshOf('denominator'), testAuthority());
  const http = await startEchoApp(after, 'backend');
  const backend = await mesh.start(after, { namespace: 'shop', name: 'backend', ports: { http } });
  const certificate = mesh.authority.issue({ uris: [CALLER] });
  const open = (): Socket =>
    openPeer({ port: backend.listenPort('http'), certificate, data: '' }).on('error', () => {});
  const registered = mesh.mesh.model.snapshot().workloads.in('shop');
  if (registered.length === 0) throw new Error('the backend is not registered');
  let caller: Socket | undefined;
  after.after(() => caller?.destroy());
  return {
    use: async (state) => {
      caller?.destroy();
      caller = undefined;
      backend.publish(meshOf(state));
      await waitUntil(async () => {
        const probe = open();
        const answer = await exchange(probe, requestOf(`/${state}`)).catch(() => 0);
        probe.destroy();
        return answer === 403;
      }, 'it is in force');
    },
    ask: async () => {
      caller ??= open();
      return (await exchange(caller, requestOf(path))) === status ? 200 : 0;
    },
    cpuUs: () => cpuTimeOf(backend.envoy.process.pid),
  };
}

/** The control plane, as the bootstrap of an agent has it. */
function withCluster(snapshot: XdsSnapshot, port: number): XdsSnapshot {
  const name = CLUSTER_NAMES.xds;
  const address = socketAddress('127.0.0.1', port);
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    typedExtensionProtocolOptions: httpProtocolOptions('http2'),
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address } } }] }],
    },
  });
  const resource = encodeResource(TYPE_URL.cluster, name, ClusterSchema, cluster);
  const clusters = new Map([...(snapshot.get(TYPE_URL.cluster) ?? []), [name, resource]]);
  return new Map([...snapshot, [TYPE_URL.cluster, clusters]]);
}
