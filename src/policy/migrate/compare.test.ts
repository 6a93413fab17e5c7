// The proof finds what is wrong: each error that is planted into the new objects is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { compareMeshes } from '#policy/migrate/compare.ts';
import { Draft } from '#policy/migrate/draft.ts';
import { migrate } from '#policy/migrate/migrate.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const JWT = 'jwt: {issuer: "https://issuer.test", jwksUri: "https://issuer.test/keys"';

const KEPT = `
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90}]}}
`;

const OLDER = `
{apiVersion: authentication.istio.io/v1alpha1, kind: MeshPolicy, metadata: {name: default}, spec: {peers: [{mtls: {}}]}}
---
{apiVersion: authentication.istio.io/v1alpha1, kind: Policy, metadata: {name: web, namespace: shop},
 spec: {targets: [{name: web}], peers: [{mtls: {mode: PERMISSIVE}}],
  origins: [{${JWT}, triggerRules: [{excludedPaths: [{exact: /healthz}]}]}}]}}
---
{apiVersion: rbac.istio.io/v1alpha1, kind: ClusterRbacConfig, metadata: {name: default}, spec: {mode: 'ON'}}
---
{apiVersion: rbac.istio.io/v1alpha1, kind: ServiceRole, metadata: {name: viewer, namespace: shop},
 spec: {rules: [{services: [web], methods: [GET, OPTIONS], paths: [/a/*, /health*]}]}}
---
{apiVersion: rbac.istio.io/v1alpha1, kind: ServiceRoleBinding, metadata: {name: viewers, namespace: shop},
 spec: {subjects: [{user: cluster.local/ns/shop/sa/a}], roleRef: {kind: ServiceRole, name: viewer}}}
`;

const before = testMesh(objectsOf(`${KEPT}---${OLDER}`)).model.snapshot();
const { made, isProven } = migrate(before);
const texts = made.map(({ object }) => JSON.stringify(object));

/** The errors told of these objects in place of the older ones. */
function errorsOf(objects: readonly ApiObject[]): readonly string[] {
  const after = testMesh([...objectsOf(KEPT), ...objects]).model.snapshot();
  const draft = new Draft(before, { knowsAll: true });
  const [any] = before.meshPolicies.all();
  assert.ok(any);
  compareMeshes(draft, after, () => any);
  return draft.findings
    .filter(({ severity }) => severity === 'error')
    .map(({ message }) => message);
}

test('without an error nothing is told', () => {
  assert.ok(isProven);
  assert.deepEqual(errorsOf(made.map(({ object }) => object)), []);
});

test('an object that is missing is told', () => {
  for (const [index, text] of texts.entries()) {
    const others = made.filter((_, at) => at !== index).map(({ object }) => object);
    assert.notEqual(errorsOf(others).length, 0, text);
  }
});

const PLANTED: readonly (readonly [string, string])[] = [
  ['"STRICT"', '"PERMISSIVE"'],
  ['"8080":{"mode":"PERMISSIVE"}', '"8080":{"mode":"STRICT"}'],
  ['"90":{"mode":"PERMISSIVE"},', ''],
  ['"90":{', '"91":{'],
  ['{"app":"web"}', '{"app":"wep"}'],
  ['"DENY"', '"ALLOW"'],
  ['"notPaths":["/healthz"],', ''],
  ['"/healthz"', '"/healthz*"'],
  ['["https://issuer.test"]', '["https://issuer.tes"]'],
  ['"ports":["8080"]', '"ports":["8081"]'],
  ['"notMethods":["OPTIONS"]', '"notMethods":["GET"]'],
  ['request.headers[origin]', 'request.headers[host]'],
  ['request.headers[access-control-request-method]', 'request.headers[host]'],
  ['https://issuer.test/keys', 'https://issuer.test/other'],
  ['"forwardOriginalToken":true', '"forwardOriginalToken":false'],
  ['"issuer":"https://issuer.test"', '"issuer":"https://other.test"'],
  ['"cluster.local/ns/shop/sa/a"', '"cluster.local/ns/shop/sa/b"'],
  ['"cluster.local/ns/shop/sa/a"', '"cluster.local/ns/shop/sa/*"'],
  ['"methods":["GET","OPTIONS"]', '"methods":["GET","OPTIONS","PUT"]'],
  ['"methods":["GET","OPTIONS"],', ''],
  ['"/a/*"', '"/a*"'],
  ['"/a/*"', '"*"'],
];

for (const [right, wrong] of PLANTED) {
  test(`${wrong || 'nothing'} in place of ${right} is told`, () => {
    const index = texts.findIndex((text) => text.includes(right));
    assert.ok(index >= 0, texts.join('\n'));
    const planted = texts.map((text, at) => (at === index ? text.replaceAll(right, wrong) : text));
    assert.notEqual(errorsOf(planted.map((text) => JSON.parse(text) as ApiObject)).length, 0);
  });
}
