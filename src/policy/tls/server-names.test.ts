import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceEndpoints } from '#model/endpoint.ts';
import type { Service } from '#model/service.ts';
import { serverNames } from '#policy/tls/server-names.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const WEB = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');
const trustDomain = parseTrustDomain('cluster.local');
const NOTHING: ServiceEndpoints = { byPort: new Map(), identities: [], unnamedNamespaces: [] };

function service(subjectAltNames = ''): Service {
  const [found] = testMesh(
    objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: shop }
spec: { hosts: [web.com], subjectAltNames: [${subjectAltNames}] }
`),
  )
    .model.snapshot()
    .services.all();
  assert.ok(found);
  return found;
}

const strict = {
  trustDomains: [trustDomain],
  unknownIsNarrowed: true,
  asked: [],
  service: service(),
};

test('the accounts of the endpoints and the names of the ServiceEntry answer for a service', () => {
  const endpoints = { ...NOTHING, identities: [WEB] };
  assert.deepEqual(serverNames({ ...strict, endpoints }), { ids: [WEB], idPrefixes: [] });
  const named = service('spiffe://partner/x, web.com');
  assert.deepEqual(serverNames({ ...strict, service: named, endpoints }), {
    ids: [WEB, 'spiffe://partner/x', 'web.com'],
    idPrefixes: [],
  });
});

test('names that a rule asks for replace all others', () => {
  const endpoints = { ...NOTHING, identities: [WEB], unnamedNamespaces: ['shop'] };
  const names = serverNames({ ...strict, endpoints, asked: ['spiffe://x/y', 'spiffe://x/y'] });
  assert.deepEqual(names, { ids: ['spiffe://x/y'], idPrefixes: [] });
});

test('where nothing is known yet, only the namespace of the service may answer, never just anybody', () => {
  assert.deepEqual(serverNames({ ...strict, endpoints: NOTHING }), {
    ids: [],
    idPrefixes: ['spiffe://cluster.local/ns/shop/sa/'],
  });
});

test('an endpoint without account may be anybody of its namespace, if no names are given', () => {
  const endpoints = { ...NOTHING, identities: [WEB], unnamedNamespaces: ['other'] };
  assert.deepEqual(serverNames({ ...strict, endpoints }), {
    ids: [WEB],
    idPrefixes: ['spiffe://cluster.local/ns/other/sa/'],
  });
  const given = service('spiffe://partner/x');
  assert.deepEqual(serverNames({ ...strict, service: given, endpoints }).idPrefixes, []);
});

test('the profile istio takes anybody where nothing is known', () => {
  const istio = { ...strict, unknownIsNarrowed: false };
  assert.deepEqual(serverNames({ ...istio, endpoints: NOTHING }), { ids: [], idPrefixes: [] });
});

test('a name of the mesh stands for the same one in every name of the trust domain, others do not', () => {
  const both = { ...strict, trustDomains: [trustDomain, parseTrustDomain('old.test')] };
  const endpoints = { ...NOTHING, identities: [WEB], unnamedNamespaces: ['other'] };
  const named = service('spiffe://partner/x, spiffe://cluster.local.evil/x, web.com');
  assert.deepEqual(serverNames({ ...both, endpoints }).idPrefixes, [
    'spiffe://cluster.local/ns/other/sa/',
    'spiffe://old.test/ns/other/sa/',
  ]);
  assert.deepEqual(serverNames({ ...both, service: named, endpoints }), {
    ids: [
      WEB,
      'spiffe://cluster.local.evil/x',
      'spiffe://old.test/ns/shop/sa/web',
      'spiffe://partner/x',
      'web.com',
    ].sort(),
    idPrefixes: [],
  });
  const asked = ['spiffe://old.test/ns/shop/sa/web'];
  assert.deepEqual(serverNames({ ...both, endpoints, asked }), {
    ids: [WEB, 'spiffe://old.test/ns/shop/sa/web'],
    idPrefixes: [],
  });
});
