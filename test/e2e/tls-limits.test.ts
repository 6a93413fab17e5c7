import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_TLS_LIMITS } from '#model/tls-limits.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

for (const minVersion of ['TLSV1_2', 'TLSV1_3'] as const) {
  const takesOld = minVersion === 'TLSV1_2';
  test(`${minVersion} at least: callers with TLS 1.2 ${takesOld ? 'get through' : 'do not'}`, {
    timeout: 240_000,
  }, async (t) => {
    const tls = { ...DEFAULT_TLS_LIMITS, mesh: { ...DEFAULT_TLS_LIMITS.mesh, minVersion } };
    const objects = serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]);
    const mesh = new ExplicitMesh(
      testMesh([...objects, groupObject('web', 'caller')], { tls }),
      testAuthority(),
    );
    const http = await startEchoApp(t, 'backend');
    const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http } });
    const caller = await mesh.start(t, { namespace: 'web', name: 'caller' });
    const certificate = mesh.authority.issue({ uris: ['spiffe://cluster.local/ns/web/sa/caller'] });
    const call = { port: backend.listenPort('http'), certificate, data: httpRequest('/') };

    assert.equal(statusOf(await callPeer(call)), 200, 'the newest version gets through');
    const old = await callPeer({ ...call, maxVersion: 'TLSv1.2' });
    if (takesOld) assert.equal(statusOf(old), 200);
    else assert.equal(old.text, '', old.error);

    const client = new KeepAliveClient({ port: caller.httpProxyPort });
    t.after(() => client.close());
    await waitUntil(
      async () => (await client.ask({ target: 'http://backend.shop/' })).status === 200,
      'proxies of the mesh reach each other',
    );
  });
}
