import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ApiObject } from '#api/object.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { TYPE_URL, type TypeUrl, type XdsSnapshot } from '#xds/resource.ts';
import { type TestMesh, testMesh, testProxy } from '../../../test/kit/mesh.ts';
import { registeredYaml } from '../../../test/kit/mesh-objects.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const BASE = objectsOf(`${registeredYaml('shop', 'web')}
---
apiVersion: v1
kind: Service
metadata: { name: queue, namespace: shop }
spec: { clusterIP: 10.1.0.9, selector: { app: queue }, ports: [{ name: tcp, port: 9000 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: queue-1, namespace: shop }
spec: { address: 10.0.0.2, labels: { app: queue }, serviceAccount: queue }
`);

const ONE = testProxy({ namespace: 'web', labels: { app: 'one' } });
const TWO = testProxy({ namespace: 'web', labels: { app: 'two' }, workloadName: 'two-1' });

function snapshot(mesh: TestMesh, proxy: ProxyNode): XdsSnapshot {
  return mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
}

/** Every resource by type and name, as its version, which is a hash of its bytes. */
function versions(resources: XdsSnapshot): Record<string, string> {
  const entries = [...resources].flatMap(([typeUrl, map]) =>
    [...map.values()].map(({ name, version }) => [`${typeUrl} ${name}`, version] as const),
  );
  return Object.fromEntries(entries);
}

test('the same input gives the same bytes, whoever computes them and in whatever order it came', () => {
  const expected = versions(snapshot(testMesh(BASE), ONE));
  assert.deepEqual(versions(snapshot(testMesh([...BASE].reverse()), ONE)), expected);
});

test('proxies that see the same share every resource', () => {
  const mesh = testMesh(BASE);
  const one = snapshot(mesh, ONE);
  const two = snapshot(mesh, TWO);
  for (const [typeUrl, map] of one) assert.equal(two.get(typeUrl), map, typeUrl);
});

test('a change leaves every resource that it does not touch the same object', () => {
  const mesh = testMesh(BASE);
  const before = snapshot(mesh, ONE);
  mesh.put(
    ...objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-2, namespace: shop }
spec: { address: 10.0.0.3, labels: { app: web }, serviceAccount: web }
`),
  );
  const after = snapshot(mesh, ONE);
  const changed = [...after].flatMap(([typeUrl, map]) =>
    [...map.values()].filter((one) => before.get(typeUrl)?.get(one.name) !== one),
  );
  assert.deepEqual(
    changed.map(({ name }) => name),
    ['outbound|80||web.shop.svc.cluster.local'],
  );
  assert.equal(changed[0]?.typeUrl, TYPE_URL.endpoints);
  for (const typeUrl of [TYPE_URL.cluster, TYPE_URL.listener, TYPE_URL.route])
    assert.equal(after.get(typeUrl), before.get(typeUrl));
});

test('a new account behind a service changes whom callers take for it', () => {
  const mesh = testMesh(BASE);
  const name = 'outbound|80||web.shop.svc.cluster.local';
  const before = snapshot(mesh, ONE).get(TYPE_URL.cluster)?.get(name);
  mesh.put(
    ...objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-2, namespace: shop }
spec: { address: 10.0.0.3, labels: { app: web }, serviceAccount: canary }
`),
  );
  assert.notEqual(snapshot(mesh, ONE).get(TYPE_URL.cluster)?.get(name), before);
});

test('an HTTP policy reaches proxies without a change of listeners', () => {
  const mesh = testMesh(BASE);
  const before = snapshot(mesh, ONE);
  mesh.put(
    ...objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: web }
spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/admin] } }] }] }
`),
  );
  const explicit = testProxy({
    ...ONE,
    interception: 'explicit',
    explicit: {
      inboundAddress: '127.0.0.1',
      inbound: [{ name: 'http', port: 8080, listen: 20001 }],
      httpProxyPort: 20002,
      upstreams: [],
    },
  });
  const clean = testMesh(BASE);
  const listeners = snapshot(clean, explicit).get(TYPE_URL.listener);
  assert.deepEqual(
    [...(snapshot(mesh, explicit).get(TYPE_URL.listener)?.values() ?? [])].map(
      (one) => one.version,
    ),
    [...(listeners?.values() ?? [])].map((one) => one.version),
  );
  const after = snapshot(mesh, ONE);
  assert.notEqual(after.get(TYPE_URL.extensionConfig), before.get(TYPE_URL.extensionConfig));
});

test('a proxy that asks for one port twice keeps what it has', () => {
  const upstream = { host: 'queue.shop', port: 9000, listen: 20003 };
  const proxy = testProxy({
    interception: 'explicit',
    explicit: {
      inboundAddress: '127.0.0.1',
      inbound: [],
      httpProxyPort: 20002,
      upstreams: [upstream, upstream],
    },
  });
  assert.throws(() => snapshot(testMesh(BASE), proxy), { code: 'XDS_RESOURCE_INVALID' });
});

/** Objects that touch every part of a configuration, present or not. */
const CHOICES: readonly ApiObject[] = [
  ...BASE,
  ...objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-2, namespace: shop }
spec: { address: 10.0.0.3, labels: { app: web }, serviceAccount: canary }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-2, namespace: shop }
spec: { address: 10.0.0.3, labels: { app: queue } }
---
apiVersion: v1
kind: Service
metadata: { name: one, namespace: web }
spec: { selector: { app: one }, ports: [{ name: http, port: 80 }, { name: tcp, port: 5000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: one, namespace: web }
spec: { selector: { app: one }, ports: [{ port: 80 }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: web, namespace: shop }
spec: { selector: { matchLabels: { app: web } }, mtls: { mode: DISABLE } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: shop }
spec: { host: web, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: web }
spec: { host: '*', workloadSelector: { matchLabels: { app: two } }, trafficPolicy: { tls: { mode: DISABLE } } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: outside, namespace: web }
spec: { hosts: [api.example.com], exportTo: ['.'], ports: [{ number: 80, name: http }], resolution: DNS }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: web }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ["80"] } }] }] }
`),
];

test('whatever came before, a change leads to what the objects alone lead to', () => {
  const step = fc.record({ at: fc.nat(CHOICES.length - 1), gone: fc.boolean() });
  const property = fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
    const mesh = testMesh([]);
    const present = new Map<string, ApiObject>();
    for (const { at, gone } of steps) {
      const object = CHOICES[at];
      assert.ok(object);
      const key = `${object.kind} ${object.metadata.namespace} ${object.metadata.name}`;
      if (gone) {
        present.delete(key);
        mesh.remove(object);
      } else {
        present.set(key, object);
        mesh.put(object);
      }
      for (const proxy of [ONE, TWO]) snapshot(mesh, proxy);
    }
    const fresh = testMesh([...present.values()]);
    for (const proxy of [ONE, TWO])
      assert.deepEqual(versions(snapshot(mesh, proxy)), versions(snapshot(fresh, proxy)));
  });
  fc.assert(property, { numRuns: 25 });
});

test('callers and servers may have either name of the trust domain while it is changed', () => {
  const aliases = { trustDomainAliases: [parseTrustDomain('next.test')] };
  const proxy = testProxy({ namespace: 'shop', labels: { app: 'web' }, serviceAccount: 'web' });
  const bytesOf = (mesh: TestMesh, typeUrl: TypeUrl): string =>
    [...(snapshot(mesh, proxy).get(typeUrl)?.values() ?? [])]
      .map(({ encoded }) => Buffer.from(encoded).toString('latin1'))
      .join();
  for (const typeUrl of [TYPE_URL.cluster, TYPE_URL.listener]) {
    assert.match(bytesOf(testMesh(BASE, aliases), typeUrl), /spiffe:\/\/next\.test\//, typeUrl);
    assert.doesNotMatch(bytesOf(testMesh(BASE), typeUrl), /next\.test/, typeUrl);
  }
});
