import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf } from '../../test/kit/objects.ts';

const SERVICE = one(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: 8080 }, { name: named, port: 81, targetPort: admin }]
`);

const OTHER = one(`
apiVersion: v1
kind: Service
metadata: { name: other, namespace: shop }
spec: { selector: { app: other }, ports: [{ name: http, port: 80 }] }
`);

function one(yaml: string): ApiObject {
  const [object] = objectsOf(yaml);
  assert.ok(object);
  return object;
}

function entry(name: string, app: string, more = ''): ApiObject {
  return one(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: shop }
spec: { address: 10.0.0.1, labels: { app: ${app} }, serviceAccount: ${app}${more} }
`);
}

function serviceOf(snapshot: MeshSnapshot, host: string) {
  const service = snapshot.services.viewOf('shop').byHost.get(host);
  assert.ok(service, host);
  return { service, endpoints: snapshot.endpoints.of(service) };
}

test('a service leads to the workloads of its namespace that its selector matches', () => {
  const elsewhere = { ...entry('c', 'web'), metadata: { name: 'c', namespace: 'other' } };
  const mesh = testMesh([SERVICE, entry('a', 'web'), entry('b', 'other'), elsewhere]);
  const { endpoints } = serviceOf(mesh.model.snapshot(), 'web.shop.svc.cluster.local');
  const found = endpoints.byPort.get(80)?.map(({ workload, port }) => [workload.name, port]);
  assert.deepEqual(found, [['a', 8080]]);
  assert.deepEqual(endpoints.identities, ['spiffe://cluster.local/ns/shop/sa/web']);
});

test('a port that is given by name needs a workload that has it', () => {
  const mesh = testMesh([
    SERVICE,
    entry('a', 'web'),
    entry('b', 'web', ', ports: { admin: 9000 }'),
  ]);
  const { endpoints } = serviceOf(mesh.model.snapshot(), 'web.shop.svc.cluster.local');
  const found = endpoints.byPort.get(81)?.map(({ workload, port }) => [workload.name, port]);
  assert.deepEqual(found, [['b', 9000]]);
});

test('behind a proxy without redirection only its own ports are endpoints', () => {
  const beside = entry('a', 'web', ', ports: { http: 20001 }');
  const annotations = { 'bulwark.mesh/application-ports': 'http=8080' };
  const mesh = testMesh([SERVICE, { ...beside, metadata: { ...beside.metadata, annotations } }]);
  const { endpoints } = serviceOf(mesh.model.snapshot(), 'web.shop.svc.cluster.local');
  const [endpoint] = endpoints.byPort.get(80) ?? [];
  assert.equal(endpoint?.port, 20001);
  assert.equal(endpoint?.workloadPort, 8080);
  assert.deepEqual(endpoints.byPort.get(81), []);
});

test('a port without a proxy beside it is never an endpoint, whatever the service calls it', () => {
  const renamed = entry('a', 'web', ', ports: { web: 20001 }');
  const annotations = { 'bulwark.mesh/application-ports': 'web=8080' };
  const mesh = testMesh([SERVICE, { ...renamed, metadata: { ...renamed.metadata, annotations } }]);
  const { endpoints } = serviceOf(mesh.model.snapshot(), 'web.shop.svc.cluster.local');
  assert.deepEqual(
    endpoints.byPort.get(80)?.map(({ port }) => port),
    [20001],
  );
});

test('mutual TLS is expected of who has a service account, unless a label says otherwise', () => {
  const label = (mode: string) => `, labels: { app: web, security.istio.io/tlsMode: ${mode} }`;
  const object = (name: string, spec: string) =>
    one(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: shop }
spec: { address: 10.0.0.1${spec} }
`);
  const mesh = testMesh([
    object('account', ', serviceAccount: web'),
    object('nobody', ''),
    object('disabled', `, serviceAccount: web${label('disabled')}`),
    object('labelled', label('istio')),
  ]);
  const capable = mesh.model
    .snapshot()
    .workloads.in('shop')
    .filter((one) => one.mtlsCapable);
  assert.deepEqual(
    capable.map(({ name }) => name),
    ['account', 'labelled'],
  );
});

test('a service account that cannot be part of an identity has none, and harms nobody', () => {
  const bad = entry('a', 'web', '');
  const spec = { ...(bad as { spec?: object }).spec, serviceAccount: 'a/../b' };
  const mesh = testMesh([SERVICE, { ...bad, spec } as ApiObject, entry('b', 'web')]);
  const { endpoints } = serviceOf(mesh.model.snapshot(), 'web.shop.svc.cluster.local');
  assert.deepEqual(endpoints.identities, ['spiffe://cluster.local/ns/shop/sa/web']);
  assert.deepEqual(endpoints.unnamedNamespaces, ['shop']);
});

test('the snapshot is the same while nothing changes, also after a write of status', () => {
  const mesh = testMesh([SERVICE, entry('a', 'web')]);
  const before = mesh.model.snapshot();
  assert.equal(mesh.model.snapshot(), before);
  const metadata = { ...SERVICE.metadata, resourceVersion: '9' };
  mesh.put({ ...SERVICE, metadata, status: { loadBalancer: {} } } as ApiObject);
  assert.equal(mesh.model.snapshot(), before);
});

test('a change leaves everything that it does not touch the same object', () => {
  const mesh = testMesh([SERVICE, OTHER, entry('a', 'web'), entry('b', 'other')]);
  const before = mesh.model.snapshot();
  const otherBefore = serviceOf(before, 'other.shop.svc.cluster.local');
  mesh.put(entry('c', 'web'));
  const after = mesh.model.snapshot();
  assert.ok(after.version > before.version);
  assert.equal(after.services, before.services);
  assert.equal(after.peerAuthentications, before.peerAuthentications);
  assert.notEqual(after.endpoints, before.endpoints);
  const otherAfter = serviceOf(after, 'other.shop.svc.cluster.local');
  assert.equal(otherAfter.endpoints, otherBefore.endpoints);
  const web = serviceOf(after, 'web.shop.svc.cluster.local').endpoints;
  assert.equal(web.byPort.get(80)?.length, 2);
  assert.equal(
    web.identities,
    serviceOf(before, 'web.shop.svc.cluster.local').endpoints.identities,
  );
});

test('what is gone is gone', () => {
  const mesh = testMesh([SERVICE, entry('a', 'web')]);
  mesh.remove(entry('a', 'web'));
  const { endpoints } = serviceOf(mesh.model.snapshot(), 'web.shop.svc.cluster.local');
  assert.deepEqual(endpoints.byPort.get(80), []);
  mesh.remove(SERVICE);
  assert.equal(mesh.model.snapshot().services.viewOf('shop').services.length, 0);
});

test('a workload whose labels change moves from one service to another', () => {
  const mesh = testMesh([SERVICE, OTHER, entry('a', 'web')]);
  mesh.model.snapshot();
  mesh.put(entry('a', 'other'));
  const after = mesh.model.snapshot();
  const at = (host: string) => serviceOf(after, `${host}.shop.svc.cluster.local`).endpoints.byPort;
  assert.deepEqual(at('web').get(80), []);
  assert.equal(at('other').get(80)?.length, 1);
});

test('an object has the version of the first snapshot with its form, also when others change', () => {
  const mesh = testMesh([SERVICE]);
  const version = () => mesh.model.snapshot().version;
  const a = entry('a', 'web');
  mesh.put(a);
  const since = version();
  assert.equal(mesh.model.versionOf(a), since);
  mesh.put(entry('b', 'web'));
  assert.equal(version(), since + 1);
  assert.equal(mesh.model.versionOf(a), since);
  const changed = entry('a', 'other');
  mesh.put(changed);
  assert.equal(mesh.model.versionOf(changed), version());
});

test('a change says whether it means anything', () => {
  const { model } = testMesh([SERVICE]);
  const change = (object: ApiObject) =>
    model.apply([{ type: 'MODIFIED', kind: 'services', object }]);
  assert.equal(change({ ...SERVICE, status: { loadBalancer: {} } } as ApiObject), false);
  assert.equal(change({ ...SERVICE, spec: { ports: [] } } as ApiObject), true);
});
