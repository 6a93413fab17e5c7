// Policies of both APIs, port by port, at the one inbound listener of redirected traffic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../kit/pod-network.ts';
import { askFrom, BACKEND, RedirectedMesh, sendFrom } from '../kit/redirected-mesh.ts';
import { hasRoot } from '../kit/redirected-proxy.ts';
import { waitUntil } from '../kit/wait-until.ts';

const OBJECTS = `${BACKEND}
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

test('peers in redirected mode', { timeout: 240_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const mesh = new RedirectedMesh(t, OBJECTS);
  const { pod: caller } = await mesh.add('web', 'caller');
  const { pod: backend } = await mesh.add('shop', 'backend');
  const outside = mesh.addOutside();
  await backend.serve('http', 'backend', '8080');
  await backend.serve('http', 'undeclared', '7070');
  await backend.serve('tcp', '9000');
  const get = (pod: Pod, url: string): number => askFrom(pod, url).status;
  /** What plaintext gets from the ports 8080, 7070 and 9000, and the mesh from 80 and 90. */
  const look = () => ({
    plain: [
      get(outside, 'http://10.88.0.2:8080/'),
      get(outside, 'http://10.88.0.2:7070/'),
      sendFrom(outside, '10.88.0.2', '9000'),
    ],
    mesh: [get(caller, 'http://10.99.0.1/'), sendFrom(caller, '10.99.0.1', '90')],
  });

  await t.test('a Policy opens a port by its name, the MeshPolicy closes all others', () => {
    assert.deepEqual(look(), { plain: [200, 0, ''], mesh: [200, 'hello'] });
  });

  await t.test('a PeerAuthentication opens another port, and leaves the rest to them', async () => {
    mesh.put(PORT_OPEN);
    await waitUntil(() => sendFrom(outside, '10.88.0.2', '9000') === 'hello', 'the port is open');
    assert.deepEqual(look(), { plain: [200, 0, 'hello'], mesh: [200, 'hello'] });
  });

  await t.test('a port that only a token may open lets nobody in', async () => {
    mesh.put(NOBODY);
    await waitUntil(() => get(outside, 'http://10.88.0.2:8080/') === 0, 'the port is closed');
    // Connections that callers of the mesh have open end first.
    await waitUntil(() => get(caller, 'http://10.99.0.1/') === 503, 'closed for the mesh, too');
    assert.deepEqual(look(), { plain: [0, 0, 'hello'], mesh: [503, 'hello'] });
  });
});
