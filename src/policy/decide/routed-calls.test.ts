// What becomes of requests at the proxy of their caller, in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findServicePort } from '#policy/decide/find-targets.ts';
import { routedCalls } from '#policy/decide/routed-calls.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

const WEB = serviceObjects('shop', 'web', [{ name: 'http', port: 80 }]);
const MORE = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: out, namespace: shop }
spec:
  hosts: [out.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{ number: 80, name: http, protocol: HTTP }]
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: web, namespace: shop }
spec:
  metadata: { labels: { app: web } }
  template: { serviceAccount: web, ports: { http: 8080 } }
`);

/** What routes of `shop/web` say of `GET /a?b` from the mesh; undefined when nothing. */
function said(http: string, from = 'spiffe://cluster.local/ns/shop/sa/caller') {
  const routes = objectsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: shop }
spec: { hosts: [web], http: ${http} }
`);
  const mesh = testMesh([...WEB, ...MORE, ...routes]).model.snapshot();
  const found = findServicePort({ name: 'shop/web', port: 80, namespace: 'shop' }, mesh);
  assert.ok(!('problem' in found));
  const identity = from === '' ? undefined : parseSpiffeId(from);
  const caller = { identity, namespace: 'shop', labels: {}, address: '' };
  const request = { method: 'GET', target: '/a?b', host: 'web' };
  return routedCalls({ from: caller, ...found, http: request, token: undefined }, mesh)?.map(
    ({ route }) => ({
      says: route?.layer.reason,
      field: route?.layer.field,
      answer: route?.answer,
    }),
  );
}

const to = (host: string, weight = 0) => `{ destination: { host: ${host} }, weight: ${weight} }`;

test('each part of a split is a call, with its share; what gets nothing is none', () => {
  const split = `[{ fault: { abort: { httpStatus: 500, percentage: { value: 20 } } }, route: [${to(
    'web',
    1,
  )}, ${to('missing', 3)}, ${to('out.example')}] }]`;
  const field = 'spec.http[0]';
  assert.deepEqual(said(split), [
    {
      says: 'VirtualService shop/v breaks on purpose 20 % of such requests',
      field: 'spec.http[0].fault.abort',
      answer: '500 from its own proxy',
    },
    {
      says: 'VirtualService shop/v leads 20 % of such requests to shop/web:80, as GET /a?b',
      field,
      answer: undefined,
    },
    {
      says: 'VirtualService shop/v leads 60 % of such requests to missing, which the caller does not know',
      field,
      answer: '503 from its own proxy, which knows no server',
    },
  ]);
});

test('what no route takes ends at the proxy of the caller', () => {
  const [only] = said(`[{ match: [{ uri: { exact: /b } }], route: [${to('web')}] }]`) ?? [];
  assert.equal(only?.answer, '404 from its own proxy');
  assert.equal(only.says, 'VirtualService shop/v has no route for such requests');
});

test('what leaves the mesh is asked about by nobody', () => {
  const [only] = said(`[{ route: [${to('out.example')}] }]`) ?? [];
  assert.equal(only?.answer, 'the server outside of the mesh gets it');
});

test('callers outside of the mesh have no routes', () => {
  assert.equal(said('[{ directResponse: { status: 200 } }]', ''), undefined);
});
