// What objects of the Gateway API come to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seenByGateways } from '#policy/gateway/gateway-mesh.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const gatewayOf = (listener: string, className = 'istio') => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: g, namespace: edge }
spec: { gatewayClassName: ${className}, listeners: [${listener}] }
`;
const HTTP = 'name: web, port: 80, protocol: HTTP';
const routeOf = (spec: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: shop }
spec: { parentRefs: [{ name: g, namespace: edge }], ${spec} }
`;

function derived(...documents: readonly string[]) {
  const mesh = testMesh(objectsOf(documents.join('---'))).model.snapshot();
  const { gateways, virtualServices } = seenByGateways(mesh);
  const [gateway, route] = [gateways.all()[0], virtualServices.all()[0]];
  return { gateway, servers: gateway?.spec?.servers ?? [], route, http: route?.spec?.http ?? [] };
}

test('a listener is a server for the namespaces whose routes may belong to it', () => {
  const team = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { team: a } }
`;
  const hostsFor = (namespaces: string) => {
    const from = `allowedRoutes: { namespaces: ${namespaces} }`;
    return derived(gatewayOf(`{ ${HTTP}, hostname: '*.a.com', ${from} }`), team).servers[0]?.hosts;
  };
  assert.deepEqual(hostsFor('{}'), ['edge/*.a.com']);
  assert.deepEqual(hostsFor('{ from: All }'), ['*/*.a.com']);
  const selector = (value: string) =>
    `{ from: Selector, selector: { matchLabels: { team: ${value} } } }`;
  assert.deepEqual(hostsFor(selector('a')), ['shop/*.a.com']);
  assert.deepEqual(hostsFor(selector('b')), []);
});

test('gateways of other controllers are left to them', () => {
  const classOf = (controller: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: ours }
spec: { controllerName: ${controller} }
`;
  const listener = `{ ${HTTP} }`;
  assert.equal(derived(gatewayOf(listener, 'ours')).gateway, undefined);
  const gateway = gatewayOf(listener, 'ours');
  assert.equal(derived(gateway, classOf('other.example.com/c')).gateway, undefined);
  const served = derived(gateway, classOf('istio.io/gateway-controller')).gateway;
  assert.deepEqual(served?.spec?.selector, { 'gateway.networking.k8s.io/gateway-name': 'g' });
});

test('a listener of HTTPS shows Secrets of its own namespace, and no others', () => {
  const tlsOf = (refs: string) =>
    derived(
      gatewayOf(`{ name: s, port: 443, protocol: HTTPS, tls: { certificateRefs: [${refs}] } }`),
    ).servers[0]?.tls;
  const credentialNames = ['kubernetes-gateway://edge/c'];
  assert.deepEqual(tlsOf('{ name: c }'), { mode: 'SIMPLE', credentialNames });
  assert.deepEqual(tlsOf('{ name: c, namespace: shop }'), { mode: 'AUTO_PASSTHROUGH' });
});

test('a listener of HTTPS verifies callers by a ConfigMap, or lets nobody in', () => {
  const tlsOf = (validation: string, frontend = '') =>
    derived(
      gatewayOf(
        `{ name: s, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: c }]${validation} } }`,
      ).replace('listeners:', `tls: { frontend: { ${frontend} } }, listeners:`),
    ).servers[0]?.tls;
  const by = (ref: string) => `{ caCertificateRefs: [${ref}] }`;
  const own = (ref: string) => tlsOf(`, frontendValidation: ${by(ref)}`);
  const verified = (name: string) => ({
    mode: 'MUTUAL',
    credentialNames: ['kubernetes-gateway://edge/c'],
    caCertCredentialName: `configmap://edge/${name}`,
  });
  const closed = { mode: 'AUTO_PASSTHROUGH' };
  assert.deepEqual(own('{ kind: ConfigMap, name: ca }'), verified('ca'));
  for (const ref of [
    '',
    '{ name: ca }',
    '{ kind: Secret, name: ca }',
    '{ kind: ConfigMap, name: ca, namespace: shop }',
    '{ kind: ConfigMap, group: g, name: ca }',
    '{ kind: ConfigMap, name: ca }, { kind: ConfigMap, name: more }',
  ])
    assert.deepEqual(own(ref), closed, ref);
  const all = `default: { validation: ${by('{ kind: ConfigMap, name: all }')} }`;
  const port = (number: number) =>
    `perPort: [{ port: ${number}, tls: { validation: ${by('{ kind: ConfigMap, name: port }')} } }]`;
  assert.deepEqual(tlsOf('', all), verified('all'));
  assert.deepEqual(tlsOf('', `${all}, ${port(443)}`), verified('port'));
  assert.deepEqual(tlsOf('', `${all}, ${port(444)}`), verified('all'));
  const open = by('{ kind: ConfigMap, name: ca }').replace('{ ', '{ mode: AllowInsecureFallback, ');
  assert.deepEqual(tlsOf(`, frontendValidation: ${open}`), closed);
});

test('a route belongs to the listeners that it names', () => {
  const two = gatewayOf(`{ ${HTTP} }, { name: other, port: 81, protocol: HTTP }`);
  const gatewaysOf = (parent: string) =>
    derived(two, routeOf('').replace('{ name: g, namespace: edge }', parent)).route?.spec?.gateways;
  assert.deepEqual(gatewaysOf('{ name: g, namespace: edge }'), ['edge/g~web', 'edge/g~other']);
  assert.deepEqual(gatewaysOf('{ name: g, namespace: edge, sectionName: other }'), [
    'edge/g~other',
  ]);
  assert.deepEqual(gatewaysOf('{ name: g, namespace: edge, port: 80 }'), ['edge/g~web']);
  assert.equal(gatewaysOf('{ name: g }'), undefined);
});

test('conditions keep their meaning: a prefix is a path and what is below it', () => {
  const rules = (rule: string) =>
    derived(gatewayOf(`{ ${HTTP} }`), routeOf(`rules: [${rule}]`)).http;
  const backend = 'backendRefs: [{ name: b, port: 80 }]';
  const [path, below] = rules(
    `{ matches: [{ path: { value: /a }, method: GET, headers: [{ name: X, value: y }] }], ${backend} }`,
  );
  const rest = { method: { exact: 'GET' }, headers: { x: { exact: 'y' } } };
  assert.deepEqual(path?.match, [{ uri: { exact: '/a' }, ...rest }]);
  assert.deepEqual(below?.match, [{ uri: { prefix: '/a/' }, ...rest }]);
  const destination = { host: 'b.shop.svc.cluster.local', port: { number: 80 } };
  assert.deepEqual(path?.route, [{ destination, weight: 1 }]);
});

test('what cannot be called is answered, and filters are what they were', () => {
  const first = (rule: string) =>
    derived(gatewayOf(`{ ${HTTP} }`), routeOf(`rules: [${rule}]`)).http[0];
  const foreign = 'backendRefs: [{ name: b, namespace: far, port: 80 }]';
  assert.deepEqual(first(`{ ${foreign} }`)?.directResponse, { status: 500 });
  const redirect = '{ type: RequestRedirect, requestRedirect: { scheme: https, port: 443 } }';
  const redirected = { redirectCode: 302, scheme: 'https', port: 443 };
  assert.deepEqual(first(`{ filters: [${redirect}] }`)?.redirect, redirected);
  const prefix = 'path: { type: ReplacePrefixMatch, replacePrefixMatch: /z }';
  const rewrite = `{ type: URLRewrite, urlRewrite: { hostname: h, ${prefix} } }`;
  const rule = `{ matches: [{ path: { value: /a } }], filters: [${rewrite}], backendRefs: [{ name: b, port: 1 }] }`;
  assert.deepEqual(first(rule)?.rewrite, { authority: 'h', uri: '/z' });
  const header = '{ name: x, value: 5% }';
  const modifier = `{ type: RequestHeaderModifier, requestHeaderModifier: { set: [${header}] } }`;
  assert.deepEqual(first(`{ filters: [${modifier}] }`)?.headers?.request?.set, { x: '5%%' });
});
