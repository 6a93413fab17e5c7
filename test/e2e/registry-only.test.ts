// What of the world outside can be called, with real Envoys and real redirection.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { PodNetwork } from '../kit/pod-network.ts';
import { hasRoot, type PodAnswer, startRedirectedProxy } from '../kit/redirected-proxy.ts';
import { testAuthority } from '../kit/test-authority.ts';

/** `10.88.0.2` is outside of the mesh; only this host and this TCP port of it are declared. */
const DECLARED = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: known, namespace: web }
spec:
  hosts: [known.example.com]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 10.88.0.2 }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: known-tcp, namespace: web }
spec:
  hosts: [tcp.example.com]
  addresses: [10.88.0.2]
  resolution: STATIC
  ports: [{ number: 9000, name: tcp, protocol: TCP }]
  endpoints: [{ address: 10.88.0.2 }]
`);

type Policy = MeshSettings['outboundTraffic'];

/** Calls what is declared and what is not; `others`: whether what is not can be called, too. */
async function check(t: TestContext, outboundTraffic: Policy, others: boolean): Promise<void> {
  const network = new PodNetwork(t);
  const [caller, outside] = [network.add(true), network.add(false)];
  const mesh = testMesh(DECLARED, { outboundTraffic });
  const named = { namespace: 'web', serviceAccount: 'caller', workloadName: 'caller-1' };
  await startRedirectedProxy(t, { mesh, authority: testAuthority(), pod: caller }, named);
  await outside.serve('http', 'outside', '80');
  await outside.serve('http', 'outside', '8080');
  for (const port of ['9000', '9001']) await outside.serve('tcp', port);
  const get = (port: number, host: string): number =>
    caller.call<PodAnswer>('get', `http://10.88.0.2:${port}/`, JSON.stringify({ host })).status;
  const echoed = (port: string): boolean =>
    caller.call<{ answer: string }>('send', '10.88.0.2', port, 'hello').answer === 'hello';
  assert.equal(get(80, 'known.example.com'), 200);
  assert.equal(get(80, 'unknown.example.com'), others ? 200 : 502);
  assert.equal(get(8080, 'known.example.com'), others ? 200 : 0);
  assert.equal(echoed('9000'), true);
  assert.equal(echoed('9001'), others);
}

const LIMITS = { timeout: 90_000 };

test('REGISTRY_ONLY: what is declared can be called, nothing else', LIMITS, async (t) => {
  if (hasRoot(t)) await check(t, 'REGISTRY_ONLY', false);
});

test('ALLOW_ANY: what is not declared can be called, too', LIMITS, async (t) => {
  if (hasRoot(t)) await check(t, 'ALLOW_ANY', true);
});
