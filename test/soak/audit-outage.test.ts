// Records while the server is away, and when it is back: callers notice nothing, and what happens
// from then on is recorded again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditView } from '#admin/audit.ts';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { LOOPBACK, startTokenMesh } from '../kit/token-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const DENY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: ["/no*"] } }] }] }
`;

test('a server that is away costs no request, and records again when it is back', async (t) => {
  const { mesh, port } = await startTokenMesh(t);
  const client = new KeepAliveClient({ port });
  t.after(() => client.close());
  const ask = async (target: string): Promise<number> => (await client.ask({ target })).status;
  const isRecorded = async (path: string): Promise<boolean> => {
    const view = await mesh.api.expect({ method: 'GET', path: ADMIN_PATHS.audit });
    const { records } = view as AuditView;
    return records.some((record) => record.type === 'access' && record.path === path);
  };
  await mesh.apply(DENY);
  await waitUntil(async () => (await ask('/no/before')) === 403, 'it is denied');
  await waitUntil(() => isRecorded('/no/before'), 'it is recorded');
  await mesh.stopServer();
  for (let sent = 0; sent < 1000; sent += 1) assert.equal(await ask('/no/away'), 403);
  await mesh.startServer(...LOOPBACK);
  const isBack = async (): Promise<boolean> => {
    await ask('/no/back');
    return isRecorded('/no/back');
  };
  await waitUntil(isBack, 'it is recorded again', { withinMs: 30_000, everyMs: 500 });
  assert.ok(await isRecorded('/no/before'), 'and what was recorded is there');
});
