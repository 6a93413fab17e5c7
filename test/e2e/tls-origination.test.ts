import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { secretObject, startHttpsApp } from '../kit/https-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

function outsideService(name: string, port: number, host = name) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: web }
spec:
  hosts: ['${host}']
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

test('TLS to servers outside of the mesh', { timeout: 240_000 }, async (t) => {
  const publicRoots = testAuthority('public');
  const honest = await startHttpsApp(t, { authority: publicRoots, name: 'api.example.com' });
  const fake = await startHttpsApp(t, { authority: publicRoots, name: 'evil.example.org' });
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

test('a certificate from a Secret, and hosts that requests name', {
  timeout: 240_000,
}, async (t) => {
  const [roots, clients] = [testAuthority('partner'), testAuthority('clients')];
  const partner = await startHttpsApp(t, { authority: roots, name: 'api.partner.com', clients });
  const wild = await startHttpsApp(t, { authority: roots, name: 'eu.wild.example' });
  const star = await startHttpsApp(t, { authority: roots, name: '*.star.example' });
  const own = clients.issue({ dnsNames: ['caller'] });
  const whole = { cert: own.certificate, key: own.privateKey, cacert: roots.root };
  const rules = objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: partner, namespace: web }
spec:
  host: api.partner.com
  workloadSelector: { matchLabels: { app: caller } }
  trafficPolicy: { tls: { mode: MUTUAL, credentialName: partner } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: wild, namespace: web }
spec: { host: '*.wild.example', trafficPolicy: { tls: { mode: SIMPLE } } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: star, namespace: web }
spec: { host: '*.star.example', trafficPolicy: { tls: { mode: SIMPLE } } }
`);
  const objects = [
    groupObject('web', 'caller'),
    ...outsideService('api.partner.com', partner),
    ...outsideService('wild', wild, '*.wild.example'),
    ...outsideService('star', star, '*.star.example'),
    ...rules,
  ];
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const caller = await mesh.start(t, {
    namespace: 'web',
    name: 'caller',
    rootFiles: { 'file-root:system': roots.root },
  });
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());
  const statusOf = async (host: string) => (await client.ask({ target: `http://${host}/` })).status;

  await t.test('a Secret of another namespace is of no use', async () => {
    mesh.mesh.put(secretObject('shop', 'partner', whole));
    mesh.publish();
    assert.equal(await statusOf('api.partner.com'), 503);
  });

  await t.test('a server that the authorities of the Secret do not know is refused', async () => {
    mesh.mesh.put(secretObject('web', 'partner', { ...whole, cacert: clients.root }));
    mesh.publish();
    const reasons = () =>
      caller.accessLog().map((line) => String(line.upstream_transport_failure_reason));
    await waitUntil(async () => {
      assert.equal(await statusOf('api.partner.com'), 503);
      return reasons().some((reason) => reason.includes('CERTIFICATE_VERIFY_FAILED'));
    }, 'it is refused');
  });

  await t.test('with the Secret the caller proves itself, and verifies the server', async () => {
    mesh.mesh.put(secretObject('web', 'partner', whole));
    mesh.publish();
    await waitUntil(async () => (await statusOf('api.partner.com')) === 200, 'the partner answers');
  });

  await t.test('behind a wildcard the server must be the host of the request', async () => {
    assert.equal(await statusOf('eu.wild.example'), 200);
    assert.equal(await statusOf('us.wild.example'), 503);
  });

  await t.test('a wildcard in a certificate stands for one label', async () => {
    assert.equal(await statusOf('a.star.example'), 200);
    assert.equal(await statusOf('a.b.star.example'), 503);
  });
});

/** As it is printed in the documents. */
const PRINTED = `
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata:
  name: google-tls
spec:
  host: google.com
  trafficPolicy:
    tls:
      mode: SIMPLE
      caCertificates: /etc/ssl/certs/ca-certificates.crt
`;

test('the rule of the documents: with caCertificates the server is verified', {
  timeout: 240_000,
}, async (t) => {
  const [known, unknown] = [testAuthority('known'), testAuthority('unknown')];
  const honest = await startHttpsApp(t, { authority: known, name: 'google.com' });
  const fake = await startHttpsApp(t, { authority: unknown, name: 'google.com' });
  const statusAt = async (port: number): Promise<number> => {
    const mesh = new ExplicitMesh(
      testMesh([
        groupObject('default', 'caller'),
        ...outsideService('google.com', port),
        ...objectsOf(
          PRINTED.replace('  name: google-tls', '  name: google-tls\n  namespace: default'),
        ),
      ]),
      testAuthority(),
    );
    const caller = await mesh.start(t, {
      namespace: 'default',
      name: 'caller',
      rootFiles: { 'file-root:/etc/ssl/certs/ca-certificates.crt': known.root },
    });
    const client = new KeepAliveClient({ port: caller.httpProxyPort });
    t.after(() => client.close());
    return (await client.ask({ target: 'http://google.com/' })).status;
  };
  assert.equal(await statusAt(honest), 200);
  assert.equal(await statusAt(fake), 503);
});
