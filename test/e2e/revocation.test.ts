import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, exchange, httpRequest, openPeer, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const REQUEST = 'GET / HTTP/1.1\r\nhost: backend\r\n\r\n';

function revocation(name: string, spec: string) {
  return objectsOf(`
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: ${name} }
spec: ${spec}
`);
}

/** Resolves once the connection is at its end. */
async function closed(socket: Duplex): Promise<void> {
  if (!socket.closed) await once(socket.resume(), 'close');
}

/** What a revocation does to open and new connections, with the real Envoy. */
test('a revoked peer', { timeout: 240_000 }, async (t) => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'tcp', port: 90 },
  ];
  const objects = [...serviceObjects('shop', 'backend', ports), groupObject('web', 'caller')];
  const mesh = new ExplicitMesh(testMesh(objects.flat()), testAuthority());
  const http = await startEchoApp(t, 'backend');
  const app = await startTcpApp(t);
  const backend = await mesh.start(t, {
    namespace: 'shop',
    name: 'backend',
    ports: { http, tcp: app.port },
  });
  const certificateOf = (account: string) =>
    mesh.authority.issue({ uris: [`spiffe://cluster.local/ns/web/sa/${account}`] });
  const [thief, other] = [certificateOf('thief'), certificateOf('other')];
  const open = (certificate: typeof thief) => {
    const socket = openPeer({ port: backend.listenPort('http'), certificate, data: '' });
    t.after(() => socket.destroy());
    return socket;
  };
  const openTcp = async (certificate: typeof thief) => {
    const port = backend.listenPort('tcp');
    const socket = openPeer({ port, certificate, alpn: ['istio'], data: '' });
    socket.on('error', () => socket.destroy());
    t.after(() => socket.destroy());
    socket.write('hello');
    await once(socket, 'data');
    return socket;
  };
  const callTcp = async (certificate: typeof thief): Promise<string> => {
    const port = backend.listenPort('tcp');
    const { text } = await callPeer({ port, certificate, alpn: ['istio'], data: 'hello' }, /hello/);
    return text;
  };
  const serial = new X509Certificate(thief.certificate).serialNumber;

  await t.test('of a list is refused in the handshake, and nobody else', async () => {
    const port = backend.listenPort('http');
    const call = (certificate: typeof thief) =>
      callPeer({ port, certificate, data: httpRequest('/') });
    backend.publishCrl(mesh.authority.crl(['ab', serial]));
    const refused = await waitUntil(async () => {
      const { error } = await call(thief);
      return error;
    }, 'the handshake is refused');
    assert.match(refused, /revoked|reset/i);
    assert.equal(statusOf(await call(other)), 200);
    backend.publishCrl('');
    await waitUntil(async () => statusOf(await call(thief)) === 200, 'the list is gone');
  });

  const others = Array.from({ length: 1000 }, (_, index) =>
    index % 2 === 0
      ? revocation(`other-${index}`, `{ serial: "${(index + 0xa000).toString(16)}" }`)
      : revocation(`other-${index}`, `{ identity: spiffe://cluster.local/ns/x/sa/a${index} }`),
  ).flat();
  const cases = {
    'among a thousand by serial': [
      ...others.slice(1),
      ...revocation('stolen', `{ serial: "${serial}" }`),
    ],
    'among a thousand by identity': [
      ...others.slice(1),
      ...revocation('gone', '{ identity: spiffe://cluster.local/ns/web/sa/thief }'),
    ],
    'by serial': revocation('stolen', `{ serial: "${serial}", reason: keyCompromise }`),
    'by identity': revocation('gone', '{ identity: spiffe://cluster.local/ns/web/sa/thief }'),
  };
  for (const [how, objects] of Object.entries(cases)) {
    await t.test(`${how} is refused on its open connections and on new ones`, async () => {
      const [revoked, untouched] = [open(thief), open(other)];
      assert.equal(await exchange(revoked, REQUEST), 200);
      assert.equal(await exchange(untouched, REQUEST), 200);
      const tcp = await openTcp(thief);
      mesh.mesh.put(...objects);
      mesh.publish();
      await mesh.settled();
      assert.equal(await exchange(revoked, REQUEST), 403, 'on the open connection of HTTP');
      assert.equal(await exchange(untouched, REQUEST), 200);
      await closed(tcp);
      const port = backend.listenPort('http');
      const again = await callPeer({ port, certificate: thief, data: httpRequest('/') });
      assert.equal(statusOf(again), 403);
      const line = await waitUntil(
        () => backend.accessLog().find((one) => one.response_code === 403),
        'the refusal is logged',
      );
      assert.match(String(line.response_code_details), /matched_policy\[bulwark-revoked\[/);
      assert.equal(await callTcp(thief), '');
    });

    await t.test(`${how} may come back, which ends nobody's connection`, async () => {
      const [kept, untouched] = [await openTcp(other), open(thief)];
      mesh.mesh.remove(...objects);
      mesh.publish();
      await mesh.settled();
      assert.equal(await exchange(untouched, REQUEST), 200, 'the peer is served again');
      kept.write('still here');
      const [echo] = await once(kept, 'data');
      assert.equal(String(echo), 'still here');
      assert.notEqual(await callTcp(thief), '', 'plain connections too');
    });
  }
});
