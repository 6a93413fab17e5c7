// Revocations between a server and one below it, with a real Envoy in each mesh: what one of them
// revokes the workloads of the other refuse, on open connections and new ones, also while one of
// the two is away.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { CaClient } from '#caclient/ca-client.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { callPeer, exchange, httpRequest, openPeer, statusOf } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { startBelow } from '../kit/server-below.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** Much longer than the second that it takes: busy machines must not fail it. */
const WITHIN_MS = 30_000;
const REQUEST = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n';
const DEFAULT_ACCOUNT = 'spiffe://cluster.local/ns/default/sa/default';

/** A workload that serves HTTP; gives the port of its proxy. */
async function startWeb(t: TestContext, mesh: RealMesh): Promise<number> {
  const objects = [accountsYaml('shop', 'web'), serviceYaml('shop', 'web'), strictYaml('shop')];
  await mesh.apply(yamlOf(...objects));
  const port = await startEchoApp(t, 'web');
  const more = { group: 'web', app: { ports: [{ name: 'http', port }] } };
  const status = await mesh.startAgent('web', { workloads: [workloadOf('web', more)] });
  return (await status('web')).ports.inbound[0]?.listen ?? 0;
}

async function connect(t: TestContext, mesh: RealMesh): Promise<CertificateCaller> {
  const caller = await CertificateCaller.connect(mesh.data);
  t.after(() => caller.close());
  return caller;
}

test('a revocation between servers', { timeout: 240_000 }, async (t) => {
  const above = new RealMesh(t);
  const below = new RealMesh(t);
  const aboveArgs = ['--intermediate-authorities', 'istio-system/edge,istio-system/old'];
  await above.startServer(...aboveArgs);
  await above.apply(accountsYaml('istio-system', 'old'));
  const belowArgs = await startBelow(below, above);
  const meshes = {
    'of the server below': { by: below, port: await startWeb(t, above) },
    'of the server above': { by: above, port: await startWeb(t, below) },
  };

  for (const [whose, { by, port }] of Object.entries(meshes)) {
    await t.test(`${whose} reaches workloads of the other, and nobody else`, async (t) => {
      const caller = await connect(t, by);
      const [thief, other] = [await caller.certificate(), await caller.certificate()];
      const call = (certificate: typeof thief) =>
        callPeer({ port, certificate, data: httpRequest('/') });
      await waitUntil(async () => statusOf(await call(thief)) === 200, 'the first answer');
      const [open, untouched] = [thief, other].map((certificate) => {
        const socket = openPeer({ port, certificate, data: '' });
        t.after(() => socket.destroy());
        return socket;
      });
      assert.ok(open && untouched);
      assert.equal(await exchange(open, REQUEST), 200);
      assert.equal(await exchange(untouched, REQUEST), 200);

      await caller.revoke('stolen', thief.serial);
      const isRefused = async () => (await exchange(open, REQUEST)) === 403;
      await waitUntil(isRefused, 'the open connection is refused', { withinMs: WITHIN_MS });
      const isListed = async () => /revoked/i.test((await call(thief)).error ?? '');
      await waitUntil(isListed, 'the handshake is refused', { withinMs: WITHIN_MS });
      assert.equal(await exchange(untouched, REQUEST), 200);
      assert.equal(statusOf(await call(other)), 200);

      await caller.unrevoke('stolen');
      const isBack = async () => statusOf(await call(thief)) === 200;
      await waitUntil(isBack, 'it is taken again', { withinMs: WITHIN_MS });
    });
  }

  await t.test('of an identity by the server above ends it below, too', async (t) => {
    const caller = await connect(t, below);
    await above.command('cert', 'revoke', '--identity', DEFAULT_ACCOUNT);
    const isRefused = () =>
      caller.sign().then(
        () => false,
        () => true,
      );
    await waitUntil(isRefused, 'it gets no certificate', { withinMs: WITHIN_MS });
    await above.command('cert', 'unrevoke', '--identity', DEFAULT_ACCOUNT);
    const isBack = async () => !(await isRefused());
    await waitUntil(isBack, 'it gets one again', { withinMs: WITHIN_MS });
  });

  await t.test('of a site ends what it signed, until it has another authority', async (t) => {
    const caller = await connect(t, below);
    const { port } = meshes['of the server below'];
    const call = (certificate: Awaited<ReturnType<typeof caller.certificate>>) =>
      callPeer({ port, certificate, data: httpRequest('/') });
    const before = await caller.certificate();
    assert.equal(statusOf(await call(before)), 200);
    const [, intermediate] = parseCertificatesPem(before.certificate);
    const revoke = await connect(t, above);
    await revoke.revoke('site', intermediate?.serial ?? '');
    const isRefused = async () => /revoked/i.test((await call(before)).error ?? '');
    await waitUntil(isRefused, 'what it signed is refused', { withinMs: WITHIN_MS });
    const isBack = async () => statusOf(await call(await caller.certificate())) === 200;
    await waitUntil(isBack, 'it signs with another', { withinMs: WITHIN_MS });
    assert.equal(await isRefused(), true);
    await revoke.unrevoke('site');
  });

  await t.test(
    'stays in force below, over a restart, while the server above is away',
    async (t) => {
      const { port } = meshes['of the server above'];
      const caller = await connect(t, above);
      const [thief, other] = [await caller.certificate(), await caller.certificate()];
      const call = (certificate: typeof thief) =>
        callPeer({ port, certificate, data: httpRequest('/') });
      await caller.revoke('stolen', thief.serial);
      const isListed = async () => /revoked/i.test((await call(thief)).error ?? '');
      await waitUntil(isListed, 'the handshake is refused', { withinMs: WITHIN_MS });
      await above.killServer();
      await below.startServer(...belowArgs);
      const hasLists = async () =>
        (await below.metric('bulwark_ca_crl_next_update_timestamp')) > Date.now() / 1000;
      await waitUntil(hasLists, 'it gives lists out', { withinMs: WITHIN_MS });
      assert.ok((await below.metric('bulwark_ca_upstream_lists_age_seconds')) > 0);
      assert.equal(await isListed(), true);
      assert.equal(statusOf(await call(other)), 200);
      await above.startServer(...aboveArgs);
      await caller.unrevoke('stolen');
    },
  );

  await t.test('is by filters alone while a site sends no list, which is told', async (t) => {
    const { port } = meshes['of the server below'];
    const caller = await connect(t, above);
    const [thief, other] = [await caller.certificate(), await caller.certificate()];
    const call = (certificate: typeof thief) =>
      callPeer({ port, certificate, data: httpRequest('/') });
    await waitUntil(async () => statusOf(await call(thief)) === 200, 'the first answer');
    await signAuthority(t, above, 'old');
    await caller.revoke('stolen', thief.serial);
    await waitUntil(async () => statusOf(await call(thief)) === 403, 'a filter refuses it');
    assert.equal(statusOf(await call(other)), 200);
    const told = async (mesh: RealMesh) => (await mesh.command('cert', 'revocations')).split('\n');
    assert.ok((await told(above)).includes('  old.istio-system'));
    const isTold = async () => (await told(below)).includes('  old.istio-system');
    await waitUntil(isTold, 'below it is known, too', { withinMs: WITHIN_MS });
  });
});

/** Gives a site an authority as a server of an older version asks for it: without a list. */
async function signAuthority(t: TestContext, mesh: RealMesh, account: string): Promise<void> {
  const client = new CaClient(
    {
      address: mesh.addresses.discovery,
      serverName: 'istiod.istio-system.svc',
      rootFile: join(mesh.data, 'root-cert.pem'),
    },
    { clock: systemClock },
  );
  t.after(() => client.close());
  const csr = buildCsr(parseSpiffeId(DEFAULT_ACCOUNT), generateKeyPair());
  const request = { csr, validitySeconds: 0, authority: 'intermediate' } as const;
  await client.sign(request, new Secret(await mesh.requestToken('istio-system', account)));
}
