import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TYPE_URL } from '#xds/resource.ts';
import { type TestMesh, testMesh, testProxy } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';
import { resourceJson } from '../../../test/kit/xds-json.ts';

const SERVICE = objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: app, namespace: default }
spec:
  selector: { app: app }
  ports: [{ name: http, port: 80 }, { name: tcp, port: 81 }, { name: unnamed, port: 82 }]
`);

const denyOn = (port: number) =>
  objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: on-${port}, namespace: default }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ['${port}'] } }] }] }
`);

const REVOCATION = objectsOf(`
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: gone, uid: 7e9f3c0a-7f0c-4c86-9c5e-000000000001 }
spec: { identity: spiffe://cluster.local/ns/default/sa/gone }
`);

const EXPLICIT = {
  labels: { app: 'app' },
  interception: 'explicit' as const,
  explicit: {
    inboundAddress: '127.0.0.1',
    inbound: [
      { name: 'http', port: 80, listen: 20001 },
      { name: 'tcp', port: 81, listen: 20002 },
      { name: 'unnamed', port: 82, listen: 20003 },
    ],
    httpProxyPort: 20004,
    upstreams: [],
  },
};
const PROXY = testProxy({ ...EXPLICIT, holdSocket: '/run/hold.sock' });

function clustersOf(mesh: TestMesh, proxy = PROXY): Map<string, Record<string, unknown>> {
  const found = mesh.generator.snapshotFor(proxy, mesh.model.snapshot()).get(TYPE_URL.cluster);
  return new Map(
    [...(found ?? [])].map(([name, cluster]) => [
      name,
      resourceJson(cluster) as Record<string, unknown>,
    ]),
  );
}

/** The cluster that stands for the policy of a port. */
const policyOf = (mesh: TestMesh, port: number): string | undefined =>
  [...clustersOf(mesh).keys()].find((name) => name.startsWith(`policy|${port}|`));

describe('ports whose open connections end with their policy', () => {
  it('are those that may carry something else than HTTP', () => {
    const clusters = clustersOf(testMesh(SERVICE));
    const held = [80, 81, 82].map((port) => clusters.get(`inbound|${port}||`)?.health_checks);
    assert.deepEqual(
      held.map((checks) => checks !== undefined),
      [false, true, true],
    );
  });

  it('are none where no agent says that it holds them', () => {
    for (const proxy of [testProxy(EXPLICIT), testProxy({ labels: { app: 'app' } })]) {
      const clusters = [...clustersOf(testMesh(SERVICE), proxy)];
      assert.ok(clusters.some(([name]) => name.startsWith('inbound|')));
      for (const [name, cluster] of clusters) {
        assert.ok(!name.startsWith('policy|') && !name.startsWith('gate|'), name);
        assert.equal(cluster.health_checks, undefined, name);
      }
    }
  });

  it('are behind gates where connections are redirected, those that nobody names too', () => {
    const proxy = testProxy({ labels: { app: 'app' }, holdSocket: '/run/hold.sock' });
    const clusters = clustersOf(testMesh(SERVICE), proxy);
    const held = [...clusters].filter(([, cluster]) => cluster.health_checks !== undefined);
    assert.deepEqual(
      held.map(([name]) => name.replace(/[\w-]{16}$/, 'VERSION')).sort(),
      [0, 81, 82].flatMap((port) => [`gate|${port}`, `policy|${port}|VERSION`]).sort(),
    );
  });

  it('have a new cluster for a new policy, and the cluster to the application stays', () => {
    const mesh = testMesh(SERVICE);
    const before = policyOf(mesh, 81);
    const other = policyOf(mesh, 82);
    const cluster = clustersOf(mesh).get('inbound|81||');
    mesh.put(...denyOn(81));
    assert.notEqual(policyOf(mesh, 81), before);
    assert.equal(policyOf(mesh, 82), other);
    assert.deepEqual(clustersOf(mesh).get('inbound|81||'), cluster);
    mesh.remove(...denyOn(81));
    assert.equal(policyOf(mesh, 81), before);
  });

  it('are given up when somebody is revoked', () => {
    const mesh = testMesh(SERVICE);
    const before = policyOf(mesh, 81);
    mesh.put(...REVOCATION);
    assert.notEqual(policyOf(mesh, 81), before);
  });
});
