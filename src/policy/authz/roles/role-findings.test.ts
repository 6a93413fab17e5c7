import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authorizer } from '#policy/authz/selection.ts';
import { findingsOf } from '#policy/findings.ts';
import { testMesh } from '../../../../test/kit/mesh.ts';
import { objectsOf } from '../../../../test/kit/objects.ts';

// Proves that roles that give nobody anything are told of, and that those that work are not.

const CONFIG = `---
apiVersion: rbac.istio.io/v1alpha1
kind: ClusterRbacConfig
metadata: { name: default }
spec: { mode: 'ON' }
`;
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: buyer, namespace: shop }
`;
const role = (service = 'web') => `---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRole
metadata: { name: viewer, namespace: shop }
spec: { rules: [{ services: ["${service}"], methods: ["*"] }] }
`;
const binding = (user = 'cluster.local/ns/shop/sa/buyer', name = 'viewer') => `---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRoleBinding
metadata: { name: viewers, namespace: shop }
spec: { subjects: [{ user: "${user}" }], roleRef: { kind: ServiceRole, name: ${name} } }
`;

function said(...objects: readonly string[]): string[] {
  const mesh = testMesh(objectsOf([WORLD, ...objects].join(''))).model.snapshot();
  const findings = findingsOf(mesh, new Authorizer(mesh.settings));
  return [...findings].flatMap(([{ kind }, list]) =>
    list.map(({ field, message, remedy }) => `${kind} ${field}: ${message} (${remedy ?? ''})`),
  );
}

test('nothing is said of roles that work', () => {
  assert.deepEqual(said(CONFIG, role(), binding()), []);
  assert.deepEqual(said(CONFIG, role('w*'), binding('*')), []);
  assert.deepEqual(
    said(CONFIG, role('web.shop.svc.cluster.local'), binding('other/ns/a/sa/b')),
    [],
  );
});

test('a role that is not there, or that nobody has, is told', () => {
  assert.match(
    said(CONFIG, role(), binding('*', 'viewers')).join('\n'),
    /ServiceRoleBinding spec.roleRef.name: there is no ServiceRole shop\/viewers.*"viewer"/,
  );
  assert.match(said(CONFIG, role()).join(), /^ServiceRole : no ServiceRoleBinding gives it/);
});

test('a service that is not there is told, with the one that is nearest', () => {
  assert.match(
    said(CONFIG, role('wep'), binding()).join(),
    /called "wep" \(did you mean "web"\?\)/,
  );
  assert.match(said(CONFIG, role('v*'), binding()).join(), /called "v\*"/);
});

test('subjects that nobody knows are told', () => {
  const user = 'cluster.local/ns/shop/sa/byer';
  assert.match(
    said(CONFIG, role(), binding(user)).join(),
    /subjects\[0\]\.user: there is no service account "byer"/,
  );
  const nobody = binding().replace(/subjects: \[.*?\], /, '');
  assert.match(said(CONFIG, role(), nobody).join(), /nobody gets the role/);
});

test('roles that are off, or that another policy takes the place of, are told', () => {
  assert.match(said(role(), binding()).join(), /no RbacConfig or ClusterRbacConfig turns roles on/);
  const policy = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: shop }
spec: { SELECTOR rules: [{}] }
`;
  const all = said(CONFIG, role(), binding(), policy.replace('SELECTOR', ''));
  assert.match(all.join(), /AuthorizationPolicy shop\/p decides instead of roles/);
  const some = policy.replace('SELECTOR', 'selector: { matchLabels: { app: a } },');
  assert.deepEqual(said(CONFIG, role(), binding(), some), []);
});

test('a configuration that does not count is told, and services that it names in vain', () => {
  const older = `---
apiVersion: rbac.istio.io/v1alpha1
kind: RbacConfig
metadata: { name: default, namespace: istio-system }
spec: { mode: ON_WITH_INCLUSION, inclusion: { services: [web.shop.svc.cluster.locl] } }
`;
  const found = said(CONFIG, older).join('\n');
  assert.match(found, /RbacConfig : does not count: ClusterRbacConfig default does/);
  assert.match(
    found,
    /inclusion\.services\[0\]: there is no service .*did you mean "web\.shop\.svc/,
  );
});
