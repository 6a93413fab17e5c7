// Where traffic is redirected all ports share one listener: who came to which, and how, is told all
// the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionWatch } from '#agent/connections/connection-watch.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { mtlsView } from '#controlplane/mtls-view.ts';
import { ConnectionReports } from '#xds/serve/connection-reports.ts';
import type { Pod } from '../kit/pod-network.ts';
import { askFrom, BACKEND, RedirectedMesh, sendFrom } from '../kit/redirected-mesh.ts';
import { hasRoot } from '../kit/redirected-proxy.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** With `10.88.0.3` outside of the mesh. */
const OBJECTS = `${BACKEND}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: batch, namespace: legacy }
spec: { address: 10.88.0.3 }
`;

/** Of the older API, as the mode of the mesh. */
const mode = (name: string): string => `
apiVersion: authentication.istio.io/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { peers: [{ mtls: { mode: ${name} } }] }
`;

test('connections to a redirected workload', { timeout: 240_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const mesh = new RedirectedMesh(t, OBJECTS);
  const client = await mesh.add('web', 'caller');
  const backend = await mesh.add('shop', 'backend');
  const [caller, pod, outside] = [client.pod, backend.pod, mesh.addOutside()];
  const { envoy, proxy } = backend;
  await pod.serve('http', 'backend', '8080');
  await pod.serve('http', 'undeclared', '7070');
  await pod.serve('tcp', '9000');

  const watch = new ConnectionWatch(
    { intervalMs: 60_000, run: () => 1, onChange: () => {} },
    {
      admin: { get: async (path) => ({ status: 200, body: await envoy.admin(path) }) },
      clock: systemClock,
      log: silentLogger,
      metrics: createAgentMetrics(new Metrics()),
    },
  );
  const certificate = { serial: '1', authorityKeyId: undefined, notAfterAt: 0 };
  const reports = new ConnectionReports(systemClock);
  let lines = 0;
  /** How the workload is shown now. */
  const look = async () => {
    for (const line of envoy.process.lines.slice(lines)) watch.take(line);
    lines = envoy.process.lines.length;
    await watch.look();
    reports.take({ ...proxy, certificate }, 'stream', JSON.stringify(watch.report()));
    const { workloads } = await mtlsView({
      mesh: mesh.mesh.model.snapshot(),
      nodes: [client.proxy, proxy],
      connectionsOf: (node) => reports.of(node),
      now: systemClock.now(),
    });
    const found = workloads.find(({ name }) => name === 'backend-1');
    assert.ok(found);
    return found;
  };
  /** `<port> <mode> <mutual TLS> <plaintext>`, the names of callers after it. */
  const shown = async (): Promise<readonly string[]> =>
    (await look()).ports.map(({ port, mode, seen }) => {
      const from = seen?.callers.flatMap(({ workloads }) => workloads).join() ?? '';
      return `${port} ${mode} ${seen?.tls} ${seen?.plaintext} ${from}`.trimEnd();
    });
  const becomes = async (expected: readonly string[]): Promise<void> => {
    let last: readonly string[] = [];
    await waitUntil(async () => {
      last = await shown();
      return last.join() === expected.join() || undefined;
    }, expected.join()).catch((cause: unknown) => {
      throw new Error(`seen: ${last.join()}`, { cause });
    });
  };
  const get = (from: Pod, url: string): number => askFrom(from, url).status;

  await t.test('are nobody at first, on every port, those that nobody names too', () =>
    becomes(['0 PERMISSIVE 0 0', '8080 PERMISSIVE 0 0', '9000 PERMISSIVE 0 0']),
  );

  await t.test('are counted by port, and callers in plaintext named', async () => {
    assert.equal(get(outside, 'http://10.88.0.2:8080/'), 200);
    assert.equal(get(outside, 'http://10.88.0.2:7070/'), 200);
    assert.equal(sendFrom(outside, '10.88.0.2', '9000'), 'hello');
    assert.equal(get(caller, 'http://10.99.0.1/'), 200);
    assert.equal(sendFrom(caller, '10.99.0.1', '90'), 'hello');
    await becomes([
      '0 PERMISSIVE 0 1 legacy/batch',
      '8080 PERMISSIVE 1 1 legacy/batch',
      '9000 PERMISSIVE 1 1 legacy/batch',
    ]);
  });

  await t.test('add up over changes of modes, and those refused are none', async () => {
    const set = async (name: string): Promise<void> => {
      mesh.put(mode(name));
      const open = name === 'STRICT' ? 0 : 200;
      await waitUntil(() => get(outside, 'http://10.88.0.2:8080/') === open, name);
    };
    await set('STRICT');
    // What the filter chains of before counted goes with them, once they are drained.
    await waitUntil(
      async () => !(await envoy.admin('/stats?filter=inbound.*plaintext')).includes('cx_total: 1'),
      'the old chains are gone',
    );
    // How often it was asked until STRICT held is chance.
    const { seen } = (await look()).ports.find(({ port }) => port === 8080) ?? {};
    const count = seen?.plaintext ?? 0;
    assert.ok(count >= 1, 'what was seen stays');
    await becomes([
      '0 STRICT 0 1 legacy/batch',
      `8080 STRICT 1 ${count} legacy/batch`,
      '9000 STRICT 1 1 legacy/batch',
    ]);
    await set('PERMISSIVE');
    await becomes([
      '0 PERMISSIVE 0 1 legacy/batch',
      `8080 PERMISSIVE 1 ${count + 1} legacy/batch`,
      '9000 PERMISSIVE 1 1 legacy/batch',
    ]);
    const [{ setBy } = { setBy: undefined }] = (await look()).ports;
    assert.deepEqual(setBy, { kind: 'MeshPolicy', namespace: '', name: 'default' });
  });
});
