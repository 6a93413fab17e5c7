// Two meshes of different trust domains, each with server, agents and Envoys of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import type { TrustBundle } from '#api/kinds/trust-bundle.ts';
import { bulwark } from '../kit/bulwark.ts';
import {
  allowPrincipal,
  FEDERATED_HOST,
  FEDERATION,
  rootsOf,
  startTwoMeshes,
  trustBundleOf,
} from '../kit/federation.ts';
import { answersFresh, startHandshakes } from '../kit/fresh-handshakes.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { RealMesh, startLoad } from '../kit/real-mesh.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';
import { tokenApi } from '../kit/workload-api.ts';

const WITHIN = { withinMs: 60_000 };

test('identities of another trust domain', { timeout: 240_000 }, async (t) => {
  const { caller, server, listen, proxyPort, web } = await startTwoMeshes(t);
  /** The status of a call on a connection of its own to the caller's proxy. */
  const call = async (): Promise<number> => {
    const client = new KeepAliveClient({ port: proxyPort });
    try {
      return (await client.ask({ target: FEDERATED_HOST })).status;
    } finally {
      client.close();
    }
  };
  const becomes = (status: number, what: string) =>
    waitUntil(async () => (await call()) === status, what, WITHIN);

  await t.test('are refused in the handshake without a bundle', async () => {
    await becomes(503, 'the call is refused');
    await caller.apply(trustBundleOf(FEDERATION.server, { bundle: rootsOf(server) }));
    const admin = new EnvoyAdmin((await web('web')).adminSocket ?? '');
    const isKnown = async () =>
      (await admin.get('/config_dump?resource=dynamic_active_secrets')).body.includes(
        `spiffe-roots://${FEDERATION.server}`,
      );
    await waitUntil(isKnown, 'the caller knows the roots of the other', WITHIN);
    assert.equal(await call(), 503, 'the bundle of one side is not enough');
  });

  await t.test('are let in with bundles on both sides and a policy that names them', async () => {
    await server.apply(trustBundleOf(FEDERATION.caller, { bundle: rootsOf(caller) }));
    await becomes(200, 'the call is answered');
  });

  await t.test('are refused by a policy that does not name them', async () => {
    await server.apply(allowPrincipal(`${FEDERATION.caller}/ns/shop/sa/other`));
    await becomes(403, 'the policy refuses');
    await server.apply(allowPrincipal(`${FEDERATION.caller}/ns/shop/sa/web`));
    await becomes(200, 'the policy allows');
  });

  await t.test('are nothing that an authority of another trust domain can sign', async () => {
    const foreign = testAuthority('foreign');
    const third = { ...foreign, name: 'third.test' };
    await server.apply(trustBundleOf(third.name, { bundle: third.root }));
    await server.apply(allowPrincipal('*'));
    const as = async (...uris: string[]) => {
      const certificate = foreign.issue({ uris });
      return statusOf(await callPeer({ port: listen, certificate, data: httpRequest('/') }));
    };
    await waitUntil(
      async () => (await as(`spiffe://${third.name}/ns/a/sa/b`)) === 200,
      'its own identities are let in',
      WITHIN,
    );
    for (const domain of [FEDERATION.server, FEDERATION.caller, 'nobody.test'])
      assert.notEqual(await as(`spiffe://${domain}/ns/shop/sa/web`), 200, domain);
    // Envoy verifies by the first name, and its rules match any.
    const own = `spiffe://${third.name}/ns/a/sa/b`;
    for (const domain of [FEDERATION.server, FEDERATION.caller])
      assert.equal(await as(own, `spiffe://${domain}/ns/shop/sa/web`), 403, domain);
  });

  await t.test('are refused when they are revoked here, and let in when that is over', async () => {
    await server.apply(allowPrincipal(`${FEDERATION.caller}/ns/shop/sa/web`));
    await becomes(200, 'the call is answered');
    const path = '/apis/bulwark.mesh/v1alpha1/certificaterevocations';
    const identity = `spiffe://${FEDERATION.caller}/ns/shop/sa/web`;
    const kind = 'CertificateRevocation';
    const apiVersion = 'bulwark.mesh/v1alpha1';
    const spec = { identity };
    await server.apply(JSON.stringify({ apiVersion, kind, metadata: { name: 'web' }, spec }));
    await becomes(403, 'the revoked caller is refused');
    await server.api.expect({ method: 'DELETE', path: `${path}/web` });
    await becomes(200, 'the caller is let in again');
  });

  await t.test('are refused again once the bundle is taken away', async () => {
    const path = `/apis/bulwark.mesh/v1alpha1/trustbundles/${FEDERATION.caller}`;
    await server.api.expect({ method: 'DELETE', path });
    await becomes(503, 'the call is refused');
  });
});

/** A TrustBundle for a mesh that serves its bundle: the roots as they are, then its endpoint. */
function fetchedFrom(mesh: RealMesh, trustDomain: string): string {
  const { bundleEndpoint: url } = mesh.addresses;
  const endpointSpiffeId = `spiffe://${trustDomain}/ns/istio-system/sa/bundle-endpoint`;
  const endpoint = { url, profile: 'https_spiffe', endpointSpiffeId };
  return trustBundleOf(trustDomain, { bundle: rootsOf(mesh), endpoint });
}

test('tokens count there, too, and a root is replaced without a failed request', {
  timeout: 240_000,
}, async (t) => {
  const args = ['--bundle-endpoint-port', '0', '--bundle-refresh-hint', '2s'];
  const both = [...args, '--jwks-allowed-addresses', '127.0.0.0/8'];
  const meshes = await startTwoMeshes(t, { caller: both, server: both });
  const { caller, server, web, ledger, proxyPort, tcpPort } = meshes;
  await caller.apply(fetchedFrom(server, FEDERATION.server));
  await server.apply(fetchedFrom(caller, FEDERATION.caller));
  const client = new KeepAliveClient({ port: proxyPort });
  t.after(() => client.close());
  await waitUntil(
    async () => (await client.ask({ target: FEDERATED_HOST })).status === 200,
    'the first answer',
    WITHIN,
  );
  await waitUntil(() => answersFresh(tcpPort), 'the first handshake', WITHIN);
  const handshakes = startHandshakes(t, tcpPort);
  const load = startLoad(t, { port: proxyPort, target: FEDERATED_HOST });
  const path = `/apis/bulwark.mesh/v1alpha1/trustbundles/${FEDERATION.server}`;
  const hasRoots = (count: number) =>
    waitUntil(
      async () => (await caller.get<TrustBundle>(path))?.status?.roots === count,
      `${count} roots of the other side`,
      WITHIN,
    );
  const rotate = async (step: string) => {
    const command = bulwark(['ca', 'rotate', step, '--kubeconfig', server.kubeconfig]);
    t.after(() => command.kill());
    await command.ended;
    assert.equal(command.exit?.code, 0, command.tail());
  };
  await hasRoots(1);
  const callerApi = tokenApi(t, (await web('web')).workloadSocket);
  const serverApi = tokenApi(t, (await ledger('ledger')).workloadSocket);
  const svid = await callerApi.token('ledger');
  const identity = `spiffe://${FEDERATION.caller}/ns/shop/sa/web`;
  await waitUntil(
    async () => (await serverApi.validate(svid, 'ledger')).identity === identity,
    'a token of the caller is valid in the other mesh',
    WITHIN,
  );
  await rotate('prepare');
  const body = { step: 'activate', leaveBehind: [] };
  const early = await server.api.send({ method: 'POST', path: ADMIN_PATHS.roots, body });
  assert.equal(early.status, 409);
  assert.match(JSON.stringify(early.body), /federated-meshes/);
  await rotate('activate');
  await hasRoots(2);
  await rotate('taint');
  await rotate('revoke');
  await hasRoots(1);
  assert.equal((await client.ask({ target: FEDERATED_HOST })).status, 200);
  const { failures } = await load.stop(50);
  assert.deepEqual(failures, []);
  const { count, failed } = await handshakes.stop(50);
  assert.equal(failed, 0, `of ${count} handshakes`);
  const status = (await caller.get<TrustBundle>(path))?.status;
  assert.ok(status?.sequence && status.notAfter && status.lastFetched && !status.error);
});

test('nobody speaks for a trust domain of the mesh', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer('--trust-domain', 'shop.test', '--trust-domain-aliases', 'old.test');
  const { root } = testAuthority('foreign');
  for (const trustDomain of ['shop.test', 'old.test'])
    await assert.rejects(
      mesh.apply(trustBundleOf(trustDomain, { bundle: root })),
      /a trust domain of this mesh/,
    );
  await mesh.apply(trustBundleOf('other.test', { bundle: root }));
});
