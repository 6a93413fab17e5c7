// What users are told about DestinationRules that do not fit the servers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authorizer } from '#policy/authz/selection.ts';
import { findingsOf } from '#policy/findings.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const WEB = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-1, namespace: shop }
spec: { address: 10.0.0.1, labels: { app: web, version: v1 }, serviceAccount: web }
`;

function peerAuthentication(mode: string, more = '', namespace = 'shop'): string {
  return `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: server, namespace: ${namespace} }
spec: { mtls: { mode: ${mode} }${more} }
`;
}

function rule(spec: string, namespace = 'shop'): string {
  return `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: client, namespace: ${namespace} }
spec: ${spec}
`;
}

const tls = (mode: string, more = ''): string =>
  `{ host: web.shop.svc.cluster.local, trafficPolicy: { tls: { mode: ${mode}${more} } } }`;

/** `name: message` of everything found. */
function found(...texts: readonly string[]): string[] {
  const mesh = testMesh(objectsOf([WEB, ...texts].join('')));
  const { trustDomain, rootNamespace, hardening } = mesh.settings;
  const context = { trustDomain, trustDomainAliases: [], rootNamespace, hardening };
  const findings = findingsOf(mesh.model.snapshot(), new Authorizer(context));
  return [...findings].flatMap(([{ metadata }, list]) =>
    list.map(({ message }) => `${metadata.name}: ${message}`),
  );
}

const CALLS = 'client: calls of port 80 of "web.shop.svc.cluster.local" get';

test('what fits is not spoken of', () => {
  assert.deepEqual(found(rule(tls('ISTIO_MUTUAL')), peerAuthentication('STRICT')), []);
  assert.deepEqual(found(rule(tls('DISABLE'))), []);
  assert.deepEqual(found(rule(tls('SIMPLE'))), []);
});

test('plaintext to a STRICT server names the object that says STRICT, wherever it is', () => {
  const said = `${CALLS} plaintext, which takes mutual TLS only by PeerAuthentication`;
  const strict = peerAuthentication('STRICT');
  assert.deepEqual(found(rule(tls('DISABLE')), strict), [`${said} shop/server`]);
  assert.deepEqual(found(rule(tls('DISABLE'), 'web'), strict), [`${said} shop/server`]);
  const mesh = peerAuthentication('STRICT', '', 'istio-system');
  assert.deepEqual(found(rule(tls('DISABLE')), mesh), [`${said} istio-system/server`]);
});

test('so does mutual TLS to a server that takes plaintext on this port only', () => {
  const selector = ', selector: { matchLabels: { app: web } }';
  const port = `${selector}, portLevelMtls: { '8080': { mode: DISABLE } }`;
  assert.deepEqual(found(rule(tls('ISTIO_MUTUAL')), peerAuthentication('STRICT', port)), [
    `${CALLS} mutual TLS, which takes plaintext only by PeerAuthentication shop/server`,
  ]);
  const other = `${selector}, portLevelMtls: { '80': { mode: DISABLE } }`;
  assert.deepEqual(found(rule(tls('ISTIO_MUTUAL')), peerAuthentication('STRICT', other)), []);
});

test('TLS without the identity of the mesh does not pass STRICT', () => {
  const [message = ''] = found(rule(tls('SIMPLE')), peerAuthentication('STRICT'));
  assert.match(message, /get TLS without the identity of the caller, .* shop\/server$/);
});

test('an older policy is named by its own kind', () => {
  const policy = `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: default, namespace: shop }
spec: { peers: [{ mtls: {} }] }
`;
  assert.match(found(rule(tls('DISABLE')), policy).join(), /only by Policy shop\/default$/);
});

test('endpoints without a proxy are told of, once', () => {
  const plain = ['2', '3'].map(
    (number) => `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-${number}, namespace: shop }
spec: { address: 10.0.0.${number}, labels: { app: web, version: v2 } }
`,
  );
  assert.deepEqual(found(rule(tls('ISTIO_MUTUAL')), ...plain), [
    `${CALLS} mutual TLS, but it has endpoints without a proxy`,
  ]);
  const subset = (version: string) =>
    rule(`{ host: web, subsets: [{ name: one, labels: { version: ${version} },
      trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }] }`);
  assert.deepEqual(found(subset('v1'), ...plain), []);
  assert.equal(found(subset('v2'), ...plain).length, 1);
});

test('what cannot be met, and a host that nobody has', () => {
  assert.match(
    found(rule(tls('SIMPLE', ', credentialName: x'))).join(),
    /^client: "web\.shop\.svc\.cluster\.local" is not called: credentialName counts only/,
  );
  assert.deepEqual(found(rule('{ host: wed }')), [
    'client: there is no service "wed.shop.svc.cluster.local"',
  ]);
});

test('a rule that another one comes before is not judged', () => {
  const strict = peerAuthentication('STRICT');
  const wide = rule("{ host: '*', trafficPolicy: { tls: { mode: DISABLE } } }");
  const narrow = rule(tls('ISTIO_MUTUAL')).replace('name: client', 'name: narrow');
  assert.deepEqual(found(wide, narrow, strict), []);
});

test('a Secret that its callers may not read is told, for those that the rule selects', () => {
  const asked = (app: string) => {
    const selector = `workloadSelector: { matchLabels: { app: ${app} } }`;
    const text = tls('MUTUAL', ', credentialName: partner').replace('{ ', `{ ${selector}, `);
    const { model } = testMesh(objectsOf([WEB, rule(text)].join('')));
    model.useSecretReaders({ mayRead: (_, secret) => secret !== 'partner' });
    const findings = findingsOf(model.snapshot(), new Authorizer(model.snapshot().settings));
    return [...findings.values()].flat().map(({ message }) => message);
  };
  const unread = /^service account web may not read Secret partner: /;
  assert.equal(asked('web').filter((message) => unread.test(message)).length, 1);
  assert.equal(asked('other').filter((message) => unread.test(message)).length, 0);
});
