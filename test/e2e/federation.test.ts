// Two meshes of different trust domains, each with server, agents and Envoys of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allowPrincipal,
  FEDERATED_HOST,
  FEDERATION,
  rootsOf,
  startTwoMeshes,
  trustBundleOf,
} from '../kit/federation.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN = { withinMs: 15_000 };

test('identities of another trust domain', { timeout: 180_000 }, async (t) => {
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
    await waitUntil(
      async () => (await web('web')).secrets.FEDERATED_ROOTCA?.state === 'accepted',
      'the caller knows the roots of the other',
      WITHIN,
    );
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
    const as = async (id: string) => {
      const certificate = foreign.issue({ uris: [id] });
      return statusOf(await callPeer({ port: listen, certificate, data: httpRequest('/') }));
    };
    await waitUntil(
      async () => (await as(`spiffe://${third.name}/ns/a/sa/b`)) === 200,
      'its own identities are let in',
      WITHIN,
    );
    for (const domain of [FEDERATION.server, FEDERATION.caller, 'nobody.test'])
      assert.notEqual(await as(`spiffe://${domain}/ns/shop/sa/web`), 200, domain);
  });

  await t.test('are refused again once the bundle is taken away', async () => {
    const path = `/apis/bulwark.mesh/v1alpha1/trustbundles/${FEDERATION.caller}`;
    await server.api.expect({ method: 'DELETE', path });
    await becomes(503, 'the call is refused');
  });
});
