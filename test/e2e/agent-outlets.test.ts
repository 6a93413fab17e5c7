// What an agent hands out beside its Envoy's own certificate: files for TLS to servers outside of
// the mesh, the SPIFFE Workload API, and certificate files.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { fromBinary } from '@bufbuild/protobuf';
import { X509SVIDResponseSchema } from '#gen/bulwark/spiffe/workload_pb.js';
import { FakeControlPlane } from '../fakes/fake-control-plane.ts';
import { startAgent, type TestAgent } from '../kit/agent.ts';
import { GrpcTestClient } from '../kit/grpc-client.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf } from '../kit/objects.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const READY = { withinMs: 60_000 };
const CALL = { target: 'http://api.example.com/' };

/** A partner outside of the mesh that answers with the names of the client's certificate. */
async function startPartner(t: TestContext, authority = testAuthority('partner')) {
  const { certificate, privateKey } = authority.issue({ dnsNames: ['api.example.com'] });
  const options = {
    cert: certificate,
    key: privateKey,
    ca: authority.root,
    requestCert: true,
    rejectUnauthorized: false,
  };
  const server = createServer(options, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerX509Certificate();
    response.end(`client ${peer?.subjectAltName ?? 'unknown'}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { authority, port: (server.address() as AddressInfo).port };
}

function rule(tls: string) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: partner, namespace: web }
spec: { host: api.example.com, trafficPolicy: { tls: ${tls} } }
`);
}

function entry(port: number) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: partner, namespace: web }
spec:
  hosts: [api.example.com]
  ports: [{ number: 80, name: http }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
`);
}

function proxyOf(t: TestContext, agent: TestAgent): KeepAliveClient {
  const port = agent.workload('caller').ports?.httpProxyPort ?? assert.fail('no ports');
  const client = new KeepAliveClient({ port });
  t.after(() => client.close());
  return client;
}

test('a DestinationRule names files of the agent', { timeout: 240_000 }, async (t) => {
  const { authority, port } = await startPartner(t);
  const folder = temporaryDirectory(t);
  const paths = {
    root: join(folder, 'root.pem'),
    certificate: join(folder, 'cert.pem'),
    key: join(folder, 'key.pem'),
  };
  const client = authority.issue({ dnsNames: ['client.example.com'] });
  writeFileSync(paths.root, testAuthority('somebody else').root);
  writeFileSync(paths.certificate, client.certificate);
  writeFileSync(paths.key, client.privateKey, { mode: 0o600 });
  const mesh = testMesh([groupObject('web', 'caller'), ...entry(port)]);
  mesh.put(...rule(`{ mode: SIMPLE, sni: api.example.com, caCertificates: ${paths.root} }`));
  const control = new FakeControlPlane(t, mesh);
  await control.start();
  const flags = { secretDirectories: folder };
  const agent = await startAgent(t, control, [{ namespace: 'web', name: 'caller' }], flags);
  await agent.agent.whenReady(READY);
  const caller = proxyOf(t, agent);
  const answers = async (status: number, body: RegExp): Promise<boolean> => {
    const answer = await caller.ask(CALL);
    return answer.status === status && body.test(answer.body);
  };

  await t.test('SIMPLE: a server of another authority is not called', async () => {
    assert.equal((await caller.ask(CALL)).status, 503);
  });

  await t.test('SIMPLE: it is once the file has its root', async () => {
    writeFileSync(paths.root, authority.root);
    await waitUntil(() => answers(200, /client unknown/), 'the partner');
  });

  await t.test('MUTUAL: the server sees the certificate of the file', async () => {
    const { root, certificate, key } = paths;
    const files = `clientCertificate: ${certificate}, privateKey: ${key}, caCertificates: ${root}`;
    mesh.put(...rule(`{ mode: MUTUAL, sni: api.example.com, ${files} }`));
    control.publish();
    await waitUntil(() => answers(200, /DNS:client\.example\.com/), 'the certificate');
    assert.deepEqual(control.rejections, []);
  });

  await t.test('SIMPLE: the roots of the system do not vouch for the partner', async () => {
    mesh.put(...rule('{ mode: SIMPLE, sni: api.example.com }'));
    control.publish();
    const taken = () => agent.workload('caller').secrets['file-root:system']?.state;
    await waitUntil(() => taken() === 'accepted', 'the roots of the system in Envoy');
    await waitUntil(async () => (await caller.ask(CALL)).status === 503, 'the refusal');
  });

  await t.test('MUTUAL: a key outside of the folders is not used', async () => {
    const outside = join(temporaryDirectory(t), 'other.pem');
    writeFileSync(outside, client.privateKey);
    const files = `clientCertificate: ${paths.certificate}, privateKey: ${outside}`;
    mesh.put(...rule(`{ mode: MUTUAL, sni: api.example.com, ${files} }`));
    control.publish();
    const refused = (line: string): boolean => line.includes('none of the folders');
    await waitUntil(() => agent.logLines.some(refused), 'the refusal in the log');
  });
});

test('a file that the agent does not give keeps nothing else from working', async (t) => {
  const { port } = await startPartner(t);
  const files = 'caCertificates: /etc/passwd, clientCertificate: /etc/a, privateKey: /etc/b';
  const mesh = testMesh([groupObject('web', 'caller'), ...entry(port)]);
  mesh.put(...rule(`{ mode: MUTUAL, sni: api.example.com, ${files} }`));
  const control = new FakeControlPlane(t, mesh);
  await control.start();
  const agent = await startAgent(t, control, [{ namespace: 'web', name: 'caller' }]);
  await agent.agent.whenReady(READY);
  assert.equal((await proxyOf(t, agent).ask(CALL)).status, 503);
  const refusals = agent.logLines.filter((line) => line.includes('a file for TLS cannot be used'));
  assert.equal(refusals.length, 2);
});

test('an application gets its certificate', { timeout: 240_000 }, async (t) => {
  const control = new FakeControlPlane(t, testMesh([groupObject('web', 'caller')]));
  control.authority.lifetimeMs = 4000;
  await control.start();
  const outputCerts = join(temporaryDirectory(t), 'certs');
  const workloads = [{ namespace: 'web', name: 'caller', outputCerts }];
  const agent = await startAgent(t, control, workloads);
  await agent.agent.whenReady(READY);

  await t.test('over the Workload API, and each that replaces it', async () => {
    const { workloadSocket } = agent.workload('caller');
    const client = new GrpcTestClient(t, `unix:${workloadSocket}`);
    const metadata = { 'workload.spiffe.io': 'true' };
    const stream = client.stream('/SpiffeWorkloadAPI/FetchX509SVID', { metadata });
    stream.send(new Uint8Array());
    stream.finish();
    const serials = [];
    for (const index of [0, 1, 2]) {
      const { svids } = fromBinary(X509SVIDResponseSchema, await stream.message(index));
      const leaf = new X509Certificate(svids[0]?.x509Svid ?? assert.fail('no SVID'));
      assert.equal(leaf.subjectAltName, 'URI:spiffe://cluster.local/ns/web/sa/caller');
      serials.push(leaf.serialNumber);
    }
    assert.equal(new Set(serials).size, 3);
  });

  await t.test('in files, as fresh as the one of its Envoy', async () => {
    await waitUntil(() => {
      const leaf = new X509Certificate(readFileSync(join(outputCerts, 'cert-chain.pem')));
      const serial = agent.workload('caller').certificate?.serial;
      return leaf.serialNumber.toLowerCase().replace(/^0+/, '') === serial;
    }, 'the last certificate');
    assert.equal(
      readFileSync(join(outputCerts, 'root-cert.pem'), 'utf8'),
      control.authority.rootPem,
    );
  });
});
