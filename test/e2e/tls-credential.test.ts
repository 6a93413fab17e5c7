// A certificate for servers outside of the mesh, from a Secret of the API, as users have it: real
// control plane, real agent, real Envoy.
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startHttpsApp } from '../kit/https-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { groupYaml, secretReaderYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { type TestAuthority, testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const startPartner = (t: TestContext, authority: TestAuthority): Promise<number> =>
  startHttpsApp(t, { authority, name: 'api.partner.com', clients: authority });

function secret(authority: TestAuthority, name: string): string {
  const { certificate, privateKey } = authority.issue({ dnsNames: [name] });
  const data = { 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': authority.root };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'partner', namespace: 'shop' },
    type: 'kubernetes.io/tls',
    stringData: data,
  });
}

const PAGE = new URL('../../docs/guide/calling.md', import.meta.url);

/** What the guide applies, but for where the partner is and what the caller proves itself with. */
function partnerObjects(port: number, source: string): string {
  const [, yaml = ''] = /^```yaml\n([\s\S]*?)^```/m.exec(readFileSync(PAGE, 'utf8')) ?? [];
  const endpoints = `endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]`;
  const here = yaml
    .replace('resolution: DNS', `resolution: STATIC\n  ${endpoints}`)
    .replace('credentialName: partner', source);
  assert.ok(here.includes(endpoints) && here.includes(source), 'the page has these objects');
  return here;
}

/** A mesh with a caller of the partner, which proves itself from `source`. Gives what asks it. */
async function startCaller(t: TestContext, mesh: RealMesh, port: number, source: string) {
  await mesh.startServer();
  await mesh.apply(
    yamlOf(groupYaml('shop', 'web'), partnerObjects(port, source), secretReaderYaml('shop', 'web')),
  );
  const status = await mesh.startAgent('agent', {
    secretDirectories: [mesh.directory],
    workloads: [workloadOf('web', { group: 'web' })],
  });
  const client = new KeepAliveClient({ port: (await status('web')).ports.httpProxyPort });
  t.after(() => client.close());
  return () => client.ask({ target: 'http://api.partner.com/' });
}

test('a caller proves itself by a Secret, and by the next one when that changes', {
  timeout: 240_000,
}, async (t) => {
  const authority = testAuthority('partner');
  const mesh = new RealMesh(t);
  const port = await startPartner(t, authority);
  const ask = await startCaller(t, mesh, port, 'credentialName: partner');
  assert.equal((await ask()).status, 503, 'without the Secret nothing is called');
  for (const name of ['first.test', 'second.test']) {
    await mesh.apply(secret(authority, name));
    await waitUntil(async () => (await ask()).body === `DNS:${name}`, `the partner sees ${name}`);
  }
});

test('a caller proves itself by files, and verifies the partner by caCertificates', {
  timeout: 240_000,
}, async (t) => {
  const authority = testAuthority('partner');
  const mesh = new RealMesh(t);
  const path = (name: string) => join(mesh.directory, name);
  const own = authority.issue({ dnsNames: ['files.test'] });
  writeFileSync(path('cert.pem'), own.certificate);
  writeFileSync(path('key.pem'), own.privateKey, { mode: 0o600 });
  writeFileSync(path('ca.pem'), testAuthority('somebody else').root);
  const port = await startPartner(t, authority);
  const files = [
    `clientCertificate: ${path('cert.pem')}`,
    `privateKey: ${path('key.pem')}`,
    `caCertificates: ${path('ca.pem')}`,
  ];
  const ask = await startCaller(t, mesh, port, files.join('\n      '));

  assert.equal((await ask()).status, 503, 'the partner is not of the authority in the file');
  writeFileSync(path('ca.pem.new'), authority.root);
  renameSync(path('ca.pem.new'), path('ca.pem'));
  await waitUntil(async () => (await ask()).body === 'DNS:files.test', 'the partner answers');
});
