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
import { testMesh } from '../kit/mesh.ts';
import { objectsOf } from '../kit/objects.ts';
import { type Pod, PodNetwork } from '../kit/pod-network.ts';
import { hasRoot, openRedirectedProxy, type PodAnswer } from '../kit/redirected-proxy.ts';
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
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: batch, namespace: legacy }
spec: { address: 10.88.0.3 }
`;

/** Of the older API, as the mode of the mesh. */
const mode = (name: string) =>
  objectsOf(`
apiVersion: authentication.istio.io/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { peers: [{ mtls: { mode: ${name} } }] }
`);

test('connections to a redirected workload', { timeout: 120_000 }, async (t) => {
  if (!hasRoot(t)) return;
  const network = new PodNetwork(t);
  const [caller, pod, outside] = [network.add(true), network.add(true), network.add(false)];
  const mesh = testMesh(objectsOf(OBJECTS));
  const authority = testAuthority();
  const open = (at: Pod, namespace: string, name: string) =>
    openRedirectedProxy(
      t,
      { mesh, authority, pod: at },
      { namespace, serviceAccount: name, workloadName: `${name}-1` },
    );
  const client = await open(caller, 'web', 'caller');
  const backend = await open(pod, 'shop', 'backend');
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
      mesh: mesh.model.snapshot(),
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
  const get = (from: Pod, url: string): number => from.call<PodAnswer>('get', url, '{}').status;
  const send = (from: Pod, host: string, port: string): string =>
    from.call<{ answer: string }>('send', host, port, 'hello').answer;

  await t.test('are nobody at first, on every port, those that nobody names too', () =>
    becomes(['0 PERMISSIVE 0 0', '8080 PERMISSIVE 0 0', '9000 PERMISSIVE 0 0']),
  );

  await t.test('are counted by port, and callers in plaintext named', async () => {
    assert.equal(get(outside, 'http://10.88.0.2:8080/'), 200);
    assert.equal(get(outside, 'http://10.88.0.2:7070/'), 200);
    assert.equal(send(outside, '10.88.0.2', '9000'), 'hello');
    assert.equal(get(caller, 'http://10.99.0.1/'), 200);
    assert.equal(send(caller, '10.99.0.1', '90'), 'hello');
    await becomes([
      '0 PERMISSIVE 0 1 legacy/batch',
      '8080 PERMISSIVE 1 1 legacy/batch',
      '9000 PERMISSIVE 1 1 legacy/batch',
    ]);
  });

  await t.test('add up over changes of modes, and those refused are none', async () => {
    const set = async (name: string): Promise<void> => {
      mesh.put(...mode(name));
      backend.publish();
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
