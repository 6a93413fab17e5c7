// The gate of servers that speak first, where traffic is redirected: connections keep their way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { type Pod, PodNetwork } from '../kit/pod-network.ts';
import { hasRoot, startRedirectedProxy } from '../kit/redirected-proxy.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const GREETING = '220 ready';

/** `10.88.0.1` and `.2` call, `.3` serves. */
const OBJECTS = `
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec:
  clusterIP: 10.99.0.1
  selector: { app: db }
  ports: [{ name: mysql, port: 3306, targetPort: 3307 }]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: db-1, namespace: shop }
spec: { address: 10.88.0.3, labels: { app: db }, serviceAccount: db }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

const FRIENDS = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: db, namespace: shop }
spec: { rules: [{ from: [{ source: { serviceAccounts: [web/friend] } }] }] }
`;

test('a server that speaks first, redirected', { timeout: 90_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const network = new PodNetwork(t);
  const [friend, stranger, db] = [network.add(true), network.add(true), network.add(true)];
  const mesh = testMesh(objectsOf(OBJECTS));
  const authority = testAuthority();
  const proxy = (pod: Pod, namespace: string, name: string) =>
    startRedirectedProxy(
      t,
      { mesh, authority, pod },
      { namespace, serviceAccount: name, workloadName: `${name}-1` },
    );
  const publishers = [
    await proxy(friend, 'web', 'friend'),
    await proxy(stranger, 'web', 'stranger'),
    await proxy(db, 'shop', 'db'),
  ];
  await db.serve('greet', '3307', GREETING);
  const hears = (pod: Pod): string =>
    pod.call<{ answer: string }>('hear', '10.99.0.1', '3306', GREETING).answer;
  assert.deepEqual([hears(friend), hears(stranger)], [GREETING, GREETING]);
  mesh.put(...objectsOf(FRIENDS));
  for (const publish of publishers) publish();
  await waitUntil(() => hears(stranger) === '', 'the stranger hears nothing');
  await waitUntil(() => hears(friend) === GREETING, 'the friend is greeted');
  assert.deepEqual([hears(stranger), hears(friend), hears(stranger)], ['', GREETING, '']);
});
