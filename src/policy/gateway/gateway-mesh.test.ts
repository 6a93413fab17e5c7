import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: g, namespace: edge }
spec: { gatewayClassName: bulwark, listeners: [{ name: web, port: 80, protocol: HTTP }] }
`;
const route = (host: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: edge }
spec: { parentRefs: [{ name: g }], hostnames: [${host}], rules: [{}] }
`;

test('what objects of the Gateway API come to is made anew when they change, and not before', () => {
  const mesh = testMesh(objectsOf(`${GATEWAY}---${route('a.example')}`));
  const indexes = () => {
    const { gateways, virtualServices } = seenByGateways(mesh.model.snapshot());
    return { gateways, virtualServices };
  };
  const hosts = () => indexes().virtualServices.all()[0]?.spec?.hosts;
  const before = indexes();
  mesh.put(...serviceObjects('shop', 'web', [{ name: 'http', port: 80 }]));
  assert.equal(indexes().gateways, before.gateways);
  assert.equal(indexes().virtualServices, before.virtualServices);
  assert.deepEqual(hosts(), ['a.example']);
  mesh.put(...objectsOf(route('b.example')));
  assert.deepEqual(hosts(), ['b.example']);
});

test('a mesh without them is seen as it is', () => {
  const snapshot = testMesh(objectsOf(route('a.example'))).model.snapshot();
  assert.equal(seenByGateways(snapshot).virtualServices, snapshot.virtualServices);
});
