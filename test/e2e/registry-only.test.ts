// What of the world outside can be called, with real Envoys and real redirection.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { askFrom, RedirectedMesh, sendFrom } from '../kit/redirected-mesh.ts';
import { hasRoot } from '../kit/redirected-proxy.ts';

/** `10.88.0.2` is outside of the mesh; only this host and this TCP port of it are declared. */
const DECLARED = `
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
`;

type Policy = MeshSettings['outboundTraffic'];

/** Calls what is declared and what is not; `others`: whether what is not can be called, too. */
async function check(t: TestContext, outboundTraffic: Policy, others: boolean): Promise<void> {
  const mesh = new RedirectedMesh(t, DECLARED, { outboundTraffic });
  const { pod: caller } = await mesh.add('web', 'caller');
  const outside = mesh.addOutside();
  await outside.serve('http', 'outside', '80');
  await outside.serve('http', 'outside', '8080');
  for (const port of ['9000', '9001']) await outside.serve('tcp', port);
  const get = (port: number, host: string): number =>
    askFrom(caller, `http://10.88.0.2:${port}/`, host).status;
  const echoed = (port: string): boolean => sendFrom(caller, '10.88.0.2', port) === 'hello';
  assert.equal(get(80, 'known.example.com'), 200);
  assert.equal(get(80, 'unknown.example.com'), others ? 200 : 502);
  assert.equal(get(8080, 'known.example.com'), others ? 200 : 0);
  assert.equal(echoed('9000'), true);
  assert.equal(echoed('9001'), others);
}

const LIMITS = { timeout: 240_000 };

test('REGISTRY_ONLY: what is declared can be called, nothing else', LIMITS, async (t) => {
  if (hasRoot(t)) await check(t, 'REGISTRY_ONLY', false);
});

test('ALLOW_ANY: what is not declared can be called, too', LIMITS, async (t) => {
  if (hasRoot(t)) await check(t, 'ALLOW_ANY', true);
});
