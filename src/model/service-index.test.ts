import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf } from '../../test/kit/objects.ts';

function entry(namespace: string, name: string, host: string, more = '') {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: ${namespace}, creationTimestamp: '2026-01-01T00:00:0${name.length}Z' }
spec:
  hosts: [${host}]
  ports: [{ number: 80, name: http }]
  ${more}
`);
}

function viewsOf(objects: ReturnType<typeof entry>) {
  const { services } = testMesh(objects).model.snapshot();
  return (namespace: string) => services.viewOf(namespace);
}

test('namespaces that see the same share the view', () => {
  const view = viewsOf([...entry('a', 'x', 'x.com'), ...entry('b', 'y', 'y.com')]);
  assert.equal(view('a'), view('b'));
  assert.deepEqual(
    view('a').services.map(({ host }) => host),
    ['x.com', 'y.com'],
  );
});

test('a service is seen only where it is exported to', () => {
  const view = viewsOf([
    ...entry('a', 'own', 'own.com', "exportTo: ['.']"),
    ...entry('a', 'named', 'named.com', 'exportTo: [b]'),
    ...entry('a', 'none', 'none.com', "exportTo: ['~']"),
    ...entry('a', 'all', 'all.com', "exportTo: ['*']"),
  ]);
  const seen = (namespace: string) => view(namespace).services.map(({ host }) => host);
  assert.deepEqual(seen('a'), ['all.com', 'own.com']);
  assert.deepEqual(seen('b'), ['all.com', 'named.com']);
  assert.deepEqual(seen('c'), ['all.com']);
});

test('of two services with one host the own one wins, else the oldest', () => {
  const view = viewsOf([...entry('b', 'young', 'x.com'), ...entry('c', 'old', 'x.com')]);
  const owner = (namespace: string) => view(namespace).byHost.get('x.com')?.namespace;
  assert.equal(owner('b'), 'b');
  assert.equal(owner('c'), 'c');
  assert.equal(owner('elsewhere'), 'c');
});

test('a Kubernetes Service wins over a ServiceEntry with its host', () => {
  const service = objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop, creationTimestamp: '2026-02-01T00:00:00Z' }
spec: { ports: [{ port: 80 }] }
`);
  const view = viewsOf([...service, ...entry('evil', 'x', 'web.shop.svc.cluster.local')]);
  assert.equal(view('other').byHost.get('web.shop.svc.cluster.local')?.namespace, 'shop');
});
