// What administrators are told of trust domains.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TrustBundle, trustBundle } from '#api/kinds/trust-bundle.ts';
import { bundlesView } from '#controlplane/bundles-view.ts';
import { MeshModel } from '#model/mesh-model.ts';
import { meshSettings } from '#model/mesh-settings.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';

test('whose roots count for whom is told, and why others do not', async () => {
  const model = new MeshModel(meshSettings(parseTrustDomain('own.test')));
  const { root } = testAuthority('other');
  const object = (name: string, day: number): TrustBundle => ({
    apiVersion: trustBundle.apiVersion,
    kind: trustBundle.kind,
    metadata: { name, creationTimestamp: new Date(Date.UTC(2026, 0, day)).toISOString() },
    spec: { trustDomain: 'other.test', bundle: root },
  });
  const items = [object('late', 2), object('early', 1)];
  model.apply(items.map((one) => ({ type: 'ADDED', kind: trustBundle.id, object: one })));
  const { bundles, endpointSpiffeId } = await bundlesView(model.snapshot(), {
    authority: { rootPem: testAuthority('own').root as never },
    jwtKeys: { authorities: [] },
    store: { list: async () => ({ items, resourceVersion: '1' }) },
  });
  assert.equal(endpointSpiffeId, 'spiffe://own.test/ns/istio-system/sa/bundle-endpoint');
  assert.deepEqual(
    bundles.map(({ trustDomain, source, roots, error }) => [
      trustDomain,
      source,
      roots.length,
      error,
    ]),
    [
      ['own.test', 'this mesh', 1, undefined],
      ['other.test', 'TrustBundle late', 0, 'the TrustBundle early is older, and counts'],
      ['other.test', 'TrustBundle early', 1, undefined],
    ],
  );
});
