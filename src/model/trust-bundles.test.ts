// Which trust domains a mesh is federated with, by its TrustBundles.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type TrustBundle,
  type TrustBundleSpec,
  type TrustBundleStatus,
  trustBundle,
} from '#api/kinds/trust-bundle.ts';
import { MeshModel } from '#model/mesh-model.ts';
import { meshSettings } from '#model/mesh-settings.ts';
import { TrustBundles } from '#model/trust-bundles.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';

const settings = meshSettings(parseTrustDomain('own.test'), {
  trustDomainAliases: [parseTrustDomain('alias.test')],
});
const [first, second] = [testAuthority('first').root, testAuthority('second').root];

function object(
  name: string,
  spec: TrustBundleSpec,
  { status, at = 1 }: { readonly status?: TrustBundleStatus; readonly at?: number } = {},
): TrustBundle {
  const creationTimestamp = new Date(Date.UTC(2026, 0, at)).toISOString();
  return {
    apiVersion: 'bulwark.mesh/v1alpha1',
    kind: 'TrustBundle',
    metadata: { name, creationTimestamp },
    spec,
    ...(status && { status }),
  };
}

const domains = (...objects: readonly TrustBundle[]) => TrustBundles.of(objects, settings).domains;

test('a bundle federates with its trust domain', () => {
  const one = object('b', { trustDomain: 'b.test', bundle: first });
  const other = object('a', { trustDomain: 'a.test', bundle: second });
  assert.deepEqual(domains(one, other), ['a.test', 'b.test']);
});

test('nobody speaks for the trust domains of the mesh', () => {
  for (const trustDomain of ['own.test', 'alias.test'])
    assert.deepEqual(domains(object('x', { trustDomain, bundle: first })), []);
});

test('of two bundles for one trust domain the older counts', () => {
  const young = object('a', { trustDomain: 'b.test', bundle: first }, { at: 2 });
  const old = object('z', { trustDomain: 'b.test', bundle: `${first}${second}` }, { at: 1 });
  assert.equal(TrustBundles.of([young, old], settings).all[0]?.bundle.roots.length, 2);
});

test('what was fetched counts before what was written, but only from the same endpoint', () => {
  const endpoint = { url: 'https://b.test/bundle' };
  const spec = { trustDomain: 'b.test', bundle: first, endpoint };
  const fetched = JSON.stringify({ keys: [] });
  const of = (url: string) => domains(object('b', spec, { status: { url, bundle: fetched } }));
  assert.deepEqual(of('https://b.test/bundle'), [], 'it revoked its roots');
  assert.deepEqual(of('https://b.test/before'), ['b.test']);
});

test('a bundle that is not there yet, or cannot be read, federates with nobody', () => {
  const endpoint = { url: 'https://b.test/bundle' };
  assert.deepEqual(domains(object('b', { trustDomain: 'b.test', endpoint })), []);
  assert.deepEqual(domains(object('b', { trustDomain: 'b.test', bundle: 'nonsense' })), []);
  assert.deepEqual(domains(object('b', { trustDomain: 'B.test', bundle: first })), []);
});

test('a model sees what was fetched, and nothing new in what was only tried', () => {
  const model = new MeshModel(settings);
  const spec = { trustDomain: 'b.test', bundle: first, endpoint: { url: 'https://b.test/' } };
  const put = (status?: TrustBundleStatus): TrustBundles => {
    const changed = object('b', spec, status ? { status } : {});
    model.apply([{ type: 'MODIFIED', kind: trustBundle.id, object: changed }]);
    return model.snapshot().trustBundles;
  };
  const before = put();
  assert.equal(put({ error: 'no answer' }), before);
  const fetched = { url: spec.endpoint.url, bundle: '{"keys":[]}', lastFetched: 'now' };
  assert.deepEqual(put(fetched).domains, []);
  assert.equal(put({ ...fetched, lastFetched: 'later' }), put(fetched));
});
