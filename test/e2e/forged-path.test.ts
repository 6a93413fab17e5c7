import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const DENY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/admin] } }] }] }
`;

for (const hardening of ['strict', 'istio'] as const) {
  test(`a caller cannot have another path written down than it asked for: ${hardening}`, {
    timeout: 60_000,
  }, async (t) => {
    const ports = [{ name: 'http', port: 80 }];
    const objects = [...serviceObjects('shop', 'backend', ports), ...objectsOf(DENY)];
    const world = testMesh(objects, { accessLog: 'all', hardening });
    const mesh = new ExplicitMesh(world, testAuthority());
    const http = await startEchoApp(t, 'backend');
    const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http } });
    const ask = async (path: string, claimed: string): Promise<number> => {
      const head = `GET ${path} HTTP/1.1\r\nhost: backend\r\nconnection: close\r\n`;
      const data = `${head}x-envoy-original-path: ${claimed}\r\n\r\n`;
      return statusOf(await callPeer({ port: backend.listenPort('http'), data }, /HTTP\/1\.1 \d/));
    };
    await waitUntil(async () => (await ask('/admin?1', '/photos')) === 403, 'the policy is there');
    await waitUntil(async () => (await ask('/other?2', '/photos')) === 200, 'others pass');
    const paths = (): readonly unknown[] =>
      backend.accessLog().flatMap(({ kind, path }) => (kind === 'access' ? [path] : []));
    await waitUntil(() => paths().includes('/other'), 'both are written down');
    assert.deepEqual([...new Set(paths())].sort(), ['/admin', '/other']);
  });
}
