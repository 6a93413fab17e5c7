import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { AccessBinding, Subject } from '#api/kinds/access-binding.ts';
import type { AccessRule } from '#api/kinds/access-rules.ts';
import type { ClusterRole } from '#api/kinds/cluster-role.ts';
import type { ApiObject } from '#api/object.ts';
import type { Access, Caller } from '#apiserver/authorize.ts';
import { AUTOUPDATE, DEFAULT_BINDINGS, DEFAULT_ROLES } from '#apiserver/rbac/default-roles.ts';
import { Rbac } from '#apiserver/rbac/rbac.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import type { Store, StoreObserver } from '#store/store.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${GROUP}/v1`;
const clock = new FakeClock();
const deps = { clock, random: systemRandom, log: silentLogger };
const defaults = { roles: DEFAULT_ROLES, bindings: DEFAULT_BINDINGS };

async function started(test: TestContext, store: Store = new MemoryStore(deps)) {
  const rbac = new Rbac(defaults, { ...deps, store });
  test.after(() => rbac.close());
  await rbac.start();
  const may = (caller: Caller, verb: string, resource: string, namespace = 'team1'): boolean =>
    rbac.authorizer.authorize(caller, access(verb, resource, namespace)).allowed;
  return { rbac, store, may };
}

function access(verb: string, id: string, namespace: string): Access {
  const [resource = '', ...group] = id.split('.');
  const place = { group: group.join('.'), subresource: '', namespace, name: '' };
  return { type: 'resource', verb, resource, ...place };
}

const user = (username: string, ...groups: string[]): Caller => ({
  username,
  groups: [...groups, 'system:authenticated'],
});

function clusterRole(name: string, rules: AccessRule[], labels = {}): ClusterRole {
  return { apiVersion: API_VERSION, kind: 'ClusterRole', metadata: { name, labels }, rules };
}

function binding(name: string, role: string, subjects: Subject[], namespace?: string) {
  const [kind = '', roleName = ''] = role.split('/');
  const metadata = { name, ...(namespace ? { namespace } : {}) };
  return {
    apiVersion: API_VERSION,
    kind: namespace ? 'RoleBinding' : 'ClusterRoleBinding',
    metadata,
    subjects,
    roleRef: { apiGroup: GROUP, kind, name: roleName },
  } satisfies AccessBinding & ApiObject;
}

const ana: Subject = { kind: 'User', apiGroup: GROUP, name: 'ana' };
const keyOf = (plural: string, name: string, namespace = '') => ({
  kind: `${plural}.${GROUP}`,
  namespace,
  name,
});

describe('bindings', () => {
  it('give a role in their namespace only, to users, groups and accounts', async (test) => {
    const { store, may } = await started(test);
    const team: Subject = { kind: 'Group', apiGroup: GROUP, name: 'team1' };
    const account: Subject = { kind: 'ServiceAccount', name: 'robot' };
    await store.create(binding('b', 'ClusterRole/edit', [ana, team, account], 'team1'));
    const robot = user('system:serviceaccount:team1:robot', 'system:serviceaccounts');
    for (const caller of [user('ana'), user('bo', 'team1'), robot]) {
      assert.equal(may(caller, 'create', 'configmaps'), true, caller.username);
      assert.equal(may(caller, 'create', 'configmaps', 'team2'), false, caller.username);
      assert.equal(may(caller, 'list', 'configmaps', ''), false, caller.username);
    }
    for (const caller of [
      user('bo'),
      user('team1'),
      user('bo', 'ana', 'team1 '),
      user('robot'),
      user('system:serviceaccount:team2:robot'),
    ])
      assert.equal(may(caller, 'create', 'configmaps'), false, caller.username);
  });

  it('count from the moment that they are written, and no longer than they are there', async (t) => {
    const { store, may } = await started(t);
    const key = keyOf('rolebindings', 'b', 'team1');
    const stored = await store.create(binding('b', 'ClusterRole/view', [ana], 'team1'));
    assert.equal(may(user('ana'), 'get', 'services'), true);
    await store.update({ ...stored, subjects: [{ ...ana, name: 'bo' }] } as ApiObject);
    assert.equal(may(user('ana'), 'get', 'services'), false);
    assert.equal(may(user('bo'), 'get', 'services'), true);
    await store.delete(key);
    assert.equal(may(user('bo'), 'get', 'services'), false);
  });

  it('to a role of the namespace mean that one, and name it when it is not there', async (test) => {
    const { rbac, store, may } = await started(test);
    await store.create(binding('b', 'Role/r', [ana], 'team1'));
    const asked = access('get', 'secrets', 'team1');
    assert.deepEqual(rbac.authorizer.authorize(user('ana'), asked), {
      allowed: false,
      reason: `RBAC: role.${GROUP} "r" not found`,
    });
    const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['secrets'] }];
    const role = (namespace: string) => ({
      ...{ apiVersion: API_VERSION, kind: 'Role', rules },
      metadata: { name: 'r', namespace },
    });
    await store.create(role('team2'));
    assert.equal(may(user('ana'), 'get', 'secrets'), false);
    await store.create(role('team1'));
    assert.equal(may(user('ana'), 'get', 'secrets'), true);
  });
});

it('system:masters may do everything, in whatever state the roles are', async (test) => {
  const { store, may } = await started(test);
  for (const { metadata } of DEFAULT_ROLES) {
    await store.delete(keyOf('clusterroles', metadata.name));
  }
  assert.equal(may(user('root', 'system:masters'), 'nuke', 'everything.example.com'), true);
  assert.equal(may(user('ana'), 'create', 'selfsubjectreviews.authentication.k8s.io', ''), false);
});

it('refuses everybody else while it does not hear of changes, and then reads anew', async (test) => {
  const store = new MemoryStore(deps);
  let observer: StoreObserver | undefined;
  const watch = store.watch.bind(store);
  store.watch = (options, given) => {
    observer = given;
    return watch(options, given);
  };
  const { may } = await started(test, store);
  await store.create(binding('b', 'ClusterRole/view', [ana], 'team1'));
  assert.equal(may(user('ana'), 'get', 'services'), true);
  observer?.onError(new Error('too far behind') as never);
  assert.equal(may(user('ana'), 'get', 'services'), false);
  assert.equal(may(user('root', 'system:masters'), 'get', 'services'), true);
  await waitUntil(async () => {
    clock.advance(30_000);
    return may(user('ana'), 'get', 'services');
  }, 'rights are back');
});

describe('default roles', () => {
  it('collect what is labelled for them: view is in edit, edit in admin', async (test) => {
    const { store, may } = await started(test);
    for (const role of ['view', 'edit', 'admin']) {
      const subject = { ...ana, name: role };
      await store.create(binding(role, `ClusterRole/${role}`, [subject], 'team1'));
    }
    const policies = 'authorizationpolicies.security.istio.io';
    const table: [string, string, string][] = [
      ['get', 'services', 'view edit admin'],
      ['get', policies, 'view edit admin'],
      ['get', 'secrets', 'edit admin'],
      ['update', policies, 'edit admin'],
      ['create', 'rolebindings.rbac.authorization.k8s.io', 'admin'],
      ['create', 'gateways.networking.istio.io', ''],
      ['create', 'virtualservices.networking.istio.io', ''],
      ['create', 'serviceentries.networking.istio.io', ''],
      ['create', 'rbacconfigs.rbac.istio.io', ''],
      ['delete', 'namespaces', ''],
    ];
    for (const [verb, resource, who] of table) {
      const found = ['view', 'edit', 'admin'].filter((name) => may(user(name), verb, resource));
      assert.equal(found.join(' '), who, `${verb} ${resource}`);
    }
  });

  it('collect from roles that come, change and go', async (test) => {
    const { store, may } = await started(test);
    await store.create(binding('v', 'ClusterRole/view', [ana], 'team1'));
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
    const rules = [{ verbs: ['get'], apiGroups: ['example.com'], resources: ['lamps'] }];
    await store.create(clusterRole('lamps', rules, labels));
    await waitUntil(() => may(user('ana'), 'get', 'lamps.example.com'), 'it is collected');
    await store.delete(keyOf('clusterroles', 'lamps'));
    await waitUntil(() => !may(user('ana'), 'get', 'lamps.example.com'), 'it is gone');
  });

  it('are mended at the start: what they lack is added, what was added stays', async (test) => {
    const store = new MemoryStore(deps);
    const own = [{ verbs: ['get'], apiGroups: ['example.com'], resources: ['lamps'] }];
    await store.create(clusterRole('system:basic-user', own));
    const masters = binding('cluster-admin', 'ClusterRole/cluster-admin', [ana]);
    await store.create(masters);
    await store.create(binding('system:discovery', 'ClusterRole/cluster-admin', [ana]));
    const kept = clusterRole('system:monitoring', []);
    const annotations = { [AUTOUPDATE]: 'false' };
    await store.create({ ...kept, metadata: { ...kept.metadata, annotations } });
    const { may } = await started(test, store);
    assert.equal(may(user('bo'), 'get', 'lamps.example.com', ''), true);
    assert.equal(may(user('bo'), 'create', 'selfsubjectreviews.authentication.k8s.io', ''), true);
    const found = (await store.get(
      keyOf('clusterrolebindings', 'cluster-admin'),
    )) as unknown as AccessBinding;
    assert.deepEqual(
      found.subjects?.map(({ name }) => name),
      ['ana', 'system:masters'],
    );
    // A default binding that gives another role is made anew, without those whom it gave it to.
    const discovery = (await store.get(
      keyOf('clusterrolebindings', 'system:discovery'),
    )) as unknown as AccessBinding;
    assert.equal(discovery.roleRef.name, 'system:discovery');
    assert.deepEqual(
      discovery.subjects?.map(({ name }) => name),
      ['system:authenticated'],
    );
    const monitoring = await store.get(keyOf('clusterroles', 'system:monitoring'));
    assert.deepEqual((monitoring as unknown as ClusterRole).rules, []);
  });

  it('are not written again when nothing is to be mended', async (test) => {
    const { rbac, store } = await started(test);
    await rbac.close();
    const before = await store.currentVersion();
    await started(test, store);
    assert.equal(await store.currentVersion(), before);
  });
});
