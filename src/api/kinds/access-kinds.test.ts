// Roles and bindings: each rule is met and broken.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { validateChange, validateObject } from '#api/validate.ts';

const API_VERSION = 'rbac.authorization.k8s.io/v1';
const GROUP = 'rbac.authorization.k8s.io';

function objectOf(kind: string, fields: object, name = 'a'): ApiObject {
  const isGlobal = kind.startsWith('Cluster');
  const metadata = isGlobal ? { name } : { name, namespace: 'n' };
  return { apiVersion: API_VERSION, kind, metadata, ...fields };
}

/** What is wrong, as `field: message`. */
function problems(kind: string, fields: object, name?: string): readonly string[] {
  const { diagnostics } = validateObject(objectOf(kind, fields, name));
  return diagnostics.map(({ field, message }) => `${field}: ${message}`);
}

const role = (rule: object): object => ({ rules: [rule] });
const pods = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
const metrics = { verbs: ['get'], nonResourceURLs: ['/metrics'] };

describe('the rules of a role', () => {
  test('are about resources, or in a ClusterRole about paths', () => {
    for (const kind of ['Role', 'ClusterRole']) {
      assert.deepEqual(problems(kind, role(pods)), [], kind);
      assert.deepEqual(problems(kind, { rules: null }), [], kind);
      assert.deepEqual(problems(kind, {}), [], kind);
    }
    assert.deepEqual(problems('ClusterRole', role(metrics)), []);
    assert.deepEqual(problems('Role', role(metrics)), [
      'rules[0].nonResourceURLs: Invalid value: ["/metrics"]: namespaced rules cannot apply to non-resource URLs',
    ]);
    assert.deepEqual(problems('ClusterRole', role({ ...pods, ...metrics })), [
      'rules[0].nonResourceURLs: Invalid value: ["/metrics"]: rules cannot apply to both regular resources and non-resource URLs',
    ]);
  });

  test('say verbs, groups and resources', () => {
    const missing = (change: object) => problems('Role', role({ ...pods, ...change })).join();
    assert.match(missing({ verbs: [] }), /^rules\[0\]\.verbs: Required value: verbs must contain/);
    assert.match(missing({ apiGroups: [] }), /supply at least one api group$/);
    assert.match(missing({ resources: [] }), /supply at least one resource$/);
  });

  test('of a collecting role come from roles that it selects', () => {
    const collecting = (...clusterRoleSelectors: object[]) =>
      problems('ClusterRole', { aggregationRule: { clusterRoleSelectors } });
    const expression = (change: object) =>
      collecting({ matchExpressions: [{ key: 'a', operator: 'In', values: ['b'], ...change }] });
    assert.deepEqual(collecting({ matchLabels: { a: 'b' } }), []);
    assert.deepEqual(expression({}), []);
    assert.match(collecting().join(), /at least one clusterRoleSelector required/);
    assert.match(expression({ operator: 'Is' }).join(), /operator: Unsupported value: "Is"/);
    assert.match(expression({ values: [] }).join(), /values: Required value/);
    assert.match(expression({ key: '' }).join(), /key: Required value/);
  });

  test('are kept without empty lists, and as null where there are none', () => {
    const kept = (rules: object[]) => {
      const object = objectOf('Role', { rules });
      return kindOf(API_VERSION, 'Role')?.defaults?.(object);
    };
    assert.deepEqual(kept([{ ...pods, resourceNames: [] }]), objectOf('Role', role(pods)));
    assert.deepEqual(kept([]), objectOf('Role', { rules: null }));
  });
});

test('a role has any name that fits into a path', () => {
  assert.deepEqual(problems('Role', role(pods), 'system:Any Name'), []);
  for (const name of ['a/b', 'a%2fb', '.', '..'])
    assert.match(problems('Role', role(pods), name).join(), /^metadata\.name: Invalid value/, name);
});

describe('a binding', () => {
  const binding = (roleRef: object, ...subjects: object[]) => ({ roleRef, subjects });
  const edit = { apiGroup: GROUP, kind: 'ClusterRole', name: 'edit' };
  const ana = { kind: 'User', name: 'ana' };

  test('gives a role: of its namespace or of all in a namespace, only of all everywhere', () => {
    const own = { ...edit, kind: 'Role' };
    assert.deepEqual(problems('RoleBinding', binding(own, ana)), []);
    assert.deepEqual(problems('RoleBinding', binding(edit, ana)), []);
    assert.deepEqual(problems('ClusterRoleBinding', binding(edit, ana)), []);
    assert.deepEqual(problems('ClusterRoleBinding', binding(own, ana)), [
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ]);
    const foreign = { ...edit, apiGroup: 'x' };
    assert.match(problems('RoleBinding', binding(foreign)).join(), /^roleRef\.apiGroup: Unsupp/);
    assert.match(problems('RoleBinding', binding({ ...edit, name: '' })).join(), /roleRef\.name/);
    assert.match(problems('RoleBinding', { subjects: [ana] }).join(), /roleRef: Required value/);
  });

  test('names users, groups and service accounts', () => {
    const wrong = (subject: object, kind = 'RoleBinding') => problems(kind, binding(edit, subject));
    const account = { kind: 'ServiceAccount', name: 'web', namespace: 'n' };
    for (const good of [ana, { kind: 'Group', name: 'g' }, account]) {
      assert.deepEqual(wrong(good), []);
      assert.deepEqual(wrong(good, 'ClusterRoleBinding'), []);
    }
    const { namespace: _, ...homeless } = account;
    assert.deepEqual(wrong(homeless), []);
    assert.deepEqual(wrong(homeless, 'ClusterRoleBinding'), [
      'subjects[0].namespace: Required value',
    ]);
    assert.match(wrong({ kind: 'Robot', name: 'x' }).join(), /kind: Unsupported value: "Robot"/);
    assert.match(wrong({ kind: 'User', name: '' }).join(), /name: Required value/);
    assert.match(wrong({ ...ana, apiGroup: 'x' }).join(), /apiGroup: Unsupported value/);
    assert.match(wrong({ ...account, apiGroup: GROUP }).join(), /apiGroup: Unsupported value/);
    assert.match(wrong({ ...account, name: 'A b' }).join(), /name: Invalid value/);
  });

  test('never changes its role, and may change whom it is for', () => {
    const kind = kindOf(API_VERSION, 'RoleBinding');
    assert.ok(kind);
    const before = objectOf('RoleBinding', binding(edit, ana));
    const change = (after: object) =>
      validateChange(kind, before, objectOf('RoleBinding', after)).map(({ message }) => message);
    assert.deepEqual(change(binding(edit)), []);
    const { apiGroup: _, ...short } = edit;
    assert.deepEqual(change(binding(short, ana)), []);
    assert.deepEqual(change(binding({ ...edit, name: 'admin' }, ana)), [
      'Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"admin"}: cannot change roleRef',
    ]);
  });

  test('is kept with the groups of those it names', () => {
    const kind = kindOf(API_VERSION, 'RoleBinding');
    const account = { kind: 'ServiceAccount', name: 'web', namespace: 'n' };
    const short = { kind: 'ClusterRole', name: 'edit' };
    const kept = kind?.defaults?.(objectOf('RoleBinding', binding(short, ana, account)));
    const full = binding(edit, { ...ana, apiGroup: GROUP }, account);
    assert.deepEqual(kept, objectOf('RoleBinding', full));
  });
});
