import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SeenRequest, startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';

function peerAuthentication(mode: string) {
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: ${mode} } }
`);
}

/** Who gets through to a workload, and whom a caller takes for it. */
test('mutual TLS in explicit mode', { timeout: 240_000 }, async (t) => {
  const objects = [
    ...serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]),
    ...serviceObjects('shop', 'impostor', [{ name: 'http', port: 80 }]),
    groupObject('web', 'caller'),
  ];
  const mesh = new ExplicitMesh(
    testMesh([...objects, ...peerAuthentication('STRICT')]),
    testAuthority(),
  );
  const { authority } = mesh;
  const http = await startEchoApp(t, 'backend');
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http } });
  const caller = await mesh.start(t, { namespace: 'web', name: 'caller' });
  const port = backend.listenPort('http');
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());
  const certificate = authority.issue({ uris: [CALLER] });
  const data = httpRequest('/');

  await t.test('STRICT: a caller with a certificate of the mesh gets through', async () => {
    assert.equal(statusOf(await callPeer({ port, certificate, data })), 200);
  });

  await t.test('STRICT: plaintext is closed, and the log says so', async () => {
    const answer = await callPeer({ port, data });
    assert.equal(answer.text, '');
    await waitUntil(
      () => backend.accessLog().some((line) => line.response_flags === 'NR'),
      'the refused connection is logged',
    );
  });

  await t.test(
    'STRICT: a certificate of a foreign authority is refused, and the log says so',
    async () => {
      const foreign = testAuthority('foreign').issue({ uris: [CALLER] });
      const answer = await callPeer({ port, certificate: foreign, data });
      assert.equal(answer.text, '');
      const line = await waitUntil(
        () =>
          backend
            .accessLog()
            .find((one) => /VERIFY_FAILED/.test(`${one.downstream_transport_failure_reason}`)),
        'the failed handshake is logged',
      );
      assert.equal(line.direction, 'inbound');
      assert.equal(line.port, http);
    },
  );

  await t.test('STRICT: a certificate of another trust domain is refused', async () => {
    const other = authority.issue({ uris: ['spiffe://other.domain/ns/web/sa/caller'] });
    assert.equal((await callPeer({ port, certificate: other, data })).text, '');
  });

  await t.test('a caller refuses a server that is somebody else, and the log says so', async () => {
    const app = await startEchoApp(t, 'impostor');
    await mesh.start(t, {
      namespace: 'shop',
      name: 'impostor',
      ports: { http: app },
      identity: CALLER,
    });
    // Until the caller knows where it is, there is nobody to refuse.
    const line = await waitUntil(async () => {
      const answer = await client.ask({ target: 'http://impostor.shop/' });
      assert.notEqual(answer.status, 200);
      return caller.accessLog().find((one) => one.upstream_transport_failure_reason);
    }, 'the refused server is logged');
    assert.equal(line.response_code, 503);
    assert.match(String(line.upstream_transport_failure_reason), /SAN_matcher/);
    assert.equal(line.upstream_cluster, 'outbound|80||impostor.shop.svc.cluster.local');
  });

  await t.test(
    'PERMISSIVE: plaintext and mutual TLS get through, and only proof makes a peer',
    async () => {
      mesh.mesh.put(...peerAuthentication('PERMISSIVE'));
      mesh.publish();
      const forged = { 'x-forwarded-client-cert': `URI=${CALLER}` };
      const plain = await waitUntil(async () => {
        const answer = await callPeer({ port, data: httpRequest('/', forged) });
        return statusOf(answer) === 200 ? answer : undefined;
      }, 'plaintext gets through');
      assert.doesNotMatch(plain.text, /x-forwarded-client-cert/);
      const proved = await callPeer({ port, certificate, data });
      assert.match(proved.text, new RegExp(`URI=${CALLER}`));
    },
  );

  await t.test(
    'PERMISSIVE: mutual TLS with a foreign certificate is refused all the same',
    async () => {
      const foreign = testAuthority('foreign').issue({ uris: [CALLER] });
      assert.equal((await callPeer({ port, certificate: foreign, data })).text, '');
    },
  );

  await t.test('DISABLE: callers of the mesh speak plaintext', async () => {
    mesh.mesh.put(...peerAuthentication('DISABLE'));
    mesh.publish();
    await waitUntil(async () => {
      const { status, body } = await client.ask({ target: 'http://backend.shop/' });
      if (status !== 200) return false;
      const seen = JSON.parse(body) as SeenRequest;
      return seen.headers['x-forwarded-client-cert'] === undefined;
    }, 'calls are plaintext');
  });

  await t.test('STRICT again: callers of the mesh are back to mutual TLS', async () => {
    mesh.mesh.put(...peerAuthentication('STRICT'));
    mesh.publish();
    await waitUntil(async () => {
      const { status, body } = await client.ask({ target: 'http://backend.shop/' });
      return status === 200 && body.includes(CALLER);
    }, 'calls are mutual TLS');
    await waitUntil(
      async () => (await callPeer({ port, data })).text === '',
      'plaintext is closed',
    );
  });
});
