// Rules of the kinds of the Gateway API: each is met and broken.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const apiVersion = 'gateway.networking.k8s.io/v1';
const metadata = { namespace: 'edge' };

const gateway = (...listeners: readonly object[]) => ({
  apiVersion,
  kind: 'Gateway',
  metadata,
  spec: { gatewayClassName: 'istio', listeners },
});
const HTTP = { name: 'web', port: 80, protocol: 'HTTP' };
const HTTPS = { name: 'tls', port: 443, protocol: 'HTTPS' };
const refs = (...certificateRefs: readonly object[]) => ({ tls: { certificateRefs } });
const route = (rule: object, more: object = {}) => ({
  apiVersion,
  kind: 'HTTPRoute',
  metadata,
  spec: { rules: [rule], ...more },
});

function refused(found: readonly string[], field: string, message: RegExp): void {
  assert.ok(
    found.some((text) => text.startsWith(`${field}: `) && message.test(text)),
    `${field} ${message} is not in ${found.join(' | ')}`,
  );
}

test('listeners differ in their names, and in port, protocol and hostname', () => {
  assert.deepEqual(errorsOf(gateway(HTTP, { ...HTTPS, ...refs({ name: 'c' }) })), []);
  refused(errorsOf(gateway(HTTP, HTTP)), 'spec.listeners[1]', /Duplicate/);
  refused(errorsOf(gateway(HTTP, { ...HTTP, name: 'b' })), 'spec.listeners[1]', /unique/);
  refused(errorsOf(gateway({ ...HTTP, hostname: '*' })), 'spec.listeners[0].hostname', /DNS label/);
  refused(errorsOf(gateway()), 'spec.listeners', /at least one/);
});

test('listeners of HTTPS have certificates, and others no TLS', () => {
  refused(errorsOf(gateway(HTTPS)), 'spec.listeners[0].tls.certificateRefs', /certificate/);
  const secured = { ...HTTP, ...refs({ name: 'c' }) };
  refused(errorsOf(gateway(secured)), 'spec.listeners[0].tls', /cannot go/);
  const foreign = { ...HTTPS, ...refs({ name: 'c', namespace: 'other' }) };
  assert.match(warningsOf(gateway(foreign)).join(), /not given to gateways/);
});

test('callers of a listener are verified with one ConfigMap, or not let in at all', () => {
  const verified = (frontendValidation: object) =>
    gateway({ ...HTTPS, tls: { certificateRefs: [{ name: 'c' }], frontendValidation } });
  const authorities = { kind: 'ConfigMap', group: '', name: 'ca' };
  assert.deepEqual(errorsOf(verified({ caCertificateRefs: [authorities] })), []);
  const at = 'spec.listeners[0].tls.frontendValidation';
  refused(errorsOf(verified({})), `${at}.caCertificateRefs`, /must be one/);
  const two = verified({ caCertificateRefs: [authorities, authorities] });
  refused(errorsOf(two), `${at}.caCertificateRefs`, /must be one/);
  const secret = verified({ caCertificateRefs: [{ ...authorities, kind: 'Secret' }] });
  refused(errorsOf(secret), `${at}.caCertificateRefs[0]`, /ConfigMap/);
  const open = verified({ caCertificateRefs: [authorities], mode: 'AllowInsecureFallback' });
  refused(errorsOf(open), `${at}.mode`, /let in/);
  const foreign = verified({ caCertificateRefs: [{ ...authorities, namespace: 'other' }] });
  assert.match(warningsOf(foreign).join(), /ConfigMaps of other namespaces/);
});

test('namespaces of routes are chosen by labels', () => {
  const from = (namespaces: object) =>
    errorsOf(gateway({ ...HTTP, allowedRoutes: { namespaces } }));
  assert.deepEqual(from({ from: 'Selector', selector: { matchLabels: { a: 'b' } } }), []);
  const at = 'spec.listeners[0].allowedRoutes.namespaces';
  refused(from({ from: 'Selector' }), `${at}.selector`, /Required/);
  const expressions = { from: 'Selector', selector: { matchExpressions: [{ key: 'a' }] } };
  refused(from(expressions), `${at}.selector.matchExpressions`, /only matchLabels/);
});

test('routes ask for nothing that is not done', () => {
  const backendRefs = [{ name: 'b', port: 80 }];
  assert.deepEqual(errorsOf(route({ backendRefs })), []);
  const filter = (type: string) => errorsOf(route({ filters: [{ type }], backendRefs }));
  assert.deepEqual(filter('URLRewrite'), []);
  refused(filter('ExtensionRef'), 'spec.rules[0].filters[0].type', /not supported/);
  refused(filter('RequestRedirect'), 'spec.rules[0]', /neither backendRefs/);
  const port = errorsOf(route({ backendRefs: [{ name: 'b' }] }));
  refused(port, 'spec.rules[0].backendRefs[0].port', /needs a port/);
  const foreign = route({ backendRefs: [{ name: 'b', port: 80, namespace: 'other' }] });
  assert.match(warningsOf(foreign).join(), /answered 500/);
  const parent = route(
    { backendRefs },
    { parentRefs: [{ kind: 'Service', group: '', name: 'b' }] },
  );
  assert.match(warningsOf(parent).join(), /Gateways only/);
});

test('paths are well formed', () => {
  const path = (value: string, type = 'PathPrefix') =>
    errorsOf(route({ matches: [{ path: { type, value } }] }));
  assert.deepEqual(path('/a/b'), []);
  for (const value of ['a', '/a//b', '/a/../b', '/a%2Fb', '/a/..'])
    refused(path(value), 'spec.rules[0].matches[0].path.value', /must begin/);
  refused(path('(', 'RegularExpression'), 'spec.rules[0].matches[0].path.value', /./);
});

test('the controller of a class stays', () => {
  const gatewayClass = (spec: object) =>
    errorsOf({ apiVersion, kind: 'GatewayClass', metadata: {}, spec });
  assert.deepEqual(gatewayClass({ controllerName: 'istio.io/gateway-controller' }), []);
  refused(gatewayClass({}), 'spec.controllerName', /Required/);
});
