import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { findingsOf } from '#policy/findings.ts';
import { authzContext } from '../../../test/kit/authorization-policy.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const DATABASE = (port: string) => `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: db, namespace: shop }
spec: { address: 10.0.0.1, serviceAccount: db, labels: { app: db } }
---
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { selector: { app: db }, ports: [{ name: ${port}, port: 3306 }] }
`;

const IDENTITY = 'rules: [{ from: [{ source: { principals: [a] } }] }]';
const ADDRESS = 'rules: [{ from: [{ source: { ipBlocks: [10.0.0.1] } }] }]';

/** What is said of a policy, for a workload with one port. */
function said(spec: string, port = 'mysql', profile: HardeningProfile = 'strict'): string[] {
  const policy = `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: shop }
spec: { ${spec} }
`;
  const objects = objectsOf(`${DATABASE(port)}${policy}`);
  const mesh = testMesh(objects, { hardening: profile }).model.snapshot();
  const findings = findingsOf(mesh, new Authorizer(authzContext(profile)));
  return [...findings.values()].flat().map(({ field, message }) => `${field}: ${message}`);
}

test('a policy that identity decides is fine where the server speaks first', () => {
  assert.deepEqual(said(IDENTITY), []);
  assert.deepEqual(said(`action: DENY, ${IDENTITY}`), []);
});

test('one that an address decides comes after the greeting', () => {
  assert.match(said(ADDRESS)[0] ?? '', /^spec\.rules\[0\]: the server of port 3306 speaks first/);
  assert.deepEqual(said(ADDRESS, 'tcp'), []);
});

test('with Istio every policy does', () => {
  assert.match(said(IDENTITY, 'mysql', 'istio')[0] ?? '', /speaks first/);
  assert.deepEqual(said(IDENTITY, 'tcp', 'istio'), []);
  assert.deepEqual(said(`action: AUDIT, ${IDENTITY}`, 'mysql', 'istio'), []);
});
