import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { type TestCertificate, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** Well above the number from which on revoked peers are looked up in maps. */
const MANY = 100;
const WEB = 'spiffe://cluster.local/ns/web/sa';

test('of many revocations each refuses its peer, and callers without a certificate none', {
  timeout: 240_000,
}, async (t) => {
  const authority = testAuthority();
  const certificateOf = (account: string) => authority.issue({ uris: [`${WEB}/${account}`] });
  const [thief, lost, honest] = ['thief', 'lost', 'honest'].map(certificateOf);
  if (!thief || !lost || !honest) throw new Error('three certificates were made');
  const specs = [
    `{ serial: "${new X509Certificate(lost.certificate).serialNumber.toLowerCase()}" }`,
    `{ identity: "${WEB}/thief" }`,
    ...Array.from({ length: MANY }, (_, at) => `{ identity: "${WEB}/former-${at}" }`),
  ];
  const revocations = specs.map(
    (spec, at) => `---
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: r${at} }
spec: ${spec}
`,
  );
  const ports = ['http', 'tcp'].map((name, at) => ({ name, port: 80 + at }));
  const objects = [...serviceObjects('shop', 'backend', ports), ...objectsOf(revocations.join(''))];
  const mesh = new ExplicitMesh(testMesh(objects), authority);
  const [http, tcp] = [await startEchoApp(t, 'backend'), (await startTcpApp(t)).port];
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http, tcp } });
  const ask = async (certificate?: TestCertificate): Promise<number> => {
    const call = { port: backend.listenPort('http'), ...(certificate && { certificate }) };
    return statusOf(await callPeer({ ...call, data: httpRequest('/') }, /^HTTP\/1\.1 \d{3} /));
  };
  const greet = async (certificate?: TestCertificate): Promise<string> => {
    const call = { port: backend.listenPort('tcp'), ...(certificate && { certificate }) };
    return (await callPeer({ ...call, alpn: ['istio'], data: 'hello' }, /hello/)).text;
  };
  await waitUntil(async () => (await ask(honest)) === 200, 'an honest caller is let in');
  await waitUntil(async () => (await greet(honest)) !== '', 'and on the plain port, too');
  const filters = await backend.envoy.admin('/config_dump?resource=ecds_filters');
  assert.match(filters, /exact_match_map/, 'peers are looked up');
  for (const certificate of [thief, lost]) {
    assert.equal(await ask(certificate), 403);
    assert.equal(await greet(certificate), '');
  }
  await waitUntil(async () => (await ask()) === 200, 'plaintext is let in');
  await waitUntil(async () => (await greet()) !== '', 'and on the plain port, too');
});
