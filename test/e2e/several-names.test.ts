import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { type TestCertificate, testAuthority } from '../kit/test-authority.ts';
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
