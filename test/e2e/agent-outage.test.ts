// An agent whose authority is away for longer than its certificates live.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import { FakeControlPlane } from '../fakes/fake-control-plane.ts';
import { startAgent } from '../kit/agent.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { serviceYaml } from '../kit/mesh-objects.ts';
import { groupObject, objectsOf } from '../kit/objects.ts';
import { waitUntil } from '../kit/wait-until.ts';

const READY = { withinMs: 60_000 };
const CALL = { target: 'http://backend.web/' };

const SERVICE = objectsOf(serviceYaml('web', 'backend'));

test('an agent outlives its own certificates', { timeout: 240_000 }, async (t) => {
  const control = new FakeControlPlane(t, testMesh([...SERVICE, groupObject('web', 'caller')]));
  control.authority.lifetimeMs = 5000;
  await control.start();
  const port = await startEchoApp(t, 'backend');
  const ports = [{ name: 'http', port, listen: 0 }];
  const { agent, workload } = await startAgent(t, control, [
    { namespace: 'web', name: 'backend', ports },
    { namespace: 'web', name: 'caller' },
  ]);
  await agent.whenReady(READY);
  const client = new KeepAliveClient({ port: workload('caller').ports?.httpProxyPort ?? 0 });
  t.after(() => client.close());
  const isServed = async (): Promise<boolean> => (await client.ask(CALL)).status === 200;
  await waitUntil(isServed, 'the first answer');
  const { pid } = workload('caller').envoy;

  await t.test('says so when one expired while the authority was away', async () => {
    await control.stop();
    await waitUntil(() => !agent.status.ready, 'the expiry', READY);
    for (const name of ['backend', 'caller']) {
      await waitUntil(
        () => workload(name).unready?.reason === 'CertificateExpired',
        `the expiry of ${name}`,
        READY,
      );
    }
    const status = new EnvoyAdmin(agent.status.statusSocket);
    assert.equal((await status.get('/ready')).status, 503);
    assert.equal((await status.get('/healthz')).status, 200);
  });

  await t.test('gets a new one by itself once the authority is back', async () => {
    control.authority.lifetimeMs = 3_600_000;
    await control.start();
    await agent.whenReady(READY);
    await waitUntil(isServed, 'an answer', READY);
    assert.equal(workload('caller').envoy.pid, pid);
    assert.equal(workload('caller').envoy.restarts, 0);
  });
});
