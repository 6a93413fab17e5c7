// Policies of both APIs, port by port, at the one inbound listener of redirected traffic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { type Pod, PodNetwork } from '../kit/pod-network.ts';
import { hasRoot, type PodAnswer, startRedirectedProxy } from '../kit/redirected-proxy.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** `10.88.0.1` calls, `.2` serves, `.3` is outside of the mesh. */
const OBJECTS = `
apiVersion: v1
kind: Service
metadata: { name: backend, namespace: shop }
spec:
  clusterIP: 10.99.0.1
  selector: { app: backend }
  ports:
    - { name: http, port: 80, targetPort: 8080 }
    - { name: tcp, port: 90, targetPort: 9000 }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: backend-1, namespace: shop }
spec: { address: 10.88.0.2, labels: { app: backend }, serviceAccount: backend }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: caller-1, namespace: web }
spec: { address: 10.88.0.1, labels: { app: caller }, serviceAccount: caller }
---
apiVersion: authentication.istio.io/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { peers: [{ mtls: {} }] }
---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: backend, namespace: shop }
spec:
  targets: [{ name: backend, ports: [{ name: http }] }]
  peers: [{ mtls: { mode: PERMISSIVE } }]
`;

const PORT_OPEN = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: backend, namespace: shop }
spec:
  selector: { matchLabels: { app: backend } }
  portLevelMtls: { 9000: { mode: DISABLE } }
`;

const NOBODY = `
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: backend, namespace: shop }
spec: { targets: [{ name: backend, ports: [{ number: 80 }] }], peers: [{ jwt: { issuer: a } }] }
`;

test('peers in redirected mode', { timeout: 120_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const network = new PodNetwork(t);
  const [caller, backend, outside] = [network.add(true), network.add(true), network.add(false)];
  const mesh = testMesh(objectsOf(OBJECTS));
  const authority = testAuthority();
  const proxy = (pod: Pod, namespace: string, name: string) =>
    startRedirectedProxy(
      t,
      { mesh, authority, pod },
      { namespace, serviceAccount: name, workloadName: `${name}-1` },
    );
  const publishers = [
    await proxy(caller, 'web', 'caller'),
    await proxy(backend, 'shop', 'backend'),
  ];
  const publish = (): void => {
    for (const one of publishers) one();
  };
  await backend.serve('http', 'backend', '8080');
  await backend.serve('http', 'undeclared', '7070');
  await backend.serve('tcp', '9000');
  const get = (pod: Pod, url: string): number => pod.call<PodAnswer>('get', url, '{}').status;
  const send = (pod: Pod, host: string, port: string): string =>
    pod.call<{ answer: string }>('send', host, port, 'hello').answer;
  /** What plaintext gets from the ports 8080, 7070 and 9000, and the mesh from 80 and 90. */
  const look = () => ({
    plain: [
      get(outside, 'http://10.88.0.2:8080/'),
      get(outside, 'http://10.88.0.2:7070/'),
      send(outside, '10.88.0.2', '9000'),
    ],
    mesh: [get(caller, 'http://10.99.0.1/'), send(caller, '10.99.0.1', '90')],
  });

  await t.test('a Policy opens a port by its name, the MeshPolicy closes all others', () => {
    assert.deepEqual(look(), { plain: [200, 0, ''], mesh: [200, 'hello'] });
  });

  await t.test('a PeerAuthentication opens another port, and leaves the rest to them', async () => {
    mesh.put(...objectsOf(PORT_OPEN));
    publish();
    await waitUntil(() => send(outside, '10.88.0.2', '9000') === 'hello', 'the port is open');
    assert.deepEqual(look(), { plain: [200, 0, 'hello'], mesh: [200, 'hello'] });
  });

  await t.test('a port that only a token may open lets nobody in', async () => {
    mesh.put(...objectsOf(NOBODY));
    publish();
    await waitUntil(() => get(outside, 'http://10.88.0.2:8080/') === 0, 'the port is closed');
    // Connections that callers of the mesh have open end first.
    await waitUntil(() => get(caller, 'http://10.99.0.1/') === 503, 'closed for the mesh, too');
    assert.deepEqual(look(), { plain: [0, 0, 'hello'], mesh: [503, 'hello'] });
  });
});
