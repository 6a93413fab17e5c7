// Which VirtualService counts for a host, and which of its routes for a caller.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientVirtualServices, routingScope } from '#policy/routing/virtual-services.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

/** Objects of the same moment but for the last digit of their age. */
function meshOf(...specs: readonly [name: string, namespace: string, spec: string][]) {
  const objects = specs.flatMap(([name, namespace, spec], index) =>
    objectsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: ${namespace}, creationTimestamp: '2026-01-01T00:00:0${index}Z' }
spec: ${spec}
`),
  );
  return testMesh(objects).model.snapshot();
}

const http = (more = '') => `http: [{ route: [{ destination: { host: b } }], ${more} }]`;

function winner(mesh: ReturnType<typeof meshOf>, host: string, namespace = 'elsewhere') {
  const client = { namespace, labels: {} };
  const seen = new ClientVirtualServices(mesh.virtualServices, client, mesh.settings);
  return seen.forHost(host)?.metadata.name;
}

test('a short host is a service of the own namespace', () => {
  const mesh = meshOf(['v', 'shop', `{ hosts: [b], ${http()} }`]);
  assert.equal(winner(mesh, 'b.shop.svc.cluster.local'), 'v');
  assert.equal(winner(mesh, 'b.other.svc.cluster.local'), undefined);
});

test('the narrower host wins, then the oldest', () => {
  const mesh = meshOf(
    ['wide', 'shop', `{ hosts: ['*.com'], ${http()} }`],
    ['wild', 'shop', `{ hosts: ['*.example.com'], ${http()} }`],
    ['plain', 'shop', `{ hosts: [a.example.com], ${http()} }`],
    ['late', 'shop', `{ hosts: [a.example.com], ${http()} }`],
  );
  assert.equal(winner(mesh, 'a.example.com'), 'plain');
  assert.equal(winner(mesh, 'b.example.com'), 'wild');
  assert.equal(winner(mesh, 'b.com'), 'wide');
});

test('what fewer namespaces see wins, and is not seen elsewhere', () => {
  const mesh = meshOf(
    ['all', 'far', `{ hosts: [a.com], ${http()} }`],
    ['named', 'far', `{ hosts: [a.com], exportTo: [shop, home], ${http()} }`],
    ['own', 'shop', `{ hosts: [a.com], exportTo: ['.'], ${http()} }`],
  );
  assert.equal(winner(mesh, 'a.com', 'shop'), 'own');
  assert.equal(winner(mesh, 'a.com', 'home'), 'named');
  assert.equal(winner(mesh, 'a.com', 'elsewhere'), 'all');
});

test('what is for gateways only, or routes no HTTP, says nothing to sidecars', () => {
  const mesh = meshOf(
    ['gate', 'shop', `{ hosts: [a.com], gateways: [front], ${http()} }`],
    ['tcp', 'shop', '{ hosts: [a.com], tcp: [{ route: [{ destination: { host: b } }] }] }'],
    ['both', 'shop', `{ hosts: [b.com], gateways: [front, mesh], ${http()} }`],
  );
  assert.equal(winner(mesh, 'a.com'), undefined);
  assert.equal(winner(mesh, 'b.com'), 'both');
});

test('conditions on callers and ports leave routes out for others', () => {
  const conditions = [
    '{ port: 80 }',
    '{ sourceNamespace: shop }',
    '{ sourceLabels: { app: a } }',
    '{ gateways: [front] }',
    '{ uri: { prefix: / } }',
  ];
  const spec = `{ hosts: [b], http: [${conditions
    .map((one) => `{ match: [${one}], route: [{ destination: { host: b } }] }`)
    .join(', ')}] }`;
  const mesh = meshOf(['v', 'shop', spec]);
  const routes = (namespace: string, labels: Record<string, string>, port: number) => {
    const client = { namespace, labels };
    const seen = new ClientVirtualServices(mesh.virtualServices, client, mesh.settings);
    const object = seen.forHost('b.shop.svc.cluster.local');
    assert.ok(object);
    return seen.routesOf(object, port).map(({ match }) => Object.keys(match[0] ?? {})[0]);
  };
  const [port, namespace, labels, always] = ['port', 'sourceNamespace', 'sourceLabels', 'uri'];
  assert.deepEqual(routes('shop', { app: 'a' }, 80), [port, namespace, labels, always]);
  assert.deepEqual(routes('shop', { app: 'b' }, 81), [namespace, always]);
  assert.deepEqual(routes('far', { app: 'a' }, 81), [labels, always]);
  const scope = (app: string) =>
    routingScope(mesh.virtualServices, { namespace: 'shop', labels: { app } });
  assert.notEqual(scope('a'), scope('b'));
  const plain = meshOf(['v', 'shop', `{ hosts: [b], ${http()} }`]).virtualServices;
  const client = (app: string) => ({ namespace: 'shop', labels: { app } });
  assert.equal(routingScope(plain, client('a')), routingScope(plain, client('b')));
});

test('delegated routes count under the conditions of both, or not at all', () => {
  const root = `{ hosts: [b], http: [
    { match: [{ uri: { prefix: /d } }], timeout: 5s, delegate: { name: d, namespace: far } },
    { delegate: { name: hidden, namespace: far } },
    { delegate: { name: missing } },
  ] }`;
  const to = 'route: [{ destination: { host: b } }]';
  const leaf = `{ http: [
    { match: [{ uri: { exact: /d/x }, headers: { a: {} } }, { uri: { prefix: /e } }], ${to} },
    { match: [{ uri: { prefix: /e } }], ${to} },
    { timeout: 1s, ${to} },
  ] }`;
  const mesh = meshOf(
    ['v', 'shop', root],
    ['d', 'far', leaf],
    ['hidden', 'far', `{ exportTo: ['.'], ${http()} }`],
  );
  const client = { namespace: 'shop', labels: {} };
  const seen = new ClientVirtualServices(mesh.virtualServices, client, mesh.settings);
  const object = seen.forHost('b.shop.svc.cluster.local');
  assert.ok(object);
  const routes = seen.routesOf(object, 80).map(({ route, match }) => [route.timeout, match]);
  assert.deepEqual(routes, [
    ['5s', [{ uri: { exact: '/d/x' }, headers: { a: {} } }]],
    ['1s', [{ uri: { prefix: '/d' } }]],
  ]);
});
