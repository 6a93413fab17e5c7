// A hundred thousand requests between two real Envoys, under a policy about paths, with somebody on
// the wire: nothing goes over it in clear, and no request gets around the policy
// (GHSA-v6q2-4qr3-5cw6, CVE-2024-28248).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { registrationOf } from '#model/registration.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const REQUESTS = 100_000;
const CONNECTIONS = 16;
/** In every request and every answer. */
const MARK = 'nobody-else-may-read-this';
/** The first byte of a connection with TLS: its record is a handshake (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 22;

const POLICIES = objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: paths, namespace: shop }
spec: { rules: [{ to: [{ operation: { paths: ["/open*"] } }] }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: PERMISSIVE } }
`);

/** An application that counts the paths it is asked for, and answers with the mark. */
async function startApp(t: TestContext) {
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    response.end(MARK);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, asked };
}

/** Somebody on the wire: passes everything on, and looks at it. */
async function startWire(t: TestContext, port: number) {
  const seen = { connections: 0, notTls: 0, inClear: 0, bytes: 0 };
  const pass = (from: Socket, to: Socket, isCaller: boolean): void => {
    let first = isCaller;
    let tail = Buffer.alloc(0);
    from.on('data', (chunk: Buffer) => {
      seen.bytes += chunk.length;
      if (first && chunk[0] !== TLS_HANDSHAKE) seen.notTls += 1;
      first = false;
      // The mark may lie across two chunks.
      const both = Buffer.concat([tail, chunk]);
      if (both.includes(MARK)) seen.inClear += 1;
      tail = both.subarray(-MARK.length);
      to.write(chunk);
    });
    from.on('close', () => to.destroy());
    from.on('error', () => to.destroy());
  };
  const server = createTcpServer((caller) => {
    seen.connections += 1;
    const callee = connect(port, '127.0.0.1');
    pass(caller, callee, true);
    pass(callee, caller, false);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, seen };
}

/** The caller's proxy reaches the server over the wire. */
async function startMesh(t: TestContext) {
  const group = groupObject('shop', 'backend');
  const objects = [
    ...serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]),
    groupObject('web', 'caller'),
  ];
  const mesh = new ExplicitMesh(testMesh([...objects, ...POLICIES]), testAuthority());
  const app = await startApp(t);
  const ports = { http: app.port };
  const server = await mesh.start(t, { namespace: 'shop', name: 'backend', ports });
  const wire = await startWire(t, server.listenPort('http'));
  const { entry } = registrationOf(group as never, server.proxy);
  assert.ok(entry);
  const spec = { ...entry.spec, ports: { http: wire.port } };
  mesh.mesh.put({ ...entry, spec } as typeof entry);
  const caller = await mesh.start(t, { namespace: 'web', name: 'caller' });
  return { app, wire, port: caller.httpProxyPort };
}

test('under load nothing goes over the wire in clear, and nothing around the policy', async (t) => {
  const { app, wire, port } = await startMesh(t);
  const answers = { '/open': new Map<number, number>(), '/closed': new Map<number, number>() };
  const isReady = async () => {
    const client = new KeepAliveClient({ port });
    const { status } = await client.ask({ target: 'http://backend.shop/open' });
    client.close();
    return status === 200;
  };
  await waitUntil(isReady, 'the server is reached');
  app.asked.clear();
  let left = REQUESTS;
  const ask = async (): Promise<void> => {
    const client = new KeepAliveClient({ port });
    while (left > 0) {
      left -= 1;
      const path = left % 2 === 0 ? '/open' : '/closed';
      const { status, body } = await client.ask({
        target: `http://backend.shop${path}?${MARK}`,
        headers: { 'x-mark': MARK },
      });
      if (path === '/open') assert.equal(body, MARK);
      answers[path].set(status, (answers[path].get(status) ?? 0) + 1);
    }
    client.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, ask));
  assert.deepEqual([...answers['/open']], [[200, REQUESTS / 2]]);
  assert.deepEqual([...answers['/closed']], [[403, REQUESTS / 2]]);
  assert.deepEqual([...app.asked], [[`/open?${MARK}`, REQUESTS / 2]]);
  const { connections, notTls, inClear, bytes } = wire.seen;
  assert.deepEqual({ notTls, inClear }, { notTls: 0, inClear: 0 });
  assert.ok(connections > 0 && bytes > REQUESTS * MARK.length, 'it went over the wire');
  t.diagnostic(`${REQUESTS} requests, ${connections} connections, ${bytes} bytes`);
});
