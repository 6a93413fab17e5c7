// What users are told about authentication policies that do less than they seem to.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Authorizer } from '#policy/authz/selection.ts';
import { findingsOf } from '#policy/findings.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf } from '../../test/kit/objects.ts';

const WEB = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }, { name: admin, port: 90 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: web-1, namespace: shop }
spec: { address: 10.0.0.1, labels: { app: web }, serviceAccount: web }
`;

function policy(name: string, spec: string, second = 0): string {
  return `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: ${name}, namespace: shop, creationTimestamp: '2026-01-01T00:00:0${second}Z' }
spec: ${spec}
`;
}

function peerAuthentication(name: string, spec: string, namespace = 'shop', second = 0): string {
  return `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: ${name}, namespace: ${namespace}, creationTimestamp: '2026-01-01T00:00:0${second}Z' }
spec: ${spec}
`;
}

/** `name field: message` of everything found. */
function found(...texts: readonly string[]): string[] {
  const mesh = testMesh(objectsOf([WEB, ...texts].join('')));
  const { trustDomain, rootNamespace, hardening } = mesh.settings;
  const context = { trustDomain, trustDomainAliases: [], rootNamespace, hardening };
  const findings = findingsOf(mesh.model.snapshot(), new Authorizer(context));
  return [...findings].flatMap(([{ metadata }, list]) =>
    list.map(({ field, message }) => `${metadata.name} ${field}: ${message}`),
  );
}

const STRICT = 'mtls: { mode: STRICT }';
const SELECTED = 'selector: { matchLabels: { app: web } }';

describe('Policy', () => {
  test('that does what it says is not spoken of', () => {
    assert.deepEqual(found(policy('default', '{ peers: [{ mtls: {} }] }')), []);
    const port = '{ targets: [{ name: web, ports: [{ name: http }, { number: 90 }] }] }';
    assert.deepEqual(found(policy('web', port)), []);
  });

  test('for a service or a port that is not there', () => {
    assert.deepEqual(found(policy('p', '{ targets: [{ name: wep }] }')), [
      'p spec.targets[0].name: there is no service "wep" in this namespace: the target means nothing',
    ]);
    assert.deepEqual(
      found(policy('p', '{ targets: [{ name: web, ports: [{ number: 8080 }] }] }')),
      ['p spec.targets[0].ports[0]: the service "web" has no port 8080'],
    );
  });

  test('for a service that another one has is reported on both', () => {
    const two = (first: string, second: string) =>
      found(policy('b', first, 1), policy('a', second, 2)).map((text) => text.slice(0, 14));
    const web = '{ targets: [{ name: web }] }';
    assert.deepEqual(two(web, web), ['b spec.targets', 'a spec.targets']);
    const port = (number: number) => `{ targets: [{ name: web, ports: [{ number: ${number} }] }] }`;
    assert.deepEqual(two(port(80), port(80)), ['b spec.targets', 'a spec.targets']);
    assert.deepEqual(two(port(80), port(90)), []);
    assert.deepEqual(two(web, port(80)), []);
    const labelled = (version: number) =>
      `{ targets: [{ name: web, labels: { version: "${version}" } }] }`;
    assert.deepEqual(two(labelled(1), labelled(2)), []);
    assert.match(found(policy('b', web, 1), policy('a', web, 2))[1] ?? '', /"b" counts/);
  });

  test('whose peers a PeerAuthentication decides about', () => {
    const old = policy('default', '{ peers: [{ mtls: {} }] }');
    const decides = (name: string) => [
      `default spec.peers: means nothing: PeerAuthentication ${name} decides`,
    ];
    assert.deepEqual(found(old, peerAuthentication('new', `{ ${STRICT} }`)), decides('shop/new'));
    const mesh = peerAuthentication('mesh', `{ ${STRICT} }`, 'istio-system');
    assert.deepEqual(found(old, mesh), decides('istio-system/mesh'));
    const selecting = peerAuthentication('own', `{ ${SELECTED}, ${STRICT} }`);
    assert.match(found(old, selecting)[0] ?? '', /workloads that PeerAuthentication shop\/own sel/);
    assert.deepEqual(found(old, peerAuthentication('new', '{}')), []);
    assert.deepEqual(found(policy('default', '{}'), mesh), []);
    const other = '{ selector: { matchLabels: { app: other } }, mtls: { mode: STRICT } }';
    assert.deepEqual(found(old, peerAuthentication('other', other)), []);
  });

  test('of the mesh, too', () => {
    const old = `---
apiVersion: authentication.istio.io/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { peers: [{ mtls: {} }] }
`;
    assert.deepEqual(found(old), []);
    const mesh = peerAuthentication('new', `{ ${STRICT} }`, 'istio-system');
    assert.match(found(old, mesh)[0] ?? '', /PeerAuthentication istio-system\/new decides/);
  });
});

describe('PeerAuthentication', () => {
  test('that is younger than one for the same does not count, and is told so', () => {
    const two = (spec: string) =>
      found(peerAuthentication('b', spec, 'shop', 1), peerAuthentication('a', spec, 'shop', 2));
    assert.match(two('{}')[0] ?? '', /^a spec: does not count: "b" is for the same workloads/);
    assert.match(two(`{ ${SELECTED} }`)[0] ?? '', /^a spec.selector: .*"b", which is older/);
    assert.equal(two(`{ ${SELECTED} }`).length, 1);
    assert.deepEqual(two('{ selector: { matchLabels: { app: nobody } } }'), []);
  });

  test('with a selector in the root namespace does not count', () => {
    const rooted = found(peerAuthentication('r', `{ ${SELECTED} }`, 'istio-system'));
    assert.match(rooted[0] ?? '', /^r spec.selector: does not count: in the root namespace/);
  });

  test('with ports but without selector: the ports do not count', () => {
    const ports = '{ portLevelMtls: { 80: { mode: STRICT } } }';
    assert.match(found(peerAuthentication('p', ports))[0] ?? '', /^p spec.portLevelMtls: does not/);
  });
});

test('what compiling an AuthorizationPolicy found is told, too', () => {
  const wrong = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: authz, namespace: shop }
spec: { rules: [{ when: [{ key: no.such.key, values: [a] }] }] }
`;
  assert.match(found(wrong)[0] ?? '', /^authz spec.rules/);
});
