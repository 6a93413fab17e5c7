// Open TCP connections of redirected workloads end when their policy changes, silent ones too, and
// also on a port that no service names.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { HeldPorts } from '#agent/envoy/held-ports.ts';
import { silentLogger } from '#base/log.ts';
import { BACKEND, RedirectedMesh, sendFrom } from '../kit/redirected-mesh.ts';
import { hasRoot } from '../kit/redirected-proxy.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const NAMED = '9000';
const UNNAMED = '9001';

const denyOn = (port: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: on-${port}, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ['${port}'] } }] }] }
`;

test('open connections to a redirected workload', { timeout: 240_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const socket = join(temporaryDirectory(t), 'hold.sock');
  const held = new HeldPorts(socket, { log: silentLogger });
  t.after(() => held.close());
  await held.start();
  const mesh = new RedirectedMesh(t, BACKEND);
  const { pod: caller } = await mesh.add('web', 'caller');
  const { pod: backend, envoy } = await mesh.add('shop', 'backend', socket);
  for (const port of [NAMED, UNNAMED]) await backend.serve('tcp', port);
  const keep = async (port: string) => {
    const state = { isOpen: true };
    const { ended } = await caller.serve('keep', backend.address, port, 'hello');
    void ended.then(() => {
      state.isOpen = false;
    });
    return state;
  };
  const [named, unnamed] = [await keep(NAMED), await keep(UNNAMED)];

  await t.test('end with their policy, silent as they are, and those to others go on', async () => {
    mesh.put(denyOn(NAMED));
    await waitUntil(() => !named.isOpen, 'it is closed');
    await waitUntil(() => sendFrom(caller, backend.address, NAMED) === '', 'new ones are refused');
    assert.equal(unnamed.isOpen, true);
  });

  await t.test('to a port without a name end with its policy, too', async () => {
    mesh.put(denyOn(UNNAMED));
    await waitUntil(() => !unnamed.isOpen, 'it is closed');
    assert.equal(await envoy.stat('listener_manager.lds.update_rejected'), 0);
  });
});
