// What is told of objects of the Gateway API, in its own words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpRouteObject } from '#api/kinds/http-route.ts';
import type { KubernetesGateway } from '#api/kinds/kubernetes-gateway.ts';
import { GatewayApiStates } from '#policy/gateway/gateway-api-state.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const WORKLOAD = `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: w, namespace: edge }
spec:
  address: 10.0.0.1
  labels: { gateway.networking.k8s.io/gateway-name: g }
  serviceAccount: app
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ name: http, port: 80 }] }
`;
const WEB = '{ name: web, port: 80, protocol: HTTP }';
const RAW = '{ name: raw, port: 90, protocol: TCP }';
const gateway = (listeners: string, className = 'bulwark') => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: g, namespace: edge }
spec: { gatewayClassName: ${className}, listeners: [${listeners}] }
`;
const OPEN = 'allowedRoutes: { namespaces: { from: All } }';
const SHOP = `{ name: web, port: 80, protocol: HTTP, hostname: '*.shop.com', ${OPEN} }`;
const route = (parent: string, rest = '') => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: shop }
spec: { parentRefs: [{ name: g, namespace: edge ${parent} }] ${rest} }
`;

function statesOf(...texts: readonly string[]) {
  const objects = texts.flatMap((text) => objectsOf(text));
  const states = new GatewayApiStates(testMesh(objects).model.snapshot());
  const words = (list: readonly { type: string; status: string; reason: string }[] = []) =>
    list.map(({ type, status, reason }) => `${type} ${status} ${reason}`);
  const named = (kind: string) =>
    objects.find((one) => one.kind === kind && one.apiVersion.startsWith('gateway.')) ?? {};
  return {
    gateway: () => words(states.gateway(named('Gateway') as KubernetesGateway)),
    route: () =>
      states
        .route(named('HTTPRoute') as HttpRouteObject)
        .map(({ controllerName, conditions }) => [controllerName, ...words(conditions)]),
  };
}

test('a Gateway is accepted as far as its listeners can be served', () => {
  const accepted = (listeners: string) => statesOf(WORKLOAD, gateway(listeners)).gateway()[0];
  assert.equal(accepted(WEB), 'Accepted True Accepted');
  assert.equal(accepted(`${WEB}, ${RAW}`), 'Accepted True ListenersNotValid');
  assert.equal(accepted(RAW), 'Accepted False ListenersNotValid');
});

test('a Gateway is programmed when a workload serves it, with its Secrets', () => {
  const programmed = (...texts: readonly string[]) => statesOf(...texts).gateway()[1];
  const secured = `{ name: s, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: c }] } }`;
  assert.equal(programmed(gateway(WEB)), 'Programmed False NoResources');
  assert.equal(programmed(WORKLOAD, gateway(WEB)), 'Programmed True Programmed');
  assert.equal(programmed(WORKLOAD, gateway(secured)), 'Programmed False Invalid');
});

test('nothing is told of a Gateway of another controller, or of its routes', () => {
  const states = statesOf(WORKLOAD, gateway(SHOP, 'other'), route(''));
  assert.deepEqual(states.gateway(), []);
  assert.deepEqual(states.route(), []);
});

test('a route is accepted where a listener takes it, or the reason says why none does', () => {
  const accepted = (listener: string, parent: string, rest = '') =>
    statesOf(WORKLOAD, gateway(listener), route(parent, rest)).route()[0]?.slice(0, 2);
  const told = (words: string) => ['bulwark.mesh/gateway', `Accepted ${words}`];
  assert.deepEqual(accepted(SHOP, ''), told('True Accepted'));
  assert.deepEqual(accepted(SHOP, ', sectionName: web'), told('True Accepted'));
  assert.deepEqual(accepted(SHOP, ', sectionName: x'), told('False NoMatchingParent'));
  assert.deepEqual(accepted(SHOP, ', port: 81'), told('False NoMatchingParent'));
  assert.deepEqual(accepted(WEB, ''), told('False NotAllowedByListeners'));
  assert.deepEqual(accepted(RAW, ''), told('False NotAllowedByListeners'));
  const other = ', hostnames: [shop.org]';
  assert.deepEqual(accepted(SHOP, '', other), told('False NoMatchingListenerHostname'));
});

test('backends of a route are Services of its namespace, or the reason says what is wrong', () => {
  const resolved = (backend: string) => {
    const rules = `, rules: [{ backendRefs: [{ port: 80, ${backend} }] }]`;
    return statesOf(WORKLOAD, gateway(SHOP), route('', rules)).route()[0]?.at(-1);
  };
  assert.equal(resolved('name: web'), 'ResolvedRefs True ResolvedRefs');
  assert.equal(resolved('name: none'), 'ResolvedRefs False BackendNotFound');
  assert.equal(resolved('name: web, namespace: edge'), 'ResolvedRefs False RefNotPermitted');
  assert.equal(resolved('name: web, kind: Pod'), 'ResolvedRefs False InvalidKind');
});
