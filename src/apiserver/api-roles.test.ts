import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ApiClient } from '../../test/kit/api-client.ts';
import { startApiServer, type TestApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

// Roles through the API: nobody gives what he does not have, or acts as somebody else unasked.

const closers: (() => unknown)[] = [];
const suite = { after: (close: () => unknown) => void closers.unshift(close) } as never;
let api: TestApiServer;
const GROUP = 'rbac.authorization.k8s.io';
const RBAC = `/apis/${GROUP}/v1`;
const CORE = '/api/v1';
const POLICIES = '/apis/security.istio.io/v1';
const ACCESS = '/apis/authorization.k8s.io/v1';
/** Administers team1-ns and nothing else. */
let ana: ApiClient;
/** Edits team2-ns and nothing else. */
let bo: ApiClient;

const person = (user: string, ...groups: string[]): ApiClient =>
  api.client({ credentials: api.clients.issue({ user, groups, validDays: 1 }) });

before(async () => {
  api = await startApiServer(suite, { directory: temporaryDirectory(suite) });
  for (const name of ['team1-ns', 'team2-ns']) {
    await api.admin.post(`${CORE}/namespaces`, { metadata: { name } });
  }
  await created(bind('team1-ns', 'team1', 'ClusterRole/admin', 'Group/team1'));
  await created(bind('team2-ns', 'team2', 'ClusterRole/edit', 'User/bo'));
  ana = person('ana', 'team1', 'visitors');
  bo = person('bo', 'team2');
});
after(async () => {
  for (const close of closers) await close();
});

async function created(answer: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await answer;
  assert.equal(status, 201, text);
}

function bindingOf(name: string, role: string, subject: string): object {
  const [kind, roleName] = role.split('/');
  const [subjectKind, subjectName] = subject.split('/');
  return {
    metadata: { name },
    subjects: [{ kind: subjectKind, name: subjectName }],
    roleRef: { apiGroup: GROUP, kind, name: roleName },
  };
}

function bind(namespace: string, name: string, role: string, subject: string, as = api.admin) {
  const path = `${RBAC}/namespaces/${namespace}/rolebindings`;
  return as.post(path, bindingOf(name, role, subject));
}

const roleWith = (name: string, ...resources: string[]): object => ({
  metadata: { name },
  rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources }],
});
const policy = (name: string): object => ({ metadata: { name }, spec: {} });

describe('a team', () => {
  it('does what its role says in its namespace, and nothing in others', async () => {
    const own = `${POLICIES}/namespaces/team1-ns/authorizationpolicies`;
    const other = `${POLICIES}/namespaces/team2-ns/authorizationpolicies`;
    await created(ana.post(own, policy('mine')));
    await created(bo.post(other, policy('theirs')));
    const refused = await ana.get(`${other}/theirs`);
    assert.equal(refused.status, 403);
    assert.equal(
      refused.body.message,
      'authorizationpolicies.security.istio.io "theirs" is forbidden: User "ana" cannot get resource "authorizationpolicies" in API group "security.istio.io" in the namespace "team2-ns"',
    );
    const answers = await Promise.all([
      ana.get(other),
      ana.post(other, policy('x')),
      ana.put(`${other}/theirs`, policy('theirs')),
      ana.patch(`${other}/theirs`, 'merge', { spec: { action: 'DENY' } }),
      ana.patch(`${other}/theirs/status`, 'merge', { status: {} }),
      ana.delete(`${other}/theirs`),
      ana.delete(other),
      ana.get(`${POLICIES}/authorizationpolicies`),
      ana.get(`${POLICIES}/watch/namespaces/team2-ns/authorizationpolicies`),
      ana.get(`${other}?watch=true`),
      ana.get(`${other}?fieldSelector=metadata.namespace%3Dteam1-ns`),
      ana.post(`${CORE}/namespaces/team2-ns/serviceaccounts/default/token`, { spec: {} }),
      ana.delete(`${CORE}/namespaces/team2-ns`),
      ana.put(`${CORE}/namespaces/team1-ns`, {
        metadata: { name: 'team1-ns', labels: { a: 'b' } },
      }),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 403),
    );
  });

  it('does not reach another namespace by a body, a path or an owner', async () => {
    const own = `${POLICIES}/namespaces/team1-ns/authorizationpolicies`;
    const elsewhere = { metadata: { name: 'x', namespace: 'team2-ns' }, spec: {} };
    assert.equal((await ana.post(own, elsewhere)).status, 400);
    for (const path of [
      `${POLICIES}/namespaces/team1-ns/../team2-ns/authorizationpolicies`,
      `${POLICIES}/namespaces/team1-ns%2F..%2Fteam2-ns/authorizationpolicies`,
      `${POLICIES}//namespaces//team2-ns//authorizationpolicies`,
      `/apis/security.istio.io/v1beta1/namespaces/team2-ns/authorizationpolicies`,
    ])
      assert.equal((await ana.get(path)).status, 403, path);
    await bo.post(`${CORE}/namespaces/team2-ns/configmaps`, { metadata: { name: 'kept' } });
    const kept = await bo.get(`${CORE}/namespaces/team2-ns/configmaps/kept`);
    const { uid } = kept.body.metadata;
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'kept', uid };
    const owned = { metadata: { name: 'owned', ownerReferences: [owner] } };
    await created(ana.post(`${CORE}/namespaces/team1-ns/configmaps`, owned));
    assert.equal((await ana.delete(`${CORE}/namespaces/team1-ns/configmaps/owned`)).status, 200);
    const { status } = await bo.get(`${CORE}/namespaces/team2-ns/configmaps/kept`);
    assert.equal(status, 200);
  });

  it('reads only what its roles say of what the server tells of itself', async () => {
    for (const path of ['/bulwark/v1alpha1/proxies', '/metrics', '/', '/logs/x'])
      assert.equal((await ana.get(path)).status, 403, path);
    for (const path of ['/api', '/apis', '/openapi/v3', '/version'])
      assert.equal((await ana.get(path)).status, 200, path);
  });
});

describe('who writes roles and bindings', () => {
  const roles = `${RBAC}/namespaces/team1-ns/roles`;

  it('gives what he has, and is told what he has not', async () => {
    await created(ana.post(roles, roleWith('own', 'configmaps', 'secrets')));
    const { status, body } = await ana.post(roles, roleWith('more', 'configmaps', 'nodes'));
    assert.equal(status, 403);
    assert.equal(
      body.message,
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "ana" (groups=["team1" "visitors" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}',
    );
    const wide = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
    const star = { metadata: { name: 'star' }, rules: [wide] };
    assert.equal((await ana.post(roles, star)).status, 403);
    assert.equal((await ana.post(`${roles}?dryRun=All`, star)).status, 403);
  });

  it('cannot make a role wider by changing it, in any way', async () => {
    await created(ana.post(roles, roleWith('changed', 'configmaps')));
    const path = `${roles}/changed`;
    const wider = { rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] };
    assert.equal((await ana.patch(path, 'merge', wider)).status, 403);
    assert.equal((await ana.patch(path, 'strategic-merge', wider)).status, 403);
    const add = [{ op: 'replace', path: '/rules/0/verbs/0', value: 'escalate' }];
    assert.equal((await ana.patch(path, 'json', add)).status, 403);
    assert.equal((await ana.put(path, { metadata: { name: 'changed' }, ...wider })).status, 403);
    const { body } = await ana.get(path);
    assert.deepEqual(body.rules[0].verbs, ['get', 'list']);
  });

  it('binds only roles that give no more than he has, unless he may bind them', async () => {
    await created(bind('team1-ns', 'helper', 'ClusterRole/view', 'User/cy', ana));
    const more = await bind('team1-ns', 'boss', 'ClusterRole/cluster-admin', 'User/ana', ana);
    assert.equal(more.status, 403);
    assert.match(more.body.message, /not currently held:\n\{APIGroups:\["\*"\], Resources/);
    assert.equal((await bind('team1-ns', 'none', 'ClusterRole/nope', 'User/x', ana)).status, 404);
    const everywhere = `${RBAC}/clusterrolebindings`;
    const all = await ana.post(everywhere, bindingOf('all', 'ClusterRole/view', 'User/ana'));
    assert.equal(all.status, 403);
    const mayBind = {
      metadata: { name: 'binder' },
      rules: [
        {
          verbs: ['bind'],
          apiGroups: [GROUP],
          resources: ['clusterroles'],
          resourceNames: ['bulwark:agent', 'cluster-admin'],
        },
      ],
    };
    await created(api.admin.post(roles, mayBind));
    await created(bind('team1-ns', 'binder', 'Role/binder', 'User/ana'));
    await created(bind('team1-ns', 'boss', 'ClusterRole/cluster-admin', 'User/dan', ana));
  });

  it('may give what he has not with the verb escalate', async () => {
    const rules = [{ verbs: ['escalate'], apiGroups: [GROUP], resources: ['roles'] }];
    await created(api.admin.post(roles, { metadata: { name: 'escalator' }, rules }));
    await created(bind('team1-ns', 'escalator', 'Role/escalator', 'User/eve'));
    await created(bind('team1-ns', 'eve', 'ClusterRole/admin', 'User/eve'));
    await created(person('eve').post(roles, roleWith('nodes', 'nodes')));
  });

  it('needs all rights there are for a role that collects others', async () => {
    const rules = [{ verbs: ['*'], apiGroups: [GROUP], resources: ['clusterroles'] }];
    const writer = {
      metadata: { name: 'role-writer' },
      rules: [{ ...rules[0], verbs: ['create'] }],
    };
    await created(api.admin.post(`${RBAC}/clusterroles`, writer));
    const given = bindingOf('role-writer', 'ClusterRole/role-writer', 'User/fay');
    await created(api.admin.post(`${RBAC}/clusterrolebindings`, given));
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { any: 'true' } }] };
    const collector = { metadata: { name: 'collector' }, rules: [], aggregationRule };
    const { status, body } = await person('fay').post(`${RBAC}/clusterroles`, collector);
    assert.equal(status, 403);
    assert.match(body.message, /must have cluster-admin privileges to use the aggregationRule$/);
  });

  it('is refused a role that is too large to compare', async () => {
    const words = Array.from({ length: 100 }, (_, index) => `w${index}`);
    const rules = [{ verbs: words, apiGroups: words, resources: words }];
    const { status, body } = await ana.post(roles, { metadata: { name: 'large' }, rules });
    assert.equal(status, 403);
    assert.match(body.message, /more than 20000 rights/);
  });
});

describe('acting as somebody else', () => {
  const maps = `${CORE}/namespaces/team2-ns/configmaps`;
  const whoami = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const as = (client: ApiClient, headers: Record<string, string>, path = maps) =>
    client.get(path, headers);

  it('needs the right for each user, group, uid and extra value', async () => {
    assert.equal((await as(ana, { 'impersonate-user': 'bo' })).status, 403);
    const masters = { 'impersonate-user': 'ana', 'impersonate-group': 'system:masters' };
    assert.equal((await as(ana, masters)).status, 403);
    const rules = [
      { verbs: ['impersonate'], apiGroups: [''], resources: ['users'], resourceNames: ['bo'] },
    ];
    await created(api.admin.post(`${RBAC}/clusterroles`, { metadata: { name: 'as-bo' }, rules }));
    const given = bindingOf('as-bo', 'ClusterRole/as-bo', 'User/gil');
    await created(api.admin.post(`${RBAC}/clusterrolebindings`, given));
    const gil = person('gil');
    assert.equal((await as(gil, { 'impersonate-user': 'bo' })).status, 200);
    for (const headers of [
      { 'impersonate-user': 'ana' },
      { 'impersonate-user': 'bo', 'impersonate-group': 'system:masters' },
      { 'impersonate-user': 'bo', 'impersonate-uid': '1' },
      { 'impersonate-user': 'bo', 'impersonate-extra-scopes': 'all' },
    ])
      assert.equal((await as(gil, headers)).status, 403, JSON.stringify(headers));
    assert.equal((await as(gil, { 'impersonate-group': 'team2' })).status, 400);
  });

  it('an editor of a namespace may act as its accounts, and no others', async () => {
    const account = (namespace: string) => ({
      'impersonate-user': `system:serviceaccount:${namespace}:default`,
    });
    const answer = await ana.ask({
      method: 'POST',
      path: whoami,
      body: {},
      headers: account('team1-ns'),
    });
    assert.deepEqual(answer.body.status.userInfo.groups, [
      'system:serviceaccounts',
      'system:serviceaccounts:team1-ns',
      'system:authenticated',
    ]);
    assert.equal((await as(ana, account('team2-ns'))).status, 403);
    const odd = { 'impersonate-user': 'system:serviceaccount:team1-ns:default:x' };
    assert.equal((await as(ana, odd)).status, 403);
  });

  it('can be allowed for single requests', async () => {
    const rule = (verb: string, group: string, resource: string) => ({
      ...{ verbs: [verb], apiGroups: [group], resources: [resource] },
    });
    const rules = [
      rule('impersonate:user-info', 'authentication.k8s.io', 'users'),
      rule('impersonate-on:user-info:list', '', 'configmaps'),
    ];
    await created(api.admin.post(`${RBAC}/clusterroles`, { metadata: { name: 'narrow' }, rules }));
    const given = bindingOf('narrow', 'ClusterRole/narrow', 'User/hal');
    await created(api.admin.post(`${RBAC}/clusterrolebindings`, given));
    const hal = person('hal');
    assert.equal((await as(hal, { 'impersonate-user': 'bo' })).status, 200);
    assert.equal((await as(hal, { 'impersonate-user': 'ana' })).status, 403);
    const secrets = `${CORE}/namespaces/team2-ns/secrets`;
    const { status, body } = await as(hal, { 'impersonate-user': 'bo' }, secrets);
    assert.equal(status, 403);
    assert.match(body.message, /cannot impersonate-on:user-info:list resource "secrets"/);
  });

  it('gives the groups that are named, each as it is', async () => {
    const answer = await api.admin.ask({
      method: 'POST',
      path: whoami,
      body: {},
      headers: { 'impersonate-user': 'x', 'impersonate-group': 'a, system:masters' },
    });
    assert.deepEqual(answer.body.status.userInfo.groups, [
      'a, system:masters',
      'system:authenticated',
    ]);
  });
});

it('the token of a deleted account is nobody, whatever it was bound to', async () => {
  const accounts = `${CORE}/namespaces/team1-ns/serviceaccounts`;
  await created(api.admin.post(accounts, { metadata: { name: 'ci' } }));
  const binding = {
    ...bindingOf('ci', 'ClusterRole/edit', 'User/x'),
    subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'team1-ns' }],
  };
  await created(api.admin.post(`${RBAC}/namespaces/team1-ns/rolebindings`, binding));
  const { body } = await api.admin.post(`${accounts}/ci/token`, { spec: {} });
  const ci = api.client({ token: body.status.token });
  const maps = `${CORE}/namespaces/team1-ns/configmaps`;
  assert.equal((await ci.get(maps)).status, 200);
  assert.equal((await ci.get(`${CORE}/namespaces/team2-ns/configmaps`)).status, 403);
  await api.admin.delete(`${accounts}/ci`);
  assert.equal((await ci.get(maps)).status, 401);
  await created(api.admin.post(accounts, { metadata: { name: 'ci' } }));
  assert.equal((await ci.get(maps)).status, 401);
});

it('a certificate makes no groups out of the text of one', async () => {
  for (const group of ['team2/O=system:masters', 'x\nO=system:masters', 'a,O=system:masters']) {
    const { status } = await person('ivy', group).get(`${CORE}/namespaces`);
    assert.equal(status, 403, group);
  }
});

describe('asking what somebody may do', () => {
  const review = (client: ApiClient, spec: object, kind = 'selfsubjectaccessreviews') =>
    client.post(`${ACCESS}/${kind}`, { spec });
  const about = (namespace: string) => ({
    resourceAttributes: { namespace, verb: 'update', resource: 'secrets' },
  });

  it('is answered for oneself, by the rule that allows it', async () => {
    const yes = await review(ana, about('team1-ns'));
    assert.deepEqual(yes.body.status, {
      allowed: true,
      reason:
        'RBAC: allowed by RoleBinding "team1/team1-ns" of ClusterRole "admin" to Group "team1"',
    });
    const no = await review(ana, about('team2-ns'));
    assert.deepEqual(no.body.status, { allowed: false });
  });

  it('is answered about others to who may ask: in a namespace, its administrator', async () => {
    const spec = { user: 'bo', ...about('team1-ns') };
    assert.equal((await review(ana, spec, 'subjectaccessreviews')).status, 403);
    const local = (namespace: string) =>
      ana.post(`${ACCESS}/namespaces/${namespace}/localsubjectaccessreviews`, { spec });
    assert.equal((await local('team1-ns')).body.status.allowed, false);
    assert.equal((await local('team2-ns')).status, 403);
  });

  it('lists the rules of the caller', async () => {
    const spec = { namespace: 'team2-ns' };
    const { body } = await review(bo, spec, 'selfsubjectrulesreviews');
    const resources = body.status.resourceRules.flatMap(
      (rule: { resources: string[] }) => rule.resources,
    );
    assert.ok(resources.includes('authorizationpolicies'));
    const outside = await review(bo, { namespace: 'team1-ns' }, 'selfsubjectrulesreviews');
    assert.deepEqual(
      outside.body.status.resourceRules.flatMap((rule: { resources: string[] }) => rule.resources),
      ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'],
    );
  });

  it('is refused when it says nothing readable', async () => {
    for (const spec of [
      { resourceAttributes: 'x' },
      { resourceAttributes: { verb: 1 } },
      { user: 1, ...about('team1-ns') },
      { user: 'x', groups: 'y', ...about('team1-ns') },
    ]) {
      const kind = 'user' in spec ? 'subjectaccessreviews' : 'selfsubjectaccessreviews';
      assert.equal((await review(api.admin, spec, kind)).status, 400, JSON.stringify(spec));
    }
  });
});
