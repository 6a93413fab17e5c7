// The gate of servers that speak first, where traffic is redirected: connections keep their way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kit/pod-network.ts';
import { RedirectedMesh } from '../kit/redirected-mesh.ts';
import { hasRoot } from '../kit/redirected-proxy.ts';
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

test('a server that speaks first, redirected', { timeout: 240_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const mesh = new RedirectedMesh(t, OBJECTS);
  const { pod: friend } = await mesh.add('web', 'friend');
  const { pod: stranger } = await mesh.add('web', 'stranger');
  const { pod: db } = await mesh.add('shop', 'db');
  await db.serve('greet', '3307', GREETING);
  const hears = (pod: Pod): string =>
    pod.call<{ answer: string }>('hear', '10.99.0.1', '3306', GREETING).answer;
  assert.deepEqual([hears(friend), hears(stranger)], [GREETING, GREETING]);
  mesh.put(FRIENDS);
  await waitUntil(() => hears(stranger) === '', 'the stranger hears nothing');
  await waitUntil(() => hears(friend) === GREETING, 'the friend is greeted');
  assert.deepEqual([hears(stranger), hears(friend), hears(stranger)], ['', GREETING, '']);
});
