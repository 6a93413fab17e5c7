// One port in PERMISSIVE tells mutual TLS, plain HTTP/1, HTTP/2, gRPC, TLS of the application's own
// and raw TCP apart, and a server that speaks first is heard within the stated time.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { callHttp2, startGrpcApp } from '../kit/http2-call.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, openPeer } from '../kit/peer-call.ts';
import { type TestCertificate, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';
/** The time after which a silent plaintext caller is let through (docs/guide/mutual-tls.md). */
const SILENT_MS = 1000;
/** Far below the time above; a busy machine may need more than one try. */
const AT_ONCE_MS = 700;
const GREETING = '220 ready\r\n';

async function startTlsApp(t: TestContext, certificate: TestCertificate): Promise<number> {
  const { certificate: cert, privateKey: key } = certificate;
  const server = createTlsServer({ cert, key }, (socket) => socket.end('own TLS'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Milliseconds until a silent caller hears the greeting; a connection that ends hears none. */
async function heardAfter(socket: Socket): Promise<number> {
  const started = performance.now();
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    socket.destroy();
  });
  await once(socket, 'close');
  return text === GREETING ? performance.now() - started : Number.POSITIVE_INFINITY;
}

/** What a port says first to a caller who speaks TLS of his own; '' when it does not take him. */
async function heardOverTls(port: number): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    socket.destroy();
  });
  await once(socket, 'close');
  return text;
}

test('a PERMISSIVE port', { timeout: 240_000 }, async (t) => {
  const services = ['web', 'grpcish', 'raw', 'own', 'first', 'mysql'].map((name, index) => ({
    // No name of a protocol, but for the last.
    name,
    port: 80 + index,
  }));
  const mesh = new ExplicitMesh(
    testMesh(serviceObjects('shop', 'backend', services)),
    testAuthority(),
  );
  const certificate = mesh.authority.issue({ uris: [CALLER] });
  const greeter = (await startTcpApp(t, GREETING)).port;
  const backend = await mesh.start(t, {
    namespace: 'shop',
    name: 'backend',
    ports: {
      web: await startEchoApp(t, 'web'),
      grpcish: await startGrpcApp(t),
      raw: (await startTcpApp(t)).port,
      own: await startTlsApp(t, mesh.authority.issue({ uris: [CALLER] })),
      first: greeter,
      mysql: (await startTcpApp(t, GREETING)).port,
    },
  });
  const port = (name: string) => backend.listenPort(name);
  const meshTls = (name: string, alpn: string): Socket =>
    openPeer({ port: port(name), certificate, alpn: [alpn], data: '' });

  await t.test('HTTP/1, plain and over mutual TLS', async () => {
    const data = httpRequest('/');
    const plain = await callPeer({ port: port('web'), data });
    assert.match(plain.text, /^HTTP\/1\.1 200/);
    assert.doesNotMatch(plain.text, /x-forwarded-client-cert/);
    const mutual = await callPeer({ port: port('web'), data, certificate });
    assert.match(mutual.text, new RegExp(`URI=${CALLER}`));
  });

  await t.test('HTTP/2 and gRPC, plain and over mutual TLS', async () => {
    for (const as of ['http2', 'grpc'] as const) {
      const plain = await callHttp2(connectTcp(port('grpcish'), '127.0.0.1'), as);
      assert.deepEqual([plain.status, plain.grpcStatus], [200, '0']);
      assert.doesNotMatch(plain.text, /URI=/);
      const socket = meshTls('grpcish', 'istio-h2');
      await once(socket, 'secureConnect');
      const mutual = await callHttp2(socket, as);
      assert.deepEqual([mutual.status, mutual.grpcStatus], [200, '0']);
      assert.match(mutual.text, new RegExp(`URI=${CALLER}$`));
    }
  });

  await t.test('raw TCP, plain and over mutual TLS', async () => {
    const data = 'PING\n';
    for (const call of [{ data }, { data, certificate, alpn: ['istio'] }]) {
      const isAtOnce = async () => {
        const started = performance.now();
        const { text } = await callPeer({ port: port('raw'), ...call }, /PING/);
        assert.equal(text, data);
        return performance.now() - started < AT_ONCE_MS;
      };
      await waitUntil(isAtOnce, 'an answer at once');
    }
  });

  await t.test('TLS of the application reaches the application', async () => {
    const socket = connectTls({ port: port('own'), host: '127.0.0.1', rejectUnauthorized: false });
    const [first] = (await once(socket, 'data')) as [Buffer];
    assert.equal(first.toString(), 'own TLS');
    assert.match(socket.getPeerCertificate().subjectaltname ?? '', /sa\/caller/);
    socket.destroy();
  });

  await t.test(
    'a server that speaks first: at once over mutual TLS, in time over plain',
    async () => {
      for (const name of ['first', 'mysql']) {
        const overTls = async () => (await heardAfter(meshTls(name, 'istio'))) < AT_ONCE_MS;
        await waitUntil(overTls, `${name}, mutual TLS`);
        const plain = () => heardAfter(connectTcp(port(name), '127.0.0.1'));
        const inTime = async () => (await plain()) < SILENT_MS + AT_ONCE_MS;
        await waitUntil(inTime, `${name}, plaintext`);
      }
    },
  );

  await t.test('in DISABLE a declared port, in STRICT every port, is heard at once', async () => {
    const mode = (name: string) =>
      objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: ${name} } }
`);
    mesh.mesh.put(...mode('DISABLE'));
    mesh.publish();
    await waitUntil(
      async () => (await heardAfter(connectTcp(port('mysql'), '127.0.0.1'))) < AT_ONCE_MS,
      'the greeting comes at once in DISABLE',
    );
    const raw = await callPeer({ port: port('raw'), data: 'PING\n' }, /PING/);
    assert.equal(raw.text, 'PING\n', 'DISABLE takes what is not HTTP');
    const web = await callPeer({ port: port('web'), data: httpRequest('/') });
    assert.match(web.text, /^HTTP\/1\.1 200/);
    // A listener of its own, so it may be a moment later.
    await waitUntil(async () => (await heardOverTls(port('own'))) === 'own TLS', 'its own TLS');
    mesh.mesh.put(...mode('STRICT'));
    mesh.publish();
    const data = httpRequest('/');
    await waitUntil(
      async () => (await callPeer({ port: port('web'), data })).text === '',
      'STRICT counts',
    );
    // Listeners of their own, too.
    for (const name of ['first', 'mysql']) {
      const isHeard = async () => (await heardAfter(meshTls(name, 'istio'))) < AT_ONCE_MS;
      await waitUntil(isHeard, `${name}, STRICT`);
    }
  });
});
