// One service account, one identity: for a pod with its bound token, for a machine that joined, and
// for a process with the mounted Secret. A real Envoy lets all three in by the same principal.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Secret as SecretObject } from '#api/kinds/secret.ts';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { CaClient } from '#caclient/ca-client.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { bulwark } from '../kit/bulwark.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { accountsYaml, applicationYaml, policyYaml, yamlOf } from '../kit/mesh-objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import type { TestCertificate } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN = { withinMs: 60_000, everyMs: 50 };
const WEB = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');
const OBJECTS = yamlOf(
  accountsYaml('shop', 'web', 'other'),
  applicationYaml('shop', 'db'),
  `
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: shop }
spec: { nodeName: n1, serviceAccountName: web, containers: [{ name: c, image: i }] }
`,
  policyYaml(
    'shop',
    'web-only',
    '{ rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }] }] }',
  ),
);

/** Certificates of a running server, by whatever proves who asks. */
function authorityOf(t: TestContext, mesh: RealMesh) {
  const { discovery } = mesh.addresses;
  const rootFile = join(mesh.data, 'root-cert.pem');
  const server = { address: discovery, serverName: 'istiod.istio-system.svc', rootFile };
  const client = new CaClient(server, { clock: systemClock });
  t.after(() => client.close());
  return async (token: string): Promise<TestCertificate> => {
    const keys = generateKeyPair();
    const request = { csr: buildCsr(WEB, keys), validitySeconds: 3600 };
    const chain = await client.sign(request, new Secret(token));
    const privateKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { certificate: chain.slice(0, -1).join(''), privateKey };
  };
}

async function joinToken(t: TestContext, mesh: RealMesh): Promise<string> {
  const who = ['-n', 'shop', '--service-account', 'web', '--kubeconfig', mesh.kubeconfig];
  const command = bulwark(['join', 'create', ...who]);
  t.after(() => command.stop());
  return command.waitForLine((line) => /^bwj_\S+/.exec(line)?.[0], WITHIN.withinMs);
}

/** What the controller of the documents' scenario mounts into pods. */
async function mountedSecret(mesh: RealMesh): Promise<TestCertificate> {
  const path = '/api/v1/namespaces/shop/secrets/istio.web';
  const { data = {} } = await waitUntil(() => mesh.get<SecretObject>(path), 'the Secret', WITHIN);
  const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString();
  return { certificate: text('cert-chain.pem'), privateKey: text('key.pem') };
}

test('pods, machines and mounted Secrets of one account have one identity', async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer('--service-account-secrets', 'true');
  await mesh.apply(OBJECTS);
  const port = await startEchoApp(t, 'db');
  const ports = [{ name: 'http', port }];
  const db = { namespace: 'shop', serviceAccount: 'db', group: 'db', app: { ports } };
  const status = await mesh.startAgent('db', { workloads: [{ ...db, labels: { app: 'db' } }] });
  const listen = (await status('db')).ports.inbound[0]?.listen ?? assert.fail('no port');
  const call = async (certificate: TestCertificate) =>
    statusOf(await callPeer({ port: listen, certificate, data: httpRequest('/') }));

  const sign = authorityOf(t, mesh);
  const ways = {
    'a pod': await sign(await mesh.requestToken('shop', 'web', 'web-1')),
    'a machine': await sign(await joinToken(t, mesh)),
    'a mounted Secret': await mountedSecret(mesh),
  };
  for (const [how, certificate] of Object.entries(ways)) {
    const [leaf] = parseCertificatesPem(certificate.certificate);
    assert.ok(leaf, how);
    assert.equal(identityOfCertificate(leaf), WEB, how);
    assert.equal(await call(certificate), 200, how);
  }
  // Asked for as `web` all the same: the token decides.
  assert.equal(await call(await sign(await mesh.requestToken('shop', 'other'))), 403);
});
