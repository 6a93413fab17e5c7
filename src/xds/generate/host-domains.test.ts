import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainsOf, settleDomains } from '#xds/generate/host-domains.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const [WEB] = testMesh(
  objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIPs: [10.1.0.1, 'fd00::1'], ports: [{ port: 80 }] }
`),
)
  .model.snapshot()
  .services.all();

test('callers of the same namespace may leave it out', () => {
  assert.ok(WEB);
  const from = (namespace: string) => domainsOf(WEB, { namespace, clusterDomain: 'cluster.local' });
  const names = ['web.shop.svc.cluster.local', 'web.shop.svc', 'web.shop'];
  assert.deepEqual(from('shop'), [...names, 'web', '10.1.0.1', '[fd00::1]']);
  assert.deepEqual(from('other'), [...names, '10.1.0.1', '[fd00::1]']);
});

test('a domain goes to whom it is the full name of, else to who asked first', () => {
  const settled = settleDomains([
    { claimant: 'a', domains: ['a.example', 'web', 'shared'] },
    { claimant: 'b', domains: ['web', 'shared'] },
    { claimant: 'c', domains: ['a.example'] },
  ]);
  assert.deepEqual(settled, [
    { claimant: 'a', domains: ['a.example', 'shared'] },
    { claimant: 'b', domains: ['web'] },
  ]);
});
