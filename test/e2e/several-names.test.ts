import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { type TestAuthority, type TestCertificate, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const MANY = 40;
const WEB = 'spiffe://cluster.local/ns/web/sa';
const VALUES = { spiffe: `${WEB}/thief`, other: `${WEB}/other`, foreign: 'urn:example:one' };

/** Revocations of others, and of `thief` last. */
function revocations(count: number) {
  const identities = Array.from({ length: count }, (_, at) => `${WEB}/former-${at}`);
  return objectsOf(
    [...identities, VALUES.spiffe]
      .map(
        (identity, at) => `---
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: r${at} }
spec: { identity: "${identity}" }
`,
      )
      .join(''),
  );
}

/** An identity is one name; which of two is meant, nobody can say (SPIFFE X.509-SVID section 2). */
test('a certificate with an identity and another name is refused', {
  timeout: 240_000,
}, async (t) => {
  const ports = ['http', 'tcp'].map((name, at) => ({ name, port: 80 + at }));
  const mesh = new ExplicitMesh(
    testMesh(serviceObjects('shop', 'backend', ports)),
    testAuthority(),
  );
  const [http, tcp] = [await startEchoApp(t, 'backend'), (await startTcpApp(t)).port];
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http, tcp } });
  const issue = (...uris: string[]) => mesh.authority.issue({ uris });
  const ask = async (certificate: TestCertificate): Promise<number> => {
    const call = { port: backend.listenPort('http'), certificate, data: httpRequest('/') };
    return statusOf(await callPeer(call, /^HTTP\/1\.1 \d{3} /));
  };
  const greet = async (certificate: TestCertificate): Promise<string> => {
    const call = { port: backend.listenPort('tcp'), certificate, alpn: ['istio'], data: 'hello' };
    return (await callPeer(call, /hello/)).text;
  };
  const one = issue(VALUES.other);
  const doubtful = [
    issue(VALUES.other, VALUES.spiffe),
    issue(VALUES.spiffe, VALUES.other),
    issue(VALUES.other, VALUES.foreign),
    issue(VALUES.foreign, VALUES.other),
  ];
  await waitUntil(async () => (await ask(one)) === 200, 'one name is let in');
  await waitUntil(async () => (await greet(one)) !== '', 'and on the plain port, too');
  for (const [how, objects] of [
    ['while nothing is revoked', []],
    ['while little is revoked', revocations(1)],
    ['while much is revoked', revocations(MANY)],
  ] as const) {
    await t.test(how, async () => {
      mesh.mesh.put(...objects);
      mesh.publish();
      await mesh.settled();
      assert.equal(await ask(one), 200);
      assert.notEqual(await greet(one), '');
      for (const [at, certificate] of doubtful.entries()) {
        assert.equal(await ask(certificate), 403, `HTTP ${at}`);
        assert.equal(await greet(certificate), '', `TCP ${at}`);
      }
      const line = backend.accessLog().findLast(({ response_code: code }) => code === 403);
      assert.match(String(line?.response_code_details), /matched_policy\[bulwark-several-names\]/);
    });
  }
});

/** A server of TLS that answers every request; its certificate is what `use` gave last. */
async function startServer(t: TestContext, first: TestCertificate) {
  const contextOf = ({ certificate: cert, privateKey: key }: TestCertificate) => ({ cert, key });
  const options = { ...contextOf(first), ALPNProtocols: ['istio-http/1.1'] };
  // Each request is to come with a handshake of its own.
  const server = createServer(options, (_, response) => {
    response.writeHead(200, { connection: 'close' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    use: (next: TestCertificate) => server.setSecureContext(contextOf(next)),
  };
}

const bundleOf = (trustDomain: string, { root }: TestAuthority) => ({
  apiVersion: 'bulwark.mesh/v1alpha1',
  kind: 'TrustBundle',
  metadata: { name: trustDomain },
  spec: { trustDomain, bundle: root },
});

test('a server is verified by the roots of its own trust domain, whatever other names it has', {
  timeout: 240_000,
}, async (t) => {
  const [bank, third] = [testAuthority('bank'), testAuthority('third')];
  const LEDGER = 'spiffe://bank.test/ns/bank/sa/ledger';
  const THIRD = 'spiffe://third.test/ns/a/sa/b';
  const good = bank.issue({ uris: [LEDGER] });
  const server = await startServer(t, good);
  const objects = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ledger, namespace: shop }
spec:
  hosts: [ledger.bank]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { http: ${server.port} } }]
  subjectAltNames: ['${LEDGER}']
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ledger, namespace: shop }
spec: { host: ledger.bank, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
`);
  const bundles = [bundleOf('bank.test', bank), bundleOf('third.test', third)];
  const mesh = new ExplicitMesh(
    testMesh([groupObject('shop', 'caller'), ...objects, ...bundles]),
    testAuthority(),
  );
  const caller = await mesh.start(t, { namespace: 'shop', name: 'caller' });
  const ask = async (): Promise<number> => {
    const call = { port: caller.httpProxyPort, data: httpRequest('http://ledger.bank/') };
    return statusOf(await callPeer(call, /^HTTP\/1\.1 \d{3} /));
  };
  await waitUntil(async () => (await ask()) === 200, 'the server is taken');
  for (const uris of [[THIRD, LEDGER], [LEDGER, THIRD], [LEDGER]]) {
    server.use(third.issue({ uris }));
    assert.equal(await ask(), 503, `${uris}`);
  }
  server.use(good);
  assert.equal(await ask(), 200);
});
