import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf } from '../kit/objects.ts';
import { type TestAuthority, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

/**
 * A server outside of the mesh that answers over TLS with the name in its certificate. Gives its
 * port.
 */
async function startOutside(
  t: TestContext,
  authority: TestAuthority,
  name: string,
): Promise<number> {
  const { certificate, privateKey } = authority.issue({ dnsNames: [name] });
  const server = createServer({ cert: certificate, key: privateKey }, (_request, response) =>
    response.end(name),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

function outsideService(host: string, port: number) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host}, namespace: web }
spec:
  hosts: [${host}]
  ports: [{ number: 80, name: http }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
`);
}

function rule(tls: string) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: outside, namespace: web }
spec: { host: '*.example.com', trafficPolicy: { tls: ${tls} } }
`);
}

test('TLS to servers outside of the mesh', { timeout: 60_000 }, async (t) => {
  const publicRoots = testAuthority('public');
  const honest = await startOutside(t, publicRoots, 'api.example.com');
  const fake = await startOutside(t, publicRoots, 'evil.example.org');
  const objects = [
    groupObject('web', 'caller'),
    ...outsideService('api.example.com', honest),
    ...outsideService('bank.example.com', fake),
  ];
  const mesh = new ExplicitMesh(
    testMesh([...objects, ...rule('{ mode: SIMPLE }')]),
    testAuthority(),
  );
  const caller = await mesh.start(t, {
    namespace: 'web',
    name: 'caller',
    rootFiles: { 'file-root:system': publicRoots.root },
  });
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());

  await t.test('a server that proves its name is called', async () => {
    const answer = await client.ask({ target: 'http://api.example.com/' });
    assert.deepEqual([answer.status, answer.body], [200, 'api.example.com']);
  });

  await t.test('a server with another name is not, though its authority is known', async () => {
    assert.equal((await client.ask({ target: 'http://bank.example.com/' })).status, 503);
  });

  await t.test('only a user who says so takes any certificate', async () => {
    mesh.mesh.put(...rule('{ mode: SIMPLE, insecureSkipVerify: true }'));
    mesh.publish();
    await waitUntil(
      async () => (await client.ask({ target: 'http://bank.example.com/' })).status === 200,
      'the server is taken for what it says',
    );
  });

  await t.test('a rule that cannot be met leads to no call at all', async () => {
    mesh.mesh.put(...rule('{ mode: SIMPLE, credentialName: partner }'));
    mesh.publish();
    await waitUntil(
      async () => (await client.ask({ target: 'http://api.example.com/' })).status === 503,
      'nothing is called',
    );
  });
});
