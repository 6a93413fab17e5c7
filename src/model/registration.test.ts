import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkloadGroup } from '#api/kinds/workload-group.ts';
import { labelsOfProxy, registrationOf, workloadOfProxy } from '#model/registration.ts';
import { testMesh, testProxy } from '../../test/kit/mesh.ts';
import { objectsOf } from '../../test/kit/objects.ts';

const [GROUP] = objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: web, namespace: shop }
spec:
  metadata: { labels: { app: web }, annotations: { team: photo } }
  template: { serviceAccount: web, labels: { tier: front }, ports: { http: 8080 }, locality: eu/a }
`) as [WorkloadGroup];

const PROXY = testProxy({
  namespace: 'shop',
  serviceAccount: 'web',
  workloadName: 'web-1',
  group: 'web',
  labels: { app: 'admin' },
});

const EXPLICIT = {
  ...PROXY,
  interception: 'explicit' as const,
  explicit: {
    inboundAddress: '127.0.0.1',
    inbound: [{ name: 'http', port: 8080, listen: 20001 }],
    httpProxyPort: 20002,
    upstreams: [],
  },
};

test('a registered workload has labels and account of its group, address and ports of its proxy', () => {
  const { entry } = registrationOf(GROUP, PROXY);
  assert.equal(entry?.metadata.name, 'web-web-1');
  assert.deepEqual(entry?.metadata.labels, { app: 'web' });
  assert.equal(entry?.metadata.annotations?.['istio.io/autoRegistrationGroup'], 'web');
  assert.deepEqual(entry?.spec, {
    serviceAccount: 'web',
    labels: { tier: 'front' },
    ports: { http: 8080 },
    locality: 'eu/a',
    address: '10.0.0.1',
  });
});

test('without redirection peers connect to the proxy, and the port of the application is kept', () => {
  const { entry } = registrationOf(GROUP, EXPLICIT);
  assert.equal(entry?.spec.address, '127.0.0.1');
  assert.deepEqual(entry?.spec.ports, { http: 20001 });
  assert.equal(entry?.metadata.annotations?.['bulwark.mesh/application-ports'], 'http=8080');
});

test('nobody joins a group of another service account or namespace', () => {
  const other = registrationOf(GROUP, { ...PROXY, serviceAccount: 'other' });
  assert.equal(other.entry, undefined);
  assert.match(
    other.refused.message,
    /for service account "web", and the workload runs as "other"/,
  );
  assert.ok(registrationOf(GROUP, { ...PROXY, namespace: 'default' }).refused);
});

test('a name that cannot be one is refused', () => {
  for (const workloadName of ['../x', 'UPPER', 'a'.repeat(300), ''])
    assert.equal(registrationOf(GROUP, { ...PROXY, workloadName }).entry, undefined, workloadName);
});

test('a workload without an address is refused', () => {
  assert.equal(registrationOf(GROUP, { ...PROXY, addresses: [] }).refused?.field, 'spec.address');
});

test('the labels of a proxy are those of its entry, else of its group, never its own word', () => {
  const mesh = testMesh([GROUP]);
  assert.deepEqual(labelsOfProxy(PROXY, mesh.model.snapshot()), { app: 'web', tier: 'front' });
  const { entry } = registrationOf(GROUP, PROXY);
  assert.ok(entry);
  mesh.put({ ...entry, metadata: { ...entry.metadata, labels: { app: 'web', version: '2' } } });
  assert.deepEqual(labelsOfProxy(PROXY, mesh.model.snapshot()), {
    app: 'web',
    tier: 'front',
    version: '2',
  });
});

test('a proxy that claims a group of another account has only its own word', () => {
  const liar = { ...PROXY, serviceAccount: 'other' };
  const snapshot = testMesh([GROUP]).model.snapshot();
  assert.deepEqual(labelsOfProxy(liar, snapshot), { app: 'admin' });
});

test('an entry that runs under another account is not the workload of the proxy', () => {
  const { entry } = registrationOf(GROUP, PROXY);
  assert.ok(entry);
  const mesh = testMesh([GROUP, entry]);
  assert.equal(workloadOfProxy(PROXY, mesh.model.snapshot())?.name, 'web-web-1');
  const other = { ...PROXY, serviceAccount: 'other' };
  assert.equal(workloadOfProxy(other, mesh.model.snapshot()), undefined);
});

test('a redirected proxy is known by its address when only one workload has it', () => {
  const { group: _, ...unregistered } = PROXY;
  const at = (name: string) =>
    objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: shop }
spec: { address: 10.0.0.1, serviceAccount: web }
`);
  const mesh = testMesh(at('vm'));
  assert.equal(workloadOfProxy(unregistered, mesh.model.snapshot())?.name, 'vm');
  mesh.put(...at('vm-2'));
  assert.equal(workloadOfProxy(unregistered, mesh.model.snapshot()), undefined);
});
