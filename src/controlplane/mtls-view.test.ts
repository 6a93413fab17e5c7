import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MtlsView } from '#admin/mtls.ts';
import { mtlsView } from '#controlplane/mtls-view.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { Connections } from '#xds/serve/connection-reports.ts';
import { testMesh, testProxy } from '../../test/kit/mesh.ts';
import { objectsOf } from '../../test/kit/objects.ts';

const NOW = Date.UTC(2026, 0);

const OBJECTS = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: away-1, namespace: shop }
spec: { address: 10.0.0.1, labels: { app: web }, serviceAccount: web }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: bare-1, namespace: shop }
spec: { address: 10.0.0.2, labels: { app: web } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: here-1, namespace: shop }
spec: { address: 10.0.0.3, labels: { app: web }, serviceAccount: web }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: here, namespace: shop }
spec: { selector: { matchLabels: { app: web } }, portLevelMtls: { 9000: { mode: STRICT } } }
`;

const proxy = (changes: Partial<ProxyNode>): ProxyNode =>
  testProxy({ namespace: 'shop', serviceAccount: 'web', ...changes });

function view(nodes: readonly ProxyNode[], connections?: Connections): Promise<MtlsView> {
  const mesh = testMesh(objectsOf(OBJECTS)).model.snapshot();
  return mtlsView({ mesh, nodes, connectionsOf: () => connections, now: NOW });
}

/** `<name> <proxy>: <port> <mode> <object>, ...` */
function shown({ workloads }: MtlsView): readonly string[] {
  return workloads.map(({ name, proxy: state, ports }) => {
    const texts = ports.map(({ port, mode, setBy }) => `${port} ${mode} ${setBy?.name ?? '-'}`);
    return `${name} ${state}: ${texts.join(', ')}`;
  });
}

describe('the view of mutual TLS', () => {
  it('tells workloads with a proxy that is here, with one that is away, and without', async () => {
    const here = proxy({ workloadName: 'here-1', addresses: ['10.0.0.3'] });
    assert.deepEqual(shown(await view([here])), [
      'away-1 away: 8080 PERMISSIVE -',
      'bare-1 none: 8080 DISABLE -',
      'here-1 connected: 0 PERMISSIVE -, 8080 PERMISSIVE -, 9000 STRICT here',
    ]);
  });

  it('shows a proxy without an object as its own word has it', async () => {
    const stray = proxy({ workloadName: 'stray-1', addresses: ['10.0.0.9'] });
    const { workloads } = await view([stray]);
    const found = workloads.find(({ name }) => name === 'stray-1');
    assert.deepEqual(
      found?.ports.map(({ port }) => port),
      [0],
    );
  });

  it('knows nothing of connections where no agent tells', async () => {
    const here = proxy({ workloadName: 'here-1', addresses: ['10.0.0.3'] });
    const [, , workload] = (await view([here])).workloads;
    assert.equal(workload?.observedSince, undefined);
    assert.ok(workload?.ports.every(({ seen }) => seen === undefined));
  });

  it('names callers by their address, and has ports that were only seen', async () => {
    const here = proxy({ workloadName: 'here-1', addresses: ['10.0.0.3'] });
    const callers = [{ address: '10.0.0.2', lastAt: NOW - 5 }];
    const port = { port: 7000, tls: 1, plaintext: 2, open: 0, plaintextAt: NOW - 5, callers };
    const [, , workload] = (await view([here], { since: NOW - 50, ports: [port] })).workloads;
    assert.equal(workload?.observedSince, new Date(NOW - 50).toISOString());
    const seen = new Map(workload?.ports.map((one) => [one.port, one.seen]));
    assert.deepEqual(seen.get(7000)?.callers[0]?.workloads, ['shop/bare-1']);
    assert.equal(seen.get(8080)?.tls, 0);
  });

  it('has pairs of clients that have a proxy, a whole namespace in one word', async () => {
    const { pairs } = await view([]);
    assert.deepEqual(
      pairs.map(({ clients, servers, sends }) => [clients, servers, sends]),
      [
        [['shop/*'], ['shop/away-1', 'shop/here-1'], 'mutual'],
        [['shop/*'], ['shop/bare-1'], 'plaintext'],
      ],
    );
  });
});
