// The Kubernetes scenario of the documents: keys and certificates of service accounts in Secrets,
// mounted into processes that have no agent (CA-1, CA-2, CA-3), and who may read what (CA-7).
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Secret as SecretObject } from '#api/kinds/secret.ts';
import { Secret } from '#base/secret.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { startMountedEnvoy } from '../kit/mounted-envoy.ts';
import { MountedSecret } from '../kit/mounted-secret.ts';
import { RealMesh, startLoad } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CA_NAMESPACE = 'istio-citadel-ns';
/** How often what is mounted is brought up to date. */
const UPDATE_MS = 250;
const WITHIN_MS = 60_000;

const OBJECTS = yamlOf(
  accountsYaml('shop', 'web', 'batch', 'other'),
  `apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { ca.istio.io/env: ${CA_NAMESPACE} } }`,
  serviceYaml('shop', 'web'),
  strictYaml('shop'),
  `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: callers, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/batch] } }] }]
`,
);

const secretPath = (name: string): string => `/api/v1/namespaces/shop/secrets/istio.${name}`;

test('a process without agent is part of the mesh by its mounted Secret', {
  timeout: 240_000,
}, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer('--ca-namespace', CA_NAMESPACE, '--workload-cert-ttl', '8s');
  await mesh.apply(OBJECTS);
  const app = await startEchoApp(t, 'web');
  const status = await mesh.startAgent('agent', {
    secretTtl: '1h',
    workloads: [workloadOf('web', { group: 'web', app: { ports: [{ name: 'http', port: app }] } })],
  });
  const { ports, identity } = await status('web');
  const peer = { address: ports.inboundAddress, port: ports.inbound[0]?.listen ?? 0, identity };

  const secretOf = (name: string): Promise<SecretObject> =>
    waitUntil(() => mesh.get<SecretObject>(secretPath(name)), `the Secret of ${name}`);
  const mount = async (name: string): Promise<MountedSecret> => {
    const mounted = new MountedSecret(join(mesh.directory, `mounted-${name}`));
    mounted.update(await secretOf(name));
    const update = async () => {
      const secret = await mesh.get<SecretObject>(secretPath(name));
      if (secret) mounted.update(secret);
    };
    // As whatever mounts Secrets does: the certificate holds for seconds only.
    const timer = setInterval(() => void update().catch(() => {}), UPDATE_MS);
    t.after(() => clearInterval(timer));
    return mounted;
  };
  const batch = await mount('batch');
  const batchPort = await startMountedEnvoy(t, batch, peer);

  await t.test('the mesh knows it by the identity of its account', async () => {
    const client = new KeepAliveClient({ port: batchPort });
    t.after(() => client.close());
    assert.equal((await client.ask({ target: '/' })).status, 200);
    const other = await startMountedEnvoy(t, await mount('other'), peer);
    const denied = new KeepAliveClient({ port: other });
    t.after(() => denied.close());
    assert.equal((await denied.ask({ target: '/' })).status, 403);
  });

  await t.test('it refuses a server of another identity', async () => {
    const wrong = { ...peer, identity: 'spiffe://cluster.local/ns/shop/sa/somebody' };
    const again = new MountedSecret(join(mesh.directory, 'mounted-again'));
    again.update(await secretOf('batch'));
    const port = await startMountedEnvoy(t, again, wrong);
    const client = new KeepAliveClient({ port });
    t.after(() => client.close());
    assert.equal((await client.ask({ target: '/' })).status, 503);
  });

  await t.test(
    'its key and certificate are replaced under load, and no request fails',
    async () => {
      const load = startLoad(t, { port: batchPort, target: '/' });
      const serials = new Set<string>();
      const keys = new Set<string>();
      await waitUntil(
        async () => {
          const secret = await secretOf('batch');
          const { 'cert-chain.pem': chain = '', 'key.pem': key = '' } = secret.data ?? {};
          const [leaf] = parseCertificatesPem(Buffer.from(chain, 'base64').toString());
          serials.add(leaf?.serial ?? '');
          keys.add(key);
          return serials.size === 4;
        },
        'three renewals',
        { withinMs: WITHIN_MS, everyMs: 50 },
      );
      const { failures } = await load.stop(100);
      assert.deepEqual(failures, []);
      assert.equal(keys.size, 4);
    },
  );

  await t.test(
    'its Secret is made again when it is deleted, and goes with the account',
    async () => {
      const before = await secretOf('other');
      await mesh.api.expect({ method: 'DELETE', path: secretPath('other') });
      const again = await waitUntil(async () => {
        const found = await mesh.get<SecretObject>(secretPath('other'));
        return found?.metadata.uid === before.metadata.uid ? undefined : found;
      }, 'the Secret is there again');
      assert.notEqual(again.data?.['key.pem'], before.data?.['key.pem']);
      const path = '/api/v1/namespaces/shop/serviceaccounts/other';
      await mesh.api.expect({ method: 'DELETE', path });
      await waitUntil(async () => !(await mesh.get(secretPath('other'))), 'the Secret is gone');
    },
  );

  await t.test('the roots of the mesh are in every namespace', async () => {
    for (const namespace of ['default', 'shop', CA_NAMESPACE]) {
      const path = `/api/v1/namespaces/${namespace}/configmaps/istio-ca-root-cert`;
      const { data } = (await waitUntil(() => mesh.get(path), path)) as unknown as {
        readonly data: Readonly<Record<string, string>>;
      };
      assert.match(data['root-cert.pem'] ?? '', /BEGIN CERTIFICATE/);
    }
  });

  await t.test(
    'only administrators read the namespace of the authority and Secrets, and nobody its key',
    async () => {
      const { status: answered, body } = await mesh.api.send({
        method: 'POST',
        path: '/api/v1/namespaces/shop/serviceaccounts/batch/token',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
      });
      assert.equal(answered, 201);
      const { token } = (body as { readonly status: { readonly token: string } }).status;
      const { clientCertificate: _certificate, clientKey: _key, ...access } = mesh.api.access;
      const anonymous = { ...access, clientCertificate: undefined, clientKey: undefined };
      const workload = new KubeClient({ ...anonymous, token: new Secret(token) });
      const nobody = new KubeClient({ ...anonymous, token: undefined });
      for (const [client, expected] of [
        [workload, 403],
        [nobody, 403],
        [mesh.api, 200],
      ] as const) {
        for (const path of [
          `/api/v1/namespaces/${CA_NAMESPACE}`,
          `/api/v1/namespaces/${CA_NAMESPACE}/secrets`,
          `/api/v1/namespaces/${CA_NAMESPACE}/configmaps`,
          '/api/v1/secrets',
          secretPath('batch'),
        ]) {
          const { status: code } = await client.send({ method: 'GET', path });
          assert.equal(code, expected, path);
        }
      }
      for (const client of [workload, nobody]) client.close();

      const entries = readdirSync(mesh.data, { recursive: true, withFileTypes: true });
      const keys = entries.filter(({ name }) => name.includes('key'));
      assert.ok(keys.some(({ name }) => name === 'ca-key.pem'));
      for (const { parentPath, name } of keys) {
        assert.equal(statSync(join(parentPath, name)).mode & 0o077, 0, name);
      }
      assert.equal(statSync(join(mesh.data, 'ca')).mode & 0o077, 0);
    },
  );

  await t.test(
    'existing and new accounts get a Secret once that is turned on for all',
    async () => {
      await mesh.apply(accountsYaml('ordinary', 'old'));
      const path = (name: string): string => `/api/v1/namespaces/ordinary/secrets/istio.${name}`;
      await waitUntil(
        () => mesh.get('/api/v1/namespaces/ordinary/configmaps/istio-ca-root-cert'),
        'the controllers know the namespace',
      );
      assert.equal(await mesh.get(path('old')), undefined);
      await mesh.startServer('--service-account-secrets', 'true');
      await mesh.apply(accountsYaml('ordinary', 'new'));
      for (const name of ['old', 'new']) {
        const { data, type } = await waitUntil(() => mesh.get<SecretObject>(path(name)), name);
        assert.equal(type, 'istio.io/key-and-cert');
        const chain = Buffer.from(data?.['cert-chain.pem'] ?? '', 'base64').toString();
        const uris = parseCertificatesPem(chain)[0]?.names.uris;
        assert.deepEqual(uris, [`spiffe://cluster.local/ns/ordinary/sa/${name}`]);
      }
    },
  );
});
